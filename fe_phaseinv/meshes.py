"""Meshes of the domain that the images show."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from firedrake import Function, Mesh, PeriodicRectangleMesh, RectangleMesh, as_vector
from mpi4py import MPI

from fe_phaseinv.errors import InputError
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.parallel import on_root


def rectangle(images: ImageSeries, cells: int, comm: MPI.Comm):
    """Uniform quadrilaterals over the whole picture.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Number along the longer side.
    comm : mpi4py.MPI.Comm

    Returns
    -------
    firedrake.MeshGeometry
    """
    (x0, y0), (lx, ly) = images.origin, images.extent
    nx, ny = _counts(images, cells)
    return RectangleMesh(nx, ny, x0 + lx, y0 + ly, originX=x0, originY=y0, quadrilateral=True, comm=comm)


def periodic(images: ImageSeries, cells: int, comm: MPI.Comm):
    """Uniform quadrilaterals over the whole picture, which goes on from its edges at the opposite ones.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Number along the longer side; at least three along the shorter one.
    comm : mpi4py.MPI.Comm

    Returns
    -------
    firedrake.MeshGeometry
    """
    nx, ny = (max(3, count) for count in _counts(images, cells))
    mesh = PeriodicRectangleMesh(nx, ny, *images.extent, quadrilateral=True, comm=comm)
    if any(images.origin):
        moved = Function(mesh.coordinates.function_space()).interpolate(mesh.coordinates + as_vector(images.origin))
        mesh = Mesh(moved)
    return mesh


def _counts(images: ImageSeries, cells: int) -> list[int]:
    """Give the numbers of square elements along x and y."""
    size = max(images.extent) / cells
    return [max(1, math.ceil(length / size - 1e-9)) for length in images.extent]


def from_file(path: Path, comm: MPI.Comm):
    """Read a gmsh file.

    Parameters
    ----------
    path : pathlib.Path
    comm : mpi4py.MPI.Comm

    Returns
    -------
    firedrake.MeshGeometry

    Raises
    ------
    InputError
        Where the file is missing or is not a two-dimensional gmsh mesh.
    """
    accepted = "a two-dimensional gmsh file (.msh, format 2.2 or 4.1)"
    if not path.is_file() or path.suffix != ".msh":
        raise InputError(path, "mesh", "no such file" if not path.is_file() else f"a {path.suffix} file", accepted)
    on_root(comm, _require_plane_mesh, path, accepted)
    return Mesh(str(path), comm=comm)


def _require_plane_mesh(path: Path, accepted: str) -> None:
    """Read a file on one rank alone, where a failure leaves no other rank waiting."""
    try:
        mesh = Mesh(str(path), comm=MPI.COMM_SELF)
    except Exception as error:  # PETSc reports a damaged file by whatever its reader stumbles over
        raise InputError(path, "mesh", f"unreadable ({type(error).__name__})", accepted) from None
    if mesh.geometric_dimension != 2:
        raise InputError(path, "mesh", f"a mesh in {mesh.geometric_dimension} dimensions", accepted)


def box(mesh) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of the box around a mesh, each of shape (2,)."""
    coordinates = mesh.coordinates.dat.data_ro
    low, high = np.empty(2), np.empty(2)
    mesh.comm.Allreduce(coordinates.min(axis=0, initial=np.inf), low, op=MPI.MIN)
    mesh.comm.Allreduce(coordinates.max(axis=0, initial=-np.inf), high, op=MPI.MAX)
    return low, high
