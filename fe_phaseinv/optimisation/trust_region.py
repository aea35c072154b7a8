"""Trust-region Newton method.

It knows nothing but an `Objective`, which returns the cost at explicit points and keeps steps to where the unknowns
make sense, and a `Subproblem`, which minimises a quadratic model of the cost.
Nocedal and Wright, Numerical Optimization (2006), algorithm 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fe_phaseinv.optimisation.exact import EXACT
from fe_phaseinv.optimisation.points import Objective, Outcome, Point, State, Subproblem, Trial


@dataclass(frozen=True)
class Thresholds:
    """What decides about a step, the region and the end; shares are of the scale of the cost at the best point.

    Parameters
    ----------
    accept : float
        A step is taken where the cost falls by more than this share of what the model promised.
    serve : float
        Derivatives of a point serve at the next one where the step to it has kept its promise up to this share, and at
        those after it as long as each step promises less than this share of what the one before did (the chord method;
        Shamanskii, Ukr. Math. J. 19, 133 (1967)).
    rough : float
        So many times the tolerance is what counts for steps that derivatives of another point tell.
    shrink, grow : float
        The region shrinks where it falls by less than the one share, and may grow where it falls by more than the other
        (Nocedal and Wright, algorithm 4.1).
    shrunk, grown : float
        Radius then, as a multiple of the length of the step or of the radius.
    bounded : float
        A step of this share of the radius or more is taken for one that the region bounds.
    settled : float
        Once a step promises less than this share of the cost, the discretisation is frozen, so that its changes do not
        mask the last reductions: where patterns amplify the errors in time, they are of this size.
    unsettled : float
        A step on the frozen discretisation that lowers the cost by more than this share thaws it.
    doubtful : float
        A step that promises less than `settled` is not refused for a change of the cost below this share of it before
        the discretisation is frozen.
    noise : float
        A promise of less than this share of the cost that is not kept is put down to the solver's own noise.
    stall, stalls : float, int
        After so many trial points in a row that lower the cost by less than this share, on a frozen discretisation,
        although the whole step promises little and there is no reason to lengthen it, no more is to be had: along a
        narrow curved valley Gauss-Newton steps promise what they cannot keep.
    collapsed : float
        Share of the radius to begin with below which a region is taken for collapsed.
    insensitive : float
        The cost does not depend on the unknowns where the squared sensitivities are below this share of it: a step of
        one in all of them changes what is compared by a hundred thousandth of what it differs by.
    """

    accept: float = 1e-3
    serve: float = 0.1
    rough: float = 4.0
    shrink: float = 0.25
    grow: float = 0.75
    shrunk: float = 0.25
    grown: float = 2.0
    bounded: float = 0.999
    settled: float = 0.3
    unsettled: float = 0.5
    doubtful: float = 0.1
    noise: float = 1e-5
    stall: float = 1e-3
    stalls: int = 3
    collapsed: float = 1e-8
    insensitive: float = 1e-10


THRESHOLDS = Thresholds()


def start(objective: Objective, x: np.ndarray, radius: float) -> State:
    """Evaluate the first point. Collective.

    Parameters
    ----------
    objective : Objective
    x : numpy.ndarray, shape (n,)
        Unknowns to begin with.
    radius : float
        First radius of the trust region.
    """
    point = objective.at(x)
    return State(point, radius, outcome=None if np.isfinite(point.value) else Outcome.NO_START)


def iterate(
    objective: Objective, state: State, tolerance: float, max_iterations: int, subproblem: Subproblem = EXACT
) -> Iterator[State]:
    """Minimise, giving the state after every trial point; the last one has an outcome. Collective.

    Parameters
    ----------
    objective : Objective
    state : State
        Where to go on.
    tolerance : float
        Converged once the model of the cost promises less than this share of its scale.
    max_iterations : int
        Largest number of trial points in all.
    subproblem : Subproblem
    """
    method = _Method(objective, subproblem, tolerance, max_iterations, THRESHOLDS.collapsed * state.radius)
    while state.outcome is None:
        state = method.advance(state)
        yield state


def proposal(objective: Objective, state: State, subproblem: Subproblem = EXACT) -> np.ndarray:
    """Return where the next step leads. Collective.

    Parameters
    ----------
    objective : Objective
    state : State
        Where it begins.
    subproblem : Subproblem
    """
    return state.point.x + _allowed(objective, state, subproblem)[0].step


def _allowed(objective: Objective, state: State, subproblem: Subproblem) -> tuple[Trial, bool]:
    """Return a step, and whether the region or the unknowns bound it."""
    whole = subproblem.solve(state.point, state)
    share = objective.share(state.point.x, whole.step)
    step = whole.cut(share)
    return step, not (step.length < THRESHOLDS.bounded * state.radius and share == 1)


@dataclass(frozen=True, eq=False)
class _Method:
    """What is the same for all trial points of a minimisation."""

    objective: Objective
    subproblem: Subproblem
    tolerance: float
    max_iterations: int
    least_radius: float

    def advance(self, state: State) -> State:
        """Try a step, unless there is no need or hope."""
        point = state.point
        step, bounded = _allowed(self.objective, state, self.subproblem)
        outcome = self._outcome_before(state, step, bounded)
        if outcome is not None:
            return replace(state, accepted=False, outcome=_checked(outcome, point))
        if not (state.accepted or point.fresh):
            return self._refreshed(state)
        small = step.decrease < THRESHOLDS.settled * point.scale and not bounded
        state = replace(state, iteration=state.iteration + 1, settled=state.settled or small)
        lately = abs(state.kept - 1) if point.fresh else step.decrease / state.promised
        serves = not bounded and lately < THRESHOLDS.serve
        near = point if serves else None
        trial = self.objective.at(point.x + step.step, point if state.settled else None, near)
        judged = _judged(state, trial, step, bounded)
        if point.fresh or judged.accepted or judged.outcome is not None:
            return judged
        return replace(judged, radius=state.radius)  # the derivatives are to blame, not the region

    def _refreshed(self, state: State) -> State:
        """Take derivatives of the point's own, once a step that those of another one have told is refused."""
        point = self.objective.at(state.point.x, state.point)
        state = replace(state, iteration=state.iteration + 1)
        if not np.isfinite(point.value):
            return replace(state, outcome=Outcome.COLLAPSED)
        return replace(state, point=point, accepted=True)

    def _outcome_before(self, state: State, step: Trial, bounded: bool) -> Outcome | None:
        """Return why a step need not be tried, if so."""
        tolerance = self.tolerance * (1.0 if state.point.fresh else THRESHOLDS.rough)
        if step.decrease <= tolerance * state.point.scale and not bounded:
            return Outcome.CONVERGED
        if state.radius < self.least_radius:
            return Outcome.COLLAPSED
        return Outcome.MAX_ITERATIONS if state.iteration >= self.max_iterations else None


