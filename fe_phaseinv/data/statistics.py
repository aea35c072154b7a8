"""What images tell about themselves: how noisy they are, and how well their pixels resolve what they show."""

from __future__ import annotations

import numpy as np

MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median size of a standard normal variable."""


def noise_deviation(frames: np.ndarray) -> float:
    """Estimate the standard deviation of independent Gaussian noise of a pixel.

    The second difference along all axes removes what is smooth over three pixels; its median size hardly depends on
    the few places where the pattern is not smooth. Clean images give a small value, not zero.

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.

    Returns
    -------
    float
        In the unit of the pixels; NaN where no pixel has data all around it.

    Notes
    -----
    The mask is that of Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996); the median in place of the mean is
    that of Donoho and Johnstone, Biometrika 81, 425 (1994).
    """
    differences = frames
    for axis in range(1, differences.ndim):
        differences = np.diff(differences, 2, axis=axis)
    if not np.isfinite(differences).any():
        return np.nan
    return float(np.nanmedian(np.abs(differences)) / (6 ** ((frames.ndim - 1) / 2) * MEDIAN_OF_NORMAL))


def coarseness(frame: np.ndarray) -> float:
    """Return how far the pixels of a clean frame are from resolving it: 0 where it is smooth, above 1 for details.

    The measure is the root mean square of the fourth differences along all axes, relative to the standard deviation of
    the pixels: for waves of n pixels along one axis (2 sin(pi / n))^4, which is 0.02 for n = 16, 0.3 for 8, 4 for 4.

    Parameters
    ----------
    frame : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.

    Returns
    -------
    float
        Infinite where, along some axis, no five neighbours have data.
    """
    squares = 0.0
    for axis in range(frame.ndim):
        differences = np.diff(frame, 4, axis=axis)
        differences = differences[np.isfinite(differences)]
        if not differences.size:
            return np.inf
        squares += np.mean(differences**2)
    deviation = np.nanstd(frame)
    return float(np.sqrt(squares) / deviation) if deviation else 0.0


def block_means(array: np.ndarray, factor: int, dimension: int) -> np.ndarray:
    """Return averages over blocks of pixels.

    Parameters
    ----------
    array : numpy.ndarray
        Whose last axes are those of space.
    factor : int
        Number of pixels of a block in each direction, which divides those of the picture.
    dimension : int
        Number of axes of space.
    """
    lead, shape = array.shape[:-dimension], array.shape[-dimension:]
    split = [size for count in shape for size in (count // factor, factor)]
    return array.reshape(*lead, *split).mean(axis=tuple(range(-2 * dimension + 1, 0, 2)))
