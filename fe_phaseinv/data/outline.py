"""From the pixels that have data to a mesh of the domain that they show."""

from __future__ import annotations

from math import ceil
from numbers import Integral

import numpy as np
from contourpy import FillType, contour_generator
from scipy.interpolate import splev, splprep
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from scipy.stats import norm

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.triangulation import triangulate

BLUR, SOFT_BLUR = 1.0, 0.5
"""Standard deviation, in pixels, of the filter that takes the steps from the edge of the mask, or of a soft one."""
CUT = 0.32
"""Pixels cut by the outline may count among those with data by their centres, or not at all, and the domain then ends
0.64 pixels beyond them on average: what is expected in between."""
MARGIN = 4
"""Pixels beyond the edges of the picture, which a domain that ends there may reach."""
FEWEST_ALONG, NOISY_ALONG, FEWEST_ACROSS = 24, 16, 3
"""Triangles along the longest side of a part of the domain, fewer where noise hides what they leave, and across it
where it is widest."""
HIDDEN = 0.05
"""Noise, as a share of the deviation of the pixels, that hides it."""
RIPPLE, SOFT_RIPPLE = 0.1, 0.03
"""Root mean square distance, in pixels, by which the smooth outline may differ from the filtered one."""
FEWEST_SIDES = 8
"""Sides that every polygon has at least."""
FINE_ARC = 4
"""Points between two vertices by which the length of the outline is measured."""


def density(images: ImageSeries) -> np.ndarray:
    """Return how much of the surroundings of each pixel has data, with `MARGIN` beyond the edges of the picture.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    """
    inside = images.mask.astype(float) if images.coverage is None else images.coverage
    return gaussian_filter(np.pad(inside, MARGIN), SOFT_BLUR if _is_soft(images) else BLUR)


def _is_soft(images: ImageSeries) -> bool:
    return images.coverage is not None and not np.isin(images.coverage, (0, 1)).all()


def require_plane(images: ImageSeries) -> None:
    """Refuse stacks.

    Parameters
    ----------
    images : ImageSeries
        The images.

    Raises
    ------
    InputError
        If they are stacks.
    """
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


def mesh_outline(images: ImageSeries, cells: int, width: float | None = None) -> MeshData:
    """Fill the outline of the pixels that have data with triangles.

    Parameters
    ----------
    images : ImageSeries
        Single images, with pixels without data (NaN) around those that have data.
    cells : int
        Number of triangles that would fit along the longest side of the picture.
    width : float, optional
        How far the domain reaches beyond these pixels, in pixels; `CUT` where not given, or what the coverage tells.

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
    if width is None:
        width = CUT if images.coverage is None else 0.0
    return triangulate(images.source, outline(images, size, width), size)


def cells_across(images: ImageSeries) -> int:
    """Return how many triangles along the picture are enough for the largest part of the domain, and its width.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    """
    inside = np.pad(images.mask, 1)
    regions, _ = label(inside)
    largest = regions == np.bincount(regions[inside]).argmax()
    length = max(np.ptp(places) + 1 for places in np.nonzero(largest))
    width = 2 * distance_transform_edt(largest).max()
    along = NOISY_ALONG if images.noise > HIDDEN * np.nanstd(images.frames) else FEWEST_ALONG
    return ceil(max(images.shape) / min(length / along, width / FEWEST_ACROSS))


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
        If all pixels have data, or nothing of the domain is left, or the images are stacks.
    ValueError
        If `width` is not finite.
    """
    require_plane(images)
    if not np.isfinite(width):
        raise ValueError(f"width: found {width}; accepted: a finite number of pixels")
    if images.mask.all():
        accepted = 'pixels without data (NaN, or one constant value) around the domain, or mesh = "rectangle"'
        raise InputError(images.source, "images", "data in every pixel, and no outline", accepted)
    inside, level = density(images), norm.cdf(-width / BLUR)
    contours = contour_generator(z=inside, fill_type=FillType.OuterOffset)
    parts = []
    for points, offsets in zip(*contours.filled(level, np.inf), strict=True):
        corners = np.array(images.origin) + (points + 0.5 - MARGIN) * images.pixel
        outer, *holes = np.split(corners, offsets[1:-1])
        if _area(outer) >= size**2:
            rings = [outer, *(hole for hole in holes if _area(hole) >= size**2)]
            parts.append([_sides(ring, size, images) for ring in rings])
    if not parts:
        found = f"no part larger than an element of size {size:g}"
        raise InputError(images.source, "images", found, "smaller elements, or a larger domain")
    return parts


def _area(ring: np.ndarray) -> float:
    """Area inside a closed ring whose last point is its first."""
    (x, y), (dx, dy) = ring[:-1].T, np.diff(ring, axis=0).T
    return abs(float(x @ dy - y @ dx)) / 2


def _sides(ring: np.ndarray, size: float, images: ImageSeries) -> np.ndarray:
    """Return the vertices of a polygon of about equal sides on a smooth closed curve through a ring."""
    tolerance = len(ring) * ((SOFT_RIPPLE if _is_soft(images) else RIPPLE) * min(images.pixel)) ** 2
    curve, _ = splprep(ring.T, s=tolerance, per=True)
    length = np.hypot(*np.diff(ring, axis=0).T).sum()
    count = max(FEWEST_SIDES, round(length / size))
    fine = np.linspace(0, 1, FINE_ARC * count + 1)
    arc = np.cumsum(np.hypot(*np.diff(splev(fine, curve))))
    at = np.interp(np.arange(count) * arc[-1] / count, np.r_[0, arc], fine)
    return np.column_stack(splev(at, curve))
