"""Data on the boundary as a function of time, linear in what is given at some times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

from fe_phaseinv.forward.bdf import checked_times


@dataclass(frozen=True, eq=False)
class BoundaryData:
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
        checked_times(self.times)
        if np.ndim(self.fields) != 2 or len(self.fields) != len(self.times):
            raise ValueError(f"fields: found shape {np.shape(self.fields)}; accepted: ({len(self.times)}, nodes)")

    def weights(self, time: float) -> np.ndarray:
        """Return the weights of the given fields at a time, shape (k,).

        Parameters
        ----------
        time : float
            Time between the first one and the last one.
        """
        return self._spline(time)

    def __call__(self, time: float) -> np.ndarray:
        """Return the field at a time, a local array."""
        return self.weights(time) @ self.fields

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.times, np.eye(len(self.times)))
