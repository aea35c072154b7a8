"""Derivatives of models with several rates, scalars, floating means, data in time, and rates multiplied by laws."""

from dataclasses import replace
from functools import cache, cached_property

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, assemble, cos, dot, dx, exp, grad, inner, pi, sin
from firedrake.adjoint import Control, ReducedFunctional, continue_annotation, pause_annotation, taylor_to_dict
from mpi4py import MPI
from pyadjoint import Tape, set_working_tape

from fe_phaseinv.core.spaces import NodeOrder
from fe_phaseinv.data import meshes
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import DataInTime
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.tape import run_on_tape
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import Dirichlet, Field, FunctionLaw, NumberLaw
from fe_phaseinv.models.driven_reaction import DrivenReaction
from fe_phaseinv.models.interface import Model
from fe_phaseinv.models.strain_coupled import StrainCoupled

POTENTIAL = Legendre(3) + ideal_entropy
NO_FACTORS = Storage(factors=0)
ranks = pytest.mark.parallel([1, 3])


class SeenStrain(StrainCoupled):
    """Of which a second channel shows a displacement, so that its derivatives are carried along."""

    def observe(self, fields, at):
        return fields.c, fields.u[0]


class CoupledPhases(CahnHilliard):
    """Cahn-Hilliard for c and Allen-Cahn for phi, with a law of both."""

    fields = (*CahnHilliard.fields, Field("phi"))
    laws = (
        *CahnHilliard.laws,
        FunctionLaw("coupling", of=("c", "phi")),
        NumberLaw("relaxation", initial=20.0, positive=True),
    )

    def residual(self, fields, rates, laws, tests, at):
        c, phi = fields.c, fields.phi
        together, kappa = laws.coupling(c, phi), laws.gradient_energy
        kinetics = (rates.phi + laws.relaxation * (phi**3 - phi + together)) * tests.phi
        gradients = laws.relaxation * kappa * dot(grad(phi), grad(tests.phi))
        coupled = super().residual(fields, rates, laws, tests, at) + (kinetics + gradients) * at.dx
        return coupled - phi * together * tests.mu * at.dx


class Stored(Model):
    """storage(c) dc/dt = D lap c - (c - mean of the start), with a flux in time on one side and values on another."""

    fields = (Field("c"),)
    laws = FunctionLaw("storage", positive=True), NumberLaw("diffusivity", positive=True)
    data = ("inflow",)

    def residual(self, fields, rates, laws, tests, at):
        c, v = fields.c, tests.c
        storage = (laws.storage(c) * rates.c + 3 * (c - at.start_mean)) * v
        return (storage + laws.diffusivity * dot(grad(c), grad(v))) * at.dx - c * at.inflow * v * at.ds(1)

    def conditions(self, at):
        there = 0.5 + 0.2 * sin(1.0) * (0.5 + cos(4 * pi * at.x[1] + 2))  # as at the start
        return (Dirichlet("c", there + at.t, on=2),)


CASES = {
    "driven": {
        "model": lambda: DrivenReaction(POTENTIAL, Legendre(2)),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "exchange_current": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"symmetry": 0.5},
        "times": (0.0, 0.06, 0.1),
        "data": [[0.5], [0.52], [0.56]],
        "heterogeneous": True,
        "fields": ("c", "v"),
    },
    "strained": {
        "model": lambda: SeenStrain(POTENTIAL, Legendre(2)),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"eigenstrain": 0.4},
        "fields": ("c", "u"),
    },
    "coupled": {
        "model": lambda: CoupledPhases(POTENTIAL, Legendre(2), coupling=TensorProduct(Legendre(2), Legendre(2))),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"coupling": [0.1, 0.2, -0.3, 0.4], "relaxation": 20.0},
        "heterogeneous": True,
        "fields": ("c", "phi"),
    },
    "stored": {
        "model": lambda: Stored(Legendre(2)),
        "laws": {"storage": [0.2, 0.4], "diffusivity": 0.5},
        "others": {},
        "data": [[0.5], [1.0], [3.0]],
        "rtol": 0.1,
        "times": (0.0, 0.06, 0.1),
        "fields": ("c",),
    },
}
cases = pytest.mark.parametrize("name", CASES)
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("strained", "coupled")]
some_cases = pytest.mark.parametrize("name", ["driven", "stored", *SLOW])


def wave(space, number):
    """Return a periodic function, whose mean is zero, at the nodes, too."""
    x, y = SpatialCoordinate(space.mesh())
    expression = sin(2 * pi * x + number) * (0.5 + cos(2 * pi * (1 + number % 2) * y + 2 * number))
    return Function(space).interpolate(expression)


