"""The equations of a step, assembled: residual, Jacobian, and derivatives by history and coefficients."""

from __future__ import annotations

from functools import reduce

import numpy as np
from firedrake import TensorFunctionSpace, TestFunction, TrialFunction, assemble, derivative, split
from firedrake.assemble import get_assembler
from firedrake.petsc import PETSc

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.assembled import Assembled
from fe_phaseinv.forward.border import StepBorder
from fe_phaseinv.forward.dirichlet import StrongConditions
from fe_phaseinv.forward.displaced import Displaced
from fe_phaseinv.forward.forms import StepForms, unit
from fe_phaseinv.forward.layout import StateLayout
from fe_phaseinv.solvers.linear_algebra import product


class StepOperators:
    """Assembled forms of a step. States are flat local arrays, as `StateLayout` has them.

    Where values are prescribed, their equations are replaced: their residual is zero and their rows of the Jacobian are
    those of the unit matrix.

    Parameters
    ----------
    forms : StepForms
        The equations; what is assembled is taken at the state that they hold.
    seen : sequence of int
        Components whose derivatives are carried along, besides those with rates.
    displaced : Displaced, optional
        By whose fields the last of the derivatives that are carried along are.

    Attributes
    ----------
    matrix : petsc4py.PETSc.Mat
        The Jacobian of the fields, as last assembled, with the pins of the border.
    layout : StateLayout
        Where fields and scalars are.
    border : StepBorder or None
        The equations of the scalars.
    prescribed : numpy.ndarray of int
        Local numbers of the values of a state that are prescribed: of the first field where it is given by a field on
        the boundary, then by the conditions of the model.
    """

    def __init__(self, forms: StepForms, seen: tuple[int, ...] = (), displaced: Displaced | None = None):
        space, together = forms.space, forms.state.function_space()
        residual = forms.residual(split(TestFunction(together)))
        self.forms, self._comm, self._displaced = forms, space.mesh().comm, displaced
        self.layout = _layout(forms, seen)
        self.conditions = StrongConditions(forms)
        given = forms.dirichlet.nodes if forms.dirichlet else np.empty(0, int)
        self.given = forms.components * given
        self.prescribed = np.concatenate([self.given, self.conditions.rows]).astype(PETSc.IntType)
        self._residual = get_assembler(residual)
        self._residual_value = self._residual.allocate()
        blocks = "baij" if forms.components > 1 else "aij"
        self._jacobian = get_assembler(derivative(residual, forms.state, TrialFunction(together)), mat_type=blocks)
        self._jacobian_value = self._jacobian.allocate()
        self.matrix = self._jacobian_value.petscmat
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._rows = self.matrix.getOwnershipRange()[0] + self.prescribed
        self._rates = [_RateMatrix(forms, residual, history, self._rows) for history in forms.history]
        self._by_coefficients = self._coefficient_assembler()
        self._by_coefficients_value = self._by_coefficients and self._by_coefficients.allocate()
        self._by_start_mean = self._start_mean_derivative(residual)
        self._by_convolution = self._convolution_matrix(residual) if forms.convolution else None
        self.border = StepBorder(forms, self.layout.nodes, self.prescribed) if forms.border else None

    def residual(self) -> np.ndarray:
        """Return the residual as a local array; the state is taken to be right where it is prescribed. Collective."""
        if self.forms.convolution:
            self.forms.convolution.update(self.forms.state.dat.data_ro.ravel())
        value = self._residual.assemble(tensor=self._residual_value).dat.data_ro.ravel().copy()
        value[self.prescribed] = 0.0
        return value if self.border is None else np.concatenate([value, self.border.values()])

    def assemble_jacobian(self) -> None:
        """Write the derivative of the residual by the state into the matrix. Collective."""
        self._jacobian.assemble(tensor=self._jacobian_value)
        self.matrix.zeroRows(self._rows, diag=1.0)
        if self.forms.floating:
            self._pin()

    def update_rate(self) -> None:
        """Assemble the derivative by the history anew, where it depends on anything that changes. Collective."""
        if not self.forms.plain_rate:
            for rate in self._rates:
                rate.assemble()

    def rate(self, history: np.ndarray) -> np.ndarray:
        """Return the derivative of the equations by the history times changes of it. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (rated * nodes,) or (rated * nodes, columns)
            Changes of the history.

        Returns
        -------
        numpy.ndarray, shape (inner,) or (inner, columns)
            Without the equations of scalars, which have no rates.
        """
        parts = np.split(history, len(self._rates))
        return reduce(np.add, (product(rate.matrix, part) for rate, part in zip(self._rates, parts, strict=True)))

    def rate_transposed(self, multiplier: np.ndarray) -> np.ndarray:
        """Apply the transpose of `rate`. Collective.

        Parameters
        ----------
        multiplier : numpy.ndarray, shape (size,)
            Weights of the equations.

        Returns
        -------
        numpy.ndarray, shape (rated * nodes,)
        """
        inner = multiplier[: self.layout.inner]
        return np.concatenate([product(rate.matrix, inner, transposed=True) for rate in self._rates])

    def sensitivity_sides(self, history: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Return the right-hand sides of the sensitivities, and last that of the Newton update. Collective.

        Parameters
        ----------
        history : numpy.ndarray, shape (rated * nodes, columns + others)
            Derivatives of the history by the unknown coefficients, then by any other unknowns.
        means : numpy.ndarray, shape (others,)
            Derivatives of the mean of the first field at the start by the other unknowns.

        Returns
        -------
        numpy.ndarray, shape (size, columns + others + 1), Fortran order
            Derivatives of the equations, then their residual; zero in the equations of prescribed values.
        """
        columns, inner = self.forms.columns, self.layout.inner
        sides = np.empty((self.layout.size, history.shape[1] + 1), order="F")
        sides[:inner, :-1] = self.rate(history)
        sides[inner:, :-1] = 0.0
        if self._by_coefficients is not None:
            value = self._by_coefficients.assemble(tensor=self._by_coefficients_value)
            sides[:inner, :columns] += value.dat.data_ro.reshape(inner, columns)
        if len(means) and not self._by_start_mean.vanishes:
            sides[:inner, columns:-1] += np.multiply.outer(self._by_start_mean.values(), means)
        if self.border is not None:
            sides[inner:, :columns] += self.border.by_coefficients()
            sides[inner:, columns:-1] += np.multiply.outer(self.border.by_start_mean(), means)
        sides[:, -1] = self.residual()
        if self._displaced is not None:
            last = slice(-1 - len(self._displaced), -1)
            sides[:, last] += self._displaced.derivatives(self.residual, sides[:, -1])
        sides[self.prescribed] = 0.0
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
        return product(self._by_convolution, self.forms.convolution.apply(columns, roughly))

    def pin_heights(self) -> np.ndarray:
        """Return what the pins add to the matrix, shape (floating,), the same on all ranks. Collective."""
        return self._heights if self.forms.floating else np.zeros(0)

    def _pin(self) -> None:
        """Raise an entry of the diagonal for each floating component by itself: the matrix is singular otherwise."""
        diagonal, pins = self.matrix.getDiagonal().array, self.border.pins
        first = self.matrix.getOwnershipRange()[0]
        own = np.array([abs(diagonal[row]) if row >= 0 else 0.0 for row in pins])
        self._heights = total(self._comm, own)
        for row, height in zip(pins, self._heights, strict=True):
            if row >= 0:
                self.matrix.setValue(first + row, first + row, height, addv=PETSc.InsertMode.ADD_VALUES)
        self.matrix.assemble()

    def _coefficient_assembler(self):
        """Return the derivatives by all unknown coefficients as one form, whose tests have a component for each."""
        forms = self.forms
        if not forms.columns:
            return None
        shape = forms.components, forms.columns
        block = TensorFunctionSpace(forms.space.mesh(), forms.space.ufl_element(), shape=shape)
        tests, together = TestFunction(block), 0
        for column, (values, direction) in enumerate(forms.unknown_directions()):
            residual = forms.residual([tests[part, column] for part in range(forms.components)])
            together += derivative(residual, values, direction)
        return get_assembler(together)

    def _start_mean_derivative(self, residual) -> Assembled:
        forms = self.forms
        direction = unit(forms.numbers, forms.numbers.ufl_shape[0] - 1)
        return Assembled(derivative(residual, forms.numbers, direction), (self.layout.inner,))

    def _convolution_matrix(self, residual) -> PETSc.Mat:
        change = derivative(residual, self.forms.convolution.change, TrialFunction(self.forms.space))
        return assemble(change, mat_type="aij").petscmat


class _RateMatrix:
    """The derivative of the residual by the history of one component."""

    def __init__(self, forms: StepForms, residual, history, rows: np.ndarray):
        self._assembler = get_assembler(derivative(residual, history, TrialFunction(forms.space)), mat_type="aij")
        self._value, self._rows = self._assembler.allocate(), rows
        self.matrix = self._value.petscmat
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self.assemble()

    def assemble(self) -> None:
        self._assembler.assemble(tensor=self._value)
        self.matrix.zeroRows(self._rows, diag=0.0)


def _layout(forms: StepForms, seen: tuple[int, ...]) -> StateLayout:
    model = forms.model
    return StateLayout(
        names=tuple(field.name for field in model.fields),
        parts=forms.parts,
        rated=forms.rated,
        carried=(*forms.rated, *(part for part in seen if part not in forms.rated)),
        nodes=forms.space.dof_dset.size,
        scalars=tuple(scalar.name for scalar in model.scalars),
        border=forms.border,
    )
