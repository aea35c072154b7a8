"""Chord Newton for one step: the factor at hand serves while it contracts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from fe_phaseinv.forward.step import Step
from fe_phaseinv.solvers.direct import StepFailed

OVERSHOOT = 0.2
"""A state that leaves the model's bounds by more than this share of their distance has failed."""
STALE_SHIFT = 2.0
"""A factor is not used for steps whose leading weight differs by more than this factor."""
MAX_FACTORISATIONS = 6
FIRST_RATE = 0.1
"""Contraction expected of a factor before it has shown any."""


class ChordNewton:
    """Newton's method with one factor for as many steps as it serves.

    Parameters
    ----------
    step : Step
        The equations.
    bounds : tuple of float
        Admissible values of c.
    """

    def __init__(self, step: Step, bounds: tuple[float, float]):
        margin = OVERSHOOT * (bounds[1] - bounds[0])
        self.step, self.lowest, self.highest = step, bounds[0] - margin, bounds[1] + margin

    def solve(self, guess: np.ndarray, goal: float) -> np.ndarray:
        """Return the state that solves the equations of the step. Collective.

        Parameters
        ----------
        guess : numpy.ndarray, shape (nodes, fields)
            Where to begin; right where c is prescribed.
        goal : float
            Error of c to reach, a root mean square.

        Raises
        ------
        StepFailed
            Where c leaves its bounds, a linear solve fails, or corrections do not become small enough.
        """
        step, state = self.step, guess.copy()
        step.set_state(state)
        if self._factor_is_stale():
            step.factorise()
        contraction = _Contraction(goal, step.linear.patience)
        last = step.factorisations + MAX_FACTORISATIONS
        while step.factorisations < last:
            correction = self._correction()
            state += correction
            step.set_state(state)
            self._require_bounds(state)
            verdict = contraction.judge(step.norm(correction[:, 0]))
            if verdict is _Verdict.CONVERGED:
                return state
            if verdict is _Verdict.TOO_SLOW:
                step.factorise()
        raise self._failure("Newton's method did not converge")

    def _factor_is_stale(self) -> bool:
        factorised = self.step.factorised_shift
        return not factorised or abs(np.log(self.step.shift / factorised)) > np.log(STALE_SHIFT)

    def _correction(self) -> np.ndarray:
        """Solve for a correction; the factor's shift is another one than the step's.

        The mean of the two shifts fits slow and stiff modes alike.
        """
        step = self.step
        return step.solve(step.residual()) * (-2 / (1 + step.shift / step.factorised_shift))

    def _require_bounds(self, state: np.ndarray) -> None:
        low, high = self.step.norm.range(state[:, 0])
        if np.isnan(low):
            raise self._failure("c is not finite")
        if not (low > self.lowest and high < self.highest):
            raise self._failure(f"c left its bounds: {low:.3g} to {high:.3g}")

    def _failure(self, why: str) -> StepFailed:
        """Return the exception to raise; the factor of a state that has failed serves no other."""
        self.step.factorised_shift = 0.0
        return StepFailed(why)


class _Verdict(Enum):
    CONVERGED = auto()
    GOES_ON = auto()
    TOO_SLOW = auto()


@dataclass
class _Contraction:
    """How fast corrections become small with the same factor."""

    goal: float
    patience: float
    previous: float = 0.0
    """Size of the correction before with this factor; zero where there was none."""

    def judge(self, size: float) -> _Verdict:
        """Say whether the error that is left after a correction of some size is small, or will be soon enough."""
        rate = size / self.previous if self.previous else FIRST_RATE
        seen, self.previous = self.previous > 0, size
        if size < 1e-3 * self.goal or (seen and rate < 1 and size * rate / (1 - rate) < self.goal):
            return _Verdict.CONVERGED
        if rate < 1 and np.log(self.goal / size) / np.log(rate) < self.patience:
            return _Verdict.GOES_ON
        self.previous = 0.0
        return _Verdict.TOO_SLOW
