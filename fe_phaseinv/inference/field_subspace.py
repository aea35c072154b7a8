"""The part of the unknown fields of a series of which the images tell: few directions, made by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from fe_phaseinv.core.parallel import total
from fe_phaseinv.inference.field_derivatives import TOGETHER
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.optimisation.bordered import Border

MOST_DIRECTIONS = 400
"""Of a subspace."""
DEPENDENT, TINY = 1e-8, 1e-300
"""Share of the largest curvature below which one of several directions depends on the others; and what stands for
zero."""


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
    """Conjugate gradients for several derivatives together, which go on with the directions before.

    They are preconditioned by the priors, or by the Hessian at a point nearby. All directions stay conjugate, which is
    the same but for rounding, and what they tell is not asked for again.

    Parameters
    ----------
    unknowns : FieldUnknowns
    actions : callable
        The Gauss-Newton Hessian of the series times several changes of its unknowns.
    near : Subspace, optional
        That of a point nearby.
    """

    def __init__(
        self,
        unknowns: FieldUnknowns,
        actions: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
        near: Subspace | None = None,
    ):
        self._precondition = unknowns.covariance if near is None else near.inverse
        self.unknowns, self._actions, self._unsolved = unknowns, actions, 0
        self._rows, self._images = (np.empty((0, unknowns.size - unknowns.laws.stop)) for _ in range(2))

    def solve(self, derivatives: Sequence[np.ndarray], left: float, least: float) -> None:
        """Add the directions that derivatives need. Collective.

        Parameters
        ----------
        derivatives : sequence of numpy.ndarray, shape (size,)
            By all unknowns of the series, of which those of the laws do not count.
        left : float
            Share of the change of the fields that may be left, in the norm of the Hessian.
        least : float
            Norm of a change that may be left in whole, over this share.
        """
        of, open_ones = self.unknowns, [(derivative[self.unknowns.own], 0.0) for derivative in derivatives]
        while open_ones:
            found, following = [], []
            for residual, squared in open_ones:
                # The last directions alone have a share, but for rounding, which would grow.
                shares = self._sum(self._rows, residual)
                residual, squared = residual - shares @ self._images, squared + shares @ shares
                change = self._precondition(self._padded(residual))
                # The square of the error in the norm of the Hessian: no more than this, for the prior is a part of it.
                error = of.dot(self._padded(residual), change)
                if error > left**2 * max(squared, least**2):
                    following.append((residual, squared))
                    found.append((error / max(squared, least**2), change[of.own]))
            open_ones = following
            worst = sorted(found, key=lambda pair: -pair[0])[:TOGETHER]
            if open_ones and not self._add(np.array([direction for _, direction in worst])):
                self._unsolved += len(open_ones)
                return

    def subspace(self) -> Subspace:
        """Return the span, in coordinates in which Hessian and prior are both diagonal. Collective."""
        of, rows = self.unknowns, self._rows
        precision = [of.of_field_priors(self._padded(row))[of.own] / of.variance for row in rows]
        gram = total(of.pixels.comm, rows @ np.reshape(precision, rows.shape).T)
        values, vectors = eigh(0.5 * (gram + gram.T)) if len(rows) else (np.zeros(0), np.zeros((0, 0)))
        return Subspace(of, (vectors / np.sqrt(values)).T @ rows, 1 / values, self._unsolved)

    def _add(self, directions: np.ndarray) -> bool:
        """Make directions conjugate and keep them; gives False where there are too many, or none is a new one."""
        if len(self._rows) + len(directions) > MOST_DIRECTIONS:
            return False
        for _ in range(2):  # twice is enough
            directions = directions - self._sum(self._images, directions.T).T @ self._rows
        lengths = np.sqrt(total(self.unknowns.pixels.comm, np.sum(directions**2, axis=1)))
        directions = directions / np.maximum(lengths, TINY)[:, None]
        images = np.array(self._actions([self._padded(each) for each in directions]))[:, self.unknowns.own]
        curvatures, shares = eigh(self._sum(images, directions.T))
        new = curvatures > DEPENDENT * max(curvatures.max(initial=0.0), TINY)
        into = (shares[:, new] / np.sqrt(curvatures[new])).T
        self._rows = np.concatenate([self._rows, into @ directions])
        self._images = np.concatenate([self._images, into @ images])
        return bool(new.any())

    def _sum(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        return total(self.unknowns.pixels.comm, rows @ values)

    def _padded(self, fields: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(self.unknowns.laws.stop), fields])
