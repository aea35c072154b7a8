"""Whether and where a domain ends around its pixels."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.outline import BLUR, CUT, MARGIN, density, require_plane

CUT_DEVIATION = 0.3
"""Of what is expected to be `CUT`."""
MASS_ERROR = 0.3
"""Of the sum of all pixels with data and those cut, in standard deviations of a pixel for each pixel of the outline,
added as if independent: the outline is uncertain by 0.15 pixels, alike over some four of them."""
TINY = 1e-12
"""Least variance of this sum."""
LEAST_CUT, MOST_CUT = -0.1, 0.8
"""Between which the answer is: a balance that asks for more is not one of mass."""
FAINT = 1e-3
"""Share of pixels with data nearby below which there are none."""
UNBALANCED = 0.5
"""Error of the sum of all pixels beyond which it is no error, in standard deviations of a pixel for each pixel that the
outline cuts, added as if independent: cut out of a larger pattern it is 0.6 to 3, and below 0.4 in whole particles."""
DEEPER, MOST_BEYOND = 4, 3.0
"""Pixels from the edge of the picture where the width of the domain is compared, and most pixels beyond it where a
round domain may end that only touches the edge."""


class _Sums(NamedTuple):
    """Changes of the sums of the pixels and of the values at their edge, the noise of the first, the edge's length."""

    inside: np.ndarray
    edge: np.ndarray
    variance: float
    length: float


def cut_width(images: ImageSeries) -> float:
    """Estimate how far the domain reaches beyond the pixels with data, in pixels, where what they show is conserved.

    The sum of the pixels changes by what passes between them and those that the outline cuts, for which the values at
    the edge stand. Where noise hides this, the answer is `fe_phaseinv.data.outline.CUT`; where the coverage of the
    pixels is known, zero.

    Parameters
    ----------
    images : ImageSeries
        Single images.

    Returns
    -------
    float
        The mean of a Gaussian posterior, whose prior has the mean `CUT` and the standard deviation `CUT_DEVIATION`,
        between `LEAST_CUT` and `MOST_CUT`.

    Raises
    ------
    InputError
        If the images are stacks.
    """
    require_plane(images)
    if images.coverage is not None:
        return 0.0
    return _width(images, _sums(images))


def doubt_balance(images: ImageSeries) -> None:
    """Say that something passes the outline of a conserved pattern, where what it cuts cannot account for that.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    """
    sums, deviation = _sums(images), np.nanstd(images.frames)
    width = 0.0 if images.coverage is not None else _width(images, sums)
    square = np.mean((sums.inside + width * sums.edge) ** 2) - sums.variance
    if square > sums.length * (UNBALANCED * deviation) ** 2:
        text = (
            f"{images.source}: the sum of the pixels of the domain changes by {np.sqrt(square):.2g}, more than those at"
        )
        text += " its boundary account for: something passes it, as where it is a part of a larger pattern; "
        text += 'boundary = "from-images" takes that from the pixels'
        warnings.warn(text, DataWarning, stacklevel=2)


def _width(images: ImageSeries, sums: _Sums) -> float:
    error = MASS_ERROR**2 * np.nanvar(images.frames) * sums.length + sums.variance
    weight, precision = 1 / max(error, TINY), CUT_DEVIATION**-2
    width = (precision * CUT - weight * sums.inside @ sums.edge) / (precision + weight * sums.edge @ sums.edge)
    return float(np.clip(width, LEAST_CUT, MOST_CUT))


def _sums(images: ImageSeries) -> _Sums:
    images = images.only(0)
    near = density(images)
    slope = np.hypot(*np.gradient(near))
    filled = np.pad(np.where(images.mask, images.frames, 0.0), ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    edge = [(slope * gaussian_filter(frame, BLUR) / np.maximum(near, FAINT)).sum() for frame in filled]
    inside, edge = (np.subtract(sums, np.mean(sums)) for sums in (filled.sum(axis=(1, 2)), edge))
    return _Sums(inside, edge, float(images.mask.sum() * images.noise**2), float(slope.sum()))


def doubt_window(images: ImageSeries) -> None:
    """Say that the picture seems to end before the domain does, where the pixels with data end in a straight line.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    """
    mask = images.mask
    for name, rows in {"left": mask.T, "right": mask.T[::-1], "lower": mask, "upper": mask[::-1]}.items():
        first, deeper = (_longest_run(row) for row in rows[[0, min(DEEPER, len(rows) - 1)]])
        # A round domain that ends x pixels beyond the edge has chords whose squares grow as x does.
        beyond = DEEPER * first**2 / max(deeper**2 - first**2, 1)
        if first > DEEPER and beyond > MOST_BEYOND:
            text = (
                f"{images.source}: the domain meets the {name} edge of the picture along {first} pixels, as where the"
            )
            text += ' picture ends before it does; nothing passes there, unless boundary = "from-images"'
            warnings.warn(text, DataWarning, stacklevel=2)


def _longest_run(row: np.ndarray) -> int:
    """Return how many neighbours in a row are true at most."""
    ends = np.flatnonzero(np.diff(np.pad(row, 1).astype(int)))
    return int(np.diff(ends)[::2].max(initial=0))
