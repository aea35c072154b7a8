"""The part of the unknown fields of a series of which the images tell: few directions, made by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from fe_phaseinv.core.parallel import total
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.optimisation.bordered import Border

MOST_DIRECTIONS = 400
"""Of a subspace."""


@dataclass(frozen=True, eq=False)
class Subspace:
    """Directions of the unknown fields, orthonormal by their priors, in which the Hessian is diagonal.

    Across them the Hessian is taken for that of the priors, which conjugate gradients have found to be so for the
    derivatives that were solved for.

    Parameters
    ----------
    unknowns : FieldUnknowns
    directions : numpy.ndarray, shape (r, local size of the fields)
    curvatures : numpy.ndarray, shape (r,)
        The Hessian by the shares of the directions, the variance of a pixel where the images tell nothing.
    unsolved : int
        Number of derivatives that they do not suffice for.
    """

    unknowns: FieldUnknowns
    directions: np.ndarray
    curvatures: np.ndarray
    unsolved: int

    def border(self, mixed: np.ndarray, gradient: np.ndarray) -> Border:
        """Return the fields as a border of the model of the laws. Collective.

        Parameters
        ----------
        mixed : numpy.ndarray, shape (local size of the fields, n)
            Second derivatives by fields and laws.
        gradient : numpy.ndarray, shape (size,)
            By all unknowns of the series.
        """
        both = np.column_stack([mixed, gradient[self.unknowns.own]])
        seen = total(self.unknowns.pixels.comm, self.directions @ both)
        return Border(self.curvatures, seen[:, :-1].T, seen[:, -1])

    def inverse(self, derivative: np.ndarray) -> np.ndarray:
        """Return the inverse of the Hessian times a derivative, shape (size,). Collective.

        Parameters
        ----------
        derivative : numpy.ndarray, shape (size,)
            By all unknowns of the series, of which those of the laws do not count.
        """
        of, found = self.unknowns, self.unknowns.covariance(derivative)
        shares = total(of.pixels.comm, self.directions @ derivative[of.own])
        found[of.own] += self.lifted((1 / self.curvatures - 1 / of.variance) * shares)
        return found

    def lifted(self, shares: np.ndarray) -> np.ndarray:
        """Return a change of the fields, shape (local size of the fields,).

        Parameters
        ----------
        shares : numpy.ndarray, shape (r,)
            Of the directions.
        """
        return shares @ self.directions


class Search:
    """Conjugate gradients for one derivative after the other, each of which goes on with the directions before.

    They are preconditioned by the priors, or by the Hessian at a point nearby. All directions stay conjugate, which is
    the same but for rounding, and what they tell is not asked for again.

    Parameters
    ----------
    unknowns : FieldUnknowns
    action : callable
        The Gauss-Newton Hessian of the series times a change of its unknowns.
    near : Subspace, optional
        That of a point nearby.
    """

    def __init__(
        self, unknowns: FieldUnknowns, action: Callable[[np.ndarray], np.ndarray], near: Subspace | None = None
    ):
        self._precondition = unknowns.covariance if near is None else near.inverse
        self.unknowns, self._action, self._count, self._unsolved = unknowns, action, 0, 0
        self._rows, self._images = (np.empty((16, unknowns.size - unknowns.laws.stop)) for _ in range(2))

    def solve(self, derivative: np.ndarray, left: float, least: float) -> None:
        """Add the directions that a derivative needs. Collective.

        Parameters
        ----------
        derivative : numpy.ndarray, shape (size,)
            By all unknowns of the series, of which those of the laws do not count.
        left : float
            Share of the change of the fields that may be left, in the norm of the Hessian.
        least : float
            Norm of a change that may be left in whole, over this share.
        """
        of, residual = self.unknowns, derivative[self.unknowns.own].copy()
        squared = 0.0
        while True:
            # The last direction alone has a share, but for rounding, which would grow.
            shares = self._sum(self._rows[: self._count], residual)
            residual, squared = residual - shares @ self._images[: self._count], squared + shares @ shares
            found = self._precondition(self._padded(residual))
            # The square of the error in the norm of the Hessian: no more than this, for the prior is a part of it.
            if of.dot(self._padded(residual), found) <= left**2 * max(squared, least**2):
                return
            if self._count == MOST_DIRECTIONS or not self._add(found[of.own]):
                self._unsolved += 1
                return

    def subspace(self) -> Subspace:
        """Return the span, in coordinates in which Hessian and prior are both diagonal. Collective."""
        of, rows = self.unknowns, self._rows[: self._count]
        precision = [of.of_field_priors(self._padded(row))[of.own] / of.variance for row in rows]
        gram = total(of.pixels.comm, rows @ np.reshape(precision, rows.shape).T)
        values, vectors = eigh(0.5 * (gram + gram.T)) if len(rows) else (np.zeros(0), np.zeros((0, 0)))
        return Subspace(of, (vectors / np.sqrt(values)).T @ rows, 1 / values, self._unsolved)

    def _add(self, direction: np.ndarray) -> bool:
        """Make a direction conjugate to the others and keep it; gives False where the cost does not curve up in it."""
        for _ in range(2):  # twice is enough
            direction = direction - self._sum(self._images[: self._count], direction) @ self._rows[: self._count]
        image = self._action(self._padded(direction))[self.unknowns.own]
        curvature = self._sum(image[None], direction)[0]
        if not curvature > 0:
            return False
        if self._count == len(self._rows):
            self._rows, self._images = (np.concatenate([one, one]) for one in (self._rows, self._images))
        self._rows[self._count], self._images[self._count] = direction / np.sqrt(curvature), image / np.sqrt(curvature)
        self._count += 1
        return True

    def _sum(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        return total(self.unknowns.pixels.comm, rows @ values)

    def _padded(self, fields: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(self.unknowns.laws.stop), fields])
