"""Meshes as plain arrays: from files and into them."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fe_phaseinv.core.errors import InputError, refusing_unreadable

FORMATS = "a mesh of gmsh (.msh, format 2.2 or 4.1) or of another kind that meshio reads (.vtu, .vtk, .xdmf, .inp, ...)"
CELLS = "triangles, quadrilaterals or tetrahedra with straight sides, all of one kind"
FACET = {"triangle": "line", "quad": "line", "tetra": "triangle"}
"""Kinds of cells that can be used, and that of their sides."""
SIDES = {
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)],
}
CORNERS = {"triangle": [(0, 1, 2)], "quad": [(0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)], "tetra": [(0, 1, 2, 3)]}
"""Vertices whose edges from the first to the others tell how a cell is turned."""
TAGS = ("gmsh:physical", "medit:ref")
"""Names under which meshio gives the numbers of physical groups."""
FLAT = 1e-10
"""A cell whose size is this share of its longest edge's square or cube, or less, is degenerate; so is a third axis with
this share of the others' length."""


@dataclass(frozen=True, eq=False)
class MeshData:
    """A mesh of cells of one kind, and its tagged sides.

    Parameters
    ----------
    kind : str
        Kind of the cells: "triangle", "quad" or "tetra".
    points : numpy.ndarray, shape (points, dimension)
        Positions of the vertices, in the unit of length.
    cells : numpy.ndarray of int, shape (cells, vertices of one)
        Vertices of the cells, as rows of `points`.
    facets : numpy.ndarray of int, shape (facets, vertices of one)
        Vertices of the sides that have a tag.
    tags : numpy.ndarray of int, shape (facets,)
        Tags of these sides, above zero.
    names : dict of int
        Tags by their names, where they have one.
    """

    kind: str
    points: np.ndarray
    cells: np.ndarray
    facets: np.ndarray
    tags: np.ndarray
    names: dict[str, int] = field(default_factory=dict)

    @property
    def dimension(self) -> int:
        """Dimension of the cells themselves, which may lie on a surface in space."""
        return 3 if self.kind == "tetra" else 2


def read_mesh(path: str | os.PathLike) -> MeshData:
    """Read a mesh file.

    Parameters
    ----------
    path : str or os.PathLike
        The file, whose suffix tells the format. Physical groups of sides, as gmsh writes them, become their tags.

    Returns
    -------
    MeshData

    Raises
    ------
    InputError
        If the file is missing, damaged or empty, or holds cells of other kinds, of several, or of higher order, or
        degenerate, inverted, duplicate or overlapping ones.
    """
    import meshio

    path = Path(path)
    if not path.is_file():
        raise InputError(path, "mesh", "no such file", FORMATS)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), refusing_unreadable(path, FORMATS):
        try:
            mesh = meshio.read(path)
        except (Exception, SystemExit) as error:  # meshio ends the process where no reader wants a file
            raise InputError(path, "mesh", f"unreadable ({error or type(error).__name__})", FORMATS) from None
    data = _mesh_data(path, mesh)
    _require_sound(path, data)
    return data


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


def _mesh_data(path: Path, mesh) -> MeshData:
    """Take cells and tagged sides from what meshio has read."""
    if not mesh.cells or not sum(len(block.data) for block in mesh.cells):
        raise InputError(path, "mesh", "no cells", CELLS)
    dimension = max(block.dim for block in mesh.cells)
    kinds = sorted({block.type for block in mesh.cells if block.dim == dimension})
    if len(kinds) > 1 or kinds[0] not in FACET:
        raise InputError(path, "mesh", f"cells of type {', '.join(kinds)}", CELLS)
    (kind,) = kinds
    cells = np.concatenate([block.data for block in mesh.cells if block.type == kind]).astype(int)
    facets, tags = _tagged(mesh, FACET[kind])
    if min(cells.min(), facets.min(initial=0)) < 0 or max(cells.max(), facets.max(initial=0)) >= len(mesh.points):
        raise InputError(path, "mesh", "cells with points that are not there", "a complete mesh")
    used, numbers = np.unique(cells, return_inverse=True)
    points = np.asarray(mesh.points, float)[used]
    if not np.isfinite(points).all():
        raise InputError(path, "mesh", "points that are not finite", "finite coordinates")
    place = np.full(len(mesh.points), -1)
    place[used] = np.arange(len(used))
    names = {name: int(tag) for name, (tag, over) in mesh.field_data.items() if over == dimension - 1}
    return MeshData(kind, _flat(points), numbers.reshape(cells.shape), place[facets], tags, names)


def _flat(points: np.ndarray) -> np.ndarray:
    """Leave the third coordinate out where it is the same everywhere."""
    sizes = np.ptp(points, axis=0)
    return points[:, :2] if len(sizes) == 3 and sizes[2] <= FLAT * sizes.max() else points


def _tagged(mesh, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the elements of a kind that are in a group, and the numbers of these."""
    groups = next((mesh.cell_data[key] for key in TAGS if key in mesh.cell_data), None)
    facets, tags = np.empty((0, 3 if kind == "triangle" else 2), int), np.empty(0, int)
    for number, block in enumerate(mesh.cells if groups is not None else ()):
        if block.type == kind:
            facets = np.concatenate([facets, block.data])
            tags = np.concatenate([tags, groups[number]])
    return facets[tags > 0].astype(int), tags[tags > 0].astype(int)


def _require_sound(path: Path, data: MeshData) -> None:
    """Refuse what no finite elements can be built on."""
    duplicates = len(data.cells) - len(np.unique(np.sort(data.cells, axis=1), axis=0))
    if duplicates:
        raise InputError(path, "mesh", f"{duplicates} duplicate cells", "every cell once")
    _require_one_orientation(path, data)
    sides = np.sort(np.concatenate([data.cells[:, side] for side in SIDES[data.kind]]), axis=1)
    sides, counts = np.unique(sides, axis=0, return_counts=True)
    if counts.max() > 2:
        raise InputError(path, "mesh", "overlapping cells (a side of more than two)", "sides of one or two cells")
    known = set(map(tuple, sides))
    strange = sum(tuple(facet) not in known for facet in np.sort(data.facets, axis=1))
    if strange:
        raise InputError(path, "mesh", f"{strange} boundary elements that are no side of a cell", "sides of cells")


def _require_one_orientation(path: Path, data: MeshData) -> None:
    """Refuse cells without a size, and such as are turned over with respect to the others."""
    cells = data.points[data.cells]
    corners = np.array(CORNERS[data.kind])
    edges = cells[:, corners[:, 1:]] - cells[:, corners[:, :1]]
    scale = np.linalg.norm(edges, axis=-1).max(axis=(1, 2)) ** data.dimension
    if data.points.shape[1] > data.dimension:
        turned = np.linalg.norm(np.cross(edges[:, :, 0], edges[:, :, 1]), axis=-1)
    else:
        turned = np.linalg.det(edges)
    flat = np.count_nonzero(np.abs(turned).max(axis=1) <= FLAT * scale)
    if flat:
        raise InputError(path, "mesh", f"{flat} cells of no size", "cells with a positive area or volume")
    inverted = min(np.count_nonzero((sign * turned).min(axis=1) <= 0) for sign in (1, -1))
    if inverted:
        raise InputError(path, "mesh", f"{inverted} inverted cells", "convex cells, all turned the same way")
