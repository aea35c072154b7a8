"""What a forward model refuses, on all ranks alike, and its interface of functions and numbers."""

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, Mesh, SpatialCoordinate, UnitSquareMesh, VectorFunctionSpace, cos, pi
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.norms import LumpedNorm
from fe_phaseinv.forward.parameters import CoefficientFunctions, CoefficientLayout
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.laws.bases import Hermite, Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal
from fe_phaseinv.solvers.direct import StepFailed

MODEL = AllenCahn(Legendre(3) + ideal_entropy, Legendre(2))
CRYSTAL = PhaseFieldCrystal(Legendre(2), Hermite(5, 10.0))
LAWS = np.array([0.0, -2.5, 0.1, -0.4, -0.3, np.log(4e-3)])
TIMES = (0.0, 0.006, 0.01)
ranks = pytest.mark.parallel([1, 3])


def curved():
    mesh = UnitSquareMesh(1, 1, comm=COMM_SELF)
    return Mesh(Function(VectorFunctionSpace(mesh, "CG", 2)).interpolate(SpatialCoordinate(mesh)))


def forward_model(comm=COMM_SELF, **options):
    mesh = UnitSquareMesh(5, 5, quadrilateral=True, comm=comm)
    return ForwardModel(MODEL, mesh, 2, tolerances=Tolerances(rtol=3e-3, newton=1e-9), **options)


def waves(space):
    x, y = SpatialCoordinate(space.mesh())
    return Function(space).interpolate(0.5 + 0.2 * cos(pi * x) * cos(2 * pi * y))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((0.0,), "times: found 1; accepted: at least two, the start and a later one"),
        ((0.0, 0.01, 0.006), "times: found 0.006 after 0.01; accepted: times that increase"),
        ((0.0, 0.01, 0.01), "times: found 0.01 after 0.01; accepted: times that increase"),
        ((0.0, np.nan), "times: found nan; accepted: finite numbers"),
    ],
)
def test_times_that_are_none_of_a_run_are_refused(times, message):
    forward = forward_model()
    with pytest.raises(ValueError, match=f"^{message}$"):
        forward.run(LAWS, waves(forward.space).dat.data_ro, times)
    with pytest.raises(ValueError, match="^times: "):
        TimeGrid(times, (1,) * (len(times) - 1))
    with pytest.raises(ValueError, match="^times: "):
        BoundaryData(times, np.zeros((len(times), 3)))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (TimeGrid((0.0, 0.004, 0.01), (1, 1)), "grid: found no step that ends at 0.006; accepted: a grid with all"),
        (TimeGrid((0.001, 0.006, 0.01), (1, 1)), "grid: found one that begins at 0.001; accepted: one from 0 on"),
        (TimeGrid((0.0, 0.002, 0.004, 0.006, 0.01), (1, 2, 3, 4)), "grid: found order 4; accepted: up to max_order"),
    ],
)
def test_grids_that_miss_the_frames_are_refused(grid, message):
    forward = forward_model()
    with pytest.raises(ValueError, match=f"^{message}"):
        forward.run(LAWS, waves(forward.space).dat.data_ro, TIMES, grid=grid)


