"""Partial fractions with shared poles: accuracy, poles, and solves with actual matrices."""

from functools import cache

import numpy as np
import pytest
from scipy.special import eval_hermite, factorial

from fe_phaseinv.solvers.rational import PartialFractions, shared_poles

CASES = [(1, 1e-4, 5), (2, 1e-4, 13), (10, 1e-4, 20), (11, 1e-4, 20), (10, 1e-6, 29), (11, 1e-6, 30)]
KERNELS = [
    (1e-2, [0.3, 0.0, 0.5, 0.0, -1.0, 0.7, -0.7], 8),
    (1e-2, [0.7, 0.8, -0.2, -0.6, 0.0, -0.8], 8),
    (1e-3, [0.6, 1.3, -0.2, 0.1, 0.2, -1.7], 12),
    (1e-3, [2.1, 1.5, 1.4, 0.1, 1.5, -0.8, -1.1, 0.2], 10),
    (1e-4, [1.2, 1.5, 0.0, -0.1, 1.8, -0.6, 0.8], 14),
]
"""Tolerance, coefficients, and a bound of the number of poles. With these, vector fitting passes through fits with a
pole on the positive axis between two samples."""


def hermite(size, s):
    """Return the orthonormal Hermite functions of sqrt(s), from their definition."""
    x = np.sqrt(s)
    norms = [np.sqrt(2.0**n * factorial(n) * np.sqrt(np.pi)) for n in range(size)]
    return np.array([eval_hermite(n, x) * np.exp(-x * x / 2) / norms[n] for n in range(size)])


@cache
def fractions(size, tolerance, smallest=None):
    return shared_poles(lambda s: hermite(size, s), tolerance, smallest)


def unused_points(smallest=1e-22):
    rng = np.random.default_rng(3)
    everywhere = 10 ** rng.uniform(np.log10(smallest), 8, 20000)
    where_they_vary = smallest + rng.uniform(0, 9, 5000) ** 2
    return np.concatenate([[0.0], everywhere, where_they_vary])


@pytest.mark.parametrize(("size", "tolerance", "most"), CASES)
def test_accuracy_and_number(size, tolerance, most):
    found, s = fractions(size, tolerance), unused_points()
    np.testing.assert_allclose(found(s), hermite(size, s), rtol=0, atol=1.05 * tolerance)
    assert found.number <= most


@pytest.mark.parametrize(("size", "tolerance", "most"), CASES)
def test_poles(size, tolerance, most):
    found = fractions(size, tolerance)
    z, pairs = found.poles, found.poles.imag > 0
    assert np.all(z[~pairs].imag == 0) and np.all(z[~pairs].real < 0)
    assert np.angle(z).min() > 0.5
    assert found.number == len(z) + np.count_nonzero(pairs)
    np.testing.assert_array_equal(found.weights[:, ~pairs].imag, 0)
    largest_term = np.abs(found.weights / np.where(z.real > 0, z.imag, np.abs(z)))
    assert np.all(largest_term.max(axis=0) > tolerance), "a pole that could be left out"
    assert largest_term.sum(axis=1).max() < 300, "cancellation between the terms"


def test_conjugate_pairs_make_real_values():
    found, s = fractions(11, 1e-6), np.linspace(0, 60, 50)
    residues = np.where(found.poles.imag > 0, 0.5, 1.0) * found.weights
    pairs = found.poles.imag > 0
    every_pole = np.concatenate([found.poles, found.poles[pairs].conj()])
    every_residue = np.hstack([residues, residues[:, pairs].conj()])
    total = every_residue @ (1.0 / (s - every_pole[:, None]))
    assert np.abs(total.imag).max() < 1e-12
    assert found(s).dtype == float
    np.testing.assert_allclose(found(s), total.real, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "tolerance", "most"), CASES)
def test_decay(size, tolerance, most):
    s = np.geomspace(1e4, 1e14, 50)
    assert np.all(np.abs(fractions(size, tolerance)(s)) <= 1.05 * tolerance * 1e4 / s)


