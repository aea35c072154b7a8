"""Derivatives of the equations of one step, weighted by multipliers."""

from __future__ import annotations

import numpy as np
from firedrake import Function, TestFunction, VectorFunctionSpace, derivative, split
from firedrake.assemble import get_assembler

from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.step import Step


class Weighted:
    """Derivatives of the equations of a step, weighted by multipliers: all forms are made once.

    Parameters
    ----------
    step : Step
        Step of a model whose laws are local.

    Raises
    ------
    ValueError
        Where a law is not.
    """

    def __init__(self, step: Step):
        forms = step.forms
        if forms.convolution is not None:
            raise ValueError("the adjoint needs a model whose laws are local, without a convolution")
        self.step, self._forms = step, forms
        together = forms.state.function_space()
        self._multiplier, self._change = Function(together), Function(together)
        fields = {"heterogeneity": forms.heterogeneity, "boundary": forms.dirichlet and forms.dirichlet.field}
        self._fields = {name: function for name, function in fields.items() if function is not None}
        self._field_changes = {name: Function(f.function_space()) for name, f in self._fields.items()}
        self._changes = {name: Function(f.function_space()) for name, f in forms.coefficients.items()}
        by_inputs = [(forms.coefficients[name], change) for name, change in self._changes.items()]
        by_inputs += [(self._fields[name], change) for name, change in self._field_changes.items()]
        test = TestFunction(together)
        weighted, residual = forms.residual(split(self._multiplier)), forms.residual(split(test))
        variation = derivative(weighted, forms.state, self._change) + _along(weighted, by_inputs)
        self._explicit = get_assembler(_along(residual, by_inputs))
        self._curvature = get_assembler(derivative(variation, forms.state, test))
        self._first, self._second = self._by_coefficients(by_inputs)
        self._field_first, self._field_second = self._by_fields(weighted), self._by_fields(variation)

    def set_multiplier(self, values: np.ndarray) -> None:
        """Write a local array of multipliers; those of prescribed values do not count.

        Parameters
        ----------
        values : numpy.ndarray, shape (nodes, fields)
            Weights of the equations.
        """
        values = values.copy()
        values[self.step.dirichlet_nodes, 0] = 0.0
        _write(self._multiplier, values)

    def set_change(self, change: np.ndarray) -> None:
        """Write a local array of the change of the state.

        Parameters
        ----------
        change : numpy.ndarray, shape (nodes, fields)
            Change of all fields.
        """
        _write(self._change, change)

    def set_inputs(self, inputs: Inputs, boundary: np.ndarray | None) -> None:
        """Write the change of all that is given.

        Parameters
        ----------
        inputs : Inputs
            The change.
        boundary : numpy.ndarray, optional
            Change of the field that is prescribed at the time of the step, where one is.
        """
        rest = inputs.coefficients
        for name, indices in self._forms.unknown.items():
            values = np.zeros(self._changes[name].ufl_shape)
            values[indices], rest = rest[: len(indices)], rest[len(indices) :]
            self._changes[name].dat.data_wo[:] = values
        for name, function in self._field_changes.items():
            function.dat.data_wo[:] = boundary if name == "boundary" else inputs.heterogeneity

    def explicit(self) -> np.ndarray:
        """Return the change of the residual by the inputs alone, a local array. Collective."""
        change = self._explicit.assemble().dat.data_ro.reshape(self.step.shape).copy()
        change[self.step.dirichlet_nodes, 0] = 0.0
        return change

    def curvature(self) -> np.ndarray:
        """Return the change of the weighted derivative by the state, a local array. Collective."""
        return self._curvature.assemble().dat.data_ro.reshape(self.step.shape).copy()

    def first(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the weighted derivatives by the coefficients (this rank's share) and by the fields. Collective."""
        return self._sums(self._first), _assembled(self._field_first)

    def second(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the change of these by the changes that were set. Collective."""
        return self._sums(self._second), _assembled(self._field_second)

    def _sums(self, assembler) -> np.ndarray:
        if assembler is None:
            return np.zeros(0)
        return assembler.assemble().dat.data_ro.reshape(-1, self._forms.columns).sum(axis=0)

    def _by_coefficients(self, by_inputs):
        """Return the derivatives by all unknown coefficients, and their changes, as forms with a number for each cell.

        The test function has a component for each coefficient and is constant on every cell, so that one kernel gives
        all of them, and their sums over the cells are wanted.
        """
        forms = self._forms
        if not forms.columns:
            return None, None
        cells = VectorFunctionSpace(forms.space.mesh(), "DG", 0, dim=forms.columns)
        tests, first = TestFunction(cells), 0
        for column, (values, direction) in enumerate(forms.unknown_directions()):
            form = forms.residual([tests[column] * part for part in split(self._multiplier)])
            first += derivative(form, values, direction)
        second = derivative(first, forms.state, self._change) + _along(first, by_inputs)
        return get_assembler(first), get_assembler(second)

    def _by_fields(self, form) -> dict:
        """Return the derivatives by the fields, other than the state, on which the equations depend."""
        tests = {name: TestFunction(function.function_space()) for name, function in self._fields.items()}
        return {name: get_assembler(derivative(form, self._fields[name], test)) for name, test in tests.items()}


def _along(form, changes):
    """Return the derivative of a form along the changes of several functions."""
    return sum(derivative(form, function, change) for function, change in changes)


def _assembled(assemblers: dict) -> dict[str, np.ndarray]:
    return {name: assembler.assemble().dat.data_ro.copy() for name, assembler in assemblers.items()}


def _write(function: Function, values: np.ndarray) -> None:
    function.dat.data_wo.reshape(values.shape)[:] = values
