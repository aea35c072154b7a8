"""Backward differentiation formulas of variable order on variable steps: weights, error estimates, step control.

Pure functions of node times. Order 1 and 2 are L-stable, 3 to 5 L(alpha)-stable (Hairer and Wanner, Solving
Ordinary Differential Equations II, section V.1), which is as good here: a gradient flow has real eigenvalues.
Nodes are given newest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MAX_GROWTH = {1: 4.0, 2: 2.0, 3: 1.5, 4: 1.3, 5: 1.2}
"""Largest ratio of two successive steps for each order (the zero-stability limits are 2.41, 1.53, ... for ever
growing steps; the controller lets a step grow only after a run of equal ones)."""
MAX_ORDER = max(MAX_GROWTH)
SAFETY = {-1: 0.72, 0: 0.8, 1: 0.66}
"""Safety factors for lowering, keeping and raising the order."""


@dataclass(frozen=True)
class TimeGrid:
    """The steps of one trajectory: what adaptivity chooses and differentiation holds fixed.

    Parameters
    ----------
    times : tuple of float, length n+1
        Ends of the steps since the start, which comes first; they increase.
    orders : tuple of int, length n
        Order of the formula of each step, from 1 to 5; that of step i is at most i, as no more states are known.

    Raises
    ------
    ValueError
        Where times or orders are others than these.
    """

    times: tuple[float, ...]
    orders: tuple[int, ...]

    def __post_init__(self):
        """Refuse what is no sequence of steps."""
        checked_times(self.times)
        if len(self.orders) != len(self.times) - 1:
            raise ValueError(f"orders: found {len(self.orders)} of them for {len(self.times) - 1} steps")
        for step, order in enumerate(self.orders, 1):
            if not 1 <= order <= min(step, MAX_ORDER):
                raise ValueError(f"orders: found {order} for step {step}; accepted: 1 to {min(step, MAX_ORDER)}")

    def refined(self, parts: int) -> TimeGrid:
        """Return a grid with several steps for each, of the largest order as soon as enough states are known.

        Parameters
        ----------
        parts : int
            How many.
        """
        ends = np.linspace(self.times[:-1], self.times[1:], parts, endpoint=False).T.ravel()
        orders = np.minimum(np.arange(1, len(ends) + 1), max(self.orders))
        return TimeGrid((*ends.tolist(), self.times[-1]), tuple(orders.tolist()))

    def require(self, times: Sequence[float], max_order: int) -> None:
        """Refuse a grid on which a run cannot give the states at some times.

        Parameters
        ----------
        times : sequence of float
            Start of the run, then the frame times.
        max_order : int
            Largest order of the formulas of the run, which keeps the states that these need.

        Raises
        ------
        ValueError
            Where the grid begins at another time, does not have all these times among its own, or has larger orders.
        """
        times = since_start(times)
        if self.times[0] != times[0]:
            raise ValueError(f"grid: found one that begins at {self.times[0]:g}; accepted: one from {times[0]:g} on")
        missed = sorted(set(times) - set(self.times))
        if missed:
            raise ValueError(f"grid: found no step that ends at {missed[0]:g}; accepted: a grid with all frame times")
        if max(self.orders) > max_order:
            raise ValueError(f"grid: found order {max(self.orders)}; accepted: up to max_order, which is {max_order}")


def checked_times(times: Sequence[float]) -> tuple[float, ...]:
    """Return times as floats where they are those of a run.

    Parameters
    ----------
    times : sequence of float
        Start and ends of steps, or of what is between frames.

    Returns
    -------
    tuple of float

    Raises
    ------
    ValueError
        Where there are fewer than two, or they are not finite, or do not increase.
    """
    values = tuple(float(time) for time in times)
    if len(values) < 2:
        raise ValueError(f"times: found {len(values)}; accepted: at least two, the start and a later one")
    if not np.isfinite(values).all():
        raise ValueError(f"times: found {values[int(np.argmin(np.isfinite(values)))]}; accepted: finite numbers")
    for before, after in pairwise(values):
        if after <= before:
            raise ValueError(f"times: found {after:g} after {before:g}; accepted: times that increase")
    return values


def since_start(times: Sequence[float]) -> tuple[float, ...]:
    """Return times counted from the first of them.

    Parameters
    ----------
    times : sequence of float
        The start, then later times.
    """
    return tuple(float(time) - float(times[0]) for time in times)


def interpolation_weights(nodes: np.ndarray, t: float) -> np.ndarray:
    """Return the weights w of Lagrange's interpolation: p(t) = sum w_j u(nodes[j]).

    Parameters
    ----------
    nodes : numpy.ndarray, shape (n,)
        Times of the known values.
    t : float
        Time of the value wanted.

    Returns
    -------
    numpy.ndarray, shape (n,)
    """
    return np.array([np.prod([(t - s) / (r - s) for s in np.delete(nodes, i)]) for i, r in enumerate(nodes)])


def derivative_weights(nodes: np.ndarray) -> np.ndarray:
    """Return the weights w of a formula: p'(nodes[0]) = sum w_j u(nodes[j]), p the interpolating polynomial.

    Parameters
    ----------
    nodes : numpy.ndarray, shape (order + 1,)
        Times, newest first.

    Returns
    -------
    numpy.ndarray, shape (order + 1,)
        In units of 1/time.
    """
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
        Times, newest first.
    order : int
        Order of the formula.

    Returns
    -------
    numpy.ndarray, shape (order + 2,)
    """
    nodes = nodes[: order + 2]
    divided = np.array([1 / np.prod(r - np.delete(nodes, i)) for i, r in enumerate(nodes)])
    gaps = nodes[0] - nodes[1 : order + 1]
    return divided * np.prod(gaps) / np.sum(1 / gaps)


def next_step(step: float, order: int, errors: dict[int, float], run: int, max_order: int) -> tuple[float, int]:
    """Return the step and the order to try after an accepted step.

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
        Largest order that may be chosen.

    Returns
    -------
    step : float
    order : int
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
    """Return the step to try again with after one whose error was over the tolerance.

    Parameters
    ----------
    step : float
        The step that was tried.
    order : int
        Its order.
    error : float
        Its estimated local error, in units of the tolerance.
    """
    return step * max(0.2, min(0.8, SAFETY[0] * error ** (-1 / (order + 1))))


def landing_step(remaining: float, wanted: float) -> float:
    """Return the step near the wanted one of which a whole number reaches the target.

    Parameters
    ----------
    remaining : float
        Time to the target.
    wanted : float
        Step that the error estimate allows.
    """
    return remaining / np.ceil(remaining / wanted * (1 - 1e-9))
