"""Function bases in which the unknown laws are expanded.

The same lines evaluate floats, NumPy arrays (complex ones too) and UFL expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre


@dataclass(frozen=True)
class Legendre:
    """Shifted Legendre polynomials P_0 ... P_{size-1} on an interval.

    Parameters
    ----------
    size : int
        Number of polynomials.
    interval : tuple of float
        Where the polynomials are orthogonal; mapped onto [-1, 1].
    """

    size: int
    interval: tuple[float, float] = (0.0, 1.0)

    def functions(self, z) -> list:
        """Values of every basis function at z, by the three-term recurrence."""
        a, b = self.interval
        x = (2.0 * z - (a + b)) / (b - a)
        values = [0.0 * x + 1.0, x]
        for n in range(1, self.size - 1):
            values.append(((2 * n + 1) * x * values[n] - n * values[n - 1]) / (n + 1))
        return values[: self.size]

    def roughness(self) -> np.ndarray:
        """Gram matrix of the second derivatives.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            Integral over the interval of P_m'' P_n'', with z scaled to the unit interval.
        """
        x, w = legendre.leggauss(self.size + 1)
        second = 4.0 * np.array([legendre.legval(x, legendre.legder(unit, 2)) for unit in np.eye(self.size)])
        return 0.5 * (second * w) @ second.T


@dataclass(frozen=True)
class Constant:
    """The constant function alone: for a law that is a number."""

    @property
    def size(self) -> int:
        """One."""
        return 1

    def functions(self, z) -> list:
        """[1]."""
        return [0.0 * z + 1.0]

    def roughness(self) -> np.ndarray:
        """Return zero."""
        return np.zeros((1, 1))


@dataclass(frozen=True)
class Powers:
    """z, z^2, ... z^size: a polynomial without its constant.

    Parameters
    ----------
    size : int
        Number of powers.
    """

    size: int

    def functions(self, z) -> list:
        """Values of every power at z."""
        return [z**n for n in range(1, self.size + 1)]

    def roughness(self) -> np.ndarray:
        """Gram matrix of the second derivatives on (0, 1).

        Returns
        -------
        numpy.ndarray, shape (size, size)
        """
        n = np.arange(1, self.size + 1)
        factors = n * (n - 1.0)
        return np.outer(factors, factors) / np.maximum(n + n[:, None] - 3.0, 1.0)


@dataclass(frozen=True)
class EvenPowers:
    """1, (z/scale)^2, (z/scale)^4, ...: a polynomial in the Laplacian where z is a wavenumber.

    Parameters
    ----------
    size : int
        Number of powers.
    scale : float
        Of z.
    """

    size: int
    scale: float = 1.0

    def functions(self, z) -> list:
        """Values of every power at z."""
        square = (z / self.scale) ** 2
        return [square**n for n in range(self.size)]

    def roughness(self) -> np.ndarray:
        """Return zero: few powers need no smoothing."""
        return np.zeros((self.size, self.size))
