"""Backward differentiation formulas of variable order on variable steps: weights, error estimates, step control.

Pure functions of node times. Order 1 and 2 are L-stable, 3 to 5 L(alpha)-stable (Hairer and Wanner, Solving
Ordinary Differential Equations II, section V.1), which is as good here: a gradient flow has real eigenvalues.
Nodes are given newest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_GROWTH = {1: 4.0, 2: 2.0, 3: 1.5, 4: 1.3, 5: 1.2}
"""Largest ratio of two successive steps for each order (the zero-stability limits are 2.41, 1.53, ... for ever
growing steps; the controller lets a step grow only after a run of equal ones)."""
SAFETY = {-1: 0.72, 0: 0.8, 1: 0.66}
"""Safety factors for lowering, keeping and raising the order."""


@dataclass(frozen=True)
class TimeGrid:
    """The steps of one trajectory: what adaptivity chooses and differentiation holds fixed.

    Parameters
    ----------
    times : tuple of float, length n+1
        Ends of the steps, the start first.
    orders : tuple of int, length n
        Order of the formula of each step.
    """

    times: tuple[float, ...]
    orders: tuple[int, ...]


def interpolation_weights(nodes: np.ndarray, t: float) -> np.ndarray:
    """Lagrange weights w with p(t) = sum w_j u(nodes[j])."""
    return np.array([np.prod([(t - s) / (r - s) for s in np.delete(nodes, i)]) for i, r in enumerate(nodes)])


def derivative_weights(nodes: np.ndarray) -> np.ndarray:
    """Weights w with p'(nodes[0]) = sum w_j u(nodes[j]), p the interpolating polynomial."""
    head, past = nodes[0], nodes[1:]
    weights = np.empty(len(nodes))
    weights[0] = np.sum(1 / (head - past))
    for i, r in enumerate(past):
        others = np.delete(past, i)
        weights[i + 1] = np.prod((head - others) / (r - others)) / (r - head)
    return weights


def error_weights(nodes: np.ndarray, order: int) -> np.ndarray:
    """Weights whose combination of states estimates the local error of a step of this order.

    The residual of the formula on the exact solution is u[t_n, ..., t_{n-order-1}] prod_{j<=order} (t_n - t_{n-j});
    divided by the leading weight it is the error in the new state.

    Parameters
    ----------
    nodes : numpy.ndarray, shape (>= order + 2,)
    order : int
    """
    nodes = nodes[: order + 2]
    divided = np.array([1 / np.prod(r - np.delete(nodes, i)) for i, r in enumerate(nodes)])
    gaps = nodes[0] - nodes[1 : order + 1]
    return divided * np.prod(gaps) / np.sum(1 / gaps)


def next_step(step: float, order: int, errors: dict[int, float], run: int, max_order: int) -> tuple[float, int]:
    """Step and order to try after an accepted step.

    Parameters
    ----------
    step : float
        The step just taken.
    order : int
        Its order.
    errors : dict
        Estimated local errors by order, in units of the tolerance (orders order-1, order, order+1 as known).
    run : int
        Number of equal steps of this order so far.
    max_order : int
    """
    if run < order:
        factor = SAFETY[0] * max(errors[order], 1e-10) ** (-1 / (order + 1))
        return (step if factor >= 1 else max(0.5, factor) * step), order
    factors = {q: SAFETY[q - order] * max(e, 1e-10) ** (-1 / (q + 1)) for q, e in errors.items() if 1 <= q <= max_order}
    best = max(factors, key=factors.get)
    factor = factors[best]
    if 0.9 <= factor < 1.2:
        return step, best
    return step * min(max(factor, 0.5), MAX_GROWTH[best]), best


def retry_step(step: float, order: int, error: float) -> float:
    """Step to try again with after one whose error was over the tolerance."""
    return step * max(0.2, min(0.8, SAFETY[0] * error ** (-1 / (order + 1))))


def landing_step(remaining: float, wanted: float) -> float:
    """Step near the wanted one of which a whole number reaches the target."""
    return remaining / np.ceil(remaining / wanted * (1 - 1e-9))
