"""How far the boundary of a domain may be from an outline that pixels tell, in few smooth modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.data.mesh_data import MeshData

MEAN, OTHERS = 0.3, 0.15
"""Standard deviations, in pixels, of the mean displacement of a ring and of its root mean square otherwise."""
SHORTEST = 4.0
"""Least wavelength of a displacement along a ring, in pixels: pixels at the edge tell it no finer."""
MOST_WAVES, SIDES = 24, 3
"""Most waves along a ring, and sides of its polygon that the shortest of them spans at least."""


@dataclass(frozen=True, eq=False)
class Displacement:
    """Displacements of the vertices of closed polygons along their normals, as far as they are expected.

    Parameters
    ----------
    points : numpy.ndarray, shape (vertices, 2)
        The vertices.
    modes : numpy.ndarray, shape (vertices, 2, modes)
        Their displacement by a pixel of each mode: the constant, then waves along the ring, ring by ring.
    deviations : numpy.ndarray, shape (modes,)
        Standard deviation of the share of each mode, in pixels.
    rings : numpy.ndarray of int, shape (modes,)
        Number of the ring that each mode moves, from 0; the first mode of a ring moves all of it by as much.
    lengths : numpy.ndarray, shape (rings,)
        Length of each ring, in pixels.
    pixel : tuple of float
        Lengths of the sides of a pixel.
    """

    points: np.ndarray = field(repr=False)
    modes: np.ndarray = field(repr=False)
    deviations: np.ndarray = field(repr=False)
    rings: np.ndarray = field(repr=False)
    lengths: np.ndarray
    pixel: tuple[float, float]

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.deviations)

    @property
    def means(self) -> np.ndarray:
        """Weights of the modes in the mean displacement of all rings, shape (modes,)."""
        first = np.r_[True, np.diff(self.rings) > 0]
        return np.where(first, self.lengths[self.rings] / self.lengths.sum(), 0.0)


def displacement(data: MeshData, pixel: Sequence[float]) -> Displacement:
    """Return how far the boundary of a mesh may be from where it is drawn.

    Parameters
    ----------
    data : MeshData
        Triangles, of which no two parts share a vertex alone.
    pixel : sequence of float
        Lengths of the sides of a pixel.

    Returns
    -------
    Displacement
        Outwards where positive.
    """
    rings = _rings(data)
    parts = [_modes(data.points[ring] / pixel) for ring in rings]
    modes = np.zeros((sum(map(len, rings)), 2, sum(waves.shape[1] for waves, *_ in parts)))
    row, column = 0, 0
    for waves, normals, _ in parts:
        ends = row + len(waves), column + waves.shape[1]
        modes[row : ends[0], :, column : ends[1]] = normals[:, :, None] * waves[:, None, :]
        row, column = ends
    return Displacement(
        points=data.points[np.concatenate(rings)],
        modes=modes * np.reshape(pixel, (1, 2, 1)),
        deviations=np.concatenate([_deviations(waves.shape[1] // 2) for waves, *_ in parts]),
        rings=np.repeat(np.arange(len(rings)), [waves.shape[1] for waves, *_ in parts]),
        lengths=np.array([length for *_, length in parts]),
        pixel=tuple(pixel),
    )


def _rings(data: MeshData) -> list[np.ndarray]:
    """Return the vertices of the rings of sides, each in such an order that the domain is on its left."""
    sides = np.concatenate([data.cells[:, [i, (i + 1) % 3]] for i in range(3)])
    corners = data.points[data.cells]
    (x, y), (u, v) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    turned = np.tile(x * v - y * u < 0, 3)
    sides[turned] = sides[turned, ::-1]
    inner = {tuple(side) for side in sides[:, ::-1].tolist()}
    following = {a: b for a, b in sides.tolist() if (a, b) not in inner}
    rings = []
    while following:
        ring = [next(iter(following))]
        while ring[-1] in following:
            ring.append(following.pop(ring[-1]))
        rings.append(np.array(ring[:-1]))
    return rings


def _modes(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return constant and waves at the vertices of a ring, its normals to the outside of the domain, and its length."""
    along = np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0)
    normals = np.column_stack([along[:, 1], -along[:, 0]]) / np.hypot(*along.T)[:, None]
    ends = np.cumsum(np.hypot(*(np.roll(ring, -1, axis=0) - ring).T))
    length = float(ends[-1])
    phase = 2 * np.pi * np.r_[0, ends[:-1]] / length
    count = int(min(length / SHORTEST, len(ring) / SIDES, MOST_WAVES))
    waves = [wave(number * phase) for number in range(1, count + 1) for wave in (np.cos, np.sin)]
    return np.column_stack([np.ones_like(phase), *waves]), normals, length


def _deviations(waves: int) -> np.ndarray:
    """Return the standard deviations of a constant and of cosines and sines."""
    return np.r_[MEAN, np.full(2 * waves, OTHERS / np.sqrt(max(waves, 1)))]
