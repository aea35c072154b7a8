"""Constitutive relations: the structure of a law, apart from numbers, meshes and equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import ufl

from fe_phaseinv.laws.bases import COMPLEX_STEP, Basis, ConstantBasis

ENTROPY_CUT = 1e-3
"""Within this distance of where they end the ideal entropies are continued as quadratics, so that a trial law whose
pattern overshoots by a little can still be computed."""


def _symbolic(z) -> bool:
    return isinstance(z, ufl.core.expr.Expr)


def identity(x):
    """Leave the expansion as it is.

    Parameters
    ----------
    x : float, numpy.ndarray or ufl.core.expr.Expr
    """
    return x


def positive(x):
    """Return the exponential: the expansion is that of the logarithm, so the law is positive by construction.

    Parameters
    ----------
    x : float, numpy.ndarray or ufl.core.expr.Expr
    """
    return ufl.exp(x) if _symbolic(x) else np.exp(x)


def extended_log(z):
    """Return log z, continued below `ENTROPY_CUT` by its Taylor polynomial of second degree.

    Parameters
    ----------
    z : float, numpy.ndarray or ufl.core.expr.Expr
        A share or a density; an array may be complex.
    """
    e = ENTROPY_CUT
    d = (z - e) / e
    below = np.log(e) + d - d * d / 2
    if _symbolic(z):
        return ufl.conditional(ufl.gt(z, e), ufl.ln(ufl.max_value(z, e)), below)
    inside = np.real(z) > e
    return np.where(inside, np.log(np.where(inside, z, e)), below)


def ideal_entropy(c):
    """Return the chemical potential of ideal mixing, log(c/(1-c)), in units of kT.

    Parameters
    ----------
    c : float, numpy.ndarray or ufl.core.expr.Expr
        Concentration; within `ENTROPY_CUT` of 0 and 1 the logarithms are continued as quadratics.
    """
    return extended_log(c) - extended_log(1.0 - c)


def density_entropy(eta):
    """Return the chemical potential of an ideal gas, log(1 + eta), in units of kT.

    That of the phase-field crystal: Elder, Provatas, Berry, Stefanovic and Grant, Phys. Rev. B 75, 064107 (2007).

    Parameters
    ----------
    eta : float, numpy.ndarray or ufl.core.expr.Expr
        Deviation of the density from a reference, relative to it; within `ENTROPY_CUT` of -1 the logarithm is continued
        as a quadratic.
    """
    return extended_log(1.0 + eta)


@dataclass(frozen=True)
class Relation:
    """One constitutive relation: transform(sum of coefficients times basis functions) + known part.

    Parameters
    ----------
    name : str
        Key of the law in case files and results, for example "chemical_potential".
    basis : Basis
        Basis of the unknown part.
    transform : callable
        `identity`, or `positive` for a law that is positive by construction.
    known : callable, optional
        A part that is not learnt, for example `ideal_entropy`; a function of as many arguments as the basis.
    argument : str
        Name of the variable on which the law depends, or names of several.
    symmetric : bool
        Whether the expansion is odd about the middle of the interval of its basis (about zero for powers), so that the
        homogeneous energy of which it is the slope is symmetric.
    convex_ends : bool
        Whether the law rises at both ends of that interval, so that this energy is convex there.

    Raises
    ------
    ValueError
        Where the basis has no interval whose ends could be convex, or its functions are neither even nor odd and the
        law is to be symmetric.
    """

    name: str
    basis: Basis
    transform: Callable = identity
    known: Callable | None = None
    argument: str = "c"
    symmetric: bool = False
    convex_ends: bool = False

    def __post_init__(self):
        """Refuse what the basis cannot be asked for."""
        if self.convex_ends and self.basis.interval is None:
            raise ValueError(f"{self.name}: {type(self.basis).__name__} has no interval whose ends could be convex")
        if self.symmetric and len(self.basis.even) == self.basis.size:
            raise ValueError(f"{self.name}: no function of {type(self.basis).__name__} is odd, as symmetry asks for")

    @property
    def absent(self) -> list[int]:
        """Coefficients that stay zero."""
        return self.basis.even if self.symmetric else []

    @property
    def rising(self) -> tuple[np.ndarray, np.ndarray]:
        """Slopes that must be positive: their derivatives by the coefficients, shape (k, size), and known parts."""
        if not self.convex_ends:
            return np.zeros((0, self.basis.size)), np.zeros(0)
        ends = np.array(self.basis.interval)
        return self.basis.slopes(ends).T, self.slope(np.zeros(self.basis.size), ends)

    @property
    def description(self) -> dict[str, object]:
        """What tells this relation from others: plain values, the same wherever it is made alike."""
        known = None if self.known is None else self.known.__qualname__
        form = {"transform": self.transform.__qualname__, "known": known}
        return (
            {"name": self.name, "basis": repr(self.basis), "argument": self.argument}
            | form
            | {
                "symmetric": self.symmetric,
                "convex_ends": self.convex_ends,
            }
        )

    def coefficients(self, start: float | Sequence[float]) -> np.ndarray:
        """Return the coefficients that stand for a start.

        Parameters
        ----------
        start : float or sequence of float
            The value of a constant function (before the known part is added), or the first coefficients, of which the
            others are zero.

        Returns
        -------
        numpy.ndarray, shape (basis.size,)

        Raises
        ------
        ValueError
            Where there are more coefficients than functions, one of them is not finite, a number is given for a basis
            without a constant function, or is not positive where the law is.
        """
        found, constant = np.zeros(self.basis.size), self.basis.constant
        if np.ndim(start) == 0:
            if constant is None:
                raise ValueError(
                    f"{self.name}: found the number {start}; accepted: coefficients, for no function is constant"
                )
            if self.transform is positive and not start > 0:
                raise ValueError(f"{self.name}: found {start}; accepted: a number > 0")
            found[constant] = np.log(start) if self.transform is positive else start
        elif len(start) > len(found):
            raise ValueError(f"{self.name}: found {len(start)} coefficients; accepted: at most {len(found)}")
        else:
            found[: len(start)] = start
        if not np.all(np.isfinite(found)):
            raise ValueError(f"{self.name}: found {start}; accepted: finite numbers")
        return found

    def expansion(self, coefficients, *z):
        """Return the sum of coefficients times basis functions, before the transform.

        Parameters
        ----------
        coefficients : sequence of float or of ufl.core.expr.Expr, length basis.size
        *z : float, numpy.ndarray or ufl.core.expr.Expr
            The argument, or each of several.

        Raises
        ------
        ValueError
            Where there are more or fewer arguments than those of the basis.
        """
        accepted = self.basis.arguments
        if len(z) != accepted:
            raise ValueError(f"{self.name}: found {len(z)} arguments; accepted: {accepted} ({self.argument})")
        functions = self.basis.functions(z if accepted > 1 else z[0])
        return sum(a * f for a, f in zip(coefficients, functions, strict=True))

    def __call__(self, coefficients, *z):
        """Value of the law at z, or at each of several arguments (floats, arrays or UFL expressions)."""
        value = self.transform(self.expansion(coefficients, *z))
        return value if self.known is None else value + self.known(*z)

    def slope(self, coefficients, *z: np.ndarray, by: int = 0) -> np.ndarray:
        """Return the derivative by an argument, exact to rounding (complex step).

        Parameters
        ----------
        coefficients : sequence of float, length basis.size
        *z : numpy.ndarray
            The argument, or each of several.
        by : int
            Number of the argument to differentiate by.

        Returns
        -------
        numpy.ndarray, of the shape of z
        """
        steps = (1j * COMPLEX_STEP * (number == by) for number in range(len(z)))
        moved = (np.asarray(one, float) + step for one, step in zip(z, steps, strict=True))
        return np.imag(self(coefficients, *moved)) / COMPLEX_STEP


@dataclass(frozen=True, eq=False)
class Law:
    """A relation with its coefficients.

    Parameters
    ----------
    relation : Relation
    coefficients : numpy.ndarray, shape (relation.basis.size,), or sequence of UFL expressions
    """

    relation: Relation
    coefficients: np.ndarray

    def __call__(self, *z):
        """Value at z, or at each of several arguments (floats, arrays or UFL expressions)."""
        return self.relation(self.coefficients, *z)

    def __float__(self) -> float:
        """Value of a law that is a number.

        Raises
        ------
        TypeError
            Where the law is a function.
        """
        if not isinstance(self.relation.basis, ConstantBasis):
            raise TypeError(f"{self.relation.name} is a function of {self.relation.argument}, not a number")
        return float(self(0.0))

    def slope(self, *z: np.ndarray, by: int = 0) -> np.ndarray:
        """Return the derivative by an argument.

        Parameters
        ----------
        *z : numpy.ndarray
            The argument, or each of several.
        by : int
            Number of the argument to differentiate by.

        Returns
        -------
        numpy.ndarray, of the shape of z
        """
        return self.relation.slope(self.coefficients, *z, by=by)
