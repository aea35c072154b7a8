"""Derivatives of models with several rates, scalars, floating means, data in time, and rates multiplied by laws."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, cos, dot, grad, pi, sin
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import DataInTime
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Sweeps
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
TOLERANCES = Tolerances(rtol=3e-3, newton=1e-9)
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
        return (Dirichlet("c", 0.5 + at.t + 0.1 * sin(2 * pi * at.x[1]), on=2),)


CASES = {
    "driven": {
        "model": lambda: DrivenReaction(POTENTIAL, Legendre(2)),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "exchange_current": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"symmetry": 0.5},
        "times": (0.0, 0.06, 0.1),
        "data": [[0.5], [0.52], [0.56]],
        "heterogeneous": True,
    },
    "strained": {
        "model": lambda: SeenStrain(POTENTIAL, Legendre(2)),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"eigenstrain": 0.4},
    },
    "coupled": {
        "model": lambda: CoupledPhases(POTENTIAL, Legendre(2), coupling=TensorProduct(Legendre(2), Legendre(2))),
        "laws": {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3},
        "others": {"coupling": [0.1, 0.2, -0.3, 0.4], "relaxation": 20.0},
        "heterogeneous": True,
    },
    "stored": {
        "model": lambda: Stored(Legendre(2)),
        "laws": {"storage": [0.2, 0.4], "diffusivity": 0.5},
        "others": {},
        "data": [[0.5], [1.0], [3.0]],
        "times": (0.0, 0.06, 0.1),
    },
}
cases = pytest.mark.parametrize("name", CASES)


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
        case = {"times": (0.0, 0.006, 0.01), "data": None, "heterogeneous": False} | CASES[name]
        self.times, model, images = case["times"], case["model"](), ImageSeries(np.ones((1, 4, 4)), [0.0], (1.0, 1.0))
        make = meshes.periodic_mesh if name == "strained" else meshes.rectangle_mesh
        mesh, values = make(images, 5, comm), case["data"]
        knots = (0.0, 0.4 * self.times[-1], self.times[-1])
        self.forward = ForwardModel(
            model,
            mesh,
            2,
            tolerances=TOLERANCES,
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
        return Sweeps(Weighted(self.forward.step), self.forward.integrator, trajectory or self.trajectory, storage)

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


@cache
def setting(name):
    return Setting(name, MPI.COMM_WORLD)


@ranks
@cases
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
@cases
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
@cases
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


@ranks
def test_derivatives_from_checkpoints_in_files_where_a_rate_is_multiplied(name="stored"):
    """The history of the steps, on which these depend, is computed again, too."""
    own = setting(name)
    own.at_base()
    found = []
    for sweeps in (own.sweeps(), own.sweeps(replace(own.trajectory, steps=[]), Storage(0, 2, 0))):
        frames = sweeps.tangent(own.change)
        actions = sweeps.second(own.weights, frames), sweeps.adjoint(own.weights)
        found.append([*(own.dot(by, own.change) for by in actions), own.frames_dot(frames)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
