"""Images of several channels: what a model shows, starts of all fields with rates, and derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, cos, dot, grad, pi
from mpi4py import MPI

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data import meshes
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import verify
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.models.declarations import Field, FunctionLaw
from fe_phaseinv.models.interface import Model
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.pixels import Pixels

TOLERANCES = Tolerances(rtol=3e-3, newton=1e-8)
LAWS = {"first": [0.0, 0.3], "second": [0.0, -0.4], "exchange": [-0.3, 0.2, 0.1, -0.2]}


class Two(Model):
    """Two fields that diffuse and are exchanged, by a law of both, in channels of some sums and slopes."""

    fields = Field("c", bounds=(0, 1)), Field("w")
    laws = (
        FunctionLaw("first", positive=True),
        FunctionLaw("second", of="w", positive=True),
        FunctionLaw("exchange", of=("c", "w"), positive=True),
    )

    def residual(self, fields, rates, laws, tests, at):
        (c, w), (v, q) = fields, tests
        flux = laws.first(c) * dot(grad(c), grad(v)) + laws.second(w) * dot(grad(w), grad(q))
        exchange = laws.exchange(c, w) * (c - w)
        return (rates.c * v + rates.w * q + 0.05 * flux + exchange * v - exchange * q) * at.dx

    def observe(self, fields, at):
        return fields.w + 2 * fields.c, grad(fields.w)[0], fields.c


class Shown(Two):
    """The same fields, each in a channel of its own."""

    def observe(self, fields, at):
        return fields.c, fields.w


WIDE = Legendre(2, interval=(-1.0, 1.0))
BASES = Legendre(2), WIDE, TensorProduct(Legendre(2), WIDE)
MODEL = Shown(*BASES)


def waves(space):
    x, y = SpatialCoordinate(space.mesh())
    first = Function(space).interpolate(0.5 + 0.2 * cos(pi * x) * cos(2 * pi * y))
    return first, Function(space).interpolate(0.4 * cos(2 * pi * x))


@pytest.fixture
def two(movie):
    """Images of both fields, of a run with other elements."""
    mesh = meshes.rectangle_mesh(movie, 8, MPI.COMM_SELF)
    forward = ForwardModel(MODEL, mesh, 2, tolerances=TOLERANCES)
    start = forward.start_values(waves(forward.space))
    run = forward.run(forward.parameters.from_laws(LAWS), start, movie.times)
    frames = np.zeros((3, 2, *movie.shape))
    blank = replace(movie, frames=frames)
    channels = Channels(Pixels(blank, forward.space), forward)
    states = [forward.layout.from_rates(start), *run.states]
    return replace(movie, frames=np.array([channels.picture(channels.average(state)) for state in states]))


def posed(images, comm):
    mesh = meshes.rectangle_mesh(images, 6, comm)
    settings = Settings(degree=2, tolerances=TOLERANCES, regularisation=1e-6)
    return pose(images, MODEL, mesh, settings)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("stage", [pytest.param("intervals", marks=pytest.mark.slow), "trajectory"])
def test_derivatives_hold_where_two_channels_show_two_fields(two, stage):
    problem = posed(two, MPI.COMM_WORLD)
    objective = problem.objective(stage, problem.first_regularisation)
    checks = verify(objective, problem.coordinates.from_coefficients(problem.coordinates.start))
    assert [check.name for check in checks if not check.holds] == []


def test_channels_are_what_the_model_shows_and_spread_is_their_transpose(movie):
    model = Two(*BASES)
    mesh = meshes.rectangle_mesh(movie, 6, MPI.COMM_SELF)
    forward = ForwardModel(model, mesh, 2, tolerances=TOLERANCES)
    blank = replace(movie, frames=np.zeros((3, 3, *movie.shape)))
    channels, state = Channels(Pixels(blank, forward.space), forward), forward.start_values(waves(forward.space))
    state = forward.layout.from_rates(state)
    mixed, slope, c = channels.picture(channels.average(state))
    middle = (np.arange(24) + 0.5) / 24
    assert slope == pytest.approx(np.tile(-0.8 * np.pi * np.sin(2 * np.pi * middle), (24, 1)), abs=0.15)
    assert mixed - 2 * c == pytest.approx(np.tile(0.4 * np.cos(2 * np.pi * middle), (24, 1)), abs=0.02)
    rows, other = (
        np.random.default_rng(1).standard_normal((2, 3 * 24 * 24))[0],
        np.random.default_rng(2).random(len(state)),
    )
    assert channels.average(other) @ rows == pytest.approx(channels.spread(rows) @ other, rel=1e-12)
    carried = forward.layout.carry(np.asfortranarray(other[:, None]))
    np.testing.assert_allclose(channels.derivatives(carried)[:, 0], channels.average(other), atol=1e-12)


def test_another_number_of_channels_is_refused(movie):
    with pytest.raises(InputError, match="^images: images: found 1 channels; accepted: 2, as many as shown shows$"):
        posed(movie, MPI.COMM_SELF)


def test_a_law_of_two_fields_has_a_band(two):
    problem = posed(two, MPI.COMM_SELF)
    objective = problem.objective("trajectory", problem.first_regularisation)
    point = objective.at(problem.coordinates.from_coefficients(problem.coordinates.start))
    prior = problem.prior(problem.first_regularisation)
    posterior = Laplace.at(problem.parameters, problem.coordinates, prior=prior, point=point)
    law = problem.parameters.laws(posterior.coefficients)["exchange"]
    c, w = np.array([0.2, 0.4, 0.6]), np.array([-0.5, 0.5])
    low, high = posterior.band(law.relation, c[:, None], w)
    np.testing.assert_allclose(np.sqrt(low * high), law(c[:, None], w))  # a band of the logarithm is symmetric
    one = posterior.band(law.relation, c[1], w[0])
    np.testing.assert_allclose((low[1, 0], high[1, 0]), one)
    assert np.all(high > 1.001 * low)
