"""Systems with a nonlocal part: solved, or said not to be."""

import numpy as np
import pytest
from firedrake.petsc import PETSc

from fe_phaseinv.solvers import nonlocal_system
from fe_phaseinv.solvers.direct import StepFailed, checked_direct_solver
from fe_phaseinv.solvers.nonlocal_system import NonlocalSystem

SIZE = 30
WHOLE = np.diag(np.linspace(1.0, 40.0, SIZE))
WHOLE[0, -1] = 3.0


@pytest.fixture
def system():
    pattern = np.arange(SIZE + 1, dtype=PETSc.IntType), np.arange(SIZE, dtype=PETSc.IntType)
    local = PETSc.Mat().createAIJ((SIZE, SIZE), csr=(*pattern, np.ones(SIZE)), comm=PETSc.COMM_SELF)
    return NonlocalSystem(local, checked_direct_solver(local), lambda columns: WHOLE @ columns - columns)


def test_columns_are_solved_for(system):
    rhs = np.random.default_rng(0).standard_normal((SIZE, 2))
    np.testing.assert_allclose(WHOLE @ system.solve(rhs, 1e-10), rhs, atol=1e-8)


def test_too_few_iterations_are_an_error(system, monkeypatch):
    monkeypatch.setattr(nonlocal_system, "MOST_ITERATIONS", 3)
    with pytest.raises(StepFailed, match="^the equations with a nonlocal part were not solved in 3 iterations$"):
        system.solve(np.ones((SIZE, 1)), 1e-6)
