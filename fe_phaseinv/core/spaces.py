"""The nodes of a finite element space, as each rank owns them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import (
    MIN,
    DirichletBC,
    FunctionSpace,
    MeshGeometry,
    SpatialCoordinate,
    TrialFunction,
    VectorFunctionSpace,
    assemble,
    ds,
    interpolate,
)
from firedrake.cython.dmcommon import FACE_SETS_LABEL
from firedrake.petsc import PETSc
from mpi4py import MPI
from ufl import Measure

from fe_phaseinv.core.parallel import total

SAME_PLACE = 1e-9
"""Share of the extent of a mesh by which coordinates of one place may differ."""


def boundary_nodes(space: FunctionSpace, tags: Sequence[int] | None = None) -> np.ndarray:
    """Return the local numbers of the nodes on the boundary, or on its parts with these tags.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        A continuous one.
    tags : sequence of int, optional
        Tags of parts of the boundary; the whole boundary where not given.

    Returns
    -------
    numpy.ndarray of int, shape (nodes,)
        Only nodes that this rank owns.
    """
    nodes = np.unique(DirichletBC(space, 0.0, "on_boundary" if tags is None else tags).nodes)
    return nodes[nodes < space.dof_dset.size]


def boundary_tags(mesh: MeshGeometry) -> dict[int, np.ndarray]:
    """Return the sides of this rank that are on each tagged part of the boundary; a side may have several tags.

    Collective. Tags that only sides inside the mesh have are left out.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
        The mesh.

    Returns
    -------
    dict of numpy.ndarray
        The numbers of the sides in the topology of the mesh, by tag; the same tags on all ranks.
    """
    facets, plex = mesh.exterior_facets, mesh.topology_dm
    sides = {
        int(tag): np.intersect1d(facets.facets, plex.getStratumIS(FACE_SETS_LABEL, tag).indices)
        if plex.getStratumSize(FACE_SETS_LABEL, tag)
        else np.empty(0, int)
        for tag in facets.unique_markers
    }
    return {tag: own for tag, own in sides.items() if total(mesh.comm, len(own))}


def disjoint_tags(mesh: MeshGeometry, tags: Sequence[int]) -> tuple[int, ...]:
    """Leave out tags of which every side has another of the tags, too. Collective.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
        The mesh.
    tags : sequence of int
        Tags of parts of its boundary.

    Returns
    -------
    tuple of int
        Tags of the same sides, each of which has one of them.

    Raises
    ------
    ValueError
        If there is no such tag on the boundary, or some of the sides of two tags are the same.
    """
    sides = boundary_tags(mesh)
    if not set(tags) <= set(sides):
        raise ValueError(f"tags: found {list(tags)}; accepted: tags of the boundary: {', '.join(map(str, sides))}")
    kept: list[int] = []
    for tag in sorted(set(tags), key=lambda tag: -total(mesh.comm, len(sides[tag]))):
        shared = [total(mesh.comm, len(np.intersect1d(sides[tag], sides[other]))) for other in kept]
        if sum(shared) == 0:
            kept.append(tag)
        elif sum(shared) < total(mesh.comm, len(sides[tag])):
            raise ValueError(f"tags: found {list(tags)}, which share some sides; accepted: tags that share none or all")
    return tuple(sorted(kept))


def boundary_measure(tags: Sequence[int] | None = None) -> Measure:
    """Return the measure of UFL of the boundary, or of its parts with these tags.

    Parameters
    ----------
    tags : sequence of int, optional
        Tags of parts of the boundary; the whole boundary where not given.

    Returns
    -------
    ufl.Measure
    """
    return ds if tags is None else ds(tuple(tags))


def interpolation(source: FunctionSpace, target: FunctionSpace) -> PETSc.Mat:
    """Return the matrix from the nodal values of one space to those of another on the same mesh. Collective.

    Parameters
    ----------
    source, target : firedrake.FunctionSpace
        The spaces.

    Returns
    -------
    petsc4py.PETSc.Mat
        With the rows of `target` and the columns of `source`.
    """
    return assemble(interpolate(TrialFunction(source), target)).petscmat


class NodeOrder:
    """An order of the nodes of a space by their positions, which does not depend on the number of ranks. Collective.

    The last coordinate counts first. Coordinates that differ by less than `SAME_PLACE` of the mesh's extent are equal.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        A scalar and continuous one.
    """

    def __init__(self, space: FunctionSpace):
        self._comm = space.mesh().comm
        parts = self._comm.allgather(node_positions(space))
        positions = np.concatenate(parts)
        tolerance = SAME_PLACE * np.ptp(positions, axis=0).max()
        ranks = np.argsort(np.lexsort([_levels(column, tolerance) for column in positions.T]))
        first = sum(len(part) for part in parts[: self._comm.rank])
        self._size, self._mine = len(ranks), ranks[first : first + len(parts[self._comm.rank])]

    def gather(self, local: np.ndarray) -> np.ndarray:
        """Return all nodal values in this order, on all ranks. Collective.

        Parameters
        ----------
        local : numpy.ndarray, shape (nodes of this rank,)
            Values of the nodes that this rank owns.

        Returns
        -------
        numpy.ndarray, shape (nodes,)
        """
        whole = np.zeros(self._size)
        whole[self._mine] = local
        return total(self._comm, whole)

    def scatter(self, whole: np.ndarray) -> np.ndarray:
        """Return the inverse of `gather`.

        Parameters
        ----------
        whole : numpy.ndarray, shape (nodes,)
            All nodal values in this order.

        Returns
        -------
        numpy.ndarray, shape (nodes of this rank,)
        """
        return whole[self._mine]


def _levels(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Give values numbers by their size, the same where they differ by no more than a tolerance."""
    order = np.argsort(values)
    levels = np.empty(len(values), int)
    levels[order] = np.cumsum(np.diff(values[order], prepend=values[order[0]]) > tolerance)
    return levels


def node_positions(space: FunctionSpace) -> np.ndarray:
    """Return the positions of the nodes. Collective.

    On a periodic mesh a node of the seam has several; the answer is the least of each coordinate, on any number of
    ranks.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        A scalar and continuous one.

    Returns
    -------
    numpy.ndarray, shape (nodes of this rank, dimension)
        Read-only.
    """
    positions = VectorFunctionSpace(space.mesh(), space.ufl_element())
    return assemble(interpolate(SpatialCoordinate(space.mesh()), positions, access=MIN)).dat.data_ro


def box(mesh: MeshGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the box around a mesh. Collective.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
        The mesh; curved sides may bulge out of the box.

    Returns
    -------
    low, high : numpy.ndarray, shape (dimension,)
        The same on all ranks.
    """
    coordinates = mesh.coordinates.dat.data_ro
    low, high = np.empty((2, coordinates.shape[1]))
    mesh.comm.Allreduce(coordinates.min(axis=0, initial=np.inf), low, op=MPI.MIN)
    mesh.comm.Allreduce(coordinates.max(axis=0, initial=-np.inf), high, op=MPI.MAX)
    return low, high
