"""Which steps a run takes: those of a grid, or those that the error estimate allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fe_phaseinv.forward.bdf import TimeGrid, error_weights, landing_step, next_step, retry_step
from fe_phaseinv.forward.past import Past, combine
from fe_phaseinv.solvers.direct import StepFailed

FIRST_STEP, SMALLEST_STEP = 1e-4, 1e-9
"""Least first step to try, as a share of the whole time, and the smallest one, as a share of the time to the first
frame."""
FIRST_CHANGE = 0.1
"""First step to try where it is larger, as a share of the relative tolerance times the whole time, in which states
change by a few times their fluctuation at most."""


class GridSteps:
    """Steps as a grid says.

    Parameters
    ----------
    integrator : Integrator
        Takes the steps.
    grid : TimeGrid
        Says which.
    """

    def __init__(self, integrator, grid: TimeGrid):
        self.integrator, self.grid = integrator, grid

    def advance(self, past: Past, target: float) -> None:
        """Take the next step. Collective.

        Parameters
        ----------
        past : Past
            The steps taken so far; the next one is added.
        target : float
            The frame time to land on, which is one of the grid's.
        """
        number = len(past.orders)
        time, order = self.grid.times[number + 1], self.grid.orders[number]
        self.integrator.accept(past, time, order, self.integrator.attempt(past, time, order))


class AdaptiveSteps:
    """Steps and orders chosen by the error estimate.

    Parameters
    ----------
    integrator : Integrator
        Takes the steps.
    times : sequence of float
        Start, then the frame times.
    most : float
        Largest number of steps tried between two frames.
    """

    def __init__(self, integrator, times: Sequence[float], most: float):
        self.integrator = integrator
        share = max(FIRST_STEP, FIRST_CHANGE * integrator.tolerances.rtol)
        self.wanted, self.order = share * (times[-1] - times[0]), 1
        self.smallest = SMALLEST_STEP * (times[1] - times[0])
        self.run = 0
        """Number of equal steps of this order so far."""
        self.most, self.tried, self.target = most, 0, times[0]
        """Number of steps that may be tried between two frames, and that of those tried up to the next frame."""

    def advance(self, past: Past, target: float) -> None:
        """Take the next step, as large as the error estimate allows. Collective.

        Parameters
        ----------
        past : Past
            The steps taken so far; the next one is added.
        target : float
            The frame time to land on.

        Raises
        ------
        StepFailed
            Where no step is short enough, or more are needed than may be tried.
        """
        if target != self.target:
            self.target, self.tried = target, 0
        while True:
            if self.tried >= self.most:
                raise StepFailed("too many steps do not lead from one frame to the next")
            self.tried += 1
            step, time = self._proposal(past.times[-1], target)
            try:
                state = self.integrator.attempt(past, time, self.order)
                errors = self._errors(past, time, state)
                if errors[self.order] <= 1:
                    self.integrator.accept(past, time, self.order, state)
                    break
            except StepFailed:
                self.wanted, self.run, self.order = 0.25 * step, 0, 1
            else:
                self.wanted, self.run = retry_step(step, self.order, errors[self.order]), 0
        self._choose_next(step, errors)

    def _proposal(self, now: float, target: float) -> tuple[float, float]:
        """Return the length of a step and its end."""
        step = landing_step(target - now, self.wanted)
        if step < self.smallest:
            raise StepFailed("the time step collapsed")
        return step, target if step > 0.999999 * (target - now) else now + step

    def _choose_next(self, step: float, errors: dict[int, float]) -> None:
        self.run += 1
        wanted, order = next_step(step, self.order, errors, self.run, self.integrator.tolerances.max_order)
        if order != self.order or wanted != step:
            self.run = 0
        self.wanted, self.order = max(wanted, self.wanted if self.run else wanted), order

    def _errors(self, past: Past, time: float, state: np.ndarray) -> dict[int, float]:
        """Return the errors of a step by order, of its own order and its neighbours, in units of the tolerance."""
        step, tolerance = self.integrator.step, self.integrator.tolerance(past)
        arrays = [state, *past.states]
        if len(past.orders) == 0:
            return {1: 0.5 * step.relative_size(arrays[0] - arrays[1], tolerance)}
        errors = {}
        for order in (self.order - 1, self.order, self.order + 1):
            nodes = past.nodes(time, order + 1)
            if order >= 1 and len(nodes) == order + 2 and len(arrays) >= order + 2:
                errors[order] = step.relative_size(combine(error_weights(nodes, order), arrays), tolerance)
        return errors
