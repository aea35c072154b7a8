"""Relations: the same law for floats, arrays, complex numbers and UFL."""

import numpy as np
import pytest
import ufl
from firedrake import Constant as Number
from firedrake import UnitSquareMesh, assemble, dx

from fe_phaseinv.laws.bases import ConstantBasis, Legendre, Powers
from fe_phaseinv.laws.relations import ENTROPY_CUT, Law, Relation, density_entropy, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import kept_positive

POINTS = np.array(
    [-1.1, -1.0, 0.5 * ENTROPY_CUT - 1, -0.1, 0.0, 0.3 * ENTROPY_CUT, 0.02, 0.5, 0.9, 1 - 0.4 * ENTROPY_CUT, 1.15]
)
LAWS = {
    "potential": Law(Relation("mu", Legendre(4), known=ideal_entropy), np.array([0.3, -2.5, 0.4, 0.7])),
    "kinetics": Law(Relation("D", Legendre(3, (0.2, 0.7)), positive), np.array([-0.3, 0.8, 0.5])),
    "density": Law(Relation("mu", Powers(3), known=density_entropy), np.array([0.4, -0.5, 0.2])),
    "number": Law(Relation("kappa", ConstantBasis(), positive), np.array([-7.0])),
}
laws = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def expansion(law, z):
    return np.polynomial.Legendre(law.coefficients, domain=getattr(law.relation.basis, "interval", (0, 1)))(z)


def test_values():
    z = np.linspace(0.01, 0.99, 9)
    expected = expansion(LAWS["potential"], z) + np.log(z / (1 - z))
    np.testing.assert_allclose(LAWS["potential"](z), expected, rtol=1e-13)
    np.testing.assert_allclose(LAWS["kinetics"](z), np.exp(expansion(LAWS["kinetics"], z)), rtol=1e-13)
    np.testing.assert_allclose(LAWS["number"](z), np.full(9, np.exp(-7)), rtol=1e-13)


@laws
def test_floats_arrays_and_complex_numbers_agree(law):
    array = law(POINTS)
    assert array.shape == POINTS.shape
    np.testing.assert_allclose([law(float(z)) for z in POINTS], array, rtol=1e-14)
    np.testing.assert_allclose(law(POINTS + 0j), array, rtol=1e-13)


@laws
def test_ufl_agrees(law):
    """In value and derivative, which is what Newton's method takes; one form, so that one kernel is compiled."""
    mesh, number = UnitSquareMesh(1, 1), Number(0.0)
    z = ufl.variable(number)
    form = (law(z) + 0.3 * ufl.diff(law(z), z)) * dx(domain=mesh)
    for point in POINTS:
        number.assign(point)
        np.testing.assert_allclose(assemble(form), law(point) + 0.3 * law.slope(point), rtol=1e-12)


def test_slope_is_exact():
    z = np.linspace(0.01, 0.99, 9)
    derivatives = {}
    for name, law in LAWS.items():
        interval = getattr(law.relation.basis, "interval", (0, 1))
        derivatives[name] = np.polynomial.Legendre(law.coefficients, domain=interval).deriv()(z)
    np.testing.assert_allclose(LAWS["potential"].slope(z), derivatives["potential"] + 1 / (z * (1 - z)), rtol=1e-13)
    np.testing.assert_allclose(LAWS["kinetics"].slope(z), derivatives["kinetics"] * LAWS["kinetics"](z), rtol=1e-13)
    np.testing.assert_array_equal(LAWS["number"].slope(z), 0)


@pytest.mark.parametrize("cut", [ENTROPY_CUT, 1 - ENTROPY_CUT])
def test_entropy_has_two_continuous_derivatives_at_its_cut(cut):
    entropy, h = Relation("entropy", ConstantBasis(), known=ideal_entropy), 1e-5 * ENTROPY_CUT

    def side(sign):
        near, far = cut + sign * h, cut + 2 * sign * h
        slopes = entropy.slope([0.0], np.array([near, far]))
        return ideal_entropy(near), slopes[0], (slopes[1] - slopes[0]) / (sign * h)

    np.testing.assert_allclose(side(-1), side(1), rtol=1e-4)
    np.testing.assert_allclose(side(1)[1:], (1 / (cut * (1 - cut)), (2 * cut - 1) / (cut * (1 - cut)) ** 2), rtol=1e-4)


def test_entropy_of_a_density():
    eta = np.linspace(-0.99, 3, 9)
    np.testing.assert_array_equal(density_entropy(eta), np.log(1 + eta))
    z = np.linspace(-1.2, 0, 1001)
    values = density_entropy(z)
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()
    assert (Legendre(6, (-0.9, 2.0)) + density_entropy).known is density_entropy


def test_entropy_goes_on_outside():
    z = np.linspace(-0.2, 1.2, 1001)
    values = ideal_entropy(z)
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()
    np.testing.assert_allclose(values, -ideal_entropy(1 - z), rtol=1e-9, atol=1e-9)


def test_concentrations_of_a_mobility_are_positive():
    number, mesh = Number(0.0), UnitSquareMesh(1, 1)
    c = ufl.variable(number)
    value, slope = (assemble(f * dx(domain=mesh)) for f in (kept_positive(c), ufl.diff(kept_positive(c), c)))
    assert value > 0 and slope > 0
    for point, h in ((0.3, 1e-6), (ENTROPY_CUT, 1e-8)):
        found = []
        for z in (point - h, point, point + h):
            number.assign(z)
            found.append(assemble(kept_positive(c) * dx(domain=mesh)))
        np.testing.assert_allclose(found, [point - h, point, point + h], rtol=1e-9)


def test_as_many_coefficients_as_functions():
    with pytest.raises(ValueError):
        LAWS["potential"].relation([1.0, 2.0], 0.5)
