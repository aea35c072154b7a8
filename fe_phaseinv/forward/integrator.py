"""Marching a step through time: adaptively, or again on a frozen grid, with sensitivities or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fe_phaseinv.core.parallel import any_rank
from fe_phaseinv.forward.bdf import TimeGrid, derivative_weights
from fe_phaseinv.forward.newton import ChordNewton
from fe_phaseinv.forward.past import Past, combine
from fe_phaseinv.forward.step import Step
from fe_phaseinv.forward.step_control import AdaptiveSteps, GridSteps
from fe_phaseinv.forward.trajectory import QUIET, Tolerances, Trajectory
from fe_phaseinv.solvers.direct import StepFailed

POLISHED = 10.0
"""Share by which the correction with a step's own factor, which its sensitivities need anyway, lowers the error."""


class Integrator:
    """Variable-order, variable-step BDF with chord Newton.

    Parameters
    ----------
    step : Step
        The equations of one step.
    bounds : tuple of float
        Admissible values of c.
    tolerances : Tolerances
        Accuracy in time.
    """

    def __init__(self, step: Step, bounds: tuple[float, float], tolerances: Tolerances):
        self.step, self.tolerances = step, tolerances
        self.newton = ChordNewton(step, bounds)

    def march(
        self,
        start: np.ndarray,
        times: Sequence[float],
        *,
        grid: TimeGrid | None = None,
        tangent: np.ndarray | None = None,
        boundary_data: Callable[[float], np.ndarray] | None = None,
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve from times[0] to the other times. Collective.

        Parameters
        ----------
        start : numpy.ndarray, shape (nodes,)
            Local array of c at times[0].
        times : sequence of float
            Start, then the frame times, on which steps land.
        grid : TimeGrid, optional
            Steps to take; chosen by the error estimate where not given.
        tangent : numpy.ndarray, shape (nodes, columns), optional
            Derivatives of the start by the unknowns, the coefficients first; they are carried along.
        boundary_data : callable, optional
            By time, the field whose values and normal gradient hold on the boundary of a step that has such a part: a
            local array of the elements of a degree more than those of c.
        record : float
            Largest number of steps after which to keep the states.
        max_steps : float
            Largest number of steps between two frames.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        past = self._beginning(start, times[0], tangent, boundary_data)
        control = GridSteps(self, grid) if grid else AdaptiveSteps(self, times)
        first, states, derivatives = past.states[0], [], []
        steps = [first] if record else []
        for target in times[1:]:
            most = len(past.orders) + max_steps
            while past.times[-1] < target:
                if len(past.orders) >= most:
                    raise StepFailed(f"{max_steps} steps do not lead from one frame to the next")
                control.advance(past, target)
                self.step.release()
                if len(past.orders) <= record:
                    steps.append(past.states[0])
            states.append(past.states[0][:, 0].copy())
            derivatives += past.derivatives[:1]
        self._require_finite(past)
        grid = TimeGrid(tuple(past.times), tuple(past.orders))
        kept = steps if len(grid.orders) <= record else []
        return Trajectory(grid, states, derivatives, first, tuple(times[1:]), boundary_data, kept)

    def replay(self, trajectory: Trajectory, number: int, states: list[np.ndarray]) -> np.ndarray:
        """Return the state after a step of a trajectory again. Collective.

        Parameters
        ----------
        trajectory : Trajectory
            What this step is a part of.
        number : int
            Number of the step, from 1.
        states : list of numpy.ndarray, shape (nodes, fields)
            Those before it, newest first: `max_order` + 1, or all.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        times, orders = trajectory.grid.times, trajectory.grid.orders
        past = Past(list(times[:number]), list(orders[: number - 1]), states, trajectory.boundary_data)
        return self.attempt(past, times[number], orders[number - 1])

    def attempt(self, past: Past, time: float, order: int) -> np.ndarray:
        """Predict the state at the end of a step and correct it by Newton's method. Collective.

        Parameters
        ----------
        past : Past
            The steps before it.
        time : float
            Its end.
        order : int
            Its order.

        Returns
        -------
        numpy.ndarray, shape (nodes, fields)

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        prediction = past.extrapolated(past.states, time, order + 1)
        self._prescribe(prediction, past.boundary_data, time)
        weights = derivative_weights(past.nodes(time, order))
        self.step.set_rate(weights[0], combine(weights[1:], [state[:, 0] for state in past.states]))
        goal = self.tolerances.newton * self.tolerance(past)
        return self.newton.solve(prediction, goal * POLISHED if past.derivatives else goal)

    def accept(self, past: Past, time: float, order: int, state: np.ndarray) -> None:
        """Append a solved step and, where they are carried, its sensitivities. Collective.

        Parameters
        ----------
        past : Past
            The steps before it; this one is added, or nothing is changed where its sensitivities fail.
        time : float
            Its end.
        order : int
            Its order.
        state : numpy.ndarray, shape (nodes, fields)
            Its solution.

        Raises
        ------
        StepFailed
            Where the equations of the sensitivities cannot be solved.
        """
        if past.derivatives:
            state = state + self._carry_derivatives(past, time, order)
        if not past.orders:
            past.states[0][:, 1:] = state[:, 1:]  # the start has no algebraic part of its own
        past.append(time, order, state, keep=self.tolerances.max_order + 2)

    def tolerance(self, past: Past) -> float:
        """Return the allowed local error of a step (root mean square of c). Collective.

        Parameters
        ----------
        past : Past
            The steps before it.
        """
        return self.tolerances.rtol * max(self.step.norm.fluctuation(past.states[0][:, 0]), QUIET)

    def _beginning(self, start: np.ndarray, time: float, tangent: np.ndarray | None, boundary_data) -> Past:
        nodes, fields = self.step.shape
        first = np.column_stack([start, np.zeros((nodes, fields - 1))])
        self._prescribe(first, boundary_data, time)
        self.step.factorised_shift = 0.0
        derivatives = [] if tangent is None else [np.asfortranarray(tangent)]
        return Past([time], [], [first], boundary_data, derivatives)

    def _prescribe(self, state: np.ndarray, boundary_data, time: float) -> None:
        """Set what holds on the boundary at a time, and write it into a state."""
        if boundary_data is not None:
            state[self.step.dirichlet_nodes, 0] = self.step.forms.dirichlet.prescribe(boundary_data(time))

    def _carry_derivatives(self, past: Past, time: float, order: int) -> np.ndarray:
        """Add the derivatives at the end of a step; gives a last correction of its state."""
        weights = derivative_weights(past.nodes(time, order))[1:]
        self.step.factorise()
        expected = past.extrapolated(past.derivatives, time, len(past.derivatives))
        update, derivatives = self.step.sensitivity(combine(weights, past.derivatives), expected)
        past.derivatives.insert(0, derivatives)
        del past.derivatives[self.tolerances.max_order :]
        return update

    def _require_finite(self, past: Past) -> None:
        """Refuse derivatives, and states that were corrected with them, which have become NaN unseen."""
        if past.derivatives:
            arrays = past.states[0], past.derivatives[0]
            if any_rank(self.step.norm.comm, not all(np.isfinite(array).all() for array in arrays)):
                raise StepFailed("the sensitivities are not finite")
