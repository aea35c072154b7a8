"""Marching a step through time: adaptively, or again on a frozen grid, with sensitivities or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fe_phaseinv.core.parallel import any_rank
from fe_phaseinv.forward.bdf import TimeGrid, derivative_weights, since_start
from fe_phaseinv.forward.given import Given
from fe_phaseinv.forward.newton import ChordNewton
from fe_phaseinv.forward.past import Past, combine
from fe_phaseinv.forward.step import Step
from fe_phaseinv.forward.step_control import AdaptiveSteps, GridSteps
from fe_phaseinv.forward.trajectory import QUIET, Tolerances, Trajectory
from fe_phaseinv.solvers.direct import StepFailed

EXACT, ROUGH = 1e-8, 1e-4
"""Between which the residual of sensitivities is a hundredth of the share that nonlinear solves are allowed."""
POLISHED = 10.0
"""Share by which the correction with a step's own factor, which its sensitivities need anyway, lowers the error."""


class Integrator:
    """Variable-order, variable-step BDF with chord Newton.

    Parameters
    ----------
    step : Step
        The equations of one step.
    tolerances : Tolerances
        Accuracy in time.
    """

    def __init__(self, step: Step, tolerances: Tolerances):
        self.step, self.tolerances = step, tolerances
        self.newton = ChordNewton(step)
        self._exactness = float(np.clip(1e-2 * tolerances.newton, EXACT, ROUGH))

    def march(
        self,
        start: np.ndarray,
        times: Sequence[float],
        *,
        given: Given = Given(),  # noqa: B008 (a frozen value)
        grid: TimeGrid | None = None,
        tangent: np.ndarray | None = None,
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve from times[0] to the other times. Collective.

        Parameters
        ----------
        start : numpy.ndarray, shape (rated * nodes,)
            Local array of the components with rates at times[0].
        times : sequence of float
            Start, then the frame times, on which steps land.
        given : Given
            What else the run is given; the mean at the start is worked out.
        grid : TimeGrid, optional
            Steps to take; chosen by the error estimate where not given.
        tangent : numpy.ndarray, shape (carried * nodes + border, columns), optional
            Derivatives of the start by the unknowns, the coefficients first; they are carried along.
        record : float
            Largest number of steps after which to keep the states.
        max_steps : float
            Largest number of steps tried between two frames.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        targets = since_start(times)
        past = self._beginning(start, tangent, replace(given, began=float(times[0])))
        control = GridSteps(self, grid) if grid else AdaptiveSteps(self, targets, max_steps)
        first, states, derivatives = past.states[0], [], []
        steps = [self._record(first)] if record else []
        for target in targets[1:]:
            while past.times[-1] < target:
                control.advance(past, target)
                self.step.release()
                if len(past.orders) <= record:
                    steps.append(self._record(past.states[0]))
            states.append(past.states[0].copy())
            derivatives += past.derivatives[:1]
        self._require_finite(past)
        grid = TimeGrid(tuple(past.times), tuple(past.orders))
        kept = steps if len(grid.orders) <= record else []
        return Trajectory(grid, states, derivatives, first, targets[1:], past.given, kept)

    def replay(self, trajectory: Trajectory, number: int, states: list[np.ndarray]) -> np.ndarray:
        """Return the record of a step of a trajectory again. Collective.

        Parameters
        ----------
        trajectory : Trajectory
            What this step is a part of.
        number : int
            Number of the step, from 1.
        states : list of numpy.ndarray, shape (size,)
            Those before it, newest first: `max_order` + 1, or all.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        times, orders = trajectory.grid.times, trajectory.grid.orders
        past = Past(list(times[:number]), list(orders[: number - 1]), states, trajectory.given)
        return self._record(self.attempt(past, times[number], orders[number - 1]))

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
        numpy.ndarray, shape (size,)

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        prediction = past.extrapolated(past.states, time, order + 1)
        self.prescribe(prediction, past.given, time)
        weights = derivative_weights(past.nodes(time, order))
        self.step.set_rate(weights[0], combine(weights[1:], [self.step.layout.rates(s) for s in past.states[:order]]))
        share = self.tolerances.newton * (POLISHED if past.derivatives else 1.0)
        return self.newton.solve(prediction, self.tolerance(past), share)

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
        state : numpy.ndarray, shape (size,)
            Its solution.

        Raises
        ------
        StepFailed
            Where the equations of the sensitivities cannot be solved.
        """
        if past.derivatives:
            state = state + self._carry_derivatives(past, time, order)
        if not past.orders:
            self.step.layout.copy_algebraic(state, past.states[0])  # the start has none of its own
        past.append(time, order, state, keep=self.tolerances.max_order + 2)

    def tolerance(self, past: Past) -> np.ndarray:
        """Return the allowed local error of each component with a rate, a root mean square. Collective.

        Parameters
        ----------
        past : Past
            The steps before it.
        """
        return self.tolerances.rtol * np.maximum(self.step.fluctuations(past.states[0]), QUIET)

    def prescribe(self, state: np.ndarray, given: Given, time: float) -> None:
        """Set what is given at a time, and write what holds on the boundary into a state. Collective.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            A state.
        given : Given
            What is given.
        time : float
            Since the start.
        """
        operators, forms = self.step.operators, self.step.forms
        self.step.set_given(given, time)
        state[operators.conditions.rows] = operators.conditions.values()
        if given.boundary is not None:
            state[operators.given] = forms.dirichlet.values()

    def _beginning(self, start: np.ndarray, tangent: np.ndarray | None, given: Given) -> Past:
        layout, norm = self.step.layout, self.step.norm
        first = layout.from_rates(start)
        given = replace(given, start_mean=float(norm.mean(layout.component(first, 0))))
        self.prescribe(first, given, 0.0)
        self.step.factorised_shift = 0.0
        if tangent is None:
            return Past([0.0], [], [first], given)
        means = norm.mean(layout.carried_component(tangent, 0)[:, self.step.forms.columns :])
        free = np.ones(layout.size)
        free[self.step.operators.prescribed] = 0.0
        others = np.asfortranarray(layout.carry(free[:, None]) * tangent)
        return Past([0.0], [], [first], given, [others], means)

    def _record(self, state: np.ndarray) -> np.ndarray:
        """Return what is kept of a step: with its history, where the derivatives of its equations depend on that."""
        forms = self.step.forms
        if forms.plain_rate:
            return state
        return self.step.layout.record(state, np.concatenate([history.dat.data_ro for history in forms.history]))

    def _carry_derivatives(self, past: Past, time: float, order: int) -> np.ndarray:
        """Add the derivatives at the end of a step; gives a last correction of its state."""
        step, weights = self.step, derivative_weights(past.nodes(time, order))[1:]
        step.factorise()
        step.operators.update_rate()
        expected = past.extrapolated(past.derivatives, time, len(past.derivatives))
        history = combine(weights, [step.layout.carried_rates(before) for before in past.derivatives])
        update, derivatives = step.sensitivity(history, expected, past.means, self._exactness)
        past.derivatives.insert(0, derivatives)
        del past.derivatives[self.tolerances.max_order :]
        return update

    def _require_finite(self, past: Past) -> None:
        """Refuse derivatives, and states that were corrected with them, which have become NaN unseen."""
        if past.derivatives:
            arrays = past.states[0], past.derivatives[0]
            if any_rank(self.step.norm.comm, not all(np.isfinite(array).all() for array in arrays)):
                raise StepFailed("the sensitivities are not finite")
