"""Derivatives by displacements of a mesh, of which the nodal values go along."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from firedrake import MAX, MIN, Function, FunctionSpace, MeshGeometry, assemble, grad, interpolate

from fe_phaseinv.core.spaces import interpolation
from fe_phaseinv.solvers.linear_algebra import product

SHARE = 1e-4
"""Share of a displacement by which differences of integrals are taken: they are smooth, and rounding is far below."""


class Displaced:
    """A mesh with straight sides, and fields that displace it.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
    fields : numpy.ndarray, shape (vertices of this rank, dimension, k)
        Displacements of the vertices.

    Raises
    ------
    ValueError
        Where the sides of the cells are curved.
    """

    def __init__(self, mesh: MeshGeometry, fields: np.ndarray):
        if mesh.coordinates.function_space().ufl_element().embedded_superdegree != 1:
            raise ValueError("displaced: found a mesh with curved sides; accepted: straight ones")
        self.mesh, self.fields = mesh, fields

    def __len__(self) -> int:
        """Return the number of fields."""
        return self.fields.shape[-1]

    def at(self, space: FunctionSpace) -> np.ndarray:
        """Return the displacements at the nodes of a space, or points, shape (nodes, dimension, k). Collective.

        Parameters
        ----------
        space : firedrake.FunctionSpace
            A scalar one.
        """
        matrix = interpolation(FunctionSpace(self.mesh, "CG", 1), space)
        found = product(matrix, self.fields.reshape(len(self.fields), -1))
        return found.reshape(-1, *self.fields.shape[1:]).copy()

    def derivatives(self, values: Callable[[], np.ndarray], here: np.ndarray) -> np.ndarray:
        """Return the derivatives of integrals by the shares of the fields, shape (size, k). Collective.

        Parameters
        ----------
        values : callable
            Gives the integrals on the mesh as it is.
        here : numpy.ndarray, shape (size,)
            The integrals on the mesh at rest.
        """
        coordinates = self.mesh.coordinates.dat
        rest, found = coordinates.data_ro.copy(), np.empty((len(here), len(self)), order="F")
        for column in range(len(self)):
            coordinates.data_wo[:] = rest + SHARE * self.fields[:, :, column]
            found[:, column] = (values() - here) / SHARE
        coordinates.data_wo[:] = rest
        return found

    def seen(self, c: np.ndarray, space: FunctionSpace) -> np.ndarray:
        """Return the changes of nodal values of a function that stays where it is, shape (nodes, k). Collective.

        Parameters
        ----------
        c : numpy.ndarray, shape (nodes,)
            Local nodal values.
        space : firedrake.FunctionSpace
            Of the function, a continuous scalar one.
        """
        function = Function(space)
        function.dat.data_wo[:] = c
        slopes = np.column_stack([_midway(part, space) for part in grad(function)])
        return np.einsum("nd,ndk->nk", slopes, self.at(space))


def _midway(expression, space: FunctionSpace) -> np.ndarray:
    """Return the nodal values of an expression, midway between those of the cells around."""
    low, high = (assemble(interpolate(expression, space, access=access)) for access in (MIN, MAX))
    return 0.5 * (low.dat.data_ro + high.dat.data_ro)