def wave_values(space, number):
    return wave(space, number).dat.data_ro.copy()


class Setting:
    """A forward model, its base point, a direction in all inputs, and weights of the frames."""

    def __init__(self, name, comm):
        case = {"times": (0.0, 0.006, 0.01), "data": None, "heterogeneous": False, "rtol": 2e-2} | CASES[name]
        self.fields = case["fields"]
        self.times, model, images = case["times"], case["model"](), ImageSeries(np.ones((1, 4, 4)), [0.0], (1.0, 1.0))
        make = meshes.periodic_mesh if name == "strained" else meshes.rectangle_mesh
        mesh, values = make(images, 5, comm), case["data"]
        knots = (0.0, 0.4 * self.times[-1], self.times[-1])
        self.forward = ForwardModel(
            model,
            mesh,
            2,
            tolerances=Tolerances(case["rtol"], newton=1e-11 / case["rtol"]),
            heterogeneous=case["heterogeneous"],
            data=None if values is None else DataInTime(knots, np.array(values)),
        )
        space, layout = self.forward.space, self.forward.layout
        laws = self.forward.parameters.from_laws(case["laws"] | case["others"])
        rng = np.random.default_rng(3)
        nothing = np.zeros((0, 0))
        starts = [0.5 + 0.2 * wave_values(space, 1), 0.4 * wave_values(space, 2)][: len(layout.rated)]
        moves = [wave_values(space, number) for number in (3, 4)][: len(layout.rated)]
        self.modes = np.column_stack([np.concatenate(moves), np.concatenate(moves[::-1]) ** 3])
        self.shares = np.array([0.7, 0.4])
        map_, turn = 0.5 * wave_values(space, 5), wave_values(space, 6)
        data, rise = (nothing, nothing) if values is None else (np.array(values), np.array([[0.0], [0.02], [0.03]]))
        change = rng.uniform(0.2, 0.6, len(laws)) * rng.choice([-1, 1], len(laws))
        self.at = Inputs(laws, np.concatenate(starts), map_, data=data)
        self.change = Inputs(change, self.modes @ self.shares, turn, data=rise)
        self.weights = [self.weight(number) for number in (7, 8)]
        self.trajectory = self.run(self.at)

    @cached_property
    def weighted(self):
        return Weighted(self.forward.step)

    def weight(self, number):
        """Return integrals of all components against different functions, and a weight of each scalar."""
        layout, space = self.forward.layout, self.forward.space
        lumped = self.forward.step.norm.mean_weights
        weight = layout.zeros()
        for part in range(layout.components):
            layout.component(weight, part)[:] = lumped * (0.3 + wave_values(space, number + part))
        weight[layout.inner :] = 0.1 * number
        return weight

    def run(self, inputs, grid=None, **options):
        forward = self.forward
        if forward.heterogeneity is not None:
            forward.heterogeneity.dat.data_wo[:] = inputs.heterogeneity
        data = replace(forward.data, values=inputs.data) if len(inputs.data) else None
        return forward.run(inputs.coefficients, inputs.start, self.times, grid=grid, data=data, record=1000, **options)

    def moved(self, share):
        pairs = zip(vars(self.at).values(), vars(self.change).values(), strict=True)
        return self.run(Inputs(*(a + share * d for a, d in pairs)), self.trajectory.grid)

    def sweeps(self, trajectory=None, storage=NO_FACTORS):
        return Sweeps(self.weighted, self.forward.integrator, trajectory or self.trajectory, storage)

    def at_base(self):
        """Bring laws and map back."""
        self.run(self.at, self.trajectory.grid)

    def dot(self, a, b):
        local = a.start @ b.start + (a.heterogeneity @ b.heterogeneity if self.forward.heterogeneity else 0.0)
        together = a.coefficients @ b.coefficients + np.sum(a.data * b.data)
        return together + self.forward.mesh.comm.allreduce(local)

    def frames_dot(self, frames):
        inner = self.forward.layout.inner
        local = sum(w[:inner] @ frame[:inner] for w, frame in zip(self.weights, frames, strict=True))
        shared = sum(w[inner:] @ frame[inner:] for w, frame in zip(self.weights, frames, strict=True))
        return self.forward.mesh.comm.allreduce(local) + shared

    def largest(self, values):
        return self.forward.mesh.comm.allreduce(np.abs(values).max(initial=0), MPI.MAX)

    def taped(self):
        """Return a functional of all outputs of a run on the tape, and its controls by input, with a direction each."""
        forward, at, change = self.forward, self.at, self.change
        real = FunctionSpace(forward.mesh, "R", 0)

        def numbers(values):
            return [Function(real, val=float(value)) for value in np.ravel(values)]

        def fields(values):
            found = [Function(forward.space) for _ in range(len(values) // forward.layout.nodes)]
            for function, part in zip(found, np.split(values, len(found)), strict=True):
                function.dat.data_wo[:] = part
            return found

        kinds = {"coefficients": numbers, "start": fields, "heterogeneity": fields, "data": numbers}
        names = [
            name for name in kinds if getattr(at, name).size and (name != "heterogeneity" or forward.heterogeneity)
        ]
        controls = {name: (kinds[name](getattr(at, name)), kinds[name](getattr(change, name))) for name in names}
        given = {name: bases for name, (bases, _) in controls.items()}
        map_, data = (given.get(name, []) for name in ("heterogeneity", "data"))
        frames = run_on_tape(
            forward,
            given["coefficients"],
            given["start"],
            self.times,
            heterogeneity=map_[0] if map_ else None,
            data=data,
            fields=self.fields,
        )
        (first, *others), lasts = frames[0], frames[1]
        J = assemble(exp(first) * dot(lasts[0], lasts[0]) * dx)
        J += sum(assemble((3 * inner(a, b) + inner(b, b)) * dx) for a, b in zip(others, lasts[1:], strict=True))
        return J, controls


@cache
def setting(name):
    return Setting(name, MPI.COMM_WORLD)


@ranks
@some_cases
def test_tangent_against_differences_and_adjoint_identity(name):
    own, h = setting(name), 1e-4
    ahead, behind = own.moved(h), own.moved(-h)
    own.at_base()
    sweeps = own.sweeps()
    tangent = sweeps.tangent(own.change)
    for change, a, b in zip(tangent, ahead.states, behind.states, strict=True):
        for part in (*range(own.forward.layout.components), "scalars"):
            view = [
                s[own.forward.layout.inner :] if part == "scalars" else own.forward.layout.component(s, part)
                for s in (change, a, b)
            ]
            assert own.largest(view[0] - (view[1] - view[2]) / (2 * h)) < 1e-5 * own.largest(view[0]) + 1e-10, part
    gradient = sweeps.adjoint(own.weights)
    found = own.frames_dot(tangent)
    assert abs(found) > 1e-3
    assert own.dot(gradient, own.change) == pytest.approx(found, rel=1e-10)


@ranks
@some_cases
def test_several_changes_at_once(name):
    """Columns are those of one change after the other, with states at hand or computed again."""
    own = setting(name)
    own.at_base()
    twice = Inputs(*(2 * getattr(own.change, each) for each in vars(own.change)))
    weights = [own.weights, [3 * weight for weight in own.weights]]
    for storage, run in ((Storage(), own.trajectory), (Storage(0, 2, 0), replace(own.trajectory, steps=[]))):
        sweeps = own.sweeps(run, storage)
        expected = sweeps.tangent(own.change)
        for frame, alone in zip(sweeps.tangents([own.change, twice]), expected, strict=True):
            assert own.largest(frame - np.outer(alone, [1, 2])) < 1e-7 * own.largest(alone)
        derivatives = [own.dot(by, own.change) for by in (sweeps.adjoint(own.weights), *sweeps.adjoints(weights))]
        np.testing.assert_allclose(derivatives, derivatives[0] * np.array([1, 1, 3]), rtol=1e-7)


@ranks
@some_cases
def test_sensitivities_against_tangents(name):
    """Of what is carried along: components with rates or seen, and scalars."""
    own = setting(name)
    options = {"sensitivities": True, "modes": own.modes}
    run = own.run(own.at, own.trajectory.grid, **options)
    own.at_base()
    along = np.append(own.change.coefficients, own.shares)
    change = replace(own.change, heterogeneity=0 * own.change.heterogeneity, data=0 * own.change.data)
    for rows, tangent in zip(run.sensitivities, own.sweeps().tangent(change), strict=True):
        expected = own.forward.layout.carry(tangent[:, None])[:, 0]
        assert own.largest(rows @ along - expected) < 1e-6 * own.largest(expected)


@ranks
@pytest.mark.parametrize("name", ["stored", pytest.param("driven", marks=pytest.mark.slow), *SLOW])
def test_second_order_against_differences(name):
    """The functional is the sum of w.u + w.u^2, so that its weights change too."""
    own, h = setting(name), 1e-4

    def loads(states):
        return [w * (1 + 2 * u) for w, u in zip(own.weights, states, strict=True)]

    def gradient(share):
        trajectory = own.moved(share)
        return own.sweeps(trajectory).adjoint(loads(trajectory.states))

    ahead, behind = gradient(h), gradient(-h)
    own.at_base()
    sweeps = own.sweeps(storage=Storage())
    tangent = sweeps.tangent(own.change)
    changes = [2 * w * change for w, change in zip(own.weights, tangent, strict=True)]
    found = sweeps.second(loads(own.trajectory.states), changes)
    names = ["coefficients", "start", *(["heterogeneity"] if own.forward.heterogeneity else [])]
    for field in (*names, *(["data"] if own.at.data.size else [])):
        difference = (getattr(ahead, field) - getattr(behind, field)) / (2 * h)
        assert own.largest(getattr(found, field) - difference) < 1e-5 * own.largest(difference), field


@pytest.mark.parametrize("on", [1, pytest.param(3, marks=[pytest.mark.parallel(3), pytest.mark.slow])])
def test_derivatives_from_checkpoints_in_files_where_a_rate_is_multiplied(on):
    """The history of the steps, on which these depend, is computed again, too."""
    own = setting("stored")
    assert own.forward.mesh.comm.size == on
    own.at_base()
    found = []
    for sweeps in (own.sweeps(), own.sweeps(replace(own.trajectory, steps=[]), Storage(0, 2, 0))):
        frames = sweeps.tangent(own.change)
        actions = sweeps.second(own.weights, frames), sweeps.adjoint(own.weights)
        found.append([*(own.dot(by, own.change) for by in actions), own.frames_dot(frames)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


LENGTHS = {"coefficients": 1.0, "start": 0.3, "heterogeneity": 1.0, "data": 8.0}
"""Shares of the directions with which the third remainder is above the rounding, and the first one has its order."""


def require_orders(J, pairs, length=1.0):
    """Check the orders of the remainders along all directions together."""
    controls = [control for control, _ in pairs]
    moves = [Function(d.function_space()).assign(length * d) for _, d in pairs]
    found = taylor_to_dict(ReducedFunctional(J, [Control(control) for control in controls]), controls, moves)
    for order in (0, 1, 2):
        assert found[f"R{order}"]["Rate"][-1] == pytest.approx(order + 1, abs=0.1)


@pytest.fixture
def tape():
    """Annotate on a tape of its own."""
    with set_working_tape(Tape()):
        continue_annotation()
        yield
        pause_annotation()


@pytest.mark.slow
@cases
def test_taylor_orders_for_every_input(tape, name):
    J, controls = setting(name).taped()
    pause_annotation()
    for kind, (bases, moves) in controls.items():
        require_orders(J, list(zip(bases, moves, strict=True)), LENGTHS[kind])


@ranks
@some_cases
def test_taylor_orders_for_all_inputs_together(tape, name):
    J, controls = setting(name).taped()
    pause_annotation()
    pairs = [pair for bases, moves in controls.values() for pair in zip(bases, moves, strict=True)]
    require_orders(J, pairs, 0.05 if name == "strained" else 0.3)


@ranks
@pytest.mark.parametrize("sensitivities", [False, True])
def test_a_prescribed_mean_is_kept_at_every_step_with_usual_tolerances(sensitivities):
    own = setting("driven").forward
    forward = ForwardModel(own.model, own.mesh, own.degree, heterogeneous=True, data=own.data)
    m, start, times = setting("driven").at.coefficients, setting("driven").at.start, setting("driven").times
    trajectory = forward.run(m, start, times, record=1000, sensitivities=sensitivities)
    assert len(trajectory.steps) == len(trajectory.grid.times)
    for time, state in zip(trajectory.grid.times, trajectory.steps, strict=True):
        mean = forward.step.norm.mean(forward.layout.component(state, 0))
        assert mean == pytest.approx(forward.data(time)[0], abs=1e-10)


@pytest.mark.parallel(3)
@cases
def test_three_ranks_give_the_states_of_one(name):
    alone, together = Setting(name, MPI.COMM_SELF), setting(name)
    together.at_base()
    grid, order = together.trajectory.grid, [NodeOrder(own.forward.space) for own in (alone, together)]
    states = [own.run(own.at, grid).states[-1] for own in (alone, together)]
    layout = together.forward.layout
    for part in range(layout.components):
        pairs = zip(order, (alone, together), states, strict=True)
        one, three = (nodes.gather(own.forward.layout.component(state, part)) for nodes, own, state in pairs)
        np.testing.assert_allclose(three, one, atol=1e-9 * np.abs(one).max(), rtol=0)
    one, three = (state[own.forward.layout.inner :] for own, state in zip((alone, together), states, strict=True))
    np.testing.assert_allclose(three, one, rtol=1e-8, atol=1e-10)
