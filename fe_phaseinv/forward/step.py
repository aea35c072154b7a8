"""One implicit step of a model on a mesh: compiled once, with one factorised Jacobian."""

from __future__ import annotations

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.forward.displaced import Displaced
from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.forward.given import Given
from fe_phaseinv.forward.linear_solver import linear_solver
from fe_phaseinv.forward.norms import LumpedNorm
from fe_phaseinv.forward.operators import StepOperators
from fe_phaseinv.solvers.bordered import Factor


class Step:
    """One implicit step of a model on a mesh.

    States are flat local arrays, as `StateLayout` has them.

    Parameters
    ----------
    forms : StepForms
        The equations of the step.
    seen : sequence of int
        Components whose derivatives are carried along, besides those with rates.
    displaced : Displaced, optional
        By whose fields the last of the derivatives that are carried along are.

    Attributes
    ----------
    operators : StepOperators
        The equations, assembled.
    layout : StateLayout
        Where fields and scalars are in a state.
    linear : LinearSolver
        Solves with the Jacobian of the last `factorise`.
    norm : LumpedNorm
        Root mean square of a component over the domain.
    shift : float
        Weight of the new state in its time derivative, as the equations hold it.
    factorised_shift : float
        The shift of the last `factorise`; zero where its factor is not to be used.
    factorisations, residuals, solves : int
        Work done so far.
    """

    def __init__(self, forms: StepForms, seen: tuple[int, ...] = (), displaced: Displaced | None = None):
        self.forms = forms
        self.operators = StepOperators(forms, seen, displaced)
        self.layout = self.operators.layout
        self.linear = linear_solver(self.operators)
        self.norm = LumpedNorm(forms.space, forms.quadrature)
        self.shift, self.factorised_shift = 1.0, 0.0
        self.factorisations = self.residuals = self.solves = 0

    def set_state(self, values: np.ndarray) -> None:
        """Write a local array into the state.

        Parameters
        ----------
        values : numpy.ndarray, shape (size,)
            Values of all fields, then the scalars.
        """
        inner = self.layout.inner
        self.forms.state.dat.data_wo.reshape(-1)[:] = values[:inner]
        if self.forms.scalars is not None:
            self.forms.scalars.dat.data_wo[:] = values[inner:]

    def set_rate(self, shift: float, history: np.ndarray) -> None:
        """Set the time derivatives to shift * u + history.

        Parameters
        ----------
        shift : float
            Leading weight of the formula.
        history : numpy.ndarray, shape (rated * nodes,)
            What the states before contribute.
        """
        self.set_shift(shift)
        self.set_history(history)

    def set_shift(self, shift: float) -> None:
        """Set the weight of the new state in its time derivative, on which the Jacobian depends.

        Parameters
        ----------
        shift : float
            Leading weight of the formula.
        """
        self.shift = float(shift)
        self.forms.shift.assign(self.shift)

    def set_history(self, history: np.ndarray) -> None:
        """Set what the states before contribute to the time derivatives.

        Parameters
        ----------
        history : numpy.ndarray, shape (rated * nodes,)
            Local nodal values, component by component.
        """
        parts = np.split(history, len(self.forms.history))
        for function, part in zip(self.forms.history, parts, strict=True):
            function.dat.data_wo[:] = part

    def set_given(self, given: Given, time: float) -> None:
        """Set the time at the end of the step, and what is given then.

        Parameters
        ----------
        given : Given
            What the run is given.
        time : float
            Since the start.
        """
        self.forms.time.assign(given.began + time)
        self.forms.numbers.dat.data_wo[:] = given.numbers(time)
        if given.boundary is not None:
            self.forms.dirichlet.field.dat.data_wo[:] = given.field(time)

    def residual(self) -> np.ndarray:
        """Return the residual at the state, shape (size,). Collective."""
        self.residuals += 1
        return self.operators.residual()

    def factorise(self) -> None:
        """Assemble and factorise the Jacobian at the state. Collective.

        Raises
        ------
        StepFailed
            Where it is singular, not finite, or needs too much memory.
        """
        self.operators.assemble_jacobian()
        self.linear.prepare(self.shift)
        self.factorised_shift = self.shift
        self.factorisations += 1

    def factor(self) -> Factor:
        """Return a solver with the Jacobian at the state that is not changed by what comes later. Collective.

        Raises
        ------
        StepFailed
            As for `factorise`.
        """
        self.operators.assemble_jacobian()
        factor = self.linear.separate(self.shift)
        self.factorisations += 1
        return factor

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve with the factorised Jacobian, as exactly as Newton's method needs it. Collective.

        Parameters
        ----------
        rhs : numpy.ndarray, shape (size,)
            Local array.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        self.solves += 1
        return self.linear.correct(rhs)

    def relative_size(self, change: np.ndarray, tolerances: np.ndarray) -> float:
        """Return the largest root mean square of the components with rates, each in units of its tolerance. Collective.

        Parameters
        ----------
        change : numpy.ndarray, shape (size,)
            Change of a state.
        tolerances : numpy.ndarray, shape (rated,)
            One for each component.
        """
        parts = zip(self.layout.rated, tolerances, strict=True)
        return max(self.norm(self.layout.component(change, part)) / tolerance for part, tolerance in parts)

    def fluctuations(self, state: np.ndarray) -> np.ndarray:
        """Return the root mean square deviations from the mean of the components with rates. Collective.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            A state.
        """
        return np.array([self.norm.fluctuation(self.layout.component(state, part)) for part in self.layout.rated])

    def sensitivity(
        self, history: np.ndarray, expected: np.ndarray, means: np.ndarray, rtol: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return Newton update and derivatives by the unknowns, in one solve with the factor of this state. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (rated * nodes, columns + others)
            Derivatives of the history by the coefficients, then by any other unknowns, of the start.
        expected : numpy.ndarray, shape (carried * nodes + border, columns + others)
            The derivatives wanted, as far as they can be told beforehand; an iteration begins with them.
        means : numpy.ndarray, shape (others,)
            Derivatives of the mean of the first field at the start by the other unknowns.
        rtol : float
            Residual, relative to the right-hand sides, at which an iteration may end.

        Returns
        -------
        update : numpy.ndarray, shape (size,)
        derivatives : numpy.ndarray, shape (carried * nodes + border, columns + others), Fortran order
            As `StateLayout.carry` gives them.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        sides = self.operators.sensitivity_sides(history, means)
        self.residuals += 1
        self.solves += 1
        solution = self.linear.solve(sides, expected, rtol)
        update, derivatives = -solution[:, -1], self.layout.carry(solution[:, :-1])
        return update, np.negative(derivatives, out=derivatives)

    def release(self) -> None:
        """Free what Python no longer holds: on several ranks, PETSc keeps it until all of them ask. Collective."""
        for comm in (self.forms.space.mesh().comm, self.operators.matrix.comm):
            PETSc.garbage_cleanup(comm)
