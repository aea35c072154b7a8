"""The run on the tape: Taylor orders for every input, composed with other blocks, and on 1 and 3 ranks."""

import numpy as np
import pytest
from checkpoint_schedules import SingleMemoryStorageSchedule
from firedrake import Function, FunctionSpace, SpatialCoordinate, assemble, dx, exp, grad, inner, sin
from firedrake.adjoint import Control, ReducedFunctional, continue_annotation, pause_annotation, taylor_to_dict
from mpi4py import MPI
from pyadjoint import Tape, set_working_tape

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.tape import coefficient_functions, run_on_tape
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

NO_LIMIT = Storage()
TOLERANCES = Tolerances(rtol=3e-3, newton=1e-9)
LAWS = np.array([0.0, -2.5, 0.1, -0.4, -0.3, np.log(4e-3)])
TIMES = (0.0, 0.006, 0.01)
KNOTS = (0.0, 0.004, 0.01)


@pytest.fixture
def tape():
    """Annotate on a tape of its own."""
    with set_working_tape(Tape()):
        continue_annotation()
        yield
        pause_annotation()


def forward_model(kind, comm, movie, heterogeneous, cropped=False):
    model = kind(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation(kind.laws[1].name, Legendre(2), positive),
    )
    mesh = meshes.rectangle_mesh(movie, 5, comm)
    outside = None
    if cropped:
        size = FunctionSpace(mesh, "CG", 3).dof_dset.size
        outside = BoundaryData(KNOTS, np.full((len(KNOTS), size), 0.5), None if cropped is True else cropped)
    return ForwardModel(model, mesh, 2, tolerances=TOLERANCES, boundary_data=outside, heterogeneous=heterogeneous)


def waves(space, number, mean=0.0, height=1.0):
    x, y = SpatialCoordinate(space.mesh())
    return Function(space).interpolate(mean + height * sin((2 + number) * x + number) * sin(3 * y + number))


def build(kind, comm, movie, heterogeneous=True, cropped=False, storage=NO_LIMIT):
    """Return the functional and its controls: other blocks come before the run and after it."""
    forward = forward_model(kind, comm, movie, heterogeneous, cropped)
    raw, h = waves(forward.space, 1), waves(forward.space, 2)
    start = Function(forward.space).interpolate(0.5 + 0.2 * raw + 0.05 * raw**2)
    edges = [waves(forward.boundary_space, number, 0.5, 0.2) for number in (1, 2, 3)]
    laws = coefficient_functions(forward, LAWS)
    options = {"heterogeneity": h if heterogeneous else None, "boundary": edges if cropped else None}
    first, last = run_on_tape(forward, laws, start, TIMES, **options, storage=storage)
    J = assemble(exp(first) * last**2 * dx + 0.01 * inner(grad(last), grad(last)) * dx + 0.1 * h**2 * dx)
    return J, [*laws, raw, *([h] if heterogeneous else []), *(edges if cropped else [])]


def directions(controls):
    found = [Function(control.function_space()) for control in controls]
    rng = np.random.default_rng(1)
    for direction, control in zip(found, controls, strict=True):
        if control.function_space().ufl_element().family() == "Real":
            direction.assign(rng.uniform(0.2, 0.6))
        else:
            direction.assign(waves(control.function_space(), 3, 0.7))
    return found


@pytest.mark.parametrize(
    ("kind", "heterogeneous", "cropped"),
    [
        (CahnHilliard, True, True),
        pytest.param(CahnHilliard, False, False, marks=pytest.mark.slow),
        (AllenCahn, False, False),
        pytest.param(AllenCahn, True, True, marks=pytest.mark.slow),
        pytest.param(CahnHilliard, True, False, marks=pytest.mark.slow),
        pytest.param(AllenCahn, False, True, marks=pytest.mark.slow),
    ],
)
def test_taylor_orders_for_every_input(tape, movie, kind, heterogeneous, cropped):
    J, controls = build(kind, MPI.COMM_SELF, movie, heterogeneous, cropped)
    pause_annotation()
    lengths = {1: 20, 3: 20, 5: 8} | ({7: 2} if heterogeneous else {})
    for i in (1, 3, 5, *range(6, len(controls))):
        require_orders(J, controls, i, lengths.get(i, 5))


def require_orders(J, controls, number, length):
    """Check the orders of the remainders, with a step long enough for the third one to be above the rounding."""
    control, direction = controls[number], directions(controls)[number]
    direction.assign(length * direction)
    found = taylor_to_dict(ReducedFunctional(J, Control(control)), control, direction)
    for order in (0, 1, 2):
        assert found[f"R{order}"]["Rate"][-1] == pytest.approx(order + 1, abs=0.1)


@pytest.mark.parametrize("kind", [CahnHilliard, pytest.param(AllenCahn, marks=pytest.mark.slow)])
def test_taylor_orders_for_data_on_a_part_of_the_boundary(tape, movie, kind):
    J, controls = build(kind, MPI.COMM_SELF, movie, heterogeneous=False, cropped=(1, 3))
    pause_annotation()
    for number in (6, 8):
        require_orders(J, controls, number, 12)


