"""What is mended in a mesh, and what is refused, so that finite elements can be built on it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.mesh_data import MeshData

CORNERS = {"triangle": [(0, 1, 2)], "quad": [(0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)], "tetra": [(0, 1, 2, 3)]}
"""Vertices whose edges from the first to the others tell how a cell is turned."""
TURNED = {"triangle": [0, 2, 1], "quad": [0, 3, 2, 1], "tetra": [0, 1, 3, 2]}
"""Order of the vertices of a cell that turns it over."""
DEGENERATE = 1e-10
"""A cell whose size is this share of its longest edge's square or cube, or less, has none."""
NOISE, PLANE = 1e-6, 1e-3
"""Shares of the size of a mesh by which its points may leave a plane: in silence, and with a word."""
SAME_PLACE = 1e-4
"""Share of the shortest edge by which points of one place may differ."""
PARTS = "parts that share their points where they touch (in gmsh: Coherence or BooleanFragments before meshing)"


def sound(path: Path, data: MeshData) -> MeshData:
    """Mend a mesh where it is plain what is meant, and refuse what no finite elements can be built on.

    Parameters
    ----------
    path : pathlib.Path
        The file that errors and warnings name.
    data : MeshData
        As it stands in the file, with points that may have a third coordinate too many.

    Returns
    -------
    MeshData
        In a plane where it lies in one; its cells all turned the same way and each there once; without two points at
        one place; its tagged sides are all sides of cells.

    Raises
    ------
    InputError
        If points are not finite, or cells have no size, are not convex, overlap or touch without sharing points.
    """
    if not np.isfinite(data.points[data.cells]).all():
        raise InputError(path, "mesh", "points that are not finite", "finite coordinates")
    data = _compact(_joined(path, data))
    data = replace(data, points=_flat(path, data.points))
    data = replace(data, cells=_once(_turned(path, data)))
    _require_no_overlap(path, data)
    _require_matching(path, data)
    return _with_real_sides(path, data)


def _joined(path: Path, data: MeshData) -> MeshData:
    """Make one point of those at one place, which would be a wall between the cells that have one and the other."""
    a, b = (data.points[data.sides()[:, end]] for end in (0, 1))
    shortest = np.linalg.norm(b - a, axis=1).min()
    pairs = cKDTree(np.nan_to_num(data.points)).query_pairs(SAME_PLACE * shortest, output_type="ndarray")
    if not len(pairs):
        return data
    count = len(data.points)
    _, part = connected_components(coo_array((np.ones(len(pairs)), pairs.T), (count, count)), directed=False)
    _, first = np.unique(part, return_index=True)
    one = first[part]
    doubled = len(np.unique(data.cells)) - len(np.unique(one[data.cells]))
    if doubled:
        text = f"{path}: {doubled} points lie where others do; they were joined, and nothing parts the cells there"
        warnings.warn(text, DataWarning, stacklevel=2)
    return replace(data, cells=one[data.cells], facets=one[data.facets])


def _compact(data: MeshData) -> MeshData:
    """Leave out the points that no cell has, and the tagged sides between such points."""
    used, cells = np.unique(data.cells, return_inverse=True)
    place = np.full(len(data.points), -1)
    place[used] = np.arange(len(used))
    return replace(data, points=data.points[used], cells=cells.reshape(data.cells.shape), facets=place[data.facets])


def _flat(path: Path, points: np.ndarray) -> np.ndarray:
    """Leave the coordinate out that is nearly the same everywhere, where there are three."""
    sizes = np.ptp(points, axis=0)
    least, share = np.argmin(sizes), sizes.min() / sizes.max()
    if len(sizes) < 3 or share > PLANE:
        return points
    if share > NOISE:
        text = f"{path}: {'xyz'[least]} differs by {sizes[least]:.2g}, and is taken to be the same everywhere"
        warnings.warn(text, DataWarning, stacklevel=2)
    return np.delete(points, least, axis=1)