@ranks
def test_arrays_of_another_length_are_refused_on_all_ranks():
    forward = forward_model(COMM_WORLD)
    start = waves(forward.space).dat.data_ro.copy()
    longer = np.append(start, 0.5) if COMM_WORLD.rank == COMM_WORLD.size - 1 else start
    with pytest.raises(ValueError, match=r"^start: found shape \(\d+,\); accepted: the \d+ values at local nodes$"):
        forward.run(LAWS, longer, TIMES)
    with pytest.raises(ValueError, match=r"^modes: found shape \(\d+,\)"):
        forward.run(LAWS, start, TIMES, sensitivities=True, modes=longer[:, None])
    with pytest.raises(ValueError, match=r"^m: found shape \(5,\); accepted: \(6,\)$"):
        forward.run(LAWS[:5], start, TIMES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: forward_model(unknown=np.ones(5, bool)), r"unknown: found bool of shape \(5,\)"),
        (lambda: forward_model(unknown=[1, 2]), "unknown: found int64 of shape"),
        (lambda: forward_model(boundary_data=0.5), "boundary_data: found 0.5"),
        (lambda: ForwardModel(MODEL, None, 0), "degree: found 0"),
        (
            lambda: ForwardModel(MODEL, curved(), displaced=np.zeros((4, 2, 1))),
            "displaced: found a mesh with curved sides; accepted: straight ones",
        ),
        (
            lambda: ForwardModel(CRYSTAL, UnitSquareMesh(1, 1, comm=COMM_SELF), displaced=np.zeros((4, 2, 1))),
            "displaced: found with the kernel direct_correlation of phase-field-crystal; accepted: models without",
        ),
        (lambda: Tolerances(rtol=0.0), "rtol: found 0.0"),
        (lambda: Tolerances(newton=np.nan), "newton: found nan"),
        (lambda: Tolerances(max_order=6), "max_order: found 6; accepted: whole numbers from 1 to 5"),
        (lambda: Storage(states=-1.0), "states: found -1.0"),
        (lambda: Storage(factors=np.nan), "factors: found nan"),
        (lambda: Storage(files=1.5), "files: found 1.5"),
        (lambda: TimeGrid((0.0, 1.0), (1, 1)), "orders: found 2 of them for 1 steps"),
        (lambda: TimeGrid((0.0, 1.0), (2,)), "orders: found 2 for step 1; accepted: 1 to 1"),
        (lambda: BoundaryData((0.0, 1.0), np.zeros((3, 4))), r"fields: found shape \(3, 4\)"),
    ],
)
def test_values_are_checked_where_they_come_in(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def forms(kind):
    model = kind(Legendre(3), Legendre(2))
    mesh = UnitSquareMesh(1, 1, comm=COMM_SELF)
    layout = CoefficientLayout(model.relations)
    functions = CoefficientFunctions(layout, mesh).functions
    return StepForms(model, FunctionSpace(mesh, "CG", 1), functions, {}, quadrature=2)


class LawTimesRate(AllenCahn):
    def residual(self, fields, rates, laws, tests, at):
        return (
            super().residual(fields, rates, laws, tests, at)
            + laws.kinetic_prefactor(fields.c) * rates.c * tests.c * at.dx
        )


class SquaredRate(AllenCahn):
    def residual(self, fields, rates, laws, tests, at):
        return super().residual(fields, rates, laws, tests, at) + rates.c**2 * tests.c * at.dx


class DoubledRate(AllenCahn):
    def residual(self, fields, rates, laws, tests, at):
        return super().residual(fields, rates, laws, tests, at) + rates.c * tests.c * at.dx


@pytest.mark.parametrize(
    ("kind", "plain"), [(AllenCahn, True), (DoubledRate, True), (LawTimesRate, False), (SquaredRate, False)]
)
def test_what_multiplies_a_rate_is_found(kind, plain):
    assert forms(kind).plain_rate is plain


@ranks
def test_a_nan_on_one_rank_is_seen_by_all():
    space = FunctionSpace(UnitSquareMesh(5, 5, quadrilateral=True, comm=COMM_WORLD), "CG", 2)
    norm, c = LumpedNorm(space, 4), waves(space).dat.data_ro.copy()
    low, high = norm.range(c)
    assert 0.3 <= low < high == pytest.approx(0.7)
    if COMM_WORLD.rank == COMM_WORLD.size - 1:
        c[-1] = np.nan
    assert np.isnan(norm.range(c)).all()


def test_functions_go_in_and_come_out():
    forward = forward_model()
    laws = {"chemical_potential": LAWS[:3], "kinetic_prefactor": LAWS[3:5], "gradient_energy": 4e-3}
    start = waves(forward.space)
    found = forward.solve(laws, start, TIMES)
    expected = forward.run(LAWS, start.dat.data_ro.copy(), TIMES).states
    for function, state in zip(found, expected, strict=True):
        np.testing.assert_array_equal(function.dat.data_ro, state)
    with pytest.raises(
        ValueError, match="^start: found .*; accepted: a Function in the space of each of c of the ForwardModel$"
    ):
        forward.solve(laws, Function(FunctionSpace(forward.mesh, "CG", 1)), TIMES)
    with pytest.raises(ValueError, match="^laws: found chemical_potential; accepted: all of chemical_potential, kine"):
        forward.solve({"chemical_potential": [0.0]}, start, TIMES)
    with pytest.raises(ValueError, match="^gradient_energy: found -1.0; accepted: a number > 0$"):
        forward.solve(laws | {"gradient_energy": -1.0}, start, TIMES)


def test_a_step_whose_sensitivities_fail_is_tried_again(monkeypatch):
    forward = forward_model()
    start, sensitivity, calls = waves(forward.space).dat.data_ro.copy(), forward.step.sensitivity, []
    whole = forward.run(LAWS, start, TIMES, sensitivities=True)

    def failing(*arguments):
        calls.append(len(calls))
        if calls[-1] == 3:
            raise StepFailed("on purpose")
        return sensitivity(*arguments)

    monkeypatch.setattr(forward.step, "sensitivity", failing)
    again = forward.run(LAWS, start, TIMES, sensitivities=True)
    assert len(again.grid.orders) == len(calls) - 1
    assert np.abs(again.states[-1] - whole.states[-1]).max() < 1e-3


def test_sensitivities_that_are_not_finite_fail(monkeypatch):
    forward = forward_model()
    sensitivity = forward.step.sensitivity
    monkeypatch.setattr(forward.step, "sensitivity", lambda *a: (sensitivity(*a)[0], np.nan * sensitivity(*a)[1]))
    with pytest.raises(StepFailed, match="^the sensitivities are not finite$"):
        forward.run(LAWS, waves(forward.space).dat.data_ro.copy(), TIMES, sensitivities=True)


def test_sweeps_need_data_on_the_boundary_that_have_derivatives():
    space = FunctionSpace(UnitSquareMesh(5, 5, quadrilateral=True, comm=COMM_SELF), "CG", 3)
    edges = waves(space).dat.data_ro.copy()
    given = forward_model(boundary_data=BoundaryData((0.0, 0.008), np.array([edges, edges])))
    start = waves(given.space).dat.data_ro.copy()
    with pytest.raises(ValueError, match="^times: found 0 to 0.01; accepted: those of boundary_data, 0 to 0.008$"):
        given.run(LAWS, start, TIMES)
    run = given.run(LAWS, start, TIMES, boundary_data=lambda time: edges)
    with pytest.raises(ValueError, match="^boundary_data: found <function"):
        Sweeps(Weighted(given.step), given.integrator, run)
    run = given.run(LAWS, start, (0.0, 0.008))
    with pytest.raises(ValueError, match="^the second-order adjoint needs a tangent of its own before it$"):
        Sweeps(Weighted(given.step), given.integrator, run).second([0 * start], [0 * start])
