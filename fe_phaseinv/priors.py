"""Gaussian priors on the coefficients of the laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from fe_phaseinv.relations import Relation

RIDGE = 1e-6
"""Precision, relative to that of a unit curvature, of what roughness leaves free (constants and slopes)."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Gaussian prior: half of strength times (m - mean)^T precision (m - mean) is added to the cost.

    Parameters
    ----------
    mean : numpy.ndarray, shape (n,)
    precision : numpy.ndarray, shape (n, n)
    strength : float
        In units of the squared misfit: the variance of a pixel where the curvatures are of order one.
    """

    mean: np.ndarray
    precision: np.ndarray
    strength: float

    @classmethod
    def smooth(cls, relations: Sequence[Relation], mean: np.ndarray, strength: float) -> Prior:
        """Penalise the integrated squared second derivative of every law (before its transform).

        Parameters
        ----------
        relations : sequence of Relation
            In the order of the coefficients.
        mean : numpy.ndarray, shape (n,)
            Only constants and slopes are drawn to it, and those hardly; curvatures are drawn to zero.
        strength : float
        """
        roughness = block_diag(*(relation.basis.roughness() for relation in relations))
        precision = roughness + RIDGE * np.eye(len(roughness))
        return cls(np.linalg.solve(precision, RIDGE * np.asarray(mean)), precision, strength)

    def value(self, m: np.ndarray) -> float:
        """Share of the prior in the cost."""
        d = m - self.mean
        return 0.5 * self.strength * float(d @ self.precision @ d)

    def gradient(self, m: np.ndarray) -> np.ndarray:
        """Return the derivative of `value`, shape (n,)."""
        return self.strength * (self.precision @ (m - self.mean))

    @property
    def hessian(self) -> np.ndarray:
        """Second derivative of `value`, shape (n, n)."""
        return self.strength * self.precision
