"""Filters of pictures that have gaps, and numbers that these leave undetermined."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy import ndimage


def completed(picture: np.ndarray) -> np.ndarray:
    """Return a picture in which pixels without data have the value of the nearest one with data.

    Parameters
    ----------
    picture : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.
    """
    missing = np.isnan(picture)
    if not missing.any():
        return picture
    return picture[tuple(ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True))]


def blurred(picture: np.ndarray, length: float) -> np.ndarray:
    """Return Gaussian averages over the pixels that have data.

    Parameters
    ----------
    picture : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.
    length : float
        Standard deviation of the Gaussian, in pixels.
    """
    known = np.isfinite(picture)
    weights = ndimage.gaussian_filter(known.astype(float), length, mode="nearest")
    sums = ndimage.gaussian_filter(np.where(known, picture, 0.0), length, mode="nearest")
    return sums / np.maximum(weights, np.finfo(float).eps)


@contextmanager
def undetermined() -> Iterator[None]:
    """Take it for an answer, without NumPy's warnings, that what pixels do not tell is NaN or infinite."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
