"""Iterative solvers: their counts, and that they give what the direct ones do."""

import warnings

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, UnitSquareMesh, assemble, cos, dx, pi
from firedrake.adjoint import continue_annotation, pause_annotation
from firedrake.petsc import PETSc
from mpi4py.MPI import COMM_SELF, COMM_WORLD
from pyadjoint import Control, ReducedFunctional, Tape, set_working_tape

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.linear_solver import KrylovSolver
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.tape import coefficient_functions, run_on_tape
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import EvenPowers, Legendre, Powers
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import QuarticCrystal
from fe_phaseinv.solvers import krylov
from fe_phaseinv.solvers.direct import StepFailed

M = np.array([0, -3, 0, 0, -0.3, np.log(7.5e-4)])
models = pytest.mark.parametrize("kind", [CahnHilliard, AllenCahn])
boundaries = pytest.mark.parametrize("prescribed", [False, True], ids=["closed", "prescribed"])


@pytest.fixture
def solver():
    """Return a function that chooses how equations are solved; the choice ends with the test."""
    options = PETSc.Options("fe_phaseinv_")
    yield lambda name: options.setValue("solver", name)
    options.delValue("solver")


def square(comm, cells, quadrilateral=True):
    return UnitSquareMesh(cells, cells, quadrilateral=quadrilateral, comm=comm)


def forward_model(kind, mesh, degree, prescribed=False):
    model = kind(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation(kind.laws[1].name, Legendre(2), positive),
    )
    outside = None
    if prescribed:
        field = pattern(FunctionSpace(mesh, "CG", degree + 1)).dat.data_ro
        outside = BoundaryData((0.0, 0.002), np.array([field, 1.1 * field]))
    tolerances = Tolerances(rtol=3e-3, newton=1e-7)
    return ForwardModel(model, mesh, degree, tolerances=tolerances, boundary_data=outside)


def pattern(space):
    x, y = SpatialCoordinate(space.mesh())
    waves = 0.15 * cos(7 * pi * x) * cos(5 * pi * y) + 0.05 * cos(11 * pi * x)
    return Function(space).interpolate(0.5 + waves)


def counts(kind, cells, degree, quadrilateral, prescribed, time_step):
    """Return the iterations for the state as the solution, but for noise, then for the transposed system."""
    forward = forward_model(kind, square(COMM_SELF, cells, quadrilateral), degree, prescribed)
    forward.coefficients.assign(M)
    step = forward.step
    state = step.layout.from_rates(pattern(forward.space).dat.data_ro.copy())
    step.set_state(state)
    step.set_rate(1 / time_step, np.zeros(step.layout.nodes))
    step.factorise()
    jacobian, _ = step.linear.ksp.getOperators()
    solution, rhs = jacobian.createVecs()
    solution.array[:] = state
    jacobian.mult(solution, rhs)
    rhs.array[:] *= 1 + 0.3 * np.random.default_rng(0).standard_normal(rhs.array.size)
    rhs.array[step.operators.prescribed] = 0.0
    found = []
    for solve in (step.linear.ksp.solve, step.linear.ksp.solveTranspose):
        solve(rhs, solution)
        assert step.linear.ksp.getConvergedReason() > 0
        found.append(step.linear.ksp.getIterationNumber())
    return found


