"""A functional of the user's own, on pyadjoint's tape, as a part of the cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from firedrake import Function, FunctionSpace
from pyadjoint import (
    AdjFloat,
    Control,
    ReducedFunctional,
    Tape,
    annotate_tape,
    continue_annotation,
    pause_annotation,
    set_working_tape,
    stop_annotating,
)

from fe_phaseinv.core.parallel import total


@dataclass(frozen=True, eq=False)
class TermShare:
    """What a term adds to the cost and its derivatives by unknowns on which the fields depend linearly.

    Parameters
    ----------
    value : float
    gradient : numpy.ndarray, shape (n,)
    hessian : numpy.ndarray, shape (n, n)
    """

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class TapedTerm:
    """A functional of the first field at the start and at the frames, with its derivatives by the tape.

    Parameters
    ----------
    functional : callable
        Of a list of functions: gives a number that is on the tape, such as ``assemble(states[-1] ** 4 * dx)``.
    space : firedrake.FunctionSpace
        Of the functions.
    count : int
        Number of the functions: that of the frames compared with, and the start.

    Raises
    ------
    ValueError
        Where what the functional gives is no number on the tape.
    """

    def __init__(self, functional: Callable[[list[Function]], AdjFloat], space: FunctionSpace, count: int):
        self._comm = space.mesh().comm
        self._fields = [Function(space) for _ in range(count)]
        self._gradient: list[np.ndarray] = []
        with set_working_tape(Tape()) as tape:
            value = _annotated(functional, self._fields)
            if not isinstance(value, AdjFloat):
                raise ValueError(f"term: found {value!r}; accepted: a number on the tape, such as assemble(...)")
            self._reduced = ReducedFunctional(value, [Control(field) for field in self._fields], tape=tape)

    def value(self, states: Sequence[np.ndarray]) -> float:
        """Return the functional; derivatives are at these states from now on. Collective.

        Parameters
        ----------
        states : sequence of numpy.ndarray
            Local nodal values of the field at the start and at the frames.
        """
        with stop_annotating():
            value = float(self._reduced([self._filled(state) for state in states]))
            self._gradient = [by.dat.data_ro.copy() for by in self._reduced.derivative(apply_riesz=False)]
        return value

    def gradient(self) -> list[np.ndarray]:
        """Return the derivatives by the fields at the last states, local integrals."""
        return self._gradient

    def curvature(self, changes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the change of `gradient`. Collective.

        Parameters
        ----------
        changes : sequence of numpy.ndarray
            Changes of the local nodal values.
        """
        with stop_annotating():
            actions = self._reduced.hessian([self._filled(change) for change in changes], apply_riesz=False)
        return [action.dat.data_ro.copy() for action in actions]

    def share(self, states: Sequence[np.ndarray], derivatives: Sequence[np.ndarray]) -> TermShare:
        """Return value, gradient and Hessian by unknowns on which the fields depend linearly. Collective.

        Parameters
        ----------
        states : sequence of numpy.ndarray
            Local nodal values of the field at the start and at the frames.
        derivatives : sequence of numpy.ndarray, shape (local size, n)
            Of the fields by the unknowns.
        """
        value = self.value(states)
        gradient = sum(by.T @ load for by, load in zip(derivatives, self.gradient(), strict=True))
        columns = []
        for column in range(len(gradient)):
            loads = self.curvature([by[:, column] for by in derivatives])
            columns.append(sum(by.T @ load for by, load in zip(derivatives, loads, strict=True)))
        return TermShare(value, total(self._comm, gradient), total(self._comm, np.array(columns).T))

    def _filled(self, values: np.ndarray) -> Function:
        function = Function(self._fields[0].function_space())
        function.dat.data_wo[:] = values
        return function


def _annotated(functional: Callable, fields: list[Function]) -> object:
    """Return what a functional gives, on the working tape whether or not the user is annotating."""
    before = annotate_tape()
    continue_annotation()
    try:
        return functional(fields)
    finally:
        if not before:
            pause_annotation()
