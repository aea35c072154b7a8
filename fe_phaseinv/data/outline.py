"""From the pixels that have data to a mesh of the domain that they show."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from contourpy import FillType, contour_generator
from scipy.interpolate import splev, splprep
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.triangulation import triangulate

BLUR = 1.0
"""Standard deviation, in pixels, of the filter that takes the steps from the edge of the mask."""
CUT, CUT_DEVIATION = 0.32, 0.3
"""Pixels cut by the outline may count among those with data by their centres, or not at all, and the domain then ends
0.64 pixels beyond them on average: what is expected in between, and its standard deviation."""
MASS_ERROR = 1.0
"""Of the sum of all pixels with data and those cut, in their unit."""
RIPPLE = 0.1
"""Root mean square distance, in pixels, by which the smooth outline may differ from the filtered one."""
FEWEST_SIDES = 8
"""Sides that every polygon has at least."""
FAINT = 1e-3
"""Share of pixels with data nearby below which there are none."""
FINE_ARC = 4
"""Points between two vertices by which the length of the outline is measured."""


def cut_width(images: ImageSeries) -> float:
    """Estimate how far the domain reaches beyond the pixels with data, in pixels, where what they show is conserved.

    The sum of the pixels changes by what passes between them and those that the outline cuts, for which the values at
    the edge stand. Where noise hides this, the answer is `CUT`.

    Parameters
    ----------
    images : ImageSeries
        Single images.

    Returns
    -------
    float
        The mean of a Gaussian posterior, whose prior has the mean `CUT` and the standard deviation `CUT_DEVIATION`.

    Raises
    ------
    InputError
        If the images are stacks.
    """
    _require_plane(images)
    density = gaussian_filter(images.mask.astype(float), BLUR)
    edge = np.hypot(*np.gradient(density))
    filled = np.where(images.mask, images.frames, 0.0)
    around = [(edge * gaussian_filter(frame, BLUR) / np.maximum(density, FAINT)).sum() for frame in filled]
    inside, around = (np.subtract(sums, np.mean(sums)) for sums in (filled.sum(axis=(1, 2)), around))
    weight = 1 / (MASS_ERROR**2 + images.mask.sum() * images.noise**2)
    precision = CUT_DEVIATION**-2
    return float((precision * CUT - weight * inside @ around) / (precision + weight * around @ around))


def _require_plane(images: ImageSeries) -> None:
    if images.dimension != 2:
        raise InputError(images.source, "images", "stacks of images", "single images, or a mesh file for the domain")


def require_cells(cells: int) -> int:
    """Return a number of elements.

    Parameters
    ----------
    cells : int
        The number, of Python or NumPy.

    Raises
    ------
    ValueError
        If it is no positive integer.
    """
    if isinstance(cells, bool) or not isinstance(cells, Integral) or cells < 1:
        raise ValueError(f"cells: found {cells!r}; accepted: a positive integer")
    return int(cells)


def mesh_outline(images: ImageSeries, cells: int, width: float = CUT) -> MeshData:
    """Fill the outline of the pixels that have data with triangles.

    Parameters
    ----------
    images : ImageSeries
        Single images, with pixels without data (NaN) all around those that have data.
    cells : int
        Number of triangles that would fit along the longest side of the picture.
    width : float
        How far the domain reaches beyond these pixels, in pixels.

    Returns
    -------
    MeshData
        Triangles, with the sides of the outline tagged `OUTSIDE` and `HOLES`.

    Raises
    ------
    InputError
        If there is no such outline inside the picture, or no mesh in it.
    ValueError
        If `cells` is no positive integer, or `width` is not finite.
    """
    size = max(images.extent) / require_cells(cells)
    return triangulate(images.source, outline(images, size, width), size)


def outline(images: ImageSeries, size: float, width: float = CUT) -> list[list[np.ndarray]]:
    """Return polygons around the pixels that are finite in all frames.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    size : float
        Length of the sides; particles and holes with a smaller area than its square are left out.
    width : float
        How far the domain reaches beyond these pixels, in pixels.

    Returns
    -------
    list of list of numpy.ndarray, shape (vertices, 2)
        For every connected part the polygon around it, then those around its holes.

    Raises
    ------
    InputError
        If the domain touches the edge of the picture, or nothing of it is left, or the images are stacks.
    ValueError
        If `width` is not finite.
    """
    _require_plane(images)
    if not np.isfinite(width):
        raise ValueError(f"width: found {width}; accepted: a finite number of pixels")
    accepted = "a domain with pixels without data (NaN) all around it"
    density, level = gaussian_filter(images.mask.astype(float), BLUR), norm.cdf(-width / BLUR)
    inside = images.mask | (density >= level)
    if inside[[0, -1]].any() or inside[:, [0, -1]].any():
        raise InputError(images.source, "images", "an outline that touches the edge of the picture", accepted)
    contours = contour_generator(z=density, fill_type=FillType.OuterOffset)
    parts = []
    for points, offsets in zip(*contours.filled(level, np.inf), strict=True):
        corners = np.array(images.origin) + (points + 0.5) * images.pixel
        outer, *holes = np.split(corners, offsets[1:-1])
        if _area(outer) >= size**2:
            rings = [outer, *(hole for hole in holes if _area(hole) >= size**2)]
            parts.append([_sides(ring, size, images) for ring in rings])
    if not parts:
        raise InputError(images.source, "images", f"no part larger than an element of size {size:g}", accepted)
    return parts


def _area(ring: np.ndarray) -> float:
    """Area inside a closed ring whose last point is its first."""
    (x, y), (dx, dy) = ring[:-1].T, np.diff(ring, axis=0).T
    return abs(float(x @ dy - y @ dx)) / 2


def _sides(ring: np.ndarray, size: float, images: ImageSeries) -> np.ndarray:
    """Return the vertices of a polygon of about equal sides on a smooth closed curve through a ring."""
    tolerance = len(ring) * (RIPPLE * min(images.pixel)) ** 2
    curve, _ = splprep(ring.T, s=tolerance, per=True)
    length = np.hypot(*np.diff(ring, axis=0).T).sum()
    count = max(FEWEST_SIDES, round(length / size))
    fine = np.linspace(0, 1, FINE_ARC * count + 1)
    arc = np.cumsum(np.hypot(*np.diff(splev(fine, curve))))
    at = np.interp(np.arange(count) * arc[-1] / count, np.r_[0, arc], fine)
    return np.column_stack(splev(at, curve))
