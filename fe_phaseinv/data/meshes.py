"""Meshes of the domain that the images show."""

from __future__ import annotations

import math
import os

from firedrake import BoxMesh, Function, Mesh, PeriodicBoxMesh, PeriodicRectangleMesh, RectangleMesh, as_vector
from firedrake.cython.dmcommon import FACE_SETS_LABEL
from firedrake.mesh import plex_from_cell_list
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_files import MeshData, read_mesh
from fe_phaseinv.data.outline import CUT, mesh_outline


def rectangle(images: ImageSeries, cells: int, comm: MPI.Comm, tetrahedra: bool = False):
    """Uniform quadrilaterals over the whole picture, or hexahedra for stacks.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Number along the longer side.
    comm : mpi4py.MPI.Comm
    tetrahedra : bool
        Whether to divide each hexahedron into six, on which a field can have a prior.

    Returns
    -------
    firedrake.MeshGeometry
    """
    counts = _counts(images, cells)
    if images.dimension == 3:
        return _moved(BoxMesh(*counts, *images.extent, hexahedral=not tetrahedra, comm=comm), images)
    (x0, y0), (lx, ly) = images.origin, images.extent
    return RectangleMesh(*counts, x0 + lx, y0 + ly, originX=x0, originY=y0, quadrilateral=True, comm=comm)


def periodic(images: ImageSeries, cells: int, comm: MPI.Comm, tetrahedra: bool = False):
    """Uniform quadrilaterals or hexahedra over the whole picture, which goes on from its edges at the opposite ones.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Number along the longer side; at least three along the shorter ones.
    comm : mpi4py.MPI.Comm
    tetrahedra : bool
        As for `rectangle`.

    Returns
    -------
    firedrake.MeshGeometry
    """
    counts = [max(3, count) for count in _counts(images, cells)]
    if images.dimension == 3:
        return _moved(PeriodicBoxMesh(*counts, *images.extent, hexahedral=not tetrahedra, comm=comm), images)
    return _moved(PeriodicRectangleMesh(*counts, *images.extent, quadrilateral=True, comm=comm), images)


def _moved(mesh, images: ImageSeries):
    """Move a mesh from the corner of coordinates to that of the images."""
    if any(images.origin):
        moved = Function(mesh.coordinates.function_space()).interpolate(mesh.coordinates + as_vector(images.origin))
        mesh = Mesh(moved)
    return mesh


def _counts(images: ImageSeries, cells: int) -> list[int]:
    """Give the numbers of elements with equal sides along x, y and z."""
    size = max(images.extent) / cells
    return [max(1, math.ceil(length / size - 1e-9)) for length in images.extent]


def outlined(images: ImageSeries, cells: int, comm: MPI.Comm, width: float = CUT):
    """Triangles inside the outline of the pixels that have data.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Number that would fit along the longer side of the picture.
    comm : mpi4py.MPI.Comm
    width : float
        How far the domain reaches beyond these pixels, in pixels; `fe_phaseinv.data.outline.cut_width` estimates it.

    Returns
    -------
    firedrake.MeshGeometry
        Its boundary has the tags `fe_phaseinv.data.outline.OUTSIDE` and `HOLES`.

    Raises
    ------
    InputError
        Where there is no such outline inside the picture, or no mesh in it.
    """
    return from_data(on_root(comm, mesh_outline, images, cells, width), comm)


def from_file(path: str | os.PathLike, comm: MPI.Comm):
    """Read a mesh file.

    Parameters
    ----------
    path : str or os.PathLike
        Of gmsh, or of another kind that meshio reads; physical groups of sides are the tags of the boundary.
    comm : mpi4py.MPI.Comm

    Returns
    -------
    firedrake.MeshGeometry

    Raises
    ------
    InputError
        As `fe_phaseinv.data.mesh_files.read_mesh` does.
    """
    return from_data(on_root(comm, read_mesh, path), comm)


def from_data(data: MeshData, comm: MPI.Comm):
    """Distribute a mesh that all ranks have as arrays.

    Parameters
    ----------
    data : MeshData
    comm : mpi4py.MPI.Comm

    Returns
    -------
    firedrake.MeshGeometry
    """
    plex = plex_from_cell_list(data.dimension, data.cells, data.points, comm)
    plex.createLabel(FACE_SETS_LABEL)
    if comm.rank == 0:
        first, _ = plex.getDepthStratum(0)
        for facet, tag in zip((data.facets + first).astype(PETSc.IntType), data.tags, strict=True):
            (side,) = plex.getFullJoin(facet)
            plex.setLabelValue(FACE_SETS_LABEL, side, tag)
    return Mesh(plex, comm=comm)
