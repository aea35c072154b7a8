"""What a run through time is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

from fe_phaseinv.forward.bdf import MAX_ORDER, TimeGrid
from fe_phaseinv.forward.given import Given

QUIET = 0.02
"""Fluctuations of c below this do not tighten the tolerance any further."""


@dataclass(frozen=True)
class Tolerances:
    """Accuracy in time.

    Parameters
    ----------
    rtol : float
        Allowed local error of a step (root mean square over the domain) relative to the fluctuation of c; between 0
        and 1.
    newton : float
        Allowed error of the nonlinear solves, as a share of the above; positive.
    max_order : int
        Largest order of the formulas, from 1 to 5.

    Raises
    ------
    ValueError
        Where a value is none of these.
    """

    rtol: float = 3e-4
    newton: float = 1e-4
    max_order: int = 3

    def __post_init__(self):
        """Refuse what is no tolerance."""
        if not 0 < self.rtol < 1:
            raise ValueError(f"rtol: found {self.rtol}; accepted: a number between 0 and 1")
        if not 0 < self.newton < np.inf:
            raise ValueError(f"newton: found {self.newton}; accepted: a positive number")
        if not isinstance(self.max_order, Integral) or not 1 <= self.max_order <= MAX_ORDER:
            raise ValueError(f"max_order: found {self.max_order}; accepted: whole numbers from 1 to {MAX_ORDER}")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """States at the frame times, and what it took.

    Parameters
    ----------
    grid : TimeGrid
        The steps taken.
    states : list of numpy.ndarray, shape (size,)
        States at the frame times, as `StateLayout` has them.
    sensitivities : list of numpy.ndarray, shape (carried * nodes + border, columns)
        Their derivatives by the unknowns, as `StateLayout.carry` gives them; empty where not asked for.
    start : numpy.ndarray, shape (size,)
        State at the start.
    times : tuple of float
        The frame times, since the start.
    given : Given
        What else the run was given.
    steps : list of numpy.ndarray, shape (size,) or more
        Records of the start and of every step, with the history where derivatives depend on it; empty where not asked
        for, or where there are more.
    """

    grid: TimeGrid
    states: list[np.ndarray]
    sensitivities: list[np.ndarray]
    start: np.ndarray
    times: tuple[float, ...]
    given: Given
    steps: list[np.ndarray] = field(default_factory=list)