def _judged(state: State, trial: Point, step: Trial, bounded: bool) -> State:
    """Return the state after a trial point: what its cost says of the step, the region and the end."""
    scale, reduction = state.point.scale, state.point.value - trial.value
    ratio = reduction / step.decrease
    growing = ratio > THRESHOLDS.grow and step.length >= THRESHOLDS.bounded * state.radius
    stalled = state.settled and reduction < THRESHOLDS.stall * scale and not growing
    stalled = stalled and step.promise < THRESHOLDS.doubtful * scale
    state = replace(state, kept=max(ratio, -1.0), stalls=state.stalls + 1 if stalled else 0)
    outcome = Outcome.CONVERGED if state.stalls == THRESHOLDS.stalls else None
    if not ratio > THRESHOLDS.accept:
        return _refused(state, step, bounded, reduction, outcome)
    shorter = THRESHOLDS.shrunk * step.length if ratio < THRESHOLDS.shrink else state.radius
    return replace(
        state,
        point=trial,
        radius=THRESHOLDS.grown * state.radius if growing else shorter,
        gradient_norm=step.gradient_norm,
        accepted=True,
        promised=step.decrease,
        settled=state.settled and reduction < THRESHOLDS.unsettled * scale,
        outcome=_checked(outcome, trial),
    )


def _refused(state: State, step: Trial, bounded: bool, reduction: float, outcome: Outcome | None) -> State:
    """Return the state where a trial point is not better: a shorter radius, but for a doubtful step."""
    scale = state.point.scale
    little = step.decrease < THRESHOLDS.settled * scale
    if not state.settled and little and abs(reduction) < THRESHOLDS.doubtful * scale:
        return replace(state, accepted=False, settled=True, kept=1.0)
    if state.settled and not bounded and step.decrease < THRESHOLDS.noise * scale:
        outcome = Outcome.CONVERGED
    radius = THRESHOLDS.shrunk * step.length
    return replace(state, accepted=False, radius=radius, outcome=_checked(outcome, state.point))


def _checked(outcome: Outcome | None, point: Point) -> Outcome | None:
    """Take convergence back at a point where the cost has no minimum because it depends on nothing."""
    if outcome is Outcome.CONVERGED and point.sensitivity < THRESHOLDS.insensitive * point.scale:
        return Outcome.INSENSITIVE
    return outcome
