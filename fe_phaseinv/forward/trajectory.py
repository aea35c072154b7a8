"""Marching a step through time: adaptively, or again on a frozen grid, with sensitivities or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.forward.bdf import (
    TimeGrid,
    derivative_weights,
    error_weights,
    interpolation_weights,
    landing_step,
    next_step,
    retry_step,
)
from fe_phaseinv.forward.step import Step
from fe_phaseinv.solvers.direct import StepFailed

QUIET = 0.02
"""Fluctuations of c below this do not tighten the tolerance any further."""
OVERSHOOT = 0.2
"""A state that leaves the model's bounds by more than this share of their distance has failed."""
STALE_SHIFT = 2.0
"""A factor is not used for steps whose leading weight differs by more than this factor."""
MAX_FACTORISATIONS = 6
FIRST_RATE = 0.1
"""Contraction expected of a factor before it has shown any."""
POLISHED = 10.0
"""Share by which the correction with a step's own factor, which its sensitivities need anyway, lowers the error."""
SMALLEST_STEP = 1e-9
"""Share of the time to the first frame."""


@dataclass(frozen=True)
class Tolerances:
    """Accuracy in time.

    Parameters
    ----------
    rtol : float
        Allowed local error of a step (root mean square over the domain) relative to the fluctuation of c.
    newton : float
        Allowed error of the nonlinear solves, as a share of the above.
    max_order : int
        Largest order of the formulas.
    """

    rtol: float = 3e-4
    newton: float = 1e-4
    max_order: int = 3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """States at the frame times, and what it took.

    Parameters
    ----------
    grid : TimeGrid
    states : list of numpy.ndarray
        Local arrays of c at the frame times.
    sensitivities : list of numpy.ndarray, shape (local size of c, columns)
        Their derivatives by the unknowns; empty where not asked for.
    start : numpy.ndarray, shape (nodes, fields)
        State of all fields at the start.
    times : tuple of float
        The frame times.
    steps : list of numpy.ndarray, shape (nodes, fields)
        States of all fields at the start and after every step; empty where not asked for, or where there are more.
    """

    grid: TimeGrid
    states: list[np.ndarray]
    sensitivities: list[np.ndarray]
    start: np.ndarray
    times: tuple[float, ...]
    steps: list[np.ndarray] = field(default_factory=list)


@dataclass(eq=False)
class _March:
    """The past that the formulas need, newest first."""

    times: list[float]
    orders: list[int]
    states: list[np.ndarray]
    derivatives: list[np.ndarray] = field(default_factory=list)

    def nodes(self, new: float, past: int) -> np.ndarray:
        return np.array([new, *self.times[-1 : -past - 1 : -1]])


