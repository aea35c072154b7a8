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
    """A Gaussian prior on the coefficients of all laws, times powers of slopes that have to be positive.

    Its share in the cost is (m - mean)^T precision (m - mean) / 2 - sum_j weight_j log(slope_j) + tilt^T m, with the
    slopes known + rows m.

    Parameters
    ----------
    mean : numpy.ndarray, shape (n,)
        Mean of the coefficients.
    precision : numpy.ndarray, shape (n, n)
        Inverse of their covariance, times the variance of a pixel: the cost is in units of the squared misfit.
    rows : numpy.ndarray, shape (k, n)
        Derivatives of the slopes by the coefficients.
    known : numpy.ndarray, shape (k,)
        Slopes of the known parts of the laws.
    weights : numpy.ndarray, shape (k,)
        Powers of the slopes in the density, times the variance of a pixel.
    scales : float or numpy.ndarray, shape (n,)
        Typical sizes of the coefficients, by which their precision is measured.
    tilt : float or numpy.ndarray, shape (n,)
        What else the density of the coefficients loses with each, to first order.
    """

    mean: np.ndarray
    precision: np.ndarray
    rows: np.ndarray
    known: np.ndarray
    weights: np.ndarray
    scales: float | np.ndarray = 1.0
    tilt: float | np.ndarray = 0.0

    @classmethod
    def smooth(
        cls,
        relations: Sequence[Relation],
        mean: np.ndarray,
        regularisation: Sequence[float],
        scales: float | np.ndarray = 1.0,
    ) -> Prior:
        """Return the prior that penalises the integrated squared second derivative of every law before its transform.

        Parameters
        ----------
        relations : sequence of Relation
            The laws, in the order of the coefficients.
        mean : numpy.ndarray, shape (n,)
            Constants and slopes are drawn to those of these coefficients, weakly; curvatures are drawn to zero.
        regularisation : sequence of float
            Weight for each law, in units of the squared misfit: the variance of a pixel where the curvatures of the
            law are of order one.
        scales : float or numpy.ndarray, shape (n,)
            Typical sizes of the coefficients: curvatures of order one are those of a law measured by it.

        Returns
        -------
        Prior
        """
        units = [relation.basis.roughness() + RIDGE * np.eye(relation.basis.size) for relation in relations]
        precision = block_diag(*(s * unit for s, unit in zip(regularisation, units, strict=True)))
        drawn_to = np.linalg.solve(block_diag(*units), RIDGE * np.asarray(mean))
        rows, known = zip(*(relation.rising for relation in relations), strict=True)
        weights = [np.full(len(part), s) for part, s in zip(known, regularisation, strict=True)]
        sizes = np.broadcast_to(scales, len(precision))
        precision /= np.multiply.outer(sizes, sizes)
        return cls(drawn_to, precision, block_diag(*rows), np.concatenate(known), np.concatenate(weights), sizes)

    def admits(self, m: np.ndarray) -> bool:
        """Say whether all slopes that have to be positive are.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.

        Returns
        -------
        bool
        """
        return bool(np.all(self._slopes(m) > 0))

    def value(self, m: np.ndarray) -> float:
        """Return the share of the prior in the cost.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.

        Returns
        -------
        float
            In units of the squared misfit; NaN or infinite where `admits` says no.
        """
        d = m - self.mean
        tilted = float(np.sum(self.tilt * m))
        return 0.5 * float(d @ self.precision @ d) - float(self.weights @ np.log(self._slopes(m))) + tilted

    def gradient(self, m: np.ndarray) -> np.ndarray:
        """Return the derivative of `value`.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.

        Returns
        -------
        numpy.ndarray, shape (n,)
        """
        return self.precision @ (m - self.mean) - self.rows.T @ (self.weights / self._slopes(m)) + self.tilt

    def hessian(self, m: np.ndarray) -> np.ndarray:
        """Return the second derivative of `value`.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.

        Returns
        -------
        numpy.ndarray, shape (n, n)
        """
        return self.precision + (self.rows.T * (self.weights / self._slopes(m) ** 2)) @ self.rows

    def _slopes(self, m: np.ndarray) -> np.ndarray:
        return self.known + self.rows @ m
