"""What a minimisation deals with: points, objectives, steps, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np


class Point(Protocol):
    """What an objective returns: a function and its derivatives at x.

    Parameters
    ----------
    x : numpy.ndarray, shape (n,)
    value : float
        The function, which may be negative; inf where it cannot be evaluated.
    scale : float
        What a change of the value is compared with, such as its absolute value; not negative.
    sensitivity : float
        Sum of the squares of the derivatives of what the function compares by the unknowns that it is to tell apart, in
        units of the value; infinite where nobody knows it.
    fresh : bool
        Whether the derivatives are those at x, not those of a point nearby.
    """

    x: np.ndarray
    value: float
    scale: float
    sensitivity: float
    fresh: bool


class Objective(Protocol):
    """What is minimised."""

    def at(self, x: np.ndarray, like: Point | None = None, near: Point | None = None) -> Point:
        """Evaluate at a point. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        like : Point, optional
            A point on whose discretisation to evaluate; it is chosen anew where not given.
        near : Point, optional
            A point whose derivatives will do, if that saves work.

        Returns
        -------
        Point
            Its value is inf where it cannot be evaluated.
        """

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Return the share of a step that the unknowns allow.

        Parameters
        ----------
        x, step : numpy.ndarray, shape (n,)
            Where the step begins, and the step.
        """


@dataclass(frozen=True, eq=False)
class Trial:
    """A step that minimises the model g.s + s.H.s/2 in the region, more or less.

    Parameters
    ----------
    step : numpy.ndarray, shape (n,)
    slope, curvature : float
        g.s and s.H.s.
    length, gradient_norm : float
        In the norm of the region, and in the one dual to it.
    promise : float
        Decrease of the model where no region bounds it; infinite where it has no minimum.
    """

    step: np.ndarray
    slope: float
    curvature: float
    length: float
    gradient_norm: float
    promise: float

    @property
    def decrease(self) -> float:
        """Decrease of the model after the step."""
        return -(self.slope + 0.5 * self.curvature)

    def cut(self, share: float) -> Trial:
        """Return the trial of a share of the step.

        Parameters
        ----------
        share : float
        """
        return replace(
            self,
            step=share * self.step,
            slope=share * self.slope,
            curvature=share**2 * self.curvature,
            length=share * self.length,
        )


class Subproblem(Protocol):
    """Minimises the model of the cost."""

    def solve(self, point: Point, state: State) -> Trial:
        """Return a step that minimises the model in the region. Collective.

        Parameters
        ----------
        point : Point
            Where the step begins.
        state : State
            Of the minimisation, with the radius of the region.
        """


class Outcome(Enum):
    """How a minimisation ended; the text advises."""

    CONVERGED = "converged"
    INSENSITIVE = (
        "the images do not depend on the laws: check the extent and the times of the images, and the laws to start from"
    )
    MAX_ITERATIONS = "the iterations allowed are used up: raise max_iterations, or resume"
    COLLAPSED = "no step, however short, lowers the cost: the derivatives or the time tolerance are too coarse"
    NO_START = "the model cannot be solved at the laws to start from: give other coefficients, or slower kinetics"


@dataclass(frozen=True, eq=False)
class State:
    """Everything that decides the iterations still to come.

    Parameters
    ----------
    point : Point
        Best point so far.
    radius : float
        Of the trust region.
    iteration : int
        Number of trial points so far.
    settled : bool
        Whether the discretisation is frozen.
    stalls : int
        Number of the last trial points that hardly lowered the cost.
    gradient_norm : float
        Of the best point before this one.
    accepted : bool
        Whether the last trial point was.
    kept : float
        Decrease of the cost at the last trial point, as a share of what the model promised.
    promised : float
        Decrease that the model promised of the step to the best point.
    outcome : Outcome, optional
        None while there is more to do.
    """

    point: Point
    radius: float
    iteration: int = 0
    settled: bool = False
    stalls: int = 0
    gradient_norm: float = np.inf
    accepted: bool = True
    kept: float = 1.0
    promised: float = np.inf
    outcome: Outcome | None = None