@pytest.mark.parametrize("s", [2.0, np.array([0.0, 1.0]), np.ones((2, 3))])
def test_shape(s):
    assert fractions(2, 1e-4)(s).shape == (2, *np.shape(s))


def laplacian(points, spacing):
    """Return minus the second difference on a periodic grid."""
    unit = np.eye(points)
    return (2 * unit - np.roll(unit, 1, axis=0) - np.roll(unit, -1, axis=0)) / spacing**2


def solves(found, matrix, eta):
    """Return Re sum_j w_nj u_j by real solves, a coupled one for every pair."""
    total, unit = 0.0, np.eye(len(eta))
    for z, w in zip(found.poles, found.weights.T, strict=True):
        shifted = matrix - z.real * unit
        if z.imag:
            system = np.block([[shifted, z.imag * unit], [-z.imag * unit, shifted]])
            p, q = np.linalg.solve(system, np.append(eta, 0 * eta)).reshape(2, -1)
        else:
            p, q = np.linalg.solve(shifted, eta), 0 * eta
        total = total + np.multiply.outer(w.real, p) - np.multiply.outer(w.imag, q)
    return total


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
def test_solves_with_a_laplacian(tolerance):
    matrix = laplacian(96, 0.15)
    eta = np.random.default_rng(1).normal(size=96)
    eigenvalues, modes = np.linalg.eigh(matrix)
    exact = hermite(11, np.maximum(eigenvalues, 0.0)) * (modes.T @ eta)
    found = solves(fractions(11, tolerance, smallest=0.1), matrix, eta) @ modes
    assert np.all(np.abs(found - exact) <= 1.05 * tolerance * np.abs(modes.T @ eta) + 1e-11)
    assert np.all(np.linalg.norm(exact, axis=1) > 0.05 * np.linalg.norm(eta))


@pytest.mark.parametrize(("tolerance", "coefficients", "most"), KERNELS)
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_one_function_needs_fewer_poles(tolerance, coefficients, most, scale):
    def kernel(s):
        return scale * np.array([coefficients]) @ hermite(len(coefficients), s)

    found, s = shared_poles(kernel, scale * tolerance), unused_points()
    np.testing.assert_allclose(found(s), kernel(s), rtol=0, atol=1.05 * scale * tolerance)
    assert found.number <= most
    assert np.angle(found.poles).min() > 0.4


def test_smallest():
    smallest = 1e-3
    found, s = fractions(11, 1e-6, smallest), unused_points(smallest)
    np.testing.assert_allclose(found(s), hermite(11, s), rtol=0, atol=1.05e-6)
    assert found.number <= fractions(11, 1e-6).number - 5
    assert np.abs(found.poles).min() > 0.05 * smallest


def test_rational_functions_are_found_exactly():
    poles = np.array([-0.3, -1e-4, -1e-8, -1e-12, 2 + 1.5j])
    exact = PartialFractions(poles, np.array([[0.7, 1e-4, 0.0, 2e-12, 1 - 2j], [0.0, 1e-4, 1e-8, -1e-12, 0.5j]]))
    found = shared_poles(exact, 1e-9, smallest=1e-14)
    order = [np.abs(found.poles - z).argmin() for z in poles]
    np.testing.assert_allclose(found.poles[order], poles, rtol=1e-6)
    np.testing.assert_allclose(found.weights[:, order] / poles, exact.weights / poles, rtol=0, atol=1e-6)
    assert found.number == 6


def test_no_poles_for_zero():
    found = shared_poles(lambda s: [0 * s, 0 * s], 1e-4)
    assert found.number == 0
    np.testing.assert_array_equal(found(np.ones(3)), np.zeros((2, 3)))


@pytest.mark.parametrize("functions", [lambda s: hermite(11, s), lambda s: [np.sign(5 - s)]])
def test_unreached_tolerance(functions):
    with pytest.raises(ValueError, match=r"^12 shared poles approximate the functions to \S+, not to 1\.0e-04\.$"):
        shared_poles(functions, 1e-4, most=12)
