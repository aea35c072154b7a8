"""The nodes of a finite element space, as each rank owns them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import (
    DirichletBC,
    Function,
    FunctionSpace,
    SpatialCoordinate,
    TrialFunction,
    VectorFunctionSpace,
    assemble,
    ds,
    interpolate,
)
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import total


def boundary_nodes(space: FunctionSpace, tags: Sequence[int] | None = None) -> np.ndarray:
    """Local numbers of the nodes on the boundary, or on its parts with these tags."""
    nodes = DirichletBC(space, 0.0, "on_boundary" if tags is None else tags).nodes
    return nodes[nodes < space.dof_dset.size]


def boundary_measure(tags: Sequence[int] | None = None):
    """Return the measure of UFL of the boundary, or of its parts with these tags."""
    return ds if tags is None else ds(tuple(tags))


def interpolation(source: FunctionSpace, target: FunctionSpace) -> PETSc.Mat:
    """Return the matrix from the nodal values of one space to those of another on the same mesh."""
    return assemble(interpolate(TrialFunction(source), target)).petscmat


class NodeOrder:
    """An order of the nodes of a space by their positions, which does not depend on the number of ranks.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        A scalar one.
    """

    def __init__(self, space: FunctionSpace):
        self._comm = space.mesh().comm
        parts = self._comm.allgather(node_positions(space))
        positions = np.concatenate(parts)
        digits = np.round(positions / (1e-9 * np.ptp(positions, axis=0).max()))
        ranks = np.argsort(np.lexsort(digits.T))
        first = sum(len(part) for part in parts[: self._comm.rank])
        self._size, self._mine = len(ranks), ranks[first : first + len(parts[self._comm.rank])]

    def gather(self, local: np.ndarray) -> np.ndarray:
        """Return all nodal values in this order, on all ranks."""
        whole = np.zeros(self._size)
        whole[self._mine] = local
        return total(self._comm, whole)

    def scatter(self, whole: np.ndarray) -> np.ndarray:
        """Return the inverse of `gather`."""
        return whole[self._mine]


def node_positions(space: FunctionSpace) -> np.ndarray:
    """Return the positions of all nodes, shape (nodes, dimension)."""
    positions = VectorFunctionSpace(space.mesh(), space.ufl_element())
    return Function(positions).interpolate(SpatialCoordinate(space.mesh())).dat.data_ro


def box(mesh) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of the box around a mesh, each of shape (dimension,)."""
    coordinates = mesh.coordinates.dat.data_ro
    low, high = np.empty((2, coordinates.shape[1]))
    mesh.comm.Allreduce(coordinates.min(axis=0, initial=np.inf), low, op=MPI.MIN)
    mesh.comm.Allreduce(coordinates.max(axis=0, initial=-np.inf), high, op=MPI.MAX)
    return low, high
