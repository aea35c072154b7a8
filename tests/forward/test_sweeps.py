"""Tangent, adjoint and second-order sweeps on frozen grids: against each other, sensitivities and differences."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import SpatialCoordinate, assemble, interpolate, sin
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.laws.bases import Hermite, Legendre, Powers
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal

LAWS = np.array([0.0, -2.5, 0.1, -0.4, -0.3, np.log(4e-3)])
UNKNOWN = np.arange(6) != 0
TIMES = (0.0, 0.006, 0.01)
TOLERANCES = Tolerances(rtol=3e-3, newton=1e-9)
NO_FACTORS = Storage(factors=0)
FIELDS = ("start", "heterogeneity", "boundary")
both_models = pytest.mark.parametrize("kind", [CahnHilliard, AllenCahn])
some_kinds = pytest.mark.parametrize(
    ("kind", "cropped"),
    [
        (CahnHilliard, True),
        (AllenCahn, False),
        pytest.param(CahnHilliard, False, marks=pytest.mark.slow),
        pytest.param(AllenCahn, True, marks=pytest.mark.slow),
    ],
)
ranks = pytest.mark.parallel([1, 3])


def smooth(space, number):
    x, y = SpatialCoordinate(space.mesh())
    return assemble(interpolate(sin((2 + number) * x + number) * sin(3 * y + number), space)).dat.data_ro.copy()


class Setting:
    """A forward model with a map, its base point, a direction in all inputs, and weights of the frames."""

    def __init__(self, kind, comm, movie, cropped=False):
        model = kind(
            Relation("chemical_potential", Legendre(3), known=ideal_entropy),
            Relation(kind.laws[1].name, Legendre(2), positive),
        )
        mesh = meshes.rectangle_mesh(movie, 5, comm)
        outside, moves = None, np.zeros((0, 0))
        if cropped:
            fine = ForwardModel(model, mesh, 3).space
            base, change = 0.5 + 0.1 * smooth(fine, 1), smooth(fine, 2)
            knots = (0.0, 0.004, 0.007, 0.01)
            outside = BoundaryData(knots, np.array([base + 5 * time * change for time in knots]))
            moves = np.array([0.3 * smooth(fine, number) for number in (7, 8, 9, 10)])
        self.forward = ForwardModel(
            model, mesh, 2, unknown=UNKNOWN, tolerances=TOLERANCES, boundary_data=outside, heterogeneous=True
        )
        space = self.forward.space
        fields = outside.fields if cropped else moves
        self.at = Inputs(LAWS[UNKNOWN], 0.5 + 0.2 * smooth(space, 1), 0.5 * smooth(space, 2), fields)
        self.change = Inputs(np.array([1.0, -0.5, 0.3, 0.2, 0.4]), smooth(space, 3), smooth(space, 4), moves)
        layout = self.forward.layout
        lumped = layout.component(self.forward.step.operators.rate(np.ones(len(self.at.start))), 0)
        self.weights = [layout.from_rates(lumped * smooth(space, number)) for number in (5, 6)]
        self.trajectory = self.run(self.at)

    def run(self, inputs, grid=None):
        m = LAWS.copy()
        m[UNKNOWN] = inputs.coefficients
        self.forward.heterogeneity.dat.data_wo[:] = inputs.heterogeneity
        data = replace(self.forward.boundary_data, fields=inputs.boundary) if len(inputs.boundary) else None
        return self.forward.run(m, inputs.start, TIMES, grid=grid, boundary_data=data, record=1000)

    def moved(self, share):
        pairs = zip(vars(self.at).values(), vars(self.change).values(), strict=True)
        return self.run(Inputs(*(a + share * d for a, d in pairs)), self.trajectory.grid)

    def sweeps(self, trajectory=None, storage=NO_FACTORS):
        return Sweeps(Weighted(self.forward.step), self.forward.integrator, trajectory or self.trajectory, storage)

    def dot(self, a, b):
        fields = (getattr(a, name).ravel() @ getattr(b, name).ravel() for name in FIELDS if len(getattr(b, name)))
        return a.coefficients @ b.coefficients + self.forward.mesh.comm.allreduce(sum(fields))

    def frames_dot(self, frames):
        local = sum(w @ frame for w, frame in zip(self.weights, frames, strict=True))
        return self.forward.mesh.comm.allreduce(local)


@ranks
@some_kinds
def test_tangent_against_differences_and_adjoint_identity(movie, kind, cropped):
    setting = Setting(kind, MPI.COMM_WORLD, movie, cropped)
    h = 1e-4
    ahead, behind = setting.moved(h), setting.moved(-h)
    setting.run(setting.at, setting.trajectory.grid)
    sweeps = setting.sweeps()
    tangent = sweeps.tangent(setting.change)
    for change, a, b in zip(tangent, ahead.states, behind.states, strict=True):
        assert np.abs(change - (a - b) / (2 * h)).max(initial=0) < 1e-5
    assert setting.frames_dot([np.abs(change) for change in tangent]) != 0
    gradient = sweeps.adjoint(setting.weights)
    assert setting.dot(gradient, setting.change) == pytest.approx(setting.frames_dot(tangent), rel=1e-10)


@both_models
def test_adjoint_against_sensitivities(movie, kind):
    setting = Setting(kind, MPI.COMM_SELF, movie)
    gradient = setting.sweeps().adjoint(setting.weights)
    m = LAWS.copy()
    run = setting.forward.run(m, setting.at.start, TIMES, grid=setting.trajectory.grid, sensitivities=True)
    weights = map(setting.forward.layout.rates, setting.weights)
    expected = sum(w @ rows for w, rows in zip(weights, run.sensitivities, strict=True))
    np.testing.assert_allclose(gradient.coefficients, expected, rtol=1e-7)


@ranks
@some_kinds
def test_second_order_against_differences(movie, kind, cropped):
    """The functional is the sum of w.c + w.c^2, so that its weights change too."""
    setting = Setting(kind, MPI.COMM_WORLD, movie, cropped)

    def loads(states):
        return [w * (1 + 2 * c) for w, c in zip(setting.weights, states, strict=True)]

    def gradient(share):
        trajectory = setting.moved(share)
        return setting.sweeps(trajectory).adjoint(loads(trajectory.states))

    h = 1e-4
    ahead, behind = gradient(h), gradient(-h)
    setting.run(setting.at, setting.trajectory.grid)
    sweeps = setting.sweeps(storage=Storage(factors=1e5))
    tangent = sweeps.tangent(setting.change)
    changes = [2 * w * change for w, change in zip(setting.weights, tangent, strict=True)]
    found = sweeps.second(loads(setting.trajectory.states), changes)
    for name in ("coefficients", *(name for name in FIELDS if getattr(setting.at, name).size)):
        difference = (getattr(ahead, name) - getattr(behind, name)) / (2 * h)
        largest = setting.forward.mesh.comm.allreduce(np.abs(difference).max(initial=0), MPI.MAX)
        assert np.abs(getattr(found, name) - difference).max(initial=0) < 1e-5 * largest


def test_the_start_alone(movie):
    """With all coefficients known."""
    setting = Setting(CahnHilliard, MPI.COMM_SELF, movie)
    forward, at = setting.forward, setting.at
    known = ForwardModel(forward.model, forward.mesh, 2, unknown=np.zeros(6, bool), tolerances=TOLERANCES)
    trajectory = known.run(LAWS, at.start, TIMES, record=1000)
    gradient = Sweeps(Weighted(known.step), known.integrator, trajectory).adjoint(setting.weights)
    h = 1e-5
    ahead, behind = (
        known.run(LAWS, at.start + s * h * setting.change.start, TIMES, grid=trajectory.grid).states for s in (1, -1)
    )
    difference = (setting.frames_dot(ahead) - setting.frames_dot(behind)) / (2 * h)
    assert gradient.start @ setting.change.start == pytest.approx(difference, rel=1e-5)
    assert len(gradient.coefficients) == 0


def test_models_without_an_adjoint_are_refused(movie):
    mesh, relation = meshes.periodic_mesh(movie, 4, MPI.COMM_SELF), Relation("chemical_potential", Powers(2))
    crystal = PhaseFieldCrystal(relation, Relation("direct_correlation", Hermite(5, 6.0)))
    with pytest.raises(ValueError, match="^the adjoint needs a model whose laws are local"):
        Weighted(ForwardModel(crystal, mesh, 2).step)
    with pytest.raises(ValueError, match="^phase-field-crystal has no kinetics"):
        ForwardModel(crystal, mesh, 2, heterogeneous=True)


def test_kept_factors_change_nothing(movie):
    setting = Setting(CahnHilliard, MPI.COMM_SELF, movie)
    step = setting.forward.step
    fresh = setting.sweeps().adjoint(setting.weights)
    steps = len(setting.trajectory.steps) - 1
    sweeps = setting.sweeps(storage=Storage())
    before = step.factorisations
    sweeps.tangent(setting.change)
    kept = sweeps.adjoint(setting.weights)
    assert step.factorisations - before == steps
    np.testing.assert_allclose(kept.coefficients, fresh.coefficients, rtol=1e-10)


@ranks
@pytest.mark.parametrize(("cropped", "files"), [pytest.param(False, 0, marks=pytest.mark.slow), (True, 2)])
def test_derivatives_from_checkpoints(movie, cropped, files):
    """Without the states of the steps, in the room of two windows of states and changes, or in files alone."""
    setting = Setting(CahnHilliard, MPI.COMM_WORLD, movie, cropped)
    grid, step = setting.trajectory.grid, setting.forward.step
    bare = replace(setting.trajectory, steps=[])
    most = setting.forward.mesh.comm.allreduce(8 * step.layout.size, MPI.MAX)
    assert len(grid.orders) > 12
    storage = Storage(0 if files else 16 * most, files, 0)
    found = []
    for sweeps in (setting.sweeps(), setting.sweeps(bare, storage)):
        frames = sweeps.tangent(setting.change)
        actions = sweeps.second(setting.weights, frames), sweeps.adjoint(setting.weights)
        found.append([*(setting.dot(by, setting.change) for by in actions), setting.frames_dot(frames)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
