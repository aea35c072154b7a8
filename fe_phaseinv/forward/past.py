"""What a step needs of the steps before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.forward.bdf import interpolation_weights


@dataclass(eq=False)
class Past:
    """The steps taken so far and, newest first, as many of the last states as formulas need.

    Parameters
    ----------
    times : list of float
        Ends of all steps, the start first.
    orders : list of int
        Orders of all steps.
    states : list of numpy.ndarray, shape (nodes, fields)
        The last states, newest first.
    boundary_data : callable, optional
        By time, the field whose values and normal gradient hold on the boundary, a local array.
    derivatives : list of numpy.ndarray, shape (nodes, columns)
        Derivatives of c by the unknowns in the last states, newest first; empty where they are not carried.
    """

    times: list[float]
    orders: list[int]
    states: list[np.ndarray]
    boundary_data: Callable[[float], np.ndarray] | None = None
    derivatives: list[np.ndarray] = field(default_factory=list)

    def nodes(self, new: float, count: int) -> np.ndarray:
        """Return the times of a formula, newest first.

        Parameters
        ----------
        new : float
            End of the step.
        count : int
            Largest number of times before it.
        """
        return np.array([new, *self.times[-1 : -count - 1 : -1]])

    def extrapolated(self, arrays: list[np.ndarray], new: float, count: int) -> np.ndarray:
        """Return what polynomials through the last values of something are at a later time.

        Parameters
        ----------
        arrays : list of numpy.ndarray
            Values, newest first.
        new : float
            The later time.
        count : int
            Largest number of values to use.
        """
        return combine(interpolation_weights(self.nodes(new, count)[1:], new), arrays)

    def append(self, time: float, order: int, state: np.ndarray, *, keep: int) -> None:
        """Add a step.

        Parameters
        ----------
        time : float
            Its end.
        order : int
            Its order.
        state : numpy.ndarray, shape (nodes, fields)
            The state there.
        keep : int
            Number of states to keep.
        """
        self.times.append(time)
        self.orders.append(order)
        self.states.insert(0, state)
        del self.states[keep:]


def combine(weights: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    """Return the sum of the first arrays, one for each weight.

    Parameters
    ----------
    weights : numpy.ndarray, shape (n,)
        Their weights.
    arrays : list of numpy.ndarray
        At least n of them.
    """
    return sum(weight * array for weight, array in zip(weights, arrays[: len(weights)], strict=True))
