"""Meshes as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

FACET = {"triangle": "line", "quad": "line", "tetra": "triangle"}
"""Kinds of cells that can be used, and that of their sides."""
SIDES = {
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)],
}
"""Vertices of the sides of a cell, all turned the same way seen from inside."""


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
        Vertices of the sides that have a tag; a side with several is listed once for each.
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

    def sides(self) -> np.ndarray:
        """Return the vertices of the sides of all cells, shape (sides of one times cells, vertices of one)."""
        return np.concatenate([self.cells[:, side] for side in SIDES[self.kind]])
