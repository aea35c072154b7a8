"""The part of the boundary where c and its normal gradient are those of a given field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import Function, FunctionSpace

from fe_phaseinv.core.spaces import boundary_measure, boundary_nodes, interpolation


def boundary_space(space: FunctionSpace) -> FunctionSpace:
    """Return the space of what is prescribed: one degree more, so that the gradient is as exact as c.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        Scalar space of c.
    """
    return FunctionSpace(space.mesh(), "CG", space.ufl_element().embedded_superdegree + 1)


class DirichletBoundary:
    """The part of the boundary where c and its normal gradient are those of a given field.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        Scalar space of c.
    tags : sequence of int, optional
        Tags of the parts of the boundary; the whole of it where not given.

    Attributes
    ----------
    field : firedrake.Function
        The given field, in the `boundary_space`.
    nodes : numpy.ndarray of int
        Local numbers of the nodes of c there.
    """

    def __init__(self, space: FunctionSpace, tags: Sequence[int] | None = None):
        self.tags = tags
        self.field = Function(boundary_space(space))
        self.nodes = boundary_nodes(space, tags)
        self._trace = interpolation(self.field.function_space(), space)

    def measure(self, quadrature: int):
        """Return the measure of UFL of this part.

        Parameters
        ----------
        quadrature : int
            Degree of the quadrature.
        """
        return boundary_measure(self.tags)(degree=quadrature)

    def prescribe(self, values: np.ndarray) -> np.ndarray:
        """Set the given field, and return its values at the nodes of c. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            Local nodal values in the `boundary_space`.
        """
        self.field.dat.data_wo[:] = values
        return self.trace(values)

    def trace(self, values: np.ndarray) -> np.ndarray:
        """Return the values at the nodes of c. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            Local nodal values in the `boundary_space`.
        """
        given, c = self._trace.createVecs()
        given.array[:] = values
        self._trace.mult(given, c)
        return c.array[self.nodes]

    def trace_transposed(self, values: np.ndarray) -> np.ndarray:
        """Apply the transpose of `trace`. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            Values at the nodes of c.
        """
        given, c = self._trace.createVecs()
        c.array[self.nodes] = values
        self._trace.multTranspose(c, given)
        return given.array.copy()
