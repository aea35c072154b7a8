"""The exact subproblem of a trust region, for tens of unknowns.

Nocedal and Wright, Numerical Optimization (2006), algorithm 4.3.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq

from fe_phaseinv.optimisation.points import Point, State, Trial

ROUNDING = 1e-12
"""Share of the largest eigenvalue that rounding may make of zero."""


def solve_subproblem(gradient: np.ndarray, hessian: np.ndarray, radius: float) -> np.ndarray:
    """Find the global minimiser of g.s + s.H.s/2 for ``|s| <= radius``.

    Parameters
    ----------
    gradient : numpy.ndarray, shape (n,)
        g.
    hessian : numpy.ndarray, shape (n, n)
        H, symmetric.
    radius : float

    Returns
    -------
    numpy.ndarray, shape (n,)
        The step s.

    Notes
    -----
    Nocedal and Wright, theorem 4.1, hard case included.
    """
    values, vectors = eigh(hessian)
    g = vectors.T @ gradient
    floor = 1e-14 * max(abs(values[0]), abs(values[-1]), 1e-300)
    if values[0] > floor and np.linalg.norm(g / values) <= radius:
        return -vectors @ (g / values)
    # The unknown is the distance of the shift from the lowest eigenvalue, which keeps its digits in the hard case.
    gaps, low = values - values[0], max(0.0, values[0]) + floor

    def excess(distance: float) -> float:
        return np.linalg.norm(g / (gaps + distance)) - radius

    if not excess(low) > 0:
        step = -vectors @ (g / (gaps + low))
        if _semidefinite(values):  # along what costs nothing there is nothing to be had
            return step
        along = vectors[:, 0]
        b = step @ along
        return step + (-b + np.sqrt(b**2 + radius**2 - step @ step)) * along
    high = low + 2 * np.linalg.norm(g) / radius
    return -vectors @ (g / (gaps + brentq(excess, low, high, xtol=1e-300, rtol=1e-12)))


def promise(gradient: np.ndarray, hessian: np.ndarray) -> float:
    """Return the decrease of the model g.s + s.H.s/2 that no region bounds.

    Parameters
    ----------
    gradient : numpy.ndarray, shape (n,)
        g.
    hessian : numpy.ndarray, shape (n, n)
        H, symmetric; the decrease is infinite where it has a negative eigenvalue.
    """
    values, vectors = eigh(hessian)
    if not _semidefinite(values):
        return np.inf
    seen = values > ROUNDING * values[-1]
    return float(0.5 * np.sum((vectors.T @ gradient)[seen] ** 2 / values[seen]))


def _semidefinite(values: np.ndarray) -> bool:
    """Whether eigenvalues, increasing, are those of a matrix without negative ones but for rounding."""
    return bool(values[0] >= -ROUNDING * abs(values[-1]))


class Exact:
    """The whole problem, for points that have a dense `gradient` and `hessian`, in the Euclidean norm."""

    def solve(self, point: Point, state: State) -> Trial:
        """Return the global minimiser in the region.

        Parameters
        ----------
        point : Point
            With `gradient` and `hessian`.
        state : State
            With the radius of the region.
        """
        gradient, hessian = point.gradient, point.hessian
        step = solve_subproblem(gradient, hessian, state.radius)
        length, norm = float(np.linalg.norm(step)), float(np.linalg.norm(gradient))
        slope, curvature = float(gradient @ step), float(step @ hessian @ step)
        return Trial(step, slope, curvature, length, norm, promise(gradient, hessian))


EXACT = Exact()