@pytest.mark.parallel(3)
@pytest.mark.parametrize("states", [pytest.param(np.inf, marks=pytest.mark.slow), 1e5])
def test_three_ranks_agree_with_one(tape, movie, states):
    """With all states in memory, and with checkpoints."""
    values = []
    for comm in (MPI.COMM_SELF, MPI.COMM_WORLD):
        J, controls = build(CahnHilliard, comm, movie, cropped=True, storage=Storage(states))
        changes = directions(controls)
        reduced = ReducedFunctional(J, [Control(control) for control in controls])
        gradient = reduced.derivative()
        action = reduced.hessian(changes)
        along = [sum(d._ad_dot(c) for d, c in zip(by, changes, strict=True)) for by in (gradient, action)]
        values.append([float(J), *map(float, along)])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-8)


def test_a_replay_keeps_the_grid_and_is_not_annotated_twice(tape, movie):
    J, controls = build(CahnHilliard, MPI.COMM_SELF, movie)
    pause_annotation()
    reduced = ReducedFunctional(J, Control(controls[1]))
    moved = controls[1].copy(deepcopy=True)
    moved.assign(moved + 0.3)
    assert abs(reduced(moved) - J) > 1e-4
    assert reduced(controls[1]) == pytest.approx(J, rel=1e-8)


def test_runs_on_the_tape_leave_the_model_as_it_was(tape, movie):
    """Each block follows its own laws, map and boundary data, whatever others are given later."""
    forward = forward_model(CahnHilliard, MPI.COMM_SELF, movie, True, cropped=True)
    forward.coefficients.assign(2 * LAWS)
    space, data = forward.space, forward.boundary_data
    laws, start, h = coefficient_functions(forward, LAWS), waves(space, 1, 0.5, 0.2), waves(space, 2)
    edges = [waves(forward.boundary_space, number, 0.5, 0.2) for number in (1, 2, 3)]
    ends = [run_on_tape(forward, laws, start, TIMES, heterogeneity=h, boundary=edges)[-1]]
    ends += [run_on_tape(forward, laws, start, TIMES, heterogeneity=h)[-1]]
    first, second = (assemble(end**2 * dx) for end in ends)
    pause_annotation()
    assert abs(first - second) > 1e-3
    alone = forward_model(CahnHilliard, MPI.COMM_SELF, movie, True, cropped=True)
    (*_, end) = run_on_tape(alone, laws, start, TIMES, heterogeneity=h)
    assert second == pytest.approx(assemble(end**2 * dx), rel=1e-10)
    derivatives = [ReducedFunctional(J, Control(edges[1])).derivative() for J in (first, second)]
    assert np.abs(derivatives[0].dat.data_ro).max() > 1e-3 and np.abs(derivatives[1].dat.data_ro).max() == 0
    assert ReducedFunctional(first, Control(h))(h) == pytest.approx(first, rel=1e-8)
    assert forward.boundary_data is data
    np.testing.assert_array_equal(forward.coefficients.values(), 2 * LAWS)
    assert not forward.heterogeneity.dat.data_ro.any()


def test_a_schedule_of_checkpoints_on_the_tape_changes_no_derivative(movie):
    """Of a functional at a new point, by every input."""
    found = []
    for schedule in (None, SingleMemoryStorageSchedule()):
        with set_working_tape(Tape()) as tape:
            continue_annotation()
            if schedule:
                tape.enable_checkpointing(schedule)
            J, controls = build(CahnHilliard, MPI.COMM_SELF, movie, cropped=True)
            pause_annotation()
            reduced = ReducedFunctional(J, [Control(control) for control in controls])
            moved = [control.copy(deepcopy=True) for control in controls]
            values = [reduced([m.assign(0.95 * m) for m in moved])]
            found.append(values + [by.dat.data_ro.copy() for by in reduced.derivative()])
    assert all(np.abs(by).max() > 1e-8 for by in found[0][2:])  # the constant of a potential changes nothing
    for with_schedule, without in zip(*found, strict=True):
        np.testing.assert_allclose(with_schedule, without, rtol=1e-8, atol=1e-14)


def test_nothing_is_taped_where_annotation_is_off(movie):
    forward = forward_model(CahnHilliard, MPI.COMM_SELF, movie, False)
    start = Function(forward.space).assign(0.5)
    with set_working_tape(Tape()) as tape:
        (frame,) = run_on_tape(forward, coefficient_functions(forward, LAWS), start, (0.0, 0.01))
        assert tape.get_blocks() == []
    assert frame.dat.data_ro == pytest.approx(0.5)


def test_inputs_that_a_model_does_not_have_are_refused(movie):
    forward = forward_model(CahnHilliard, MPI.COMM_SELF, movie, False)
    field = Function(forward.space)
    laws = coefficient_functions(forward, LAWS)
    with pytest.raises(ValueError, match="^a map goes with a ForwardModel that is heterogeneous"):
        run_on_tape(forward, laws, field, (0.0, 0.01), heterogeneity=field)
    with pytest.raises(ValueError, match="^1 fields on the boundary, for a ForwardModel that takes 0"):
        run_on_tape(forward, laws, field, (0.0, 0.01), boundary=[field])
