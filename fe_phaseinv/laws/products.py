"""A basis of functions of two arguments: products of those of two bases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.polynomial import legendre

from fe_phaseinv.laws.bases import Basis


@dataclass(frozen=True)
class TensorProduct(Basis):
    """All products f_i(x) g_j(y) of the functions of two bases, for a law of two fields; j counts faster than i.

    Parameters
    ----------
    first, second : Basis
        Polynomials of the one argument and of the other, on an interval each.

    Raises
    ------
    ValueError
        Where one of the bases has no interval.
    """

    first: Basis
    second: Basis

    arguments: ClassVar[int] = 2

    def __post_init__(self):
        """Refuse bases whose roughness cannot be told."""
        for factor in (self.first, self.second):
            if factor.interval is None:
                raise ValueError(f"TensorProduct: found {factor!r}; accepted: bases with an interval, as Legendre(4)")

    @property
    def size(self) -> int:
        """Number of products."""
        return self.first.size * self.second.size

    @property
    def constant(self) -> int | None:
        """Index of the product of the two constants, if both are there."""
        i, j = self.first.constant, self.second.constant
        return None if i is None or j is None else i * self.second.size + j

    def functions(self, z) -> list:
        """Evaluate every product.

        Parameters
        ----------
        z : pair of float, numpy.ndarray or ufl.core.expr.Expr
            The two arguments; arrays may be complex.

        Returns
        -------
        list of length `size`
        """
        x, y = z
        return [f * g for f in self.first.functions(x) for g in self.second.functions(y)]

    def slopes(self, z, by: int = 0) -> np.ndarray:
        """Return the derivatives of every product by one of the arguments.

        Parameters
        ----------
        z : pair of array_like
            The two arguments.
        by : int
            Which of them to differentiate by, 0 or 1.

        Returns
        -------
        numpy.ndarray, shape (size, ...)
        """
        x, y = (np.asarray(one, float) for one in z)
        f = self.first.functions(x) if by else self.first.slopes(x)
        g = self.second.slopes(y) if by else self.second.functions(y)
        return np.array([a * b for a in f for b in g])

    def roughness(self) -> np.ndarray:
        """Return the Gram matrix of the second derivatives, that of a thin plate.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            The integral of f_xx g_xx + 2 f_xy g_xy + f_yy g_yy, with x and y scaled to the unit interval.
        """
        (values, slopes), (others, their_slopes) = _grams(self.first), _grams(self.second)
        bending = np.kron(self.first.roughness(), others) + np.kron(values, self.second.roughness())
        return bending + 2 * np.kron(slopes, their_slopes)

    def standard(self) -> np.ndarray:
        """Return the matrix from the coefficients to those of products of the standard functions."""
        return np.kron(self.first.standard(), self.second.standard())


def _grams(basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Gram matrices of the functions and of their slopes, for polynomials, the argument scaled to the unit interval."""
    (a, b), (x, w) = basis.interval, legendre.leggauss(basis.size + 1)
    z = a + (b - a) * (x + 1) / 2
    values, slopes = np.array(basis.functions(z)), (b - a) * basis.slopes(z)
    return (values * w / 2) @ values.T, (slopes * w / 2) @ slopes.T
