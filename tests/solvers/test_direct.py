"""Direct solvers: a factorisation that fails says so."""

import numpy as np
import pytest
from firedrake.petsc import PETSc

from fe_phaseinv.solvers.direct import StepFailed, checked_direct_solver


def matrix(rows):
    values = np.array(rows, float)
    start, columns = np.arange(0, values.size + 1, len(values)), np.tile(np.arange(len(values)), len(values))
    pattern = start.astype(PETSc.IntType), columns.astype(PETSc.IntType)
    return PETSc.Mat().createAIJ(values.shape, csr=(*pattern, values.ravel()), comm=PETSc.COMM_SELF)


def test_a_regular_matrix_is_solved_with():
    solver = checked_direct_solver(matrix([[2.0, 1.0], [1.0, 3.0]]))
    solution, rhs = solver.getOperators()[0].createVecs()
    rhs.array[:] = 3.0, 4.0
    solver.solve(rhs, solution)
    assert solution.array == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("rows", [[[1.0, 1.0], [1.0, 1.0]], [[np.nan, 1.0], [1.0, 1.0]]])
def test_a_failed_factorisation_is_an_error(rows):
    with pytest.raises(StepFailed, match="^a matrix of 2 rows could not be factorised: it is singular or not finite$"):
        checked_direct_solver(matrix(rows))
