"""How differences between predicted and given pixels count: squared, or less where they are many deviations large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Loss = Literal["squares", "huber", "student"]
HUBER = 1.345
"""Deviations beyond which differences count linearly: 95 % as efficient as squares where noise is Gaussian (Holland and
Welsch, Commun. Stat. Theory Methods 6, 813 (1977))."""
STUDENT = 4.0
"""Degrees of freedom: Lange, Little and Taylor, J. Am. Stat. Assoc. 84, 881 (1989)."""

Rho = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From squared standardised differences z to rho(z) and its first two derivatives, as scipy.optimize.least_squares."""


def _squares(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return z, np.ones_like(z), np.zeros_like(z)


def _huber(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inside, root = z <= HUBER**2, np.sqrt(np.maximum(z, HUBER**2))
    value = np.where(inside, z, HUBER * (2 * root - HUBER))
    return value, np.where(inside, 1.0, HUBER / root), np.where(inside, 0.0, -0.5 * HUBER / root**3)


def _student(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    slope = (STUDENT + 1) / (STUDENT + z)
    return (STUDENT + 1) * np.log1p(z / STUDENT), slope, -slope / (STUDENT + z)


LOSSES: dict[Loss, Rho] = {"squares": _squares, "huber": _huber, "student": _student}


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of local pixels from a frame, as the cost counts them; all are zero where there is no data.

    The curvature that is never negative takes the weights of iterated least squares, rho' alone, so that its quadratic
    model lies above the loss (Holland and Welsch, as above).

    Parameters
    ----------
    used : numpy.ndarray of bool, shape (rows,)
        Which pixels have data.
    residual : numpy.ndarray, shape (rows,)
        Predictions less images.
    value : float
        Their share of the cost: half the sum of their squares where the loss is that.
    force : numpy.ndarray, shape (rows,)
        Its derivative by the predictions.
    weight, curvature : numpy.ndarray, shape (rows,)
        Gauss-Newton part of its second derivative, and the whole.
    """

    used: np.ndarray
    residual: np.ndarray
    value: float
    force: np.ndarray
    weight: np.ndarray
    curvature: np.ndarray

    @classmethod
    def of(
        cls, predicted: np.ndarray, image: np.ndarray, precision: np.ndarray, loss: Loss, noise: float
    ) -> Differences:
        """Compare predictions with an image.

        Parameters
        ----------
        predicted, image : numpy.ndarray, shape (rows,)
            Pixels; where the image is NaN there is no data.
        precision : numpy.ndarray, shape (rows,)
            Of each pixel, in units of 1/noise^2.
        loss : str
        noise : float
            Standard deviation of a pixel of precision one; only squares do without.
        """
        used = np.isfinite(image)
        residual = np.where(used, predicted - image, 0.0)
        precision, unit = np.where(used, precision, 0.0), 1.0 if loss == "squares" else noise**2
        z = precision * residual**2 / unit
        rho, slope, bend = LOSSES[loss](z)
        weight = precision * slope
        return cls(
            used=used,
            residual=residual,
            value=0.5 * unit * float(np.sum(rho)),
            force=weight * residual,
            weight=weight,
            curvature=weight + 2 * precision * z * bend,
        )
