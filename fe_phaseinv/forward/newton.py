"""Chord Newton for one step: the factor at hand serves while it contracts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from fe_phaseinv.forward.step import Step
from fe_phaseinv.solvers.direct import StepFailed

OVERSHOOT = 0.2
"""A field that leaves its bounds by more than this share of their distance (of one, where there is none) has failed."""
STALE_SHIFT = 2.1
"""A factor is not used for steps whose leading weight differs by more than this factor. It is not the factor of two by
which steps grow at most, or rounding would decide."""
MAX_FACTORISATIONS = 6
FIRST_RATE = 0.1
"""Contraction expected of a factor before it has shown any."""


class ChordNewton:
    """Newton's method with one factor for as many steps as it serves.

    Parameters
    ----------
    step : Step
        The equations.
    """

    def __init__(self, step: Step):
        self.step, self._limits = step, []
        for field, parts in zip(step.forms.model.fields, step.forms.parts, strict=True):
            low, high = field.bounds
            if field.rate or np.isfinite(low) or np.isfinite(high):
                margin = OVERSHOOT * (high - low if np.isfinite(high - low) else 1.0)
                self._limits += [(field.name, part, low - margin, high + margin) for part in parts]

    def solve(self, guess: np.ndarray, tolerances: np.ndarray, share: float) -> np.ndarray:
        """Return the state that solves the equations of the step. Collective.

        Parameters
        ----------
        guess : numpy.ndarray, shape (size,)
            Where to begin; right where values are prescribed.
        tolerances : numpy.ndarray, shape (rated,)
            Allowed local error of each component with a rate, a root mean square.
        share : float
            Error to reach, as a share of these.

        Raises
        ------
        StepFailed
            Where a field leaves its bounds, a linear solve fails, or corrections do not become small enough.
        """
        step, state = self.step, guess.copy()
        step.set_state(state)
        if self._factor_is_stale():
            step.factorise()
        contraction = _Contraction(share, step.linear.patience)
        last = step.factorisations + MAX_FACTORISATIONS
        while step.factorisations < last:
            correction = self._correction()
            state += correction
            step.set_state(state)
            self._require_bounds(state)
            verdict = contraction.judge(step.relative_size(correction, tolerances))
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

        The mean of the two shifts fits slow and stiff modes alike; constraints, which have no rates, are met in full.
        """
        step = self.step
        share, residual = 2 / (1 + step.shift / step.factorised_shift), step.residual()
        residual[step.layout.inner :] /= share
        return step.solve(residual) * -share

    def _require_bounds(self, state: np.ndarray) -> None:
        step = self.step
        for name, part, lowest, highest in self._limits:
            low, high = step.norm.range(step.layout.component(state, part))
            if np.isnan(low):
                raise self._failure(f"{name} is not finite")
            if not (low > lowest and high < highest):
                raise self._failure(f"{name} left its bounds: {low:.3g} to {high:.3g}")

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
