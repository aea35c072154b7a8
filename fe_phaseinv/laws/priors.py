"""Priors on the coefficients of the laws: smooth ones, and slopes that are positive at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from fe_phaseinv.laws.relations import Relation

RIDGE = 1e-6
"""Precision, relative to that of a unit curvature, of what roughness leaves free (constants and slopes)."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Gaussian prior, and slopes at points of which the density is proportional to a power, so that they are positive.

    Its share in the cost is (m - mean)^T precision (m - mean) / 2 - sum of weight_j log(slope_j), where the slopes are
    those of the known parts plus rows m.

    Parameters
    ----------
    mean : numpy.ndarray, shape (n,)
    precision : numpy.ndarray, shape (n, n)
        In units of the squared misfit: times the variance of a pixel.
    rows : numpy.ndarray, shape (k, n)
    known, weights : numpy.ndarray, shape (k,)
    """

    mean: np.ndarray
    precision: np.ndarray
    rows: np.ndarray
    known: np.ndarray
    weights: np.ndarray

    @classmethod
    def smooth(cls, relations: Sequence[Relation], mean: np.ndarray, regularisation: Sequence[float]) -> Prior:
        """Penalise the integrated squared second derivative of every law (before its transform).

        Parameters
        ----------
        relations : sequence of Relation
            In the order of the coefficients.
        mean : numpy.ndarray, shape (n,)
            Only constants and slopes are drawn to it, and those hardly; curvatures are drawn to zero.
        regularisation : sequence of float
            One for each law, in units of the squared misfit: the variance of a pixel where its curvatures are of order
            one.
        """
        units = [relation.basis.roughness() + RIDGE * np.eye(relation.basis.size) for relation in relations]
        precision = block_diag(*(s * unit for s, unit in zip(regularisation, units, strict=True)))
        drawn_to = np.linalg.solve(block_diag(*units), RIDGE * np.asarray(mean))
        ends = [relation.rising_at for relation in relations]
        rows = block_diag(*(r.basis.slopes(z).T for r, z in zip(relations, ends, strict=True)))
        known = [r.slope(np.zeros(r.basis.size), z) for r, z in zip(relations, ends, strict=True)]
        weights = [np.full(len(z), s) for z, s in zip(ends, regularisation, strict=True)]
        return cls(drawn_to, precision, rows, np.concatenate(known), np.concatenate(weights))

    def admits(self, m: np.ndarray) -> bool:
        """Whether all slopes that must be positive are."""
        return bool(np.all(self._slopes(m) > 0))

    def value(self, m: np.ndarray) -> float:
        """Share of the prior in the cost."""
        d = m - self.mean
        return 0.5 * float(d @ self.precision @ d) - float(self.weights @ np.log(self._slopes(m)))

    def gradient(self, m: np.ndarray) -> np.ndarray:
        """Return the derivative of `value`, shape (n,)."""
        return self.precision @ (m - self.mean) - self.rows.T @ (self.weights / self._slopes(m))

    def hessian(self, m: np.ndarray) -> np.ndarray:
        """Second derivative of `value`, shape (n, n)."""
        return self.precision + (self.rows.T * (self.weights / self._slopes(m) ** 2)) @ self.rows

    def _slopes(self, m: np.ndarray) -> np.ndarray:
        return self.known + self.rows @ m
