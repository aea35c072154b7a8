"""Meshes of the domain that the images show."""

from __future__ import annotations

import math
import os

from firedrake import (
    BoxMesh,
    Function,
    Mesh,
    MeshGeometry,
    PeriodicBoxMesh,
    PeriodicRectangleMesh,
    RectangleMesh,
    as_vector,
)
from firedrake.cython.dmcommon import FACE_SETS_LABEL
from firedrake.mesh import plex_from_cell_list
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.mesh_files import read_mesh
from fe_phaseinv.data.outline import mesh_outline, require_cells


def rectangle_mesh(images: ImageSeries, cells: int, comm: MPI.Comm, *, tetrahedra: bool = False) -> MeshGeometry:
    """Cover the whole picture by equal quadrilaterals, or a stack by hexahedra. Collective.

    Parameters
    ----------
    images : ImageSeries
        Their origin and extent are those of the mesh.
    cells : int
        Number of elements along the longest side; along the others, as many as make them about as long.
    comm : mpi4py.MPI.Comm
        The ranks that share the mesh.
    tetrahedra : bool, default False
        Whether each hexahedron is divided into six tetrahedra, on which a field can have a prior.

    Returns
    -------
    firedrake.MeshGeometry

    Raises
    ------
    ValueError
        If `cells` is no positive integer.
    """
    counts = _counts(images, cells)
    if images.dimension == 3:
        return _moved(BoxMesh(*counts, *images.extent, hexahedral=not tetrahedra, comm=comm), images)
    (x0, y0), (lx, ly) = images.origin, images.extent
    return RectangleMesh(*counts, x0 + lx, y0 + ly, originX=x0, originY=y0, quadrilateral=True, comm=comm)


def periodic_mesh(images: ImageSeries, cells: int, comm: MPI.Comm, *, tetrahedra: bool = False) -> MeshGeometry:
    """Cover the whole picture by equal quadrilaterals or hexahedra, and join its opposite edges. Collective.

    Parameters
    ----------
    images : ImageSeries
        Their origin and extent are those of the mesh.
    cells : int
        Number of elements along the longest side; at least three along the others.
    comm : mpi4py.MPI.Comm
        The ranks that share the mesh.
    tetrahedra : bool, default False
        As for `rectangle_mesh`.

    Returns
    -------
    firedrake.MeshGeometry

    Raises
    ------
    ValueError
        If `cells` is no positive integer.
    """
    counts = [max(3, count) for count in _counts(images, cells)]
    if images.dimension == 3:
        return _moved(PeriodicBoxMesh(*counts, *images.extent, hexahedral=not tetrahedra, comm=comm), images)
    return _moved(PeriodicRectangleMesh(*counts, *images.extent, quadrilateral=True, comm=comm), images)


def _moved(mesh: MeshGeometry, images: ImageSeries) -> MeshGeometry:
    """Move a mesh from the corner of coordinates to that of the images."""
    if any(images.origin):
        moved = Function(mesh.coordinates.function_space()).interpolate(mesh.coordinates + as_vector(images.origin))
        mesh = Mesh(moved)
    return mesh


def _counts(images: ImageSeries, cells: int) -> list[int]:
    """Give the numbers of elements with equal sides along x, y and z."""
    size = max(images.extent) / require_cells(cells)
    return [max(1, math.ceil(length / size - 1e-9)) for length in images.extent]


def outline_mesh(images: ImageSeries, cells: int, comm: MPI.Comm, *, width: float | None = None) -> MeshGeometry:
    """Fill the outline of the pixels that have data with triangles. Collective.

    Parameters
    ----------
    images : ImageSeries
        Single images, with pixels without data (NaN) around those that have data.
    cells : int
        Number of triangles that would fit along the longest side of the picture.
    comm : mpi4py.MPI.Comm
        The ranks that share the mesh; rank 0 makes it.
    width : float, optional
        How far the domain reaches beyond these pixels, in pixels; `fe_phaseinv.data.closure.cut_width` estimates it.
        Where not given it is `fe_phaseinv.data.outline.CUT`, or what the coverage of the pixels tells.

    Returns
    -------
    firedrake.MeshGeometry
        Its boundary has the tags `fe_phaseinv.data.triangulation.OUTSIDE` and `HOLES`.

    Raises
    ------
    InputError
        If there is no such outline inside the picture, or no mesh in it.
    ValueError
        If `cells` is no positive integer, or `width` is not finite.
    """
    return from_data(on_root(comm, mesh_outline, images, cells, width), comm)


def mesh_from_file(path: str | os.PathLike, comm: MPI.Comm) -> MeshGeometry:
    """Read a mesh file. Collective.

    Parameters
    ----------
    path : str or os.PathLike
        A file of gmsh, or of another kind that meshio reads; physical groups of sides become the tags of the boundary.
    comm : mpi4py.MPI.Comm
        The ranks that share the mesh; rank 0 reads it.

    Returns
    -------
    firedrake.MeshGeometry

    Raises
    ------
    InputError
        As `fe_phaseinv.data.mesh_files.read_mesh` does.
    """
    return from_data(on_root(comm, read_mesh, path), comm)


def from_data(data: MeshData, comm: MPI.Comm) -> MeshGeometry:
    """Distribute a mesh that all ranks have as arrays. Collective.

    Parameters
    ----------
    data : MeshData
        The same on all ranks.
    comm : mpi4py.MPI.Comm
        The ranks that share the mesh.

    Returns
    -------
    firedrake.MeshGeometry
    """
    plex = plex_from_cell_list(data.dimension, data.cells, data.points, comm)
    plex.createLabel(FACE_SETS_LABEL)
    on_root(comm, _label_facets, plex, data)
    return Mesh(plex, comm=comm)


def _label_facets(plex: PETSc.DMPlex, data: MeshData) -> None:
    first, _ = plex.getDepthStratum(0)
    # A side may be in several strata of the label.
    for facet, tag in zip((data.facets + first).astype(PETSc.IntType), data.tags, strict=True):
        (side,) = plex.getFullJoin(facet)
        plex.setLabelValue(FACE_SETS_LABEL, side, tag)
