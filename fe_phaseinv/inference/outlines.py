"""How far the boundaries of domains were moved, and how well images tell where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import pinvh

from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress


@dataclass(frozen=True)
class Moved:
    """Where a boundary was found, in pixels beyond where the mesh had it.

    Parameters
    ----------
    mean : float
        On average along the boundary.
    deviation : float or None
        Standard deviation of the mean; None where the result has no posterior.
    furthest : float
        Largest distance of a vertex from where it was.
    """

    mean: float
    deviation: float | None
    furthest: float

    def sentence(self) -> str:
        """Return the same in words."""
        known = "" if self.deviation is None else f" +- {2 * self.deviation:.2g} (95 %)"
        where = f"{abs(self.mean):.2g}{known} pixels {'outside' if self.mean >= 0 else 'inside'}"
        return (
            f"The outline lies {where} of where the mask has it on average, and up to {self.furthest:.2g} pixels away."
        )


def moved(problem: Problem, progress: Progress, deviation: float | None) -> list[Moved | None]:
    """Return where the boundaries of the series of this rank's group were found; None of those that were known.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    deviation : float or None
        Standard deviation of a pixel, as the posterior has it; None where there is none.
    """
    point = progress.state.point
    if progress.stage in problem.preparations or not any(series.moving for series in problem.series):
        return [None] * len(problem.series)
    covariance = None if deviation is None else deviation**2 * pinvh(point.hessian)
    ends = [point.ends[index + 1] for index in problem.ensemble.own]
    return [_moved(*pair, point.x, covariance) for pair in zip(problem.series, ends, strict=True)]


def _moved(series, end: int, x: np.ndarray, covariance: np.ndarray | None) -> Moved | None:
    if series.moving is None:
        return None
    displacement = series.moving.mesh.displacement
    own = slice(end - len(displacement), end)
    shares, weights = displacement.deviations * x[own], displacement.deviations * displacement.means
    moves = displacement.modes @ shares / displacement.pixel
    return Moved(
        mean=float(displacement.means @ shares),
        deviation=None if covariance is None else float(np.sqrt(weights @ covariance[own, own] @ weights)),
        furthest=float(np.hypot(*moves.T).max()),
    )
