"""Priors: what they penalise, and their derivatives."""

import numpy as np
import pytest

from fe_phaseinv.laws.bases import ConstantBasis, Legendre, Powers
from fe_phaseinv.laws.priors import RIDGE, Prior
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import Relation, ideal_entropy

RELATIONS = (Relation("mu", Legendre(5)), Relation("D", Legendre(3)), Relation("kappa", ConstantBasis()))
CONVEX = (Relation("mu", Legendre(5), convex_ends=True), *RELATIONS[1:])
MEAN = np.random.default_rng(2).standard_normal(9)
PRIOR = Prior.smooth(RELATIONS, MEAN, (0.3, 0.2, 0.1))
DEVIATION = np.random.default_rng(3).standard_normal(9)


def test_value_is_the_integrated_squared_curvature():
    expected = 0.0
    for part, strength in ((slice(0, 5), 0.3), (slice(5, 8), 0.2)):
        curvature = np.polynomial.Legendre(DEVIATION[part], domain=(0, 1)).deriv(2)
        expected += 0.5 * strength * ((curvature**2).integ(lbnd=0)(1) + RIDGE * DEVIATION[part] @ DEVIATION[part])
    expected += 0.5 * 0.1 * RIDGE * DEVIATION[8] ** 2
    assert PRIOR.value(PRIOR.mean + DEVIATION) == pytest.approx(expected, rel=1e-12)
    assert PRIOR.value(PRIOR.mean) == 0


@pytest.mark.parametrize("relations", [RELATIONS, CONVEX])
def test_derivatives(relations):
    prior = Prior.smooth(relations, MEAN, (0.3, 0.2, 0.1))
    m, h = np.where(np.arange(9) == 1, 60.0, MEAN + DEVIATION), 1e-4
    assert prior.admits(m)
    steps = h * np.eye(9)
    gradient = [(prior.value(m + s) - prior.value(m - s)) / (2 * h) for s in steps]
    hessian = [(prior.gradient(m + s) - prior.gradient(m - s)) / (2 * h) for s in steps]
    np.testing.assert_allclose(prior.gradient(m), gradient, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(prior.hessian(m), hessian, rtol=1e-6, atol=1e-6)


def test_only_curvatures_count():
    straight = np.array([0, 1, 5, 6, 8])
    curved = np.setdiff1d(np.arange(9), straight)
    hessian, regularisation = PRIOR.hessian(MEAN), np.repeat([0.3, 0.2, 0.1], [5, 3, 1])
    np.testing.assert_allclose(hessian[straight], (regularisation[:, None] * RIDGE * np.eye(9))[straight])
    assert np.linalg.eigvalsh(hessian[np.ix_(curved, curved)])[0] > 1


def test_curvatures_are_drawn_to_zero_and_slopes_to_the_start():
    assert PRIOR.mean[:2] == pytest.approx(MEAN[:2], rel=1e-3)
    assert np.abs(PRIOR.mean[2:5]).max() < 1e-6 * np.abs(MEAN).max()


@pytest.mark.parametrize("known", [None, ideal_entropy])
def test_slopes_at_the_ends_are_positive(known):
    relation = Relation("mu", Legendre(4), known=known, convex_ends=True)
    prior = Prior.smooth((relation,), np.zeros(4), (1.0,))
    line = np.array([0.0, 1.0, 0.0, 0.0])
    assert prior.admits(line)
    # The entropy rises at its cut-off ends by about two thousand.
    assert prior.admits(-line) == (known is not None)
    steep = np.array([0.0, 0.0, 4e3, 0.0])
    assert not prior.admits(steep) and not prior.admits(-steep)
    assert prior.value(line) == pytest.approx(
        -np.log(relation.slope(line, np.array([0.0, 1.0]))).sum() + 0.5 * RIDGE, rel=1e-9
    )


def test_symmetric_laws_lack_even_polynomials():
    relation = Relation("mu", Legendre(5), known=ideal_entropy, symmetric=True)
    assert relation.absent == [0, 2, 4]
    m = np.where(np.isin(np.arange(5), relation.absent), 0.0, DEVIATION[:5])
    c = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(relation(m, 1 - c), -relation(m, c), atol=1e-12)


@pytest.mark.parametrize("basis", [Legendre(6, (-1.0, 1.0)), Powers(5, (-1.0, 1.0))])
def test_order_parameters_from_minus_one_to_one(basis):
    """The potential of phi^4/4 - phi^2/2: odd about zero, and its energy is convex at both ends."""
    relation = Relation("potential", basis, symmetric=True, convex_ends=True)
    z = np.linspace(-1, 1, 6)[: basis.size]
    m = np.linalg.lstsq(np.transpose(basis.functions(z)), z**3 - z)[0]
    np.testing.assert_allclose(m[relation.absent], 0, atol=1e-12)
    odd = np.where(np.isin(np.arange(basis.size), relation.absent), 0.0, 1 + np.arange(basis.size))
    np.testing.assert_allclose(relation(odd, -z), -relation(odd, z), rtol=1e-12)
    prior = Prior.smooth((relation,), np.zeros(basis.size), (1.0,))
    assert prior.admits(m) and not prior.admits(-m)
    curvature = 0.5 * 4 * np.mean((6 * np.linspace(-1, 1, 20001)) ** 2) * 4
    assert prior.value(m) + 2 * np.log(2) == pytest.approx(curvature, rel=1e-3)


def test_a_law_of_two_fields_beside_one_that_rises():
    relations = (Relation("g", TensorProduct(Legendre(2), Powers(2))), CONVEX[0])
    prior = Prior.smooth(relations, np.zeros(9), (0.3, 0.2))
    assert prior.rows.shape == (2, 9) and not prior.rows[:, :4].any()
    bent = np.r_[0.0, 1.0, 0.0, 2.0, np.zeros(5)]
    expected = 0.3 * bent[:4] @ relations[0].basis.roughness() @ bent[:4]
    assert bent @ prior.precision @ bent == pytest.approx(expected, rel=1e-5)
