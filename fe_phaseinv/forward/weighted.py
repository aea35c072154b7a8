"""Derivatives of the equations of one step, weighted by multipliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ufl
from firedrake import Function, TestFunction, derivative, split

from fe_phaseinv.forward.assembled import Assembled, Sums
from fe_phaseinv.forward.forms import unit
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.step import Step


@dataclass(frozen=True, eq=False)
class WeightedDerivatives:
    """Derivatives of the weighted equations of a step by what they depend on besides the state, or changes of these.

    Parameters
    ----------
    coefficients : numpy.ndarray, shape (columns,)
        By the unknown coefficients, this rank's share.
    numbers : numpy.ndarray, shape (data + 1,) or (0,)
        By the numbers given in time, this rank's share; none where nothing depends on them.
    fields : dict of numpy.ndarray
        By "heterogeneity" and "boundary", local arrays, where there are such fields.
    history : numpy.ndarray, shape (rated * nodes,)
        By the history; zeros where the derivative by it depends on nothing that changes and this is a change of it.
    """

    coefficients: np.ndarray
    numbers: np.ndarray
    fields: dict[str, np.ndarray]
    history: np.ndarray


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
        self.step, self._forms, mesh = step, forms, forms.space.mesh()
        together, border, inner = forms.state.function_space(), forms.border, (step.layout.inner,)
        self._multiplier, self._change = Function(together), Function(together)
        self._weights, self._scalar_change = (forms.scalars and forms.scalars.copy(deepcopy=True) for _ in range(2))
        fields = {"heterogeneity": forms.heterogeneity, "boundary": forms.dirichlet and forms.dirichlet.field}
        self._fields = {name: function for name, function in fields.items() if function is not None}
        self._field_changes = {name: Function(f.function_space()) for name, f in self._fields.items()}
        self._changes = {name: Function(f.function_space()) for name, f in forms.coefficients.items()}
        self._number_change = Function(forms.numbers.function_space())
        self._history_changes = () if forms.plain_rate else tuple(Function(forms.space) for _ in forms.history)
        self._directions = [*forms.unknown_directions(), *forms.number_directions()]
        inputs = [(forms.coefficients[name], change) for name, change in self._changes.items()]
        inputs += [(self._fields[name], change) for name, change in self._field_changes.items()]
        inputs += [(forms.numbers, self._number_change)]
        states = [(forms.state, self._change)] + ([(forms.scalars, self._scalar_change)] if border else [])
        states += list(zip(forms.history, self._history_changes, strict=False))

        weights = list(self._weights) if border else []
        weighted, test = forms.whole(split(self._multiplier), weights), TestFunction(together)
        variation = _along(weighted, states + inputs)
        self._explicit = Assembled(_along(forms.residual(split(test)), inputs), inner)
        self._explicit_border = Sums(mesh, (border,), lambda t: _along(forms.weighted_constraints(t), inputs))
        self._curvature = Assembled(derivative(variation, forms.state, test), inner)
        self._curvature_border = Sums(mesh, (border,), lambda t: self._by_scalars(variation, t))
        columns = (len(self._directions),)
        self._first, self._second = (
            Sums(mesh, columns, lambda t, form=form: self._by_directions(form, t)) for form in (weighted, variation)
        )
        self._field_first, self._field_second = self._by_fields(weighted), self._by_fields(variation)
        self._by_history = [] if forms.plain_rate else [self._assembled(variation, h) for h in forms.history]

    def set_multiplier(self, values: np.ndarray) -> None:
        """Write a local array of multipliers; those of prescribed values do not count.

        Parameters
        ----------
        values : numpy.ndarray, shape (size,)
            Weights of the equations, those of the constraints last.
        """
        values = values.copy()
        values[self.step.operators.prescribed] = 0.0
        self._write(self._multiplier, self._weights, values)

    def set_change(self, change: np.ndarray, history: np.ndarray | None = None) -> None:
        """Write a local array of the change of the state.

        Parameters
        ----------
        change : numpy.ndarray, shape (size,)
            Change of all fields, then the scalars.
        history : numpy.ndarray, shape (rated * nodes,), optional
            Change of the history, where derivatives depend on it.
        """
        self._write(self._change, self._scalar_change, change)
        if history is not None:
            self._set_history_change(history)

    def set_inputs(self, inputs: Inputs, numbers: np.ndarray, boundary: np.ndarray | None) -> None:
        """Write the change of all that is given.

        Parameters
        ----------
        inputs : Inputs
            The change.
        numbers : numpy.ndarray, shape (data + 1,)
            Change of the numbers given in time, at the time of the step.
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
        self._number_change.dat.data_wo[:] = numbers

    def explicit(self) -> np.ndarray:
        """Return the change of the equations by the inputs alone, shape (size,). Collective."""
        change = self._explicit.values()
        change[self.step.operators.prescribed] = 0.0
        return np.concatenate([change, self._total(self._explicit_border)])

    def curvature(self) -> np.ndarray:
        """Return the change of the weighted derivative by the state, shape (size,). Collective."""
        return np.concatenate([self._curvature.values(), self._total(self._curvature_border)])

    def first(self) -> WeightedDerivatives:
        """Return the weighted derivatives, but for that by the history. Collective."""
        return self._derivatives(self._first, self._field_first, [])

    def second(self) -> WeightedDerivatives:
        """Return the change of the weighted derivatives by the changes that were set. Collective."""
        return self._derivatives(self._second, self._field_second, self._by_history)

    def _derivatives(self, sums: Sums, fields: dict[str, Assembled], history: list[Assembled]) -> WeightedDerivatives:
        values, columns = sums.values(), self._forms.columns
        by_history = [part.values() for part in history] or [np.zeros(len(self._forms.rated) * self.step.layout.nodes)]
        return WeightedDerivatives(
            values[:columns],
            values[columns:],
            {name: form.values() for name, form in fields.items()},
            np.concatenate(by_history),
        )

    def _total(self, sums: Sums) -> np.ndarray:
        return self.step.norm.total(sums.values()) if self._forms.border else np.zeros(0)

    def _set_history_change(self, history: np.ndarray) -> None:
        parts = np.split(history, len(self._history_changes))
        for function, part in zip(self._history_changes, parts, strict=True):
            function.dat.data_wo[:] = part

    def _write(self, function: Function, scalars: Function | None, values: np.ndarray) -> None:
        inner = self.step.layout.inner
        function.dat.data_wo.reshape(-1)[:] = values[:inner]
        if scalars is not None:
            scalars.dat.data_wo[:] = values[inner:]

    def _by_directions(self, form, tests):
        return sum(derivative(_tested(form, tests[i]), *pair) for i, pair in enumerate(self._directions))

    def _by_scalars(self, form, tests):
        scalars = self._forms.scalars
        return sum(derivative(_tested(form, tests[k]), scalars, unit(scalars, k)) for k in range(self._forms.border))

    def _by_fields(self, form) -> dict[str, Assembled]:
        """Return the derivatives by the fields, other than the state, on which the equations depend."""
        return {name: self._assembled(form, function) for name, function in self._fields.items()}

    @staticmethod
    def _assembled(form, function: Function) -> Assembled:
        space = function.function_space()
        return Assembled(derivative(form, function, TestFunction(space)), (space.dof_dset.size,))


def _along(form, changes):
    """Return the derivative of a form along the changes of several functions."""
    return sum(derivative(form, function, change) for function, change in changes)


def _tested(form, test):
    """Return a form whose integrands are multiplied by a test function."""
    return ufl.Form([part.reconstruct(test * part.integrand()) for part in form.integrals()])
