"""Triangles between polygons, by gmsh."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.gmsh_session import empty_model
from fe_phaseinv.data.mesh_data import MeshData

OUTSIDE, HOLES = 1, 2
"""Tags of the outer boundary of every part, and of those of its holes."""
OPTIONS = {
    "Mesh.Algorithm": 6,
    "Mesh.ElementOrder": 1,
    "Mesh.MeshSizeExtendFromBoundary": 1,
    "Mesh.MeshSizeFactor": 1,
    "Mesh.MeshSizeFromCurvature": 0,
    "Mesh.MeshSizeFromPoints": 1,
    "Mesh.MeshSizeMin": 0,
    "Mesh.RecombineAll": 0,
    "Mesh.SubdivisionAlgorithm": 0,
}
"""Options of gmsh, its own defaults: a session of the user's may have others."""


def triangulate(source: str, parts: list[list[np.ndarray]], size: float) -> MeshData:
    """Fill polygons with triangles.

    Parameters
    ----------
    source : str
        What an error names.
    parts : list of list of numpy.ndarray, shape (vertices, 2)
        For every connected part the polygon around it, then those around its holes.
    size : float
        Length of the sides of the triangles.

    Returns
    -------
    MeshData
        Triangles; the sides of the polygons are single sides of them, tagged `OUTSIDE` and `HOLES`.

    Raises
    ------
    InputError
        If gmsh cannot fill the polygons, for their sides cross, or gmsh cannot be loaded.
    """
    with empty_model(OPTIONS | {"Mesh.MeshSizeMax": size}) as gmsh:
        try:
            return _triangles(gmsh.model, parts)
        except Exception as error:  # the class that gmsh raises is this one
            found, accepted = f"an outline whose sides cross ({error})", "an outline without narrow necks"
            raise InputError(source, "domain.mesh", found, f"smaller elements, or {accepted}") from None


def _triangles(model: ModuleType, parts: list[list[np.ndarray]]) -> MeshData:
    boundaries = [_fill(model, rings) for rings in parts]
    model.geo.synchronize()
    model.mesh.generate(2)
    number, coordinates, _ = model.mesh.getNodes()
    place = np.empty(int(number.max()) + 1, int)
    place[number] = np.arange(len(number))
    _, triangles = model.mesh.getElementsByType(2)
    lines = [(tag, line) for rings in boundaries for tag, ring in rings for line in ring]
    sides = [(tag, *model.mesh.getElementsByType(1, line)[1]) for tag, line in lines]
    tags, *ends = np.array(sides, dtype=int).T
    points, cells = coordinates.reshape(-1, 3)[:, :2], place[triangles.astype(int)].reshape(-1, 3)
    names = {"outside": OUTSIDE} | ({"holes": HOLES} if (tags == HOLES).any() else {})
    return MeshData("triangle", points, cells, place[np.transpose(ends)], tags, names)


def _fill(model: ModuleType, rings: list[np.ndarray]) -> list[tuple[int, list[int]]]:
    """Make a surface of gmsh between rings; gives the tag of each of them and its lines, one element each."""
    boundaries, loops = [], []
    for ring in rings:
        points = [model.geo.addPoint(x, y, 0) for x, y in ring]
        lines = [model.geo.addLine(a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
        for line in lines:
            model.geo.mesh.setTransfiniteCurve(line, 2)
        loops.append(model.geo.addCurveLoop(lines))
        boundaries.append((HOLES if boundaries else OUTSIDE, lines))
    model.geo.addPlaneSurface(loops)
    return boundaries