@pytest.mark.parametrize(
    ("kind", "degree", "quadrilateral", "prescribed", "most", "more"),
    [
        pytest.param(CahnHilliard, 1, True, False, 30, 2, marks=pytest.mark.slow),
        (CahnHilliard, 2, False, False, 30, 2),
        pytest.param(CahnHilliard, 3, True, False, 30, 2, marks=pytest.mark.slow),
        (CahnHilliard, 2, False, True, 36, 8),
        (AllenCahn, 3, False, False, 30, 2),
        pytest.param(AllenCahn, 2, True, True, 30, 2, marks=pytest.mark.slow),
    ],
)
def test_iterations_depend_on_neither_mesh_nor_time_step(solver, kind, degree, quadrilateral, prescribed, most, more):
    solver("krylov")
    for time_step in (3e-7, 1e-5, 3e-4):  # the last is a fifth of the time in which the fastest waves grow
        coarse, fine = (
            counts(kind, nodes // degree, degree, quadrilateral, prescribed, time_step) for nodes in (36, 144)
        )
        assert max(coarse + fine) <= most
        assert max(fine) <= max(coarse) + more


@pytest.mark.parallel([1, 3])
@boundaries
@models
def test_iterative_and_direct_runs_agree(solver, kind, prescribed):
    ends, mesh = [], square(COMM_WORLD, 12)
    for name in ("direct", "krylov"):
        solver(name)
        forward = forward_model(kind, mesh, 2, prescribed)
        run = forward.run(M, pattern(forward.space).dat.data_ro.copy(), [0.0, 0.0005, 0.001], sensitivities=True)
        ends.append((run.states[-1], run.sensitivities[-1]))
        assert forward.step.linear.ksp.getPC().getType() == ("lu" if name == "direct" else "python")
    (state, H_mm), (other, by_laws_too) = ends
    np.testing.assert_allclose(other, state, atol=1e-7)
    np.testing.assert_allclose(by_laws_too, H_mm, atol=1e-6)


@boundaries
@models
def test_iterative_and_direct_gradients_agree(solver, kind, prescribed):
    gradients, mesh, times, grid = [], square(COMM_SELF, 12), [0.0, 0.001, 0.002], None
    for name in ("direct", "krylov"):
        solver(name)
        set_working_tape(Tape())
        forward = forward_model(kind, mesh, 2, prescribed)
        start = pattern(forward.space)
        grid = grid or forward.run(M, start.dat.data_ro, times).grid
        continue_annotation()
        laws = coefficient_functions(forward, M)
        _, last = run_on_tape(forward, laws, start, times, grid=grid)
        J = assemble(last**3 * dx)
        pause_annotation()
        gradients.append(ReducedFunctional(J, Control(start)).derivative().dat.data_ro)
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-6 * np.abs(gradients[0]).max())


def test_other_names_of_solvers_are_refused(solver):
    mesh = square(COMM_SELF, 2)
    solver("kryov")
    with pytest.raises(ValueError, match="^-fe_phaseinv_solver: found 'kryov'; accepted: direct or krylov$"):
        forward_model(CahnHilliard, mesh, 1)
    solver("krylov")
    crystal = QuarticCrystal(Powers(2), EvenPowers(3, 6.0))
    with pytest.warns(DataWarning, match="^phase-field-crystal has no iteration: MUMPS solves its 75 equations$"):
        ForwardModel(crystal, mesh, 2)


def test_where_an_iteration_fails_mumps_goes_on(solver, monkeypatch):
    mesh, ends = square(COMM_SELF, 12), []
    for name, most in (("direct", 200), ("krylov", 1)):
        solver(name)
        monkeypatch.setitem(krylov.KRYLOV, "ksp_max_it", most)
        forward = forward_model(CahnHilliard, mesh, 2)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run = forward.run(M, pattern(forward.space).dat.data_ro.copy(), [0.0, 0.0005], sensitivities=True)
        assert ["MUMPS solves from here on" in str(each.message) for each in said] == [True] * (most == 1)
        ends.append(run.states[-1])
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-7)


@models
def test_a_jacobian_that_is_not_finite_is_a_failed_step(solver, kind):
    solver("krylov")
    forward = forward_model(kind, square(COMM_SELF, 12), 2)
    forward.coefficients.assign(np.nan * M)
    with pytest.raises(StepFailed, match="^the Jacobian is not finite$"):
        forward.step.factorise()


def test_the_size_decides(monkeypatch):
    monkeypatch.setattr("fe_phaseinv.forward.linear_solver.LARGE", {2: 1000})
    kinds = [forward_model(CahnHilliard, square(COMM_SELF, cells), 1).step for cells in (8, 32)]
    assert [isinstance(step.linear, KrylovSolver) for step in kinds] == [False, True]