def _turned(path: Path, data: MeshData) -> np.ndarray:
    """Turn all cells the same way; those without a size, or not convex, are refused."""
    corners = np.array(CORNERS[data.kind])
    vertices = data.points[data.cells]
    edges = vertices[:, corners[:, 1:]] - vertices[:, corners[:, :1]]
    scale = np.linalg.norm(edges, axis=-1).max(axis=(1, 2)) ** data.dimension
    on_surface = data.points.shape[1] > data.dimension
    size = np.linalg.norm(np.cross(edges[:, :, 0], edges[:, :, 1]), axis=-1) if on_surface else np.linalg.det(edges)
    flat = np.count_nonzero(np.abs(size).max(axis=1) <= DEGENERATE * scale)
    if flat:
        raise InputError(path, "mesh", f"{flat} cells of no size", "cells with a positive area or volume")
    over = (size < 0).all(axis=1)
    bent = np.count_nonzero(~(over | (size > 0).all(axis=1)))
    if bent:
        raise InputError(path, "mesh", f"{bent} cells that are not convex", "convex cells, their vertices in order")
    return np.where(over[:, None], data.cells[:, TURNED[data.kind]], data.cells)


def _once(cells: np.ndarray) -> np.ndarray:
    """Return every cell once, in the order of the file."""
    _, first = np.unique(np.sort(cells, axis=1), axis=0, return_index=True)
    return cells[np.sort(first)]


def _require_no_overlap(path: Path, data: MeshData) -> None:
    """Refuse cells on the same side of a side that they share."""
    sides = data.sides()
    ways = _way(sides)[:, None] if data.points.shape[1] == data.dimension else np.empty((len(sides), 0), int)
    _, counts = np.unique(np.hstack([np.sort(sides, axis=1), ways]), axis=0, return_counts=True)
    most = 1 if ways.size else 2
    if counts.max() > most:
        found = f"overlapping cells, {np.count_nonzero(counts > most)} sides of which have several on one side"
        raise InputError(path, "mesh", found, "cells that meet in sides alone, and every place in one of them")


def _way(sides: np.ndarray) -> np.ndarray:
    """Tell for each side whether its vertices are in the order of their numbers, up to even permutations."""
    if sides.shape[1] == 2:
        return np.sign(sides[:, 1] - sides[:, 0])
    a, b, c = sides.T
    return np.sign(b - a) * np.sign(c - b) * np.sign(c - a)


def _require_matching(path: Path, data: MeshData) -> None:
    """Refuse points of the boundary on a side of it that does not have them, in the plane."""
    if data.points.shape[1] == 3:
        return
    sides, counts = np.unique(np.sort(data.sides(), axis=1), axis=0, return_counts=True)
    sides = sides[counts == 1]
    on_edge = np.unique(sides)
    a, b = data.points[sides].swapaxes(0, 1)
    length = np.linalg.norm(b - a, axis=1)
    near = cKDTree(data.points[on_edge]).query_ball_point((a + b) / 2, length / 2)
    side = np.repeat(np.arange(len(sides)), [len(each) for each in near])
    point = data.points[on_edge[np.concatenate(near).astype(int)]]
    along, beside = (b - a)[side] / length[side, None], point - a[side]
    distance = np.abs(along[:, 0] * beside[:, 1] - along[:, 1] * beside[:, 0])
    at = (along * beside).sum(axis=1)
    ends = SAME_PLACE * length[side]
    hanging = np.count_nonzero((distance < ends) & (at > ends) & (at < length[side] - ends))
    if hanging:
        raise InputError(path, "mesh", f"{hanging} points in the middle of sides, where parts touch", PARTS)


def _with_real_sides(path: Path, data: MeshData) -> MeshData:
    """Keep each tagged side of a cell once, and leave out what is no side."""
    known = set(map(tuple, np.sort(data.sides(), axis=1).tolist()))
    facets = np.sort(data.facets, axis=1)
    real = np.array([tuple(facet) in known for facet in facets.tolist()], bool)
    if not real.all():
        text = f"{path}: {np.count_nonzero(~real)} elements of groups are no side of a cell; they were left out"
        warnings.warn(text, DataWarning, stacklevel=2)
    tagged = np.unique(np.column_stack([data.tags, facets])[real], axis=0)
    empty = sorted(name for name, tag in data.names.items() if tag not in tagged[:, 0])
    if empty:
        text = f"{path}: no side of a cell is in the group {', '.join(empty)}, which is left out"
        warnings.warn(text, DataWarning, stacklevel=2)
    names = {name: tag for name, tag in data.names.items() if name not in empty}
    return replace(data, facets=tagged[:, 1:], tags=tagged[:, 0], names=names)
