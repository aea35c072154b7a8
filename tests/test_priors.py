"""Priors: what they penalise, and their derivatives."""

import numpy as np
import pytest

from fe_phaseinv.bases import Constant, Legendre
from fe_phaseinv.priors import RIDGE, Prior
from fe_phaseinv.relations import Relation

RELATIONS = (Relation("mu", Legendre(5)), Relation("D", Legendre(3)), Relation("kappa", Constant()))
MEAN = np.random.default_rng(2).standard_normal(9)
PRIOR = Prior.smooth(RELATIONS, MEAN, 0.3)
DEVIATION = np.random.default_rng(3).standard_normal(9)


def test_value_is_the_integrated_squared_curvature():
    law = np.polynomial.Legendre(DEVIATION[:5], domain=(0, 1))
    other = np.polynomial.Legendre(DEVIATION[5:8], domain=(0, 1))
    rough = sum((curvature**2).integ(lbnd=0)(1) for curvature in (law.deriv(2), other.deriv(2)))
    expected = 0.5 * 0.3 * (rough + RIDGE * DEVIATION @ DEVIATION)
    assert PRIOR.value(PRIOR.mean + DEVIATION) == pytest.approx(expected, rel=1e-12)
    assert PRIOR.value(PRIOR.mean) == 0


def test_derivatives():
    m, h = MEAN + DEVIATION, 1e-3
    steps = h * np.eye(9)
    gradient = [(PRIOR.value(m + s) - PRIOR.value(m - s)) / (2 * h) for s in steps]
    hessian = [(PRIOR.gradient(m + s) - PRIOR.gradient(m - s)) / (2 * h) for s in steps]
    np.testing.assert_allclose(PRIOR.gradient(m), gradient, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(PRIOR.hessian, hessian, rtol=1e-8, atol=1e-8)


def test_only_curvatures_count():
    straight = np.array([0, 1, 5, 6, 8])
    curved = np.setdiff1d(np.arange(9), straight)
    assert np.linalg.eigvalsh(PRIOR.hessian)[0] == pytest.approx(0.3 * RIDGE, rel=1e-6)
    np.testing.assert_allclose(PRIOR.hessian[straight], 0.3 * RIDGE * np.eye(9)[straight])
    assert np.linalg.eigvalsh(PRIOR.hessian[np.ix_(curved, curved)])[0] > 1


def test_curvatures_are_drawn_to_zero_and_slopes_to_the_start():
    assert PRIOR.mean[:2] == pytest.approx(MEAN[:2], rel=1e-3)
    assert np.abs(PRIOR.mean[2:5]).max() < 1e-6 * np.abs(MEAN).max()
