"""Where the fields and scalars of a state are in its array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class StateLayout:
    """Where the fields and scalars of a state are in its array.

    A state is a flat local array: the components of all fields node by node, then the scalars, the same on all ranks.
    What carries rates is kept component by component: an array of nodes for the first, then for the second. So is what
    is carried along of derivatives: first the components with rates, then others that are seen, then the scalars.

    Parameters
    ----------
    names : tuple of str
        Of the fields.
    parts : tuple of tuple of int
        By field, its components among all.
    rated : tuple of int
        Components with a rate.
    carried : tuple of int
        Components whose derivatives are carried along, those with a rate first.
    nodes : int
        Local ones.
    scalars : tuple of str
        Names of the scalars of the model; further ones may follow them.
    border : int
        Number of all scalars.
    """

    names: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...]
    rated: tuple[int, ...]
    carried: tuple[int, ...]
    nodes: int
    scalars: tuple[str, ...] = ()
    border: int = 0

    @cached_property
    def components(self) -> int:
        """Number of components of all fields."""
        return sum(len(part) for part in self.parts)

    @cached_property
    def inner(self) -> int:
        """Number of local values of all fields."""
        return self.nodes * self.components

    @cached_property
    def size(self) -> int:
        """Length of a state."""
        return self.inner + self.border

    def zeros(self) -> np.ndarray:
        """Return a state of zeros."""
        return np.zeros(self.size)

    def component(self, state: np.ndarray, number: int) -> np.ndarray:
        """Return a view of one component, shape (nodes,).

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            A state, or its change.
        number : int
            Of the component.
        """
        return state[number : self.inner : self.components]

    def rates(self, state: np.ndarray) -> np.ndarray:
        """Return the components with rates, shape (rated * nodes,).

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            A state, or its change.
        """
        return np.concatenate([self.component(state, number) for number in self.rated])

    def from_rates(self, values: np.ndarray) -> np.ndarray:
        """Return a state with given components of those with rates, and zeros.

        Parameters
        ----------
        values : numpy.ndarray, shape (rated * nodes,)
            As `rates` gives them.
        """
        state = self.zeros()
        for number, part in zip(self.rated, np.split(values, len(self.rated)), strict=True):
            self.component(state, number)[:] = part
        return state

    def copy_algebraic(self, source: np.ndarray, target: np.ndarray) -> None:
        """Write the components without a rate, and the scalars, of one state into another.

        Parameters
        ----------
        source, target : numpy.ndarray, shape (size,)
            States.
        """
        for number in set(range(self.components)) - set(self.rated):
            self.component(target, number)[:] = self.component(source, number)
        target[self.inner :] = source[self.inner :]

    def record(self, state: np.ndarray, history: np.ndarray) -> np.ndarray:
        """Return what must be kept of a step where its equations depend on the history: both in one array.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            The state.
        history : numpy.ndarray, shape (rated * nodes,)
            What the states before contribute to the time derivatives.
        """
        return np.concatenate([state, history])

    def carry(self, columns: np.ndarray) -> np.ndarray:
        """Return what is carried along of the derivatives of states, Fortran order.

        Parameters
        ----------
        columns : numpy.ndarray, shape (size, columns)
            Derivatives of a state.

        Returns
        -------
        numpy.ndarray, shape (carried * nodes + border, columns)
        """
        blocks = [columns[number : self.inner : self.components] for number in self.carried]
        if len(blocks) == 1 and not self.border:
            return np.asfortranarray(blocks[0])
        return np.asfortranarray(np.concatenate([*blocks, columns[self.inner :]]))

    def carried_rates(self, derivatives: np.ndarray) -> np.ndarray:
        """Return the part of what is carried along that belongs to rates.

        Parameters
        ----------
        derivatives : numpy.ndarray, shape (carried * nodes + border, columns)
            As `carry` gives them.

        Returns
        -------
        numpy.ndarray, shape (rated * nodes, columns)
        """
        return derivatives[: len(self.rated) * self.nodes]

    def carried_component(self, derivatives: np.ndarray, number: int) -> np.ndarray:
        """Return the derivatives of one component.

        Parameters
        ----------
        derivatives : numpy.ndarray, shape (carried * nodes + border, columns)
            As `carry` gives them.
        number : int
            Of the component.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns)
        """
        place = self.carried.index(number) * self.nodes
        return derivatives[place : place + self.nodes]

    def place(self, scalar: str) -> int:
        """Return the place of a scalar of the model in a state.

        Parameters
        ----------
        scalar : str
            Its name.
        """
        return self.inner + self.scalars.index(scalar)

    def of_field(self, name: str) -> tuple[int, ...]:
        """Return the components of a field.

        Parameters
        ----------
        name : str
            Of the field.
        """
        return self.parts[self.names.index(name)]


def components_of(fields: Sequence) -> tuple[tuple[int, ...], ...]:
    """Return the components of each field among those of all.

    Parameters
    ----------
    fields : sequence of Field
        Those of a model.
    """
    ends = np.cumsum([0] + [field.components for field in fields])
    return tuple(tuple(range(a, b)) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
