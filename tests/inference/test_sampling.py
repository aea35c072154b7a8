"""Samplers on densities whose moments are known, and the density of an inversion's unknowns."""

from dataclasses import asdict, replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from mpi4py import MPI
from test_joint import STRENGTHS, together
from test_joint import unknowns as of_laws

from fe_phaseinv.inference.density import PosteriorDensity
from fe_phaseinv.inference.sampling import (
    ACCEPTANCE,
    Gaussian,
    Method,
    State,
    Target,
    importance_draw,
    reference_draw,
)
from fe_phaseinv.laws.coordinates import Coordinates, Gauge

MEAN = np.array([0.3, -0.2, 0.5])
ROOT = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.2, 0.5]])
COVARIANCE = ROOT @ ROOT.T
PRECISION = np.linalg.inv(COVARIANCE)
STANDARD = Gaussian(np.zeros(3), np.eye(3))
methods = pytest.mark.parametrize("name", ACCEPTANCE)


def gaussian(x):
    """Logarithm of the density of N(MEAN, COVARIANCE), and its derivative."""
    pull = PRECISION @ (x - MEAN)
    return -0.5 * float((x - MEAN) @ pull), -pull


def banana(x):
    """A standard normal x, and y with deviation 0.4 about cos(1.5 x).

    The arms of a parabola would be heavier than the tails of any Gaussian, on which pCN and weights rely.
    """
    off = x[1] - np.cos(1.5 * x[0])
    slope = np.array([-1.5 * np.sin(1.5 * x[0]), -1.0]) * off / 0.16
    return -0.5 * float(x[0] ** 2 + off**2 / 0.16), slope - [x[0], 0.0]


BANANA = Gaussian(np.array([0.0, 0.3]), np.diag([1.1, 0.9]))
MOMENTS = [0.0, np.exp(-1.125), 1.0, 0.16 + (1 + np.exp(-4.5)) / 2, 0.0]
"""Of x, y, x^2, y^2 and x y."""


def target(density, reference):
    return Target(reference, lambda x: density(x)[0], density)


def run(method, of, count, chains=4):
    """Give the states of chains after their warm-up, shape (chains, count, n)."""
    found = []
    for chain in range(chains):
        states = islice(method.states(of, method.start(of, chain), chain), method.warm_up, method.warm_up + count)
        found.append([of.reference.at(state.z) for state in states])
    return np.array(found)


def assert_moments(samples, means, tolerance=4.0):
    """Compare means with those that are known, in Monte Carlo errors."""
    effective = array_stats.ess(samples, chain_axis=0, draw_axis=1, method="mean")
    errors = samples.std(axis=(0, 1)) / np.sqrt(effective)
    assert np.all(effective > 50)
    assert np.all(np.abs(samples.mean(axis=(0, 1)) - means) < tolerance * errors)


@methods
def test_moments_of_a_gaussian(name):
    """The reference has another mean and another covariance."""
    of = target(gaussian, Gaussian(MEAN + 0.2, 1.2 * np.diag(np.sqrt(np.diag(COVARIANCE)))))
    samples = run(Method(name, 3, 200), of, 1000)
    products = np.einsum("cdi,cdj->cdij", samples - MEAN, samples - MEAN).reshape(4, 1000, 9)
    assert_moments(samples, MEAN)
    assert_moments(products, COVARIANCE.ravel())


@methods
def test_moments_of_a_banana(name):
    samples = run(Method(name, 5, 200), target(banana, BANANA), 1500)
    told = np.concatenate([samples, samples**2, samples[..., :1] * samples[..., 1:]], axis=-1)
    assert_moments(told, MOMENTS)


@pytest.mark.parametrize("name", ["gpcn", "mala"])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_proposals_are_reversible_for_the_reference(name, shift):
    """Every proposal is accepted; those by gradients are reversible for other means, too."""
    reference = Gaussian(MEAN, ROOT)
    density = target(lambda x: gaussian(x - shift), reference)
    method, probabilities = Method(name), []
    for state in islice(method.states(density, replace(method.start(density, 0), step=0.6), 0), 50):
        probabilities.append(state.probability)
        assert state.step == 0.6
    exact = shift == 0 or name == "mala"
    assert (min(probabilities) > 1 - 1e-9) == exact


@methods
def test_steps_are_adapted_in_the_warm_up_alone(name):
    of = target(banana, BANANA)
    method = Method(name, 1, 300)
    path = list(islice(method.states(of, method.start(of, 0), 0), 1300))
    assert len({state.step for state in path[:300]}) > 100 and len({state.step for state in path[300:]}) == 1
    rate = np.mean([state.accepted for state in path[300:]])
    assert abs(rate - ACCEPTANCE[name]) < 0.15
    assert [state.number for state in path] == list(range(1, 1301))


@methods
def test_a_chain_goes_on_as_if_it_had_not_been_stopped(name):
    of, method = target(gaussian, STANDARD), Method(name, 7, 10)
    whole = list(islice(method.states(of, method.start(of, 1), 1), 30))
    stopped = State(**{key: np.copy(v) if np.ndim(v) else v for key, v in asdict(whole[14]).items()})
    for found, expected in zip(islice(method.states(of, stopped, 1), 15), whole[15:], strict=True):
        np.testing.assert_equal(asdict(found), asdict(expected))
    other = next(method.states(of, whole[14], 2))
    assert not np.array_equal(other.z, whole[15].z) or other.probability != whole[15].probability


