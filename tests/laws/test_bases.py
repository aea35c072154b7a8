"""Function bases: values in every kind of number, and roughness."""

import numpy as np
import pytest
from numpy.polynomial import Legendre as Polynomial

from fe_phaseinv.laws.bases import ConstantBasis, EvenPowers, Legendre, Powers

INTERVALS = [(0.0, 1.0), (-0.3, 2.5)]


def exact(size, interval):
    """Return the polynomials as NumPy has them."""
    return [Polynomial.basis(n, domain=interval) for n in range(size)]


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("z", [0.3, np.linspace(-0.5, 3, 7), np.array([[0.1 + 0.2j, 1.0 - 1.0j]])])
def test_legendre_values(size, interval, z):
    found = Legendre(size, interval).functions(z)
    assert len(found) == size
    for value, polynomial in zip(found, exact(size, interval), strict=True):
        assert np.shape(value) == np.shape(z)
        np.testing.assert_allclose(value, polynomial(z), rtol=1e-12, atol=1e-12)


def test_legendre_at_the_ends():
    basis = Legendre(6, (2.0, 5.0))
    np.testing.assert_allclose(basis.functions(5.0), np.ones(6))
    np.testing.assert_allclose(basis.functions(2.0), (-1.0) ** np.arange(6))


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_legendre_roughness(size, interval):
    curvatures = [p.deriv(2) for p in exact(size, (0, 1))]
    expected = [[(p * q).integ(lbnd=0)(1) for q in curvatures] for p in curvatures]
    found = Legendre(size, interval).roughness()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-10)
    np.testing.assert_array_equal(found[:2], 0)


@pytest.mark.parametrize("z", [0.3, np.linspace(0, 1, 5), 1j * np.ones((2, 3))])
def test_constant(z):
    (value,) = ConstantBasis().functions(z)
    np.testing.assert_array_equal(value, np.ones(np.shape(z)))
    assert ConstantBasis().size == 1
    np.testing.assert_array_equal(ConstantBasis().roughness(), [[0]])


@pytest.mark.parametrize("z", [0.3, np.linspace(-0.5, 3, 7), np.array([[0.1 + 0.2j, 1.0 - 1.0j]])])
def test_powers(z):
    found = Powers(3).functions(z)
    for value, expected in zip(found, (z, z * z, z * z * z), strict=True):
        np.testing.assert_allclose(value, expected)
    found = EvenPowers(3, 2.0).functions(z)
    for value, expected in zip(found, (1, z * z / 4, (z * z / 4) ** 2), strict=True):
        np.testing.assert_allclose(value, expected)
    np.testing.assert_array_equal(EvenPowers(3, 2.0).roughness(), np.zeros((3, 3)))


@pytest.mark.parametrize("interval", [*INTERVALS, (-1.0, 1.0)])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_roughness_of_powers(size, interval):
    length = interval[1] - interval[0]
    curvatures = [length**2 * (Polynomial.identity() ** n).deriv(2) for n in range(1, size + 1)]
    expected = [[(p * q).integ(lbnd=interval[0])(interval[1]) / length for q in curvatures] for p in curvatures]
    np.testing.assert_allclose(Powers(size, interval).roughness(), expected, rtol=1e-11, atol=1e-10)
    assert Powers(size) == Powers(size, (0.0, 1.0))


@pytest.mark.parametrize("interval", [*INTERVALS, (-1.0, 1.0)])
def test_a_polynomial_is_as_rough_in_powers_as_in_legendre_polynomials(interval):
    powers, legendre, z = Powers(4, interval), Legendre(5, interval), np.linspace(*interval, 9)
    m = np.array([0.3, -1.2, 0.7, 2.0])
    n = np.linalg.solve(np.transpose(legendre.functions(z))[::2], (m @ np.array(powers.functions(z)))[::2])
    assert m @ powers.roughness() @ m == pytest.approx(n @ legendre.roughness() @ n, rel=1e-10)
