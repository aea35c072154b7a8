"""Trust-region Newton method, with the exact subproblem for tens of unknowns.

It knows nothing but `objective.at(x)`, which returns value, gradient and Hessian (or its Gauss-Newton part) at
an explicit point, `objective.at(x, like=point)`, the same on the frozen discretisation of that point,
`objective.share(x, step)`, which keeps steps to where the unknowns make sense, and a `Subproblem`.
Nocedal and Wright, Numerical Optimization (2006), algorithms 4.1 and 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq

ACCEPT, SHRINK, GROW = 1e-3, 0.25, 0.75
SETTLED = 0.3
"""Once a step promises less than this share of the cost, the discretisation is frozen, so that its changes do not
mask the last reductions: where patterns amplify the errors in time, they are of this size."""
DOUBTFUL = 0.1
"""A step is not refused for a change of the cost below this share of it before the discretisation is frozen."""
NOISE = 1e-5
"""A promise of less than this share of the cost that is not kept is put down to the solver's own noise."""
STALL, STALLS = 1e-3, 3
"""After so many trial points in a row that lower the cost by less than this share, on a frozen discretisation, although
the whole step promises little and there is no reason to lengthen it, no more is to be had: along a narrow curved valley
Gauss-Newton steps promise what they cannot keep."""
COLLAPSED = 1e-8
"""Share of the radius to begin with below which a region is taken for collapsed."""


class Point(Protocol):
    """What an objective returns: a function and its derivatives at x."""

    x: np.ndarray
    value: float


class Objective(Protocol):
    """What is minimised."""

    def at(self, x: np.ndarray, like: Point | None = None) -> Point:
        """Evaluate at x; value is inf where it cannot be evaluated."""

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Share of a step from x that the unknowns allow."""


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

    def decrease(self, share: float) -> float:
        """Return the decrease of the model after a share of the step."""
        return -(share * self.slope + 0.5 * share**2 * self.curvature)


class Subproblem(Protocol):
    """Minimises the model of the cost."""

    def solve(self, point: Point, state: State) -> Trial:
        """Return a step from the state's point."""


class Outcome(Enum):
    """How a minimisation ended; the text advises."""

    CONVERGED = "converged"
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
    outcome: Outcome | None = None


def solve_subproblem(gradient: np.ndarray, hessian: np.ndarray, radius: float) -> np.ndarray:
    """Global minimiser of g.s + s.H.s/2 for |s| <= radius (Nocedal and Wright, theorem 4.1, hard case included)."""
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
        along = vectors[:, 0]
        b = step @ along
        return step + (-b + np.sqrt(b**2 + radius**2 - step @ step)) * along
    high = low + 2 * np.linalg.norm(g) / radius
    return -vectors @ (g / (gaps + brentq(excess, low, high, xtol=1e-300, rtol=1e-12)))


def promise(gradient: np.ndarray, hessian: np.ndarray) -> float:
    """Decrease of the model g.s + s.H.s/2 that no region bounds; infinite where H is not positive definite."""
    values, vectors = eigh(hessian)
    if values[0] <= 0:
        return np.inf
    return float(0.5 * np.sum((vectors.T @ gradient) ** 2 / values))


class Exact:
    """The whole problem, for points that have a dense `gradient` and `hessian`, in the Euclidean norm."""

    def solve(self, point, state: State) -> Trial:
        """Return the global minimiser in the region."""
        gradient, hessian = point.gradient, point.hessian
        step = solve_subproblem(gradient, hessian, state.radius)
        length, norm = float(np.linalg.norm(step)), float(np.linalg.norm(gradient))
        slope, curvature = float(gradient @ step), float(step @ hessian @ step)
        return Trial(step, slope, curvature, length, norm, promise(gradient, hessian))


EXACT = Exact()


def start(objective: Objective, x: np.ndarray, radius: float) -> State:
    """Evaluate the first point.

    Parameters
    ----------
    objective : Objective
    x : numpy.ndarray, shape (n,)
    radius : float
        First radius of the trust region.
    """
    point = objective.at(x)
    return State(point, radius, outcome=None if np.isfinite(point.value) else Outcome.NO_START)


def iterate(
    objective: Objective, state: State, tolerance: float, max_iterations: int, subproblem: Subproblem = EXACT
) -> Iterator[State]:
    """Minimise, giving the state after every trial point; the last one has an outcome.

    Parameters
    ----------
    objective : Objective
    state : State
        Where to go on.
    tolerance : float
        Converged once the model of the cost promises less than this share of the cost.
    max_iterations : int
        Largest number of trial points in all.
    subproblem : Subproblem
    """
    first = state.radius
    while state.outcome is None:
        state = _advance(objective, state, tolerance, max_iterations, subproblem, first)
        yield state


def _advance(
    objective: Objective, state: State, tolerance: float, max_iterations: int, subproblem: Subproblem, first: float
) -> State:
    point, radius = state.point, state.radius
    model = subproblem.solve(point, state)
    share = objective.share(point.x, model.step)
    predicted, length = model.decrease(share), share * model.length
    inside = length < 0.999 * radius and share == 1
    if predicted <= tolerance * point.value and inside:
        return replace(state, accepted=False, outcome=Outcome.CONVERGED)
    if radius < COLLAPSED * first:
        return replace(state, accepted=False, outcome=Outcome.COLLAPSED)
    if state.iteration >= max_iterations:
        return replace(state, accepted=False, outcome=Outcome.MAX_ITERATIONS)
    settled = state.settled or bool(predicted < SETTLED * point.value and inside)
    trial = objective.at(point.x + share * model.step, like=point if settled else None)
    reduction = point.value - trial.value
    ratio = reduction / predicted
    growing = ratio > GROW and length >= 0.999 * radius
    stalled = settled and reduction < STALL * point.value and not growing
    near = stalled and model.promise < DOUBTFUL * point.value
    stalls = state.stalls + 1 if near else 0
    outcome = Outcome.CONVERGED if stalls == STALLS else None
    state = replace(state, iteration=state.iteration + 1, settled=settled, stalls=stalls)
    if not ratio > ACCEPT:
        if not settled and abs(reduction) < DOUBTFUL * point.value:
            return replace(state, accepted=False, settled=True)
        if settled and inside and predicted < NOISE * point.value:
            outcome = Outcome.CONVERGED
        return replace(state, accepted=False, radius=0.25 * length, outcome=outcome)
    if ratio < SHRINK:
        radius = 0.25 * length
    elif growing:
        radius = 2.0 * radius
    settled = settled and reduction < 0.5 * point.value
    return replace(
        state,
        point=trial,
        radius=radius,
        gradient_norm=model.gradient_norm,
        accepted=True,
        settled=settled,
        outcome=outcome,
    )
