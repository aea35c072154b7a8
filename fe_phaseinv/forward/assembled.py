"""Forms that are assembled again and again into local arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import ufl
from firedrake import FunctionSpace, TensorFunctionSpace, TestFunction
from firedrake.assemble import get_assembler
from ufl.algorithms import expand_derivatives


def vanishes(form: ufl.Form | int) -> bool:
    """Say whether nothing is left to integrate once derivatives are worked out.

    Parameters
    ----------
    form : ufl.Form or int
        A form, or the sum of none.
    """
    return form == 0 or expand_derivatives(form).empty()


class Assembled:
    """A form with one test function, as a local array; zero where there is nothing to integrate.

    Parameters
    ----------
    form : ufl.Form
        Its derivatives may vanish.
    shape : tuple of int
        Shape of the local array.
    changes : bool
        Whether it depends on anything that changes; otherwise it is assembled once.
    """

    def __init__(self, form: ufl.Form, shape: tuple[int, ...], changes: bool = True):
        empty = vanishes(form)
        self._assembler = None if empty else get_assembler(form)
        self._value = self._assembler and self._assembler.allocate()
        self._shape, self._once = shape, not changes
        self._found = np.zeros(shape) if empty else None

    @property
    def vanishes(self) -> bool:
        """Whether there is nothing to integrate."""
        return self._assembler is None

    def values(self) -> np.ndarray:
        """Return the local array. Collective."""
        if self._found is not None:
            return self._found.copy()
        found = self._assembler.assemble(tensor=self._value).dat.data_ro.reshape(self._shape).copy()
        if self._once:
            self._found = found.copy()
        return found


class Sums:
    """Integrals over the domain, many of them by one kernel: each is tested with constants of the cells.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
        The domain.
    shape : tuple of int
        Of the array of integrals.
    make : callable
        Of a test function of this shape: gives the form, linear in it.
    """

    def __init__(self, mesh, shape: tuple[int, ...], make: Callable):
        self.shape, self._assembled = shape, None
        if np.prod(shape):
            cells = TensorFunctionSpace(mesh, "DG", 0, shape=shape)
            count = FunctionSpace(mesh, "DG", 0).dof_dset.size
            self._assembled = Assembled(make(TestFunction(cells)), (count, *shape))

    def values(self) -> np.ndarray:
        """Return this rank's share of the integrals. Collective."""
        return np.zeros(self.shape) if self._assembled is None else self._assembled.values().sum(axis=0)
