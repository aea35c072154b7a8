"""Sensitivities on frozen time grids: Taylor orders, differences, and the same on 1 and 3 ranks."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.inference.posing import coordinates_for
from fe_phaseinv.inference.segments import multiple_shooting, trajectory, uncertain_trajectory
from fe_phaseinv.inference.verification import verify
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.dimensions import Scales
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother
from fe_phaseinv.solvers.direct import StepFailed

START = np.array([0.0, -2.5, 0.1, -0.4, -0.3, np.log(4e-3)])


def whole(*chosen, limits):
    return [trajectory(*chosen, limits=limits)]


def problem(movie, comm, cut=whole, fixed=(), kind=CahnHilliard, noise=0.0, cropped=False):
    model = kind(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation(kind.laws[1].name, Legendre(2), positive),
    )
    mesh = meshes.rectangle_mesh(movie, 6, comm)
    coordinates = coordinates_for(
        model, CoefficientLayout(model.relations), START, np.isin(np.arange(6), fixed), model.typical(Scales())
    )
    movie = replace(movie, noise=noise)
    tolerances = Tolerances(rtol=3e-3, newton=1e-8)
    outside = from_images(movie, mesh, 2) if cropped else None
    forward = ForwardModel(model, mesh, 2, unknown=coordinates.free, tolerances=tolerances, boundary_data=outside)
    pixels = Pixels(movie, forward.space)
    prior = Prior.smooth(model.relations, START, (1e-3,) * 3)
    chosen, limits = (Smoother(pixels, flat=not cropped), 0, (1, 2)), (0.001, 0.999)
    if noise:
        segment, field = uncertain_trajectory(*chosen, limits=limits)
        return Objective([Experiment(forward, pixels, [segment], field=field)], coordinates, prior)
    return Objective([Experiment(forward, pixels, cut(*chosen, limits=limits))], coordinates, prior)


def with_a_fourth_frame(movie):
    frames = np.concatenate([movie.frames, 0.5 * movie.frames[1:2] + 0.25])
    return replace(movie, frames=frames, times=np.append(movie.times, 0.03))


def unknowns(objective):
    x = objective.coordinates.from_coefficients(START)
    return np.concatenate([x, np.random.default_rng(3).uniform(-0.01, 0.01, len(objective) - len(x))])


def only(objective):
    (experiment,) = objective.experiments
    (segment,) = experiment.segments
    return experiment.forward, segment


COMMUNICATORS = MPI.COMM_SELF, MPI.COMM_WORLD
models = pytest.mark.parametrize("kind", [CahnHilliard, AllenCahn])


@models
@pytest.mark.parametrize("cut", [whole, multiple_shooting])
@pytest.mark.parametrize("fixed", [(), (5,)])
def test_checks_hold_with_and_without_scaled_coordinates(movie, cut, fixed, kind):
    objective = problem(movie, MPI.COMM_SELF, cut, fixed, kind)
    assert (objective.coordinates.gauge is None) == bool(fixed)
    x = objective.coordinates.from_coefficients(START)
    checks = verify(objective, x)
    assert [check.name for check in checks if not check.holds] == []


def test_a_wrong_gradient_is_caught(movie):
    class Wrong(Objective):
        def at(self, x, like=None):
            point = super().at(x, like)
            point.gradient[0] *= 1.01
            return point

    right = problem(movie, MPI.COMM_SELF)
    wrong = Wrong(right.experiments, right.coordinates, right.prior)
    first_order = verify(wrong, right.coordinates.from_coefficients(START))[1]
    assert not first_order.holds


@pytest.mark.parametrize(
    ("kind", "noise"),
    [
        (CahnHilliard, 0.05),
        (AllenCahn, 0.0),
        pytest.param(CahnHilliard, 0.0, marks=pytest.mark.slow),
        pytest.param(AllenCahn, 0.05, marks=pytest.mark.slow),
    ],
)
def test_checks_hold_with_data_on_the_boundary(movie, kind, noise):
    objective = problem(with_a_fourth_frame(movie), MPI.COMM_SELF, kind=kind, noise=noise, cropped=True)
    assert len(objective.experiments[0].forward.step.operators.given) == 4 * 12
    checks = verify(objective, unknowns(objective))
    assert [check.name for check in checks if not check.holds] == []


def test_the_boundary_follows_its_data(movie):
    objective = problem(with_a_fourth_frame(movie), MPI.COMM_SELF, cropped=True)
    forward, segment = only(objective)
    run = forward.run(START, segment.start, segment.times)
    for time, state in zip(segment.times[1:], run.states, strict=True):
        given = forward.step.forms.dirichlet.trace(forward.boundary_data(time))
        assert state[forward.step.operators.given] == pytest.approx(given, abs=1e-14)
        assert np.ptp(given) > 0.1


def test_checks_hold_with_an_unknown_start(movie):
    objective = problem(movie, MPI.COMM_SELF, noise=0.05)
    assert len(objective) > len(objective.coordinates) + 3
    checks = verify(objective, unknowns(objective))
    assert [check.name for check in checks if not check.holds] == []


@models
def test_every_column_against_central_differences(movie, kind):
    objective = problem(movie, MPI.COMM_SELF, kind=kind)
    forward, segment = only(objective)
    base = forward.run(START, segment.start, segment.times, sensitivities=True)
    for column, index in enumerate(np.flatnonzero(forward.unknown)):
        h = 1e-4 * np.eye(len(START))[index]
        ahead, behind = (forward.run(START + s * h, segment.start, segment.times, grid=base.grid) for s in (1, -1))
        difference = forward.layout.component(ahead.states[-1] - behind.states[-1], 0) / 2e-4
        exact = base.sensitivities[-1][:, column]
        assert np.linalg.norm(difference - exact) < 1e-5 * np.linalg.norm(exact)


def test_a_replay_repeats_the_adaptive_run(movie):
    objective = problem(movie, MPI.COMM_SELF)
    forward, segment = only(objective)
    adaptive = forward.run(START, segment.start, segment.times)
    replayed = forward.run(START, segment.start, segment.times, grid=adaptive.grid)
    assert replayed.grid == adaptive.grid
    assert np.abs(replayed.states[-1] - adaptive.states[-1]).max() < 1e-9
    assert set(segment.times) <= set(adaptive.grid.times)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_point_is_carried_to_another_prior(movie, noise):
    objective = problem(movie, MPI.COMM_SELF, noise=noise)
    other = objective.with_prior(Prior.smooth(only(objective)[0].model.relations, START, (1e-2, 3e-4, 1.0)), 1.0)
    point = objective.at(unknowns(objective))
    carried, exact = other.carried(point), other.at(point.x, point)
    assert carried.value == pytest.approx(exact.value, rel=1e-9)
    np.testing.assert_allclose(carried.gradient, exact.gradient, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(carried.hessian, exact.hessian, rtol=1e-6, atol=1e-9)
    assert carried.value != pytest.approx(point.value, rel=1e-3)


def test_a_run_that_needs_too_many_steps_fails(movie):
    objective = problem(movie, MPI.COMM_SELF)
    forward, segment = only(objective)
    count = len(forward.run(START, segment.start, segment.times).grid.orders)
    assert len(forward.run(START, segment.start, segment.times, max_steps=2 * count).grid.orders) == count
    with pytest.raises(StepFailed, match="^too many steps do not lead from one frame to the next$"):
        forward.run(START, segment.start, segment.times, max_steps=3)


@models
@pytest.mark.parallel(3)
@pytest.mark.parametrize(
    ("noise", "cropped"),
    [
        (0.0, False),
        (0.05, True),
        pytest.param(0.05, False, marks=pytest.mark.slow),
        pytest.param(0.0, True, marks=pytest.mark.slow),
    ],
)
def test_three_ranks_agree_with_one(movie, kind, noise, cropped):
    movie = with_a_fourth_frame(movie)
    one, three = (problem(movie, comm, kind=kind, noise=noise, cropped=cropped) for comm in COMMUNICATORS)
    x = unknowns(one)
    a, b = one.at(x), three.at(x)
    assert b.value == pytest.approx(a.value, rel=1e-9)
    assert b.gradient == pytest.approx(a.gradient, rel=1e-7, abs=1e-9 * np.abs(a.gradient).max())
    assert b.hessian == pytest.approx(a.hessian, rel=1e-7, abs=1e-9 * np.abs(a.hessian).max())


def test_steps_are_counted_from_the_start(movie):
    """A calendar takes no digits: with times that are whole multiples of its last one nothing changes at all."""
    forward, segment = only(problem(movie, MPI.COMM_SELF))
    times = np.array([0, 3, 5]) / 512
    first = forward.run(START, segment.start, times)
    later = forward.run(START, segment.start, times + 1.75e9)
    assert (later.grid, later.times) == (first.grid, first.times)
    for before, after in zip(first.states, later.states, strict=True):
        np.testing.assert_array_equal(after, before)
    forward.run(START, segment.start, times + 1.75e9, grid=first.grid)
