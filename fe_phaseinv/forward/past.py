"""What a step needs of the steps before it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.forward.bdf import interpolation_weights
from fe_phaseinv.forward.given import Given


@dataclass(eq=False)
class Past:
    """The steps taken so far and, newest first, as many of the last states as formulas need.

    Parameters
    ----------
    times : list of float
        Ends of all steps since the start, which comes first.
    orders : list of int
        Orders of all steps.
    states : list of numpy.ndarray, shape (size,)
        The last states, newest first.
    given : Given
        What else the run is given.
    derivatives : list of numpy.ndarray, shape (carried * nodes + border, columns)
        Derivatives by the unknowns of the last states, newest first, as `StateLayout.carry` gives them; empty where
        they are not carried.
    means : numpy.ndarray, shape (others,)
        Derivatives of the mean of the first field at the start by the unknowns that are no coefficients.
    """

    times: list[float]
    orders: list[int]
    states: list[np.ndarray]
    given: Given
    derivatives: list[np.ndarray] = field(default_factory=list)
    means: np.ndarray = field(default_factory=lambda: np.zeros(0))

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
        state : numpy.ndarray, shape (size,)
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
