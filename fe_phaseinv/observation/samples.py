"""Points inside of pixels, whose values tell averages over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from firedrake import Function, FunctionSpace, MeshGeometry, SpatialCoordinate, VectorFunctionSpace
from mpi4py import MPI
from scipy.ndimage import minimum_filter

from fe_phaseinv.data.images import ImageSeries

PARTS_OF_CUT = 3
"""Into how many parts a pixel is divided in each direction at least, where those that the mesh cuts count."""
MOST_PARTS = {2: 8, 3: 3}
"""Into which a pixel is divided in each direction, by dimension."""
MOST_POINTS = 2**18
"""That are dealt with at once: each takes some 700 bytes while it is looked for in a mesh."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Two Gauss points in each direction in each of the equal parts of some pixels.

    Parameters
    ----------
    pixels : numpy.ndarray of int, shape (k,)
        Of a picture, counted row by row.
    parts : int
        In each direction.
    dimension : int
    """

    pixels: np.ndarray
    parts: int
    dimension: int

    @property
    def per_pixel(self) -> int:
        """Number of points in a pixel."""
        return (2 * self.parts) ** self.dimension

    def points(self, images: ImageSeries) -> np.ndarray:
        """Return the positions, shape (k * per_pixel, dimension).

        Parameters
        ----------
        images : ImageSeries
            Whose pixels they are.
        """
        parts = np.arange(self.parts)[:, None] + 0.5
        offsets = ((parts + np.array([-0.5, 0.5]) / np.sqrt(3)) / self.parts).ravel()
        inside = np.stack(np.meshgrid(*[offsets] * self.dimension), axis=-1).reshape(-1, self.dimension)
        corners = np.stack(np.unravel_index(self.pixels, images.shape)[::-1], axis=-1)
        places = (corners[:, None] + inside).reshape(-1, self.dimension)
        return np.array(images.origin) + places * np.array(images.pixel)


def samples(images: ImageSeries, mesh: MeshGeometry) -> Sequence[Samples]:
    """Return the points of all pixels, the same on all ranks. Collective.

    The parts are no larger than the cells nearby, so that a pixel that spans many cells is still averaged well.

    Parameters
    ----------
    images : ImageSeries
    mesh : firedrake.MeshGeometry
    """
    dimension, found = images.dimension, []
    parts = _parts(images, mesh)
    for count in np.unique(parts):
        pixels = np.flatnonzero(parts == count)
        pieces = -(-len(pixels) * (2 * count) ** dimension // MOST_POINTS)
        found += [Samples(piece, int(count), dimension) for piece in np.array_split(pixels, pieces)]
    return found


def _parts(images: ImageSeries, mesh: MeshGeometry) -> np.ndarray:
    """Return into how many parts each pixel is divided in each direction, powers of two but for the bounds."""
    sizes = Function(FunctionSpace(mesh, "DG", 0)).interpolate(mesh.cell_sizes)
    smallest = mesh.comm.allreduce(float(sizes.dat.data_ro.min(initial=np.inf)), op=MPI.MIN)
    fewest, most = 1 if images.coverage is None else PARTS_OF_CUT, MOST_PARTS[images.dimension]
    if max(images.pixel) <= fewest * smallest:
        return np.full(np.prod(images.shape), fewest)
    nearby = _nearby(images, mesh, sizes)
    return np.clip(2 ** np.ceil(np.log2(max(images.pixel) / nearby)), fewest, most).astype(int)


def _nearby(images: ImageSeries, mesh: MeshGeometry, sizes: Function) -> np.ndarray:
    """Return the least size of the cells whose centres are in each pixel or one beside it; infinity without any."""
    centres = Function(VectorFunctionSpace(mesh, "DG", 0, dim=images.dimension)).interpolate(SpatialCoordinate(mesh))
    places = np.floor((centres.dat.data_ro - images.origin) / images.pixel).astype(int)[:, ::-1]
    inside = np.all((places >= 0) & (places < images.shape), axis=1)
    least = np.full(images.shape, np.inf)
    np.minimum.at(least, tuple(places[inside].T), sizes.dat.data_ro[inside])
    mesh.comm.Allreduce(MPI.IN_PLACE, least, MPI.MIN)
    return minimum_filter(least, 3, mode="nearest").ravel()
