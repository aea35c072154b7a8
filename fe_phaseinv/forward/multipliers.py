"""The adjoint of a trajectory: its multipliers from the last step to the first, and the derivatives they give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.solvers.direct import solve_with


class Multipliers:
    """Solves for multipliers from the last step to the first, and sums the derivatives up.

    Parameters
    ----------
    weighted : Weighted
        Derivatives of the equations of a step, which is at the state of the step that is solved for.
    trajectory : Trajectory
        The run; what it prescribed on the boundary is a `BoundaryData`.
    loads : mapping of numpy.ndarray, shape (nodes,)
        By the number of a step, the derivative by its c of what is differentiated; 0 is the start.
    """

    def __init__(self, weighted: Weighted, trajectory: Trajectory, loads: Mapping[int, np.ndarray]):
        self._weighted, self._step, self._trajectory, self._loads = weighted, weighted.step, trajectory, loads
        self._pending: dict[int, np.ndarray] = {}
        forms = self._step.forms
        self._coefficients, self._heterogeneity = np.zeros(forms.columns), np.zeros(self._step.shape[0])
        data = trajectory.boundary_data
        self._boundary = np.zeros((0, 0)) if data is None else np.zeros_like(data.fields)

    def solve(self, n: int, solver: PETSc.KSP, formula: np.ndarray, less: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the multiplier of step n. Collective.

        Parameters
        ----------
        n : int
            Number of the step.
        solver : petsc4py.PETSc.KSP
            Solves with its Jacobian.
        formula : numpy.ndarray, shape (order + 1,)
            Weights of its formula.
        less : numpy.ndarray, shape (nodes, fields), optional
            What is subtracted from its right-hand side.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        rhs = np.zeros(self._step.shape)
        rhs[:, 0] = self._loads.get(n, 0.0) - self._pending.pop(n, 0.0)
        multiplier = solve_with(solver, rhs - less, transposed=True)
        for j, weight in enumerate(formula[1:], 1):
            if n - j >= 0:
                pending = self._pending.get(n - j, 0.0)
                self._pending[n - j] = pending + weight * self._step.operators.rate_transposed(multiplier)
        self._weighted.set_multiplier(multiplier)
        self.add(n, self._weighted.first())
        self._add_boundary(n, multiplier[self._step.dirichlet_nodes, 0])
        return multiplier

    def add(self, n: int, derivatives: tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
        """Count the derivatives of the equations of step n.

        Parameters
        ----------
        n : int
            Number of the step.
        derivatives : tuple
            By the coefficients and by the fields, as `Weighted` gives them.
        """
        by_coefficients, by_fields = derivatives
        self._coefficients -= by_coefficients
        if "heterogeneity" in by_fields:
            self._heterogeneity -= by_fields["heterogeneity"]
        if "boundary" in by_fields:
            self._boundary -= np.multiply.outer(self._knots(n), by_fields["boundary"])

    def derivative(self) -> Inputs:
        """Return the derivative by the inputs, after step 1. Collective."""
        start = self._loads.get(0, 0.0) - self._pending.get(0, np.zeros(self._step.shape[0]))
        self._add_boundary(0, start[self._step.dirichlet_nodes])
        start[self._step.dirichlet_nodes] = 0.0
        coefficients = total(self._step.norm.comm, self._coefficients)
        return Inputs(coefficients, start, self._heterogeneity, self._boundary)

    def _knots(self, n: int) -> np.ndarray:
        """Return the shares of the given fields in that at the end of step n."""
        return self._trajectory.boundary_data.weights(self._trajectory.grid.times[n])

    def _add_boundary(self, n: int, multiplier: np.ndarray) -> None:
        """Count what the values prescribed at the end of step n bring about."""
        dirichlet = self._step.forms.dirichlet
        if dirichlet is not None:
            self._boundary += np.multiply.outer(self._knots(n), dirichlet.trace_transposed(multiplier))
