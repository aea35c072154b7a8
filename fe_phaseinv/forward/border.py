"""The equations of the scalars of a step, as rows and columns around its Jacobian."""

from __future__ import annotations

import numpy as np
from firedrake import TestFunction, derivative, split
from mpi4py import MPI

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.assembled import Assembled, Sums
from fe_phaseinv.forward.forms import StepForms, unit


class StepBorder:
    """Constraints of a step, and the derivatives that involve its scalars.

    Where the mean of a component floats, the Jacobian alone is singular: one of its diagonal entries is raised then
    (a pin), which the border takes back.

    Parameters
    ----------
    forms : StepForms
        The equations.
    nodes : int
        Local ones.
    prescribed : numpy.ndarray of int
        Local rows whose equations are replaced.

    Attributes
    ----------
    pins : numpy.ndarray of int
        Numbers of the pinned rows on this rank, by floating component; -1 where another one has the row.
    """

    def __init__(self, forms: StepForms, nodes: int, prescribed: np.ndarray):
        mesh, count, together = forms.space.mesh(), forms.border, forms.state.function_space()
        self._comm, self._prescribed = mesh.comm, prescribed
        test, whole = TestFunction(together), (nodes * forms.components,)
        residual = forms.residual(split(test))
        by_scalars = [derivative(residual, forms.scalars, unit(forms.scalars, k)) for k in range(count)]
        by_state = [derivative(form, forms.state, test) for form in forms.constraints()]
        self._right, self._left = (
            [Assembled(form, whole, forms.changes_in(form)) for form in side] for side in (by_scalars, by_state)
        )
        self._state, self._own = forms.state, len(forms.model.scalars)
        self._values = Sums(mesh, (self._own,), lambda tests: _own_constraints(forms, tests))
        self._corner = Sums(mesh, (count, count), lambda tests: _by_scalars(forms, tests))
        self._by_coefficients = Sums(mesh, (count, forms.columns), lambda tests: _by_coefficients(forms, tests))
        self._by_start_mean = Sums(mesh, (count,), lambda tests: _by_start_mean(forms, tests))
        self.pins = self._pinned(forms, nodes)

    def values(self) -> np.ndarray:
        """Return the residuals of the constraints, shape (count,). Collective."""
        own, state = self._values.values(), self._state.dat.data_ro.ravel()
        return total(self._comm, np.append(own, [mean.values() @ state for mean in self._left[self._own :]]))

    def right(self) -> np.ndarray:
        """Return the derivatives of the other equations by the scalars, shape (rows, count). Collective."""
        columns = np.column_stack([column.values() for column in self._right])
        columns[self._prescribed] = 0.0
        return columns

    def left(self) -> np.ndarray:
        """Return the derivatives of the constraints by the state, shape (rows, count). Collective."""
        return np.column_stack([column.values() for column in self._left])

    def corner(self) -> np.ndarray:
        """Return the derivatives of the constraints by the scalars, shape (count, count). Collective."""
        return total(self._comm, self._corner.values())

    def by_coefficients(self) -> np.ndarray:
        """Return the derivatives of the constraints by the unknown coefficients, shape (count, columns). Collective."""
        return total(self._comm, self._by_coefficients.values())

    def by_start_mean(self) -> np.ndarray:
        """Return the derivatives of the constraints by the mean at the start, shape (count,). Collective."""
        return total(self._comm, self._by_start_mean.values())

    def _pinned(self, forms: StepForms, nodes: int) -> np.ndarray:
        first = self._comm.allreduce(self._comm.rank if nodes else self._comm.size, op=MPI.MIN)
        here = self._comm.rank == first
        return np.array([part if here else -1 for part in forms.floating], int)


def _own_constraints(forms: StepForms, tests):
    return forms.weighted_constraints([*tests, *[0] * len(forms.floating)])


def _by_scalars(forms: StepForms, tests):
    pairs = range(forms.border)
    return sum(
        derivative(forms.weighted_constraints([tests[k, j] for k in pairs]), forms.scalars, unit(forms.scalars, j))
        for j in pairs
    )


def _by_coefficients(forms: StepForms, tests):
    return sum(
        derivative(forms.weighted_constraints([tests[k, column] for k in range(forms.border)]), values, direction)
        for column, (values, direction) in enumerate(forms.unknown_directions())
    )


def _by_start_mean(forms: StepForms, tests):
    direction = unit(forms.numbers, forms.numbers.ufl_shape[0] - 1)
    return derivative(forms.weighted_constraints(tests), forms.numbers, direction)
