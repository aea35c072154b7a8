"""Meshes from files and into them."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.gmsh_files import read_gmsh
from fe_phaseinv.data.mesh_checks import sound
from fe_phaseinv.data.mesh_data import FACET, MeshData
from fe_phaseinv.data.meshio_files import groups_of, read_meshio

FORMATS = "a mesh of gmsh (.msh) or of another kind that meshio reads (.vtu, .vtk, .xdmf, .inp, ...)"
CELLS = "triangles, quadrilaterals or tetrahedra with straight sides, all of one kind"


def read_mesh(path: str | os.PathLike) -> MeshData:
    """Read a mesh file.

    Parameters
    ----------
    path : str or os.PathLike
        The file, whose suffix tells the format. Physical groups of sides, as gmsh writes them, become their tags, of
        which a side may have several.

    Returns
    -------
    MeshData

    Raises
    ------
    InputError
        If the file is missing, damaged or empty, or holds cells of other kinds, of several, or of higher order, or such
        as `fe_phaseinv.data.mesh_checks.sound` refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "mesh", "no such file", FORMATS)
    read = read_gmsh if path.suffix == ".msh" else read_meshio
    return sound(path, _mesh_data(path, read(path, FORMATS)))


def write_mesh(path: str | os.PathLike, data: MeshData) -> None:
    """Write a mesh to a file, which appears only complete.

    Parameters
    ----------
    path : str or os.PathLike
        The file, whose suffix tells the format; ``.msh`` is that of gmsh, version 2.2.
    data : MeshData
        The mesh.

    Raises
    ------
    InputError
        If meshio knows no such format.
    OSError
        If the file cannot be written.
    """
    import meshio

    path = Path(path)
    if path.suffix not in meshio.extension_to_filetypes:
        raise InputError(path, "file", f'suffix "{path.suffix}"', FORMATS)
    groups = [np.ones(len(data.cells), int), np.asarray(data.tags, int)]
    cells = [(data.kind, data.cells), (FACET[data.kind], data.facets)]
    fields = {name: np.array([tag, data.dimension - 1]) for name, tag in data.names.items()}
    points = np.pad(data.points, ((0, 0), (0, 3 - data.points.shape[1])))
    mesh = meshio.Mesh(points, cells, cell_data={key: groups for key in ("gmsh:physical", "gmsh:geometrical")})
    mesh.field_data = fields | {"domain": np.array([1, data.dimension])}
    with TemporaryDirectory(dir=path.parent) as folder:
        if path.suffix == ".msh":
            meshio.write(Path(folder, path.name), mesh, file_format="gmsh22", binary=False)
        else:
            meshio.write(Path(folder, path.name), mesh)
        for file in Path(folder).iterdir():  # a format may have one for its arrays
            os.replace(file, path.with_name(file.name))


def _mesh_data(path: Path, mesh: Any) -> MeshData:
    """Take cells and tagged sides from what was read."""
    if not mesh.cells or not sum(len(block.data) for block in mesh.cells):
        raise InputError(path, "mesh", "no cells", CELLS)
    dimension = max(block.dim for block in mesh.cells if len(block.data))
    kinds = sorted({block.type for block in mesh.cells if block.dim == dimension and len(block.data)})
    if len(kinds) > 1 or kinds[0] not in FACET:
        raise InputError(path, "mesh", f"cells of type {', '.join(kinds)}", CELLS)
    (kind,) = kinds
    cells = np.concatenate([block.data for block in mesh.cells if block.type == kind]).astype(int)
    facets, tags = _tagged(mesh, FACET[kind])
    if min(cells.min(), facets.min(initial=0)) < 0 or max(cells.max(), facets.max(initial=0)) >= len(mesh.points):
        raise InputError(path, "mesh", "cells with points that are not there", "a complete mesh")
    names = {name: int(tag) for name, (tag, over) in mesh.field_data.items() if over == dimension - 1}
    return MeshData(kind, np.asarray(mesh.points, float), cells, facets, tags, names)


def _tagged(mesh: Any, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the elements of a kind that are in a group, and the numbers of these."""
    facets, tags = np.empty((0, 3 if kind == "triangle" else 2), int), np.empty(0, int)
    for block, groups in zip(mesh.cells, groups_of(mesh), strict=True):
        if block.type == kind:
            facets = np.concatenate([facets, block.data])
            tags = np.concatenate([tags, groups])
    return facets[tags > 0].astype(int), tags[tags > 0].astype(int)
