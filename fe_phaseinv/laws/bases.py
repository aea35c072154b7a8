"""Function bases in which the unknown laws are expanded.

The same lines evaluate floats, NumPy arrays (complex ones too) and UFL expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.polynomial import legendre

from fe_phaseinv.laws.hermite import hermite_functions

COMPLEX_STEP = 1e-30
"""Imaginary step of derivatives that are exact to rounding: Squire and Trapp, SIAM Rev. 40, 110 (1998)."""


class Basis:
    """Functions in which a law is expanded, of one argument unless the basis says otherwise.

    A subclass has `size`, `functions` and, where its laws need smoothing, `roughness`.
    """

    size: int
    arguments: ClassVar[int] = 1
    """Number of arguments of the functions; where there are several, all methods take them as a tuple."""
    constant: ClassVar[int | None] = None
    """Index of the function that is constant, if there is one."""
    interval: tuple[float, float] | None = None
    """Interval on which a law is smoothed and at whose ends it may have to rise, if there is one; in the unit of the
    argument."""

    def __add__(self, known: Callable) -> Expansion:
        """Return the basis together with a known function, as in ``Legendre(10) + ideal_entropy``."""
        return Expansion(self, known) if callable(known) else NotImplemented

    @property
    def even(self) -> list[int]:
        """Indices of the functions that are even about a point: the middle of the interval, or zero for powers.

        Raises
        ------
        ValueError
            If the functions are neither even nor odd.
        """
        raise ValueError(f"the functions of {type(self).__name__} are neither even nor odd: no law in it is symmetric")

    def functions(self, z) -> list:
        """Evaluate every function.

        Parameters
        ----------
        z : float, numpy.ndarray or ufl.core.expr.Expr
            Argument of the law; an array may be complex.

        Returns
        -------
        list of length `size`
            Values of the kind and shape of `z`.
        """
        raise NotImplementedError

    def slopes(self, z: np.ndarray) -> np.ndarray:
        """Return the derivatives of every function, exact to rounding (complex step).

        Parameters
        ----------
        z : array_like
            Argument of the law.

        Returns
        -------
        numpy.ndarray, shape (size, ...)
        """
        return np.imag(self.functions(np.asarray(z, float) + 1j * COMPLEX_STEP)) / COMPLEX_STEP

    def roughness(self) -> np.ndarray:
        """Return the Gram matrix of the second derivatives.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            Zero where a law needs no smoothing.
        """
        return np.zeros((self.size, self.size))

    def standard(self) -> np.ndarray:
        """Return the matrix from the coefficients to those that case files and results hold.

        Returns
        -------
        numpy.ndarray, shape (size, size)
        """
        return np.eye(self.size)


@dataclass(frozen=True)
class Expansion:
    """A basis and a part that is not learnt, as ``Legendre(10) + ideal_entropy`` makes it.

    Parameters
    ----------
    basis : Basis
        Functions of the part that is learnt.
    known : callable
        The other part, a function of the argument of the law, for example `ideal_entropy`.
    """

    basis: Basis
    known: Callable


@dataclass(frozen=True)
class Legendre(Basis):
    """Shifted Legendre polynomials P_0 ... P_{size-1} on an interval.

    Parameters
    ----------
    size : int
        Number of polynomials.
    interval : (float, float)
        Interval on which the polynomials are orthogonal, in the unit of the argument; it is mapped onto [-1, 1].
    """

    size: int
    interval: tuple[float, float] = (0.0, 1.0)

    constant: ClassVar[int] = 0

    @property
    def even(self) -> list[int]:
        """Indices of the polynomials of even degree."""
        return list(range(0, self.size, 2))

    def functions(self, z) -> list:
        """Evaluate every polynomial by the three-term recurrence (Abramowitz and Stegun, 22.7.10)."""
        a, b = self.interval
        x = (2.0 * z - (a + b)) / (b - a)
        values = [0.0 * x + 1.0, x]
        for n in range(1, self.size - 1):
            values.append(((2 * n + 1) * x * values[n] - n * values[n - 1]) / (n + 1))
        return values[: self.size]

    def roughness(self) -> np.ndarray:
        """Return the Gram matrix of the second derivatives.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            The integral over the interval of P_m'' P_n'', with z scaled to the unit interval.
        """
        x, w = legendre.leggauss(self.size + 1)
        second = 4.0 * np.array([legendre.legval(x, legendre.legder(unit, 2)) for unit in np.eye(self.size)])
        return 0.5 * (second * w) @ second.T


@dataclass(frozen=True)
class ConstantBasis(Basis):
    """The constant function alone: for a law that is a number."""

    constant: ClassVar[int] = 0
    even: ClassVar[list[int]] = [0]

    @property
    def size(self) -> int:
        """The number one."""
        return 1

    def functions(self, z) -> list:
        """Return the constant function one, of the kind and shape of `z`."""
        return [0.0 * z + 1.0]


@dataclass(frozen=True)
class Powers(Basis):
    """z, z^2, ... z^size: a polynomial without its constant.

    Parameters
    ----------
    size : int
        Number of powers.
    interval : (float, float)
        Interval on which a law is smoothed, in the unit of the argument.
    """

    size: int
    interval: tuple[float, float] = (0.0, 1.0)

    @property
    def even(self) -> list[int]:
        """Indices of the powers that are even about zero, wherever the interval is."""
        return list(range(1, self.size, 2))

    def functions(self, z) -> list:
        """Evaluate every power."""
        return [z**n for n in range(1, self.size + 1)]

    def roughness(self) -> np.ndarray:
        """Return the Gram matrix of the second derivatives.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            The integral over the interval, with z scaled to the unit interval.
        """
        (a, b), n = self.interval, np.arange(1, self.size + 1)
        factors = (b - a) ** 1.5 * n * (n - 1.0)
        power = np.maximum(n + n[:, None] - 3.0, 1.0)
        return np.outer(factors, factors) * (b**power - a**power) / power


@dataclass(frozen=True)
class EvenPowers(Basis):
    """1, (z/scale)^2, (z/scale)^4, ...: a polynomial in the Laplacian where z is a wavenumber.

    Parameters
    ----------
    size : int
        Number of powers.
    scale : float
        Scale of the argument, in its unit.
    """

    size: int
    scale: float = 1.0

    constant: ClassVar[int] = 0

    @property
    def even(self) -> list[int]:
        """Indices of all powers."""
        return list(range(self.size))

    def functions(self, z) -> list:
        """Evaluate every power."""
        square = (z / self.scale) ** 2
        return [square**n for n in range(self.size)]

    def peak(self) -> np.ndarray:
        """Return the coefficients of 2 (z/scale)^2 - (z/scale)^4, whose maximum is one, at the scale.

        Returns
        -------
        numpy.ndarray, shape (3,)
        """
        return np.array([0.0, 2.0, -1.0])


@dataclass(frozen=True)
class Hermite(Basis):
    """Sums of the Hermite functions h_0 ... h_{size-1} of z/scale >= 0, for NumPy arrays alone.

    The Hermite functions are orthonormal on the whole line and nearly dependent on its half. The basis holds sums that
    are orthonormal on the half, the first n of them sums of the first n functions; `standard` leads back to the
    coefficients of the functions themselves.

    Parameters
    ----------
    size : int
        Number of functions: with fewer than `FEWEST` there is no peak at the scale, and more than `MOST` cannot be
        told apart.
    scale : float
        Scale of the argument, in its unit.
    """

    size: int
    scale: float = 1.0

    FEWEST: ClassVar[int] = 5
    MOST: ClassVar[int] = 14

    def functions(self, z) -> list:
        """Evaluate every function."""
        hermite = hermite_functions(self.size, np.asarray(z) / self.scale)
        return list(np.tensordot(self.standard(), hermite, axes=(0, 0)))

    def roughness(self) -> np.ndarray:
        """Return the Gram matrix of the second derivatives.

        Returns
        -------
        numpy.ndarray, shape (size, size)
            The integral over x = z/scale > 0, with h_n'' = (x^2 - 2n - 1) h_n.
        """
        x, weights = self._quadrature()
        second = (x**2 - 2 * np.arange(self.size)[:, None] - 1) * hermite_functions(self.size, x)
        second = self.standard().T @ second
        return (second * weights) @ second.T

    def standard(self) -> np.ndarray:
        """Return the matrix from the coefficients to those of the Hermite functions, shape (size, size)."""
        x, weights = self._quadrature()
        weighted = (hermite_functions(self.size, x) * np.sqrt(weights)).T
        return np.linalg.inv(np.linalg.qr(weighted, mode="r"))

    def peak(self) -> np.ndarray:
        """Return the coefficients of x^2 exp(1 - x^2), x = z/scale, whose maximum is one, at the scale.

        Returns
        -------
        numpy.ndarray, shape (size,)
        """
        x, weights = self._quadrature()
        return np.array(self.functions(x * self.scale)) @ (weights * x**2 * np.exp(1 - x**2))

    def _quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Points on the half-line as far as the functions reach, and their weights."""
        end = np.sqrt(2 * self.size + 1) + 6.0
        x, weights = legendre.leggauss(8 * self.size + 64)
        return 0.5 * end * (x + 1), 0.5 * end * weights
