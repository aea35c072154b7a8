"""The equations of a step, assembled: residual, Jacobian, and derivatives by history and coefficients."""

from __future__ import annotations

import numpy as np
from firedrake import TensorFunctionSpace, TestFunction, TrialFunction, assemble, derivative, split
from firedrake.assemble import get_assembler
from firedrake.petsc import PETSc

from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.solvers.linear_algebra import dense


class StepOperators:
    """Assembled forms of a step. States are local arrays of shape (nodes, fields), c in the first column.

    Where c is prescribed, its equations are replaced: their residual is zero and their rows of the Jacobian are those
    of the unit matrix.

    Parameters
    ----------
    forms : StepForms
        The equations; what is assembled is taken at the state that they hold.

    Attributes
    ----------
    matrix : petsc4py.PETSc.Mat
        The Jacobian, as last assembled.
    shape : tuple of int
        Number of local nodes and of fields.
    dirichlet_nodes : numpy.ndarray of int
        Local numbers of the nodes where c is prescribed.
    """

    def __init__(self, forms: StepForms):
        space, together = forms.space, forms.state.function_space()
        residual = forms.residual(split(TestFunction(together)))
        self.forms, self._comm = forms, space.mesh().comm
        self.shape = space.dof_dset.size, forms.fields
        self.dirichlet_nodes = forms.dirichlet.nodes if forms.dirichlet else np.empty(0, PETSc.IntType)
        self._residual = get_assembler(residual)
        self._residual_value = self._residual.allocate()
        blocks = "baij" if forms.fields > 1 else "aij"
        self._jacobian = get_assembler(derivative(residual, forms.state, TrialFunction(together)), mat_type=blocks)
        self._jacobian_value = self._jacobian.allocate()
        self.matrix = self._jacobian_value.petscmat
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._rows = self.matrix.getOwnershipRange()[0] + forms.fields * self.dirichlet_nodes
        self._rate = assemble(derivative(residual, forms.history, TrialFunction(space)), mat_type="aij").petscmat
        self._rate.zeroRows(self._rows, diag=0.0)
        self._by_coefficients = self._coefficient_assembler()
        self._by_coefficients_value = self._by_coefficients and self._by_coefficients.allocate()
        self._by_convolution = self._convolution_matrix(residual) if forms.convolution else None

    def residual(self) -> np.ndarray:
        """Return the residual as a local array; the state is taken to be right where it is prescribed. Collective."""
        if self.forms.convolution:
            self.forms.convolution.update(self.forms.state.dat.data_ro.reshape(self.shape)[:, 0])
        value = self._residual.assemble(tensor=self._residual_value).dat.data_ro.reshape(self.shape).copy()
        value[self.dirichlet_nodes, 0] = 0.0
        return value

    def assemble_jacobian(self) -> None:
        """Write the derivative of the residual by the state into the matrix. Collective."""
        self._jacobian.assemble(tensor=self._jacobian_value)
        self.matrix.zeroRows(self._rows, diag=1.0)

    def rate(self, history: np.ndarray) -> np.ndarray:
        """Return the derivative of the residual by the history times a change of it. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (nodes,)
            Change of the history.

        Returns
        -------
        numpy.ndarray, shape (nodes, fields)
        """
        nodes, rows = self._rate.createVecs()
        nodes.array[:] = history
        self._rate.mult(nodes, rows)
        return rows.array.reshape(self.shape).copy()

    def rate_transposed(self, multiplier: np.ndarray) -> np.ndarray:
        """Apply the transpose of `rate`. Collective.

        Parameters
        ----------
        multiplier : numpy.ndarray, shape (nodes, fields)
            Weights of the equations.

        Returns
        -------
        numpy.ndarray, shape (nodes,)
        """
        nodes, rows = self._rate.createVecs()
        rows.array[:] = multiplier.ravel()
        self._rate.multTranspose(rows, nodes)
        return nodes.array.copy()

    def sensitivity_sides(self, history: np.ndarray) -> np.ndarray:
        """Return the right-hand sides of the sensitivities, and last that of the Newton update. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (nodes, columns + others)
            Derivatives of the history by the unknown coefficients, then by any other unknowns.

        Returns
        -------
        numpy.ndarray, shape (nodes * fields, columns + others + 1), Fortran order
            Derivatives of the residual, then the residual itself; zero in the equations of prescribed values.
        """
        sides = np.empty((np.prod(self.shape), history.shape[1] + 1), order="F")
        sides[:, :-1] = self._rate.matMult(dense(self._comm, np.asfortranarray(history))).getDenseArray()
        if self._by_coefficients is not None:
            value = self._by_coefficients.assemble(tensor=self._by_coefficients_value)
            sides[:, : self.forms.columns] += value.dat.data_ro.reshape(-1, self.forms.columns)
        sides[self.forms.fields * self.dirichlet_nodes] = 0.0
        sides[:, -1] = self.residual().ravel()
        return sides

    def nonlocal_part(self, columns: np.ndarray, roughly: bool) -> np.ndarray:
        """Return the part of the Jacobian that the matrix lacks, that of a convolution, times columns. Collective.

        Parameters
        ----------
        columns : numpy.ndarray, shape (nodes, columns)
            Changes of the only field.
        roughly : bool
            Whether the error that `Convolution.apply` can allow is allowed.
        """
        convolved = np.asfortranarray(self.forms.convolution.apply(columns, roughly))
        return self._by_convolution.matMult(dense(self._comm, convolved)).getDenseArray()

    def _coefficient_assembler(self):
        """Return the derivatives by all unknown coefficients as one form, whose tests have a component for each."""
        forms = self.forms
        if not forms.columns:
            return None
        shape = forms.fields, forms.columns
        block = TensorFunctionSpace(forms.space.mesh(), forms.space.ufl_element(), shape=shape)
        tests, together = TestFunction(block), 0
        for column, (values, direction) in enumerate(forms.unknown_directions()):
            residual = forms.residual([tests[field, column] for field in range(forms.fields)])
            together += derivative(residual, values, direction)
        return get_assembler(together)

    def _convolution_matrix(self, residual) -> PETSc.Mat:
        change = derivative(residual, self.forms.convolution.change, TrialFunction(self.forms.space))
        return assemble(change, mat_type="aij").petscmat