class Integrator:
    """Variable-order, variable-step BDF with chord Newton.

    Parameters
    ----------
    step : Step
    bounds : tuple of float
        Admissible values of c.
    tolerances : Tolerances
    boundary_data : callable, optional
        By time, the field whose values and normal gradient hold on the boundary: a local array of the elements of a
        degree more than those of c.
    """

    def __init__(
        self,
        step: Step,
        bounds: tuple[float, float],
        tolerances: Tolerances,
        boundary_data: Callable[[float], np.ndarray] | None = None,
    ):
        self.step, self.bounds, self.tolerances, self.boundary_data = step, bounds, tolerances, boundary_data

    def march(
        self,
        start: np.ndarray,
        times: Sequence[float],
        grid: TimeGrid | None = None,
        tangent: np.ndarray | None = None,
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve from times[0] to the other times.

        Parameters
        ----------
        start : numpy.ndarray
            Local array of c at times[0].
        times : sequence of float
            Start, then the frame times, on which steps land.
        grid : TimeGrid, optional
            Steps to take; chosen by the error estimate where not given.
        tangent : numpy.ndarray, shape (local size of c, columns), optional
            Derivatives of the start by the unknowns, the coefficients first; they are carried along.
        record : float
            Largest number of steps after which to keep the states.
        max_steps : float
            Largest number of steps between two frames.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        nodes, fields = self.step.shape
        first = np.column_stack([start, np.zeros((nodes, fields - 1))])
        if self.boundary_data is not None:
            first[self.step.dirichlet_nodes, 0] = self.step.set_boundary_field(self.boundary_data(float(times[0])))
        past = _March([float(times[0])], [], [first])
        if tangent is not None:
            past.derivatives.append(np.asfortranarray(tangent))
        self.step.factorised_shift = 0.0
        states, derivatives, steps = [], [], [first] if record else []
        chooser = _Replay(grid) if grid else _Adaptive(self, times)
        for target in times[1:]:
            most = len(past.orders) + max_steps
            while past.times[-1] < target:
                if len(past.orders) >= most:
                    raise StepFailed(f"{max_steps} steps do not lead from one frame to the next")
                chooser.advance(self, past, float(target))
                self.step.release()
                if len(past.orders) <= record:
                    steps.append(past.states[0])
            states.append(past.states[0][:, 0].copy())
            if past.derivatives:
                derivatives.append(past.derivatives[0])
        grid = TimeGrid(tuple(past.times), tuple(past.orders))
        kept = steps if len(grid.orders) <= record else []
        return Trajectory(grid, states, derivatives, first, tuple(map(float, times[1:])), kept)

    def replay(self, grid: TimeGrid, number: int, states: list[np.ndarray]) -> np.ndarray:
        """Return the state after a step of a grid again.

        Parameters
        ----------
        grid : TimeGrid
        number : int
            From 1.
        states : list of numpy.ndarray, shape (nodes, fields)
            Those before it, newest first: `max_order` + 1, or all.
        """
        past = _March(list(grid.times[:number]), list(grid.orders[: number - 1]), states)
        return self.attempt(past, grid.times[number], grid.orders[number - 1])

    def attempt(self, past: _March, time: float, order: int) -> np.ndarray:
        """Solve one step; gives its state, or raises StepFailed."""
        known = past.nodes(time, order + 1)[1:]
        guess = _combine(interpolation_weights(known, time), past.states)
        if self.boundary_data is not None:
            guess[self.step.dirichlet_nodes, 0] = self.step.set_boundary_field(self.boundary_data(time))
        weights = derivative_weights(past.nodes(time, order))
        self.step.set_rate(weights[0], _combine(weights[1:], [state[:, 0] for state in past.states]))
        goal = self.tolerances.newton * self.tolerance(past)
        return self._newton(guess, goal * POLISHED if past.derivatives else goal)

    def accept(self, past: _March, time: float, order: int, state: np.ndarray) -> None:
        """Append a solved step and, where they are carried, its sensitivities."""
        if past.derivatives:
            weights = derivative_weights(past.nodes(time, order))[1:]
            self.step.factorise()
            known = past.nodes(time, len(past.derivatives))[1:]
            expected = _combine(interpolation_weights(known, time), past.derivatives)
            update, derivatives = self.step.sensitivity(_combine(weights, past.derivatives), expected)
            state = state + update
            past.derivatives.insert(0, derivatives)
            del past.derivatives[self.tolerances.max_order :]
        if not past.orders:
            past.states[0][:, 1:] = state[:, 1:]  # the start has no algebraic part of its own
        past.times.append(time)
        past.orders.append(order)
        past.states.insert(0, state)
        del past.states[self.tolerances.max_order + 2 :]

    def tolerance(self, past: _March) -> float:
        """Return the allowed local error (root mean square of c)."""
        return self.tolerances.rtol * max(self.step.fluctuation(past.states[0][:, 0]), QUIET)

    def _newton(self, guess: np.ndarray, goal: float) -> np.ndarray:
        """Chord Newton: the factor at hand serves while it contracts."""
        step, state, previous = self.step, guess.copy(), 0.0
        step.set_state(state)
        shift = float(step.shift)
        if not step.factorised_shift or abs(np.log(shift / step.factorised_shift)) > np.log(STALE_SHIFT):
            step.factorise()
        last = step.factorisations + MAX_FACTORISATIONS
        while step.factorisations < last:
            # The factor's shift is another one than the step's: the mean of the two fits slow and stiff modes alike.
            update = step.solve(step.residual()) * (-2 / (1 + shift / step.factorised_shift))
            size = step.norm(update[:, 0])
            state += update
            step.set_state(state)
            self._check(state)
            rate = size / previous if previous else FIRST_RATE
            if size < 1e-3 * goal or (previous and rate < 1 and size * rate / (1 - rate) < goal):
                return state
            if rate < 1 and np.log(goal / size) / np.log(rate) < step.patience:
                previous = size
            else:
                step.factorise()
                previous = 0.0
        step.factorised_shift = 0.0
        raise StepFailed("Newton's method did not converge")

    def _check(self, state: np.ndarray) -> None:
        low, high = self.step.range(state[:, 0])
        margin = OVERSHOOT * (self.bounds[1] - self.bounds[0])
        if not (low > self.bounds[0] - margin and high < self.bounds[1] + margin):
            self.step.factorised_shift = 0.0
            raise StepFailed(f"c left its bounds: {low:.3g} to {high:.3g}")


def _combine(weights: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    return sum(weight * array for weight, array in zip(weights, arrays, strict=False))


class _Replay:
    """Steps as a grid says."""

    def __init__(self, grid: TimeGrid):
        self.grid = grid

    def advance(self, integrator: Integrator, past: _March, target: float) -> None:
        index = len(past.orders)
        time, order = self.grid.times[index + 1], self.grid.orders[index]
        integrator.accept(past, time, order, integrator.attempt(past, time, order))


class _Adaptive:
    """Steps and orders chosen by the error estimate."""

    def __init__(self, integrator: Integrator, times: Sequence[float]):
        self.wanted, self.order, self.run = float(1e-4 * (times[-1] - times[0])), 1, 0
        self.smallest = float(SMALLEST_STEP * (times[1] - times[0]))

    def advance(self, integrator: Integrator, past: _March, target: float) -> None:
        now = past.times[-1]
        while True:
            step = landing_step(target - now, self.wanted)
            if step < self.smallest:
                raise StepFailed("the time step collapsed")
            time = target if step > 0.999999 * (target - now) else now + step
            try:
                state = integrator.attempt(past, time, self.order)
            except StepFailed:
                self.wanted, self.run, self.order = 0.25 * step, 0, 1
                continue
            errors = self._errors(integrator, past, time, state)
            if errors[self.order] <= 1:
                break
            self.wanted, self.run = retry_step(step, self.order, errors[self.order]), 0
        integrator.accept(past, time, self.order, state)
        self.run += 1
        wanted, order = next_step(step, self.order, errors, self.run, integrator.tolerances.max_order)
        if order != self.order or wanted != step:
            self.run = 0
        self.wanted, self.order = max(wanted, self.wanted if self.run else wanted), order

    def _errors(self, integrator: Integrator, past: _March, time: float, state: np.ndarray) -> dict[int, float]:
        step, tolerance = integrator.step, integrator.tolerance(past)
        arrays = [state[:, 0], *(s[:, 0] for s in past.states)]
        if len(past.orders) == 0:
            return {1: 0.5 * step.norm(arrays[0] - arrays[1]) / tolerance}
        errors = {}
        for order in (self.order - 1, self.order, self.order + 1):
            nodes = past.nodes(time, order + 1)
            if order >= 1 and len(nodes) == order + 2 and len(arrays) >= order + 2:
                errors[order] = step.norm(_combine(error_weights(nodes, order), arrays)) / tolerance
        return errors
