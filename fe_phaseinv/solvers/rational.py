"""Functions of the Laplacian as sums of Helmholtz solves, through partial fractions with shared poles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SWEEPS = 25
"""Relocations of the poles before one more pole is tried."""

SECTOR = 0.1
"""No pole may be nearer to the positive axis than this angle; between the samples such a pole can hide."""


@dataclass(frozen=True, eq=False)
class PartialFractions:
    """Functions f_n(s) = Re sum_j w_nj / (s - z_j) of s >= 0, which share their poles.

    With A a symmetric positive semidefinite operator, f_n(A) eta = Re sum_j w_nj u_j, (A - z_j) u_j = eta. For a
    pair z = a + ib, u = p + iq this is the real system (A - a) p + b q = eta, (A - a) q - b p = 0, and its term of
    the sum is Re(w) p - Im(w) q.

    Parameters
    ----------
    poles : numpy.ndarray, shape (poles,)
        Negative real poles, and of every conjugate pair the pole with positive imaginary part.
    weights : numpy.ndarray, shape (functions, poles)
        Residues; for a pair twice the residue, because the real part stands for both poles.
    """

    poles: np.ndarray
    weights: np.ndarray

    def __call__(self, s) -> np.ndarray:
        """Return the values at s, shape (functions, *s.shape)."""
        fractions = 1.0 / (np.asarray(s, float)[..., None] - self.poles)
        return np.moveaxis((fractions @ self.weights.T).real, -1, 0)

    @property
    def number(self) -> int:
        """Number of poles, both of a pair counted."""
        return len(self.poles) + int(np.count_nonzero(self.poles.imag))


def _columns(s: np.ndarray, poles: np.ndarray) -> np.ndarray:
    """Real parts of 1/(s - z), then the imaginary parts for the pairs."""
    fractions = 1.0 / (s[:, None] - poles)
    return np.hstack([fractions.real, fractions.imag[:, poles.imag > 0]])


def _least_squares(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of the columns, which are scaled for the solve."""
    norms = np.linalg.norm(columns, axis=0)
    return (np.linalg.lstsq(columns / norms, values, rcond=None)[0].T / norms).T


def _fitted(poles: np.ndarray, s: np.ndarray, values: np.ndarray) -> PartialFractions:
    """Partial fractions with given poles."""
    coefficients = _least_squares(_columns(s, poles), values.T)
    weights = coefficients[: len(poles)].astype(complex)
    weights[poles.imag > 0] -= 1j * coefficients[len(poles) :]
    return PartialFractions(poles, weights.T)


def _relocated(poles: np.ndarray, s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One sweep of vector fitting.

    With sigma(s) = 1 + sum_k c_k columns_k(s) the products sigma f_n are fitted by the columns, c being shared by
    all n; the new poles are the zeros of sigma, which are eigenvalues of a real matrix. Its rows are sorted because
    the eigenvalues near zero are accurate only if they come last.
    """
    columns = _columns(s, poles)
    q = np.linalg.qr(columns / np.linalg.norm(columns, axis=0))[0]
    products = values[:, :, None] * columns
    products -= q @ (q.T @ products)
    remainders = values - (values @ q) @ q.T
    c = -_least_squares(products.reshape(-1, columns.shape[1]), remainders.ravel())
    pairs = poles.imag > 0
    rotation = np.diag(poles.imag)[:, pairs]
    matrix = np.block([[np.diag(poles.real), -rotation], [rotation.T, np.diag(poles.real[pairs])]])
    matrix[: len(poles)] -= c
    order = np.argsort(-np.abs(np.append(poles, poles[pairs])))
    zeros = np.linalg.eigvals(matrix[np.ix_(order, order)]).astype(complex)
    return zeros[zeros.imag >= 0]


def _start(number: int, smallest: float, largest: float) -> np.ndarray:
    """Poles before the first sweep: real ones towards the branch point s = 0, pairs on the imaginary axis."""
    pairs = number // 3
    real = -np.geomspace(smallest, largest, number - 2 * pairs)
    return np.concatenate([real, 1j * largest * np.arange(1, pairs + 1) / max(pairs, 1)])


def shared_poles(
    functions: Callable, tolerance: float, smallest: float | None = None, largest: float = 1e4, most: int = 40
) -> PartialFractions:
    """Partial fractions of several functions with as few shared poles as vector fitting finds.

    Vector fitting (Gustavsen & Semlyen, IEEE Trans. Power Deliv. 14, 1052 (1999)) is repeated with one more pole
    until the error is small enough. Every other sample serves for the error alone.

    Parameters
    ----------
    functions : callable
        Values, shape (functions, samples), at the samples s >= 0. The functions must vanish for large s, and may
        behave as sqrt(s) near zero.
    tolerance : float
        Largest error allowed.
    smallest : float, optional
        Least positive s that matters besides s = 0, for example the first eigenvalue of the operator; fewer poles
        are needed if it is known. By default the functions are accurate for all s.
    largest : float
        Largest s that is sampled.
    most : int
        Number of poles, both of a pair counted, after which the search is given up.

    Returns
    -------
    PartialFractions

    Raises
    ------
    ValueError
        If the tolerance is not reached.
    """
    ceiling = np.abs(functions(np.linspace(0.0, np.sqrt(largest), 2000) ** 2)).max()
    smallest = smallest or 0.1 * (tolerance / max(ceiling, 1.0)) ** 2
    s = np.append(0.0, np.geomspace(smallest, largest, 1201))
    values = np.asarray(functions(s))
    if np.abs(values).max() <= tolerance:
        return PartialFractions(np.empty(0, complex), np.empty((len(values), 0), complex))
    least = np.inf
    for number in range(1, most + 1):
        poles = _start(number, smallest, largest)
        for _ in range(SWEEPS):
            poles = _relocated(poles, s[::2], values[:, ::2])
            if np.angle(poles).min() < SECTOR:
                continue
            found = _fitted(poles, s[::2], values[:, ::2])
            error = np.abs(found(s) - values).max()
            if error <= tolerance:
                return found
            least = min(least, error)
    raise ValueError(f"{most} shared poles approximate the functions to {least:.1e}, not to {tolerance:.1e}.")
