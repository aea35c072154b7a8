"""Whether a domain ends where its pixels do."""

from __future__ import annotations

import warnings

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.images import ImageSeries

UNBALANCED = 0.5
"""Error of the sum of all pixels beyond which it is no error, in standard deviations of a pixel for each pixel that the
outline cuts, added as if independent: cut out of a larger pattern it is 0.6 to 3, and below 0.4 in whole particles."""
DEEPER, MOST_BEYOND = 4, 3.0
"""Pixels from the edge of the picture where the width of the domain is compared, and most pixels beyond it where a
round domain may end that only touches the edge."""


def doubt_balance(images: ImageSeries, square: float, length: float) -> None:
    """Say that something passes the outline, where what it cuts cannot account for the sums of the pixels.

    Parameters
    ----------
    images : ImageSeries
        Single images.
    square : float
        Variance in time of the sum of what is inside.
    length : float
        Length of the outline, in pixels.
    """
    deviation = np.nanstd(images.frames)
    if square > length * (UNBALANCED * deviation) ** 2:
        text = (
            f"{images.source}: the sum of the pixels changes by {np.sqrt(square):.2g}, more than those that the outline"
        )
        text += " cuts can account for: something passes it, as where a picture shows a part of a larger pattern;"
        text += ' boundary = "from-images" takes that from the pixels'
        warnings.warn(text, DataWarning, stacklevel=2)


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
