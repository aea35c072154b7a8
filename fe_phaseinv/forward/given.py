"""What is given as a function of time, linear in its values at some times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

from fe_phaseinv.forward.bdf import checked_times


class InTime:
    """Base of arrays that are interpolated in time by a cubic spline."""

    times: tuple[float, ...]

    def weights(self, time: float) -> np.ndarray:
        """Return the weights of the given arrays at a time, shape (k,).

        Parameters
        ----------
        time : float
            Time between the first one and the last one.
        """
        return self._spline(time)

    def _require(self, name: str, arrays: np.ndarray, items: str) -> None:
        """Refuse times that do not increase, and another number of arrays."""
        checked_times(self.times)
        if np.ndim(arrays) != 2 or len(arrays) != len(self.times):
            raise ValueError(f"{name}: found shape {np.shape(arrays)}; accepted: ({len(self.times)}, {items})")

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.times, np.eye(len(self.times)))


@dataclass(frozen=True, eq=False)
class BoundaryData(InTime):
    """Fields whose values and normal gradients hold on the boundary, interpolated in time by a cubic spline.

    Parameters
    ----------
    times : tuple of float, length k
        At least two, increasing.
    fields : numpy.ndarray, shape (k, nodes)
        Local nodal values at these times, in the elements of a degree more than those of c.
    tags : tuple of int, optional
        Tags of the parts of the boundary where this holds; the whole of it where not given. Nothing passes the other
        parts.

    Raises
    ------
    ValueError
        Where the times do not increase, or there are not as many fields.
    """

    times: tuple[float, ...]
    fields: np.ndarray
    tags: tuple[int, ...] | None = None

    def __post_init__(self):
        """Refuse times that do not increase, and another number of fields."""
        self._require("fields", self.fields, "nodes")

    def __call__(self, time: float) -> np.ndarray:
        """Return the field at a time, a local array."""
        return self.weights(time) @ self.fields


@dataclass(frozen=True, eq=False)
class DataInTime(InTime):
    """Numbers that a model is given in time, such as a prescribed mean, interpolated by a cubic spline.

    Parameters
    ----------
    times : tuple of float, length k
        At least two, increasing.
    values : numpy.ndarray, shape (k, names)
        At these times, in the order of the model's `data`; the same on all ranks.

    Raises
    ------
    ValueError
        Where the times do not increase, or there are not as many values.
    """

    times: tuple[float, ...]
    values: np.ndarray

    def __post_init__(self):
        """Refuse times that do not increase, and another number of values."""
        self._require("values", self.values, "names")

    def __call__(self, time: float) -> np.ndarray:
        """Return the numbers at a time, shape (names,)."""
        return self.weights(time) @ self.values


@dataclass(frozen=True, eq=False)
class Given:
    """What a run is given besides laws and start.

    Parameters
    ----------
    boundary : callable, optional
        By time, the field whose values and normal gradient hold on the boundary, a local array.
    data : DataInTime, optional
        Numbers that the model is given in time.
    start_mean : float
        Mean of the first field at the start.
    began : float
        Time of the start. Those of the steps are counted from it, so that none of their digits are lost to a calendar.
    """

    boundary: Callable[[float], np.ndarray] | None = None
    data: DataInTime | None = None
    start_mean: float = 0.0
    began: float = 0.0

    def numbers(self, time: float) -> np.ndarray:
        """Return the numbers of `StepForms` at a time: the data, then the mean at the start.

        Parameters
        ----------
        time : float
            Since the start.
        """
        if self.data is None:
            return np.array([self.start_mean])
        return np.append(self.data(self.began + time), self.start_mean)

    def field(self, time: float) -> np.ndarray:
        """Return the field on the boundary at a time, a local array.

        Parameters
        ----------
        time : float
            Since the start.
        """
        return self.boundary(self.began + time)

    def weights(self, given: InTime, time: float) -> np.ndarray:
        """Return the weights in what is given at a time, shape (k,).

        Parameters
        ----------
        given : BoundaryData or DataInTime
            `boundary` or `data`.
        time : float
            Since the start.
        """
        return given.weights(self.began + time)