@methods
def test_chains_stay_where_the_density_is(name):
    def half(x):
        value, gradient = gaussian(x)
        return (value, gradient) if x[0] < 0 else (-np.inf, np.full(3, np.nan))

    of, method = target(half, Gaussian(np.array([-1e-3, 0.0, 0.0]), np.eye(3))), Method(name, 0, 50)
    starts = [method.start(of, chain) for chain in range(8)]
    assert all(np.isfinite(state.log_weight) and of.reference.at(state.z)[0] < 0 for state in starts)
    assert run(method, of, 200, chains=2)[..., 0].max() < 0


def test_what_a_precision_knows_nothing_of_stays():
    precision = np.zeros((4, 4))
    precision[:3, :3] = 1e8 * PRECISION
    found = Gaussian.of_precision(np.arange(4.0), precision)
    assert found.dimension == 3
    np.testing.assert_allclose(found.factor @ found.factor.T * 1e8, np.pad(COVARIANCE, (0, 1)), atol=1e-12)
    assert found.at(np.ones(3))[3] == 3.0


# ------------------------------------------------------------------------------ the density of an inversion's unknowns


WIDTHS = np.array([0.2, 0.15, 0.1])


class Quadratic:
    """An objective with a cost that is quadratic in the coefficients of mu_h, of log D and of log kappa."""

    def __init__(self):
        self.coordinates = Coordinates(np.array([-2.0, 0.1, -6.0]), np.ones(3, bool), Gauge((0,), 2, ((1, -1),)))

    def at(self, x, like=None):
        m, chain = self.coordinates.coefficients(x), self.coordinates.jacobian(x)
        pull = (m - self.coordinates.start) / WIDTHS**2
        hessian = chain.T @ np.diag(WIDTHS**-2) @ chain
        value = 0.5 * float((m - self.coordinates.start) @ pull)
        return SimpleNamespace(x=x, value=value, gradient=chain.T @ pull, hessian=hessian)

    def cost(self, x, like=None):
        return self.at(x).value if self.coordinates.admissible(x) else np.inf


def quadratic(deviation=1.0, off=0.0):
    """Density of a quadratic cost, seen from a point that is off its minimum."""
    objective = Quadratic()
    point = objective.at(objective.coordinates.from_coefficients(objective.coordinates.start) + off)
    return PosteriorDensity(objective, point, SimpleNamespace(deviation=deviation))


@methods
def test_chains_in_unknowns_sample_the_density_of_coefficients(name):
    """The determinant of the change of variables counts: without it the mean of log kappa is off by 2 variances."""
    density = quadratic()
    samples = run(Method(name, 2, 100), density.of_unknowns, 1000)
    m = np.apply_along_axis(density.from_unknowns, -1, samples)
    assert_moments(m, density.coordinates.start)
    assert_moments((m - density.coordinates.start) ** 2, WIDTHS**2)


def test_draws_from_laplace_have_equal_weights_where_it_is_exact():
    density = quadratic(0.5)
    target = density.of_coefficients
    weights = [importance_draw(target, 1, number) for number in range(20)]
    assert np.ptp(weights) < 1e-9
    draws = np.array([density.from_free(target.reference.at(reference_draw(target, 1, n))) for n in range(2000)])
    np.testing.assert_allclose(draws.std(axis=0), 0.5 * WIDTHS, rtol=0.08)


def test_the_reference_is_about_the_minimum_where_the_end_is_near_it():
    off, least = np.array([-0.01, 0.005, 0.01]), quadratic().point.x
    apart = [np.abs(quadratic(off=share * off).of_unknowns.reference.mean - least).max() for share in (1.0, 0.1)]
    assert apart[0] < 0.05 * np.abs(off).max() and apart[1] < 0.02 * apart[0]


def test_gradients_of_the_density_against_differences():
    of, random = quadratic(0.7).of_unknowns, np.random.default_rng(0)
    z = random.standard_normal(3)
    value, gradient = of.log_weight_gradient(z)
    assert value == pytest.approx(of.log_weight(z))
    steps = 1e-5 * np.eye(3)
    differences = [of.log_weight(z + h) - of.log_weight(z - h) for h in steps]
    np.testing.assert_allclose(gradient, np.array(differences) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(("noise", "exact"), [(0.0, True), (0.05, True), (0.05, False)])
def test_the_cost_alone_is_that_of_a_point(movie, noise, exact):
    objective = together([movie], MPI.COMM_WORLD, noises=(noise,)).objective("trajectory", STRENGTHS, exact=exact)
    x = of_laws(objective)
    point = objective.at(x)
    cost = objective.cost(x)
    assert cost == pytest.approx(point.value, rel=1e-7)  # without derivatives Newton's method has other factors
    moved = x + 1e-3
    assert objective.cost(moved, point) == pytest.approx(objective.at(moved, point).value, rel=1e-7)
    # Where ranks share a mesh, a run that is repeated differs in the last bit.
    assert objective.cost(x) == pytest.approx(cost, rel=0 if MPI.COMM_WORLD.size == 1 else 1e-13, abs=0)
    x[0] = -1e9
    assert objective.cost(x) == objective.at(x).value == np.inf
