"""Coordinates: the map between unknowns and coefficients."""

from dataclasses import replace

import numpy as np
import pytest

from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.coordinates import SMALLEST_SHARE, Coordinates, Gauge
from fe_phaseinv.laws.relations import Relation, ideal_entropy

START = np.array([0.1, -3.0, 0.2, 0.4, -0.5, np.log(2e-3)])
"""Three coefficients of mu_h, two of log D and log kappa."""
MU, LOG_D, LOG_KAPPA = slice(0, 3), 3, 5
FREE = np.array([False, True, True, True, True, True])
SCALED = Coordinates(START, FREE, Gauge((1, 2), LOG_KAPPA, ((LOG_D, -1),)))
PARTLY_FIXED = Coordinates(START, np.array([False, True, True, False, False, True]))
both = pytest.mark.parametrize("coordinates", [SCALED, PARTLY_FIXED], ids=["scaled", "partly fixed"])


def some_coefficients(coordinates):
    random = np.random.default_rng(1).standard_normal(START.size)
    return np.where(coordinates.free, START + random, START)


@both
def test_round_trip(coordinates):
    m = some_coefficients(coordinates)
    x = coordinates.from_coefficients(m)
    assert x.shape == (len(coordinates),) == (coordinates.free.sum(),)
    np.testing.assert_allclose(coordinates.coefficients(x), m, rtol=1e-13)
    np.testing.assert_allclose(coordinates.from_coefficients(coordinates.coefficients(x)), x, rtol=1e-13)


@both
def test_start(coordinates):
    before = coordinates.start.copy()
    x = coordinates.from_coefficients(coordinates.start)
    coordinates.coefficients(2 * x)
    np.testing.assert_array_equal(coordinates.start, before)
    np.testing.assert_allclose(x, np.where(coordinates.gauge and np.arange(6) == 5, 1.0, START)[coordinates.free])


@pytest.mark.parametrize("scales", [1.0, np.array([1.0, 2.0, 0.5, 3.0, 1.0, 0.7])])
@both
def test_volumes_are_determinants(coordinates, scales):
    coordinates = replace(coordinates, scales=scales)
    x = coordinates.from_coefficients(some_coefficients(coordinates))
    value, gradient = coordinates.log_volume(x)
    assert value == pytest.approx(np.linalg.slogdet(coordinates.jacobian(x)[coordinates.free])[1], rel=1e-12)
    steps = 1e-6 * np.eye(len(x))
    differences = [coordinates.log_volume(x + h)[0] - coordinates.log_volume(x - h)[0] for h in steps]
    np.testing.assert_allclose(gradient, np.array(differences) / 2e-6, rtol=1e-7, atol=1e-8)


@both
def test_jacobian_against_differences(coordinates):
    x, h = coordinates.from_coefficients(some_coefficients(coordinates)), 1e-6
    steps = h * np.eye(len(x))
    differences = [(coordinates.coefficients(x + s) - coordinates.coefficients(x - s)) / (2 * h) for s in steps]
    np.testing.assert_allclose(coordinates.jacobian(x), np.transpose(differences), rtol=1e-7, atol=1e-9)


def test_beta_alone_scales_potential_energy_and_kinetics_together():
    """What images fix sharply, mu_h/kappa and kappa D, does not change along beta."""
    x = SCALED.from_coefficients(some_coefficients(SCALED))
    moved = x.copy()
    moved[-1] *= 1.7
    m, n = SCALED.coefficients(x), SCALED.coefficients(moved)
    assert n[LOG_KAPPA] == pytest.approx(m[LOG_KAPPA] - np.log(1.7))
    np.testing.assert_allclose(n[1:3] / np.exp(n[LOG_KAPPA]), m[1:3] / np.exp(m[LOG_KAPPA]))
    assert n[LOG_D] + n[LOG_KAPPA] == pytest.approx(m[LOG_D] + m[LOG_KAPPA])
    assert n[4] == m[4]


def test_total_potential_over_kappa_is_linear():
    """The straight valley: (known entropy + expansion)/kappa is linear in the unknowns, up to a constant."""
    relation, z = Relation("mu", Legendre(3), known=ideal_entropy), np.array([0.2, 0.5, 0.6, 0.9])

    def slope_over_kappa(x):
        m = SCALED.coefficients(x)
        return relation.slope(m[MU], z) / np.exp(m[LOG_KAPPA])

    a = SCALED.from_coefficients(some_coefficients(SCALED))
    b = SCALED.from_coefficients(START)
    np.testing.assert_allclose(
        slope_over_kappa(0.3 * a + 0.7 * b), 0.3 * slope_over_kappa(a) + 0.7 * slope_over_kappa(b)
    )


def test_admissible():
    x = SCALED.from_coefficients(START)
    assert SCALED.admissible(x)
    for beta in (0.0, -1.0, np.nan, np.inf):
        assert not SCALED.admissible(np.r_[x[:-1], beta])
    assert not SCALED.admissible(np.r_[np.nan, x[1:]])
    negative = -np.ones(len(PARTLY_FIXED))
    assert PARTLY_FIXED.admissible(negative) and not PARTLY_FIXED.admissible(np.nan * negative)


def test_steps_keep_a_share_of_beta():
    x = SCALED.from_coefficients(START)
    step = np.array([1.0, 2.0, -0.5, 0.1, -2.0])
    short = SCALED.allowed(x, step) * step
    assert SCALED.admissible(x + short) and not SCALED.admissible(x + step)
    assert (x + short)[-1] == pytest.approx(SMALLEST_SHARE * x[-1])
    assert SCALED.allowed(x, -step) == 1
    assert PARTLY_FIXED.allowed(x[:3], step[:3]) == 1
