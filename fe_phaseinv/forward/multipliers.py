"""The adjoint of a trajectory: its multipliers from the last step to the first, and the derivatives they give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.forward.weighted import Weighted, WeightedDerivatives
from fe_phaseinv.solvers.bordered import Factor


class Multipliers:
    """Solves for multipliers from the last step to the first, and sums the derivatives up.

    Parameters
    ----------
    weighted : Weighted
        Derivatives of the equations of a step, which is at the state of the step that is solved for.
    trajectory : Trajectory
        The run; what it prescribed on the boundary is a `BoundaryData`.
    loads : mapping of numpy.ndarray, shape (size,)
        By the number of a step, the derivative by its state of what is differentiated.
    """

    def __init__(self, weighted: Weighted, trajectory: Trajectory, loads: Mapping[int, np.ndarray]):
        self._weighted, self._step, self._trajectory, self._loads = weighted, weighted.step, trajectory, loads
        self._pending: dict[int, np.ndarray] = {}
        forms, given = self._step.forms, trajectory.given
        self._coefficients, self._heterogeneity = np.zeros(forms.columns), np.zeros(self._step.layout.nodes)
        self._boundary = np.zeros((0, 0)) if given.boundary is None else np.zeros_like(given.boundary.fields)
        self._data = np.zeros((0, 0)) if given.data is None else np.zeros_like(given.data.values)
        self._start_mean = 0.0

    def solve(self, n: int, solver: Factor, formula: np.ndarray, less: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the multiplier of step n. Collective.

        Parameters
        ----------
        n : int
            Number of the step.
        solver : Factor
            Solves with its Jacobian.
        formula : numpy.ndarray, shape (order + 1,)
            Weights of its formula.
        less : numpy.ndarray, shape (size,), optional
            What is subtracted from its right-hand side.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        multiplier = solver.solve(self.side(n) - less, transposed=True)
        self.take(n, formula, multiplier)
        return multiplier

    def side(self, n: int) -> np.ndarray:
        """Return the right-hand side for the multiplier of step n, shape (size,).

        Parameters
        ----------
        n : int
            Number of the step.
        """
        layout = self._step.layout
        rhs = self._loads[n].copy() if n in self._loads else layout.zeros()
        if n in self._pending:
            rhs -= layout.from_rates(self._pending.pop(n))
        return rhs

    def take(self, n: int, formula: np.ndarray, multiplier: np.ndarray) -> None:
        """Count what a multiplier gives. Collective.

        Parameters
        ----------
        n : int
            Number of the step.
        formula : numpy.ndarray, shape (order + 1,)
            Weights of its formula.
        multiplier : numpy.ndarray, shape (size,)
            That of the step.
        """
        self._pass_on(n, formula, self._step.operators.rate_transposed(multiplier))
        self._weighted.set_multiplier(multiplier)
        self._count(n, self._weighted.first())
        self._add_boundary(n, multiplier[self._step.operators.given])

    def add(self, n: int, formula: np.ndarray, derivatives: WeightedDerivatives) -> None:
        """Count the change of the derivatives of the equations of step n.

        Parameters
        ----------
        n : int
            Number of the step.
        formula : numpy.ndarray, shape (order + 1,)
            Weights of its formula.
        derivatives : WeightedDerivatives
            The change.
        """
        self._count(n, derivatives)
        self._pass_on(n, formula, derivatives.history)

    def derivative(self) -> Inputs:
        """Return the derivative by the inputs, after step 1. Collective."""
        layout, operators, comm = self._step.layout, self._step.operators, self._step.norm.comm
        rates = -self._pending.get(0, np.zeros(len(layout.rated) * layout.nodes))
        start = layout.from_rates(rates)
        self._add_boundary(0, start[operators.given])
        start[operators.prescribed] = 0.0
        # The mean is that of the start as it was given, before anything was prescribed.
        layout.component(start, 0)[:] += total(comm, self._start_mean) * self._step.norm.mean_weights
        return Inputs(
            total(comm, self._coefficients),
            layout.rates(start),
            self._heterogeneity,
            self._boundary,
            total(comm, self._data),
        )

    def _pass_on(self, n: int, formula: np.ndarray, by_history: np.ndarray) -> None:
        """Count the derivative by the history for the steps before."""
        for j, weight in enumerate(formula[1:], 1):
            if n - j >= 0:
                self._pending[n - j] = self._pending.get(n - j, 0.0) + weight * by_history

    def _count(self, n: int, derivatives: WeightedDerivatives) -> None:
        given, time = self._trajectory.given, self._trajectory.grid.times[n]
        self._coefficients -= derivatives.coefficients
        if len(derivatives.numbers):
            self._start_mean -= derivatives.numbers[-1]
            if given.data is not None:
                self._data -= np.multiply.outer(given.weights(given.data, time), derivatives.numbers[:-1])
        if "heterogeneity" in derivatives.fields:
            self._heterogeneity -= derivatives.fields["heterogeneity"]
        if "boundary" in derivatives.fields:
            self._boundary -= np.multiply.outer(given.weights(given.boundary, time), derivatives.fields["boundary"])

    def _add_boundary(self, n: int, multiplier: np.ndarray) -> None:
        """Count what the values prescribed at the end of step n bring about."""
        dirichlet, given = self._step.forms.dirichlet, self._trajectory.given
        if dirichlet is not None:
            weights = given.weights(given.boundary, self._trajectory.grid.times[n])
            self._boundary += np.multiply.outer(weights, dirichlet.trace_transposed(multiplier))
