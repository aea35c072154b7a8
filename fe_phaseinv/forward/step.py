"""One implicit step of a model on a mesh: compiled once, with one factorised Jacobian."""

from __future__ import annotations

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.forward.linear_solver import linear_solver
from fe_phaseinv.forward.norms import LumpedNorm
from fe_phaseinv.forward.operators import StepOperators


class Step:
    """One implicit step of a model on a mesh.

    States are local arrays of shape (nodes, fields), c in the first column.

    Parameters
    ----------
    forms : StepForms
        The equations of the step.

    Attributes
    ----------
    operators : StepOperators
        The equations, assembled.
    linear : LinearSolver
        Solves with the Jacobian of the last `factorise`.
    norm : LumpedNorm
        Root mean square of a local array of c over the domain.
    shape : tuple of int
        Number of local nodes and of fields.
    dirichlet_nodes : numpy.ndarray of int
        Local numbers of the nodes where c is prescribed.
    shift : float
        Weight of c in its time derivative, as the equations hold it.
    factorised_shift : float
        The shift of the last `factorise`; zero where its factor is not to be used.
    factorisations, residuals, solves : int
        Work done so far.
    """

    def __init__(self, forms: StepForms):
        self.forms = forms
        self.operators = StepOperators(forms)
        self.linear = linear_solver(self.operators)
        self.norm = LumpedNorm(forms.space, forms.quadrature)
        self.shape, self.dirichlet_nodes = self.operators.shape, self.operators.dirichlet_nodes
        self.shift, self.factorised_shift = 1.0, 0.0
        self.factorisations = self.residuals = self.solves = 0

    def set_state(self, values: np.ndarray) -> None:
        """Write a local array into the state.

        Parameters
        ----------
        values : numpy.ndarray, shape (nodes, fields)
            Values of all fields.
        """
        self.forms.state.dat.data_wo.reshape(values.shape)[:] = values

    def set_rate(self, shift: float, history: np.ndarray) -> None:
        """Set dc/dt = shift * c + history.

        Parameters
        ----------
        shift : float
            Leading weight of the formula.
        history : numpy.ndarray, shape (nodes,)
            What the states before contribute, a local array.
        """
        self.set_shift(shift)
        self.forms.history.dat.data_wo[:] = history

    def set_shift(self, shift: float) -> None:
        """Set the weight of c in its time derivative, on which the Jacobian depends.

        Parameters
        ----------
        shift : float
            Leading weight of the formula.
        """
        self.shift = float(shift)
        self.forms.shift.assign(self.shift)

    def residual(self) -> np.ndarray:
        """Return the residual at the state, a local array of shape (nodes, fields). Collective."""
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

    def factor(self) -> PETSc.KSP:
        """Return a solver with the Jacobian at the state that is not changed by what comes later. Collective.

        Raises
        ------
        StepFailed
            As for `factorise`.
        """
        self.operators.assemble_jacobian()
        solver = self.linear.separate(self.shift)
        self.factorisations += 1
        return solver

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve with the factorised Jacobian, as exactly as Newton's method needs it. Collective.

        Parameters
        ----------
        rhs : numpy.ndarray, shape (nodes, fields)
            Local array.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        self.solves += 1
        return self.linear.correct(rhs)

    def sensitivity(self, history: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Newton update and derivatives by the unknowns, in one solve with the factor of this state. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (nodes, columns + others)
            Derivatives of the history by the coefficients, then by any other unknowns, of the start.
        expected : numpy.ndarray, shape (nodes, columns + others)
            The derivatives wanted, as far as they can be told beforehand; an iteration begins with them.

        Returns
        -------
        update : numpy.ndarray, shape (nodes, fields)
        derivatives : numpy.ndarray, shape (nodes, columns + others), Fortran order
            Those of the new c.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        sides = self.operators.sensitivity_sides(history)
        self.residuals += 1
        self.solves += 1
        solution = self.linear.solve(sides, expected)
        nodes, fields = self.shape
        return -solution[:, -1].reshape(nodes, fields), np.asfortranarray(-solution[::fields, :-1])

    def release(self) -> None:
        """Free what Python no longer holds: on several ranks, PETSc keeps it until all of them ask. Collective."""
        for comm in (self.forms.space.mesh().comm, self.operators.matrix.comm):
            PETSc.garbage_cleanup(comm)
