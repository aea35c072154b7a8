"""What images tell about themselves: how noisy they are, how well resolved, and the length of what they show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.fft import dctn

from fe_phaseinv.data.filters import blurred

MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median size of a standard normal variable."""
BLUR, NOISY, WIDTHS, STEEPEST = 1.0, 0.02, 6.0, 98
"""For the slopes of interfaces: a Gaussian average over so many pixels where the noise is above this share of the
contrast, which must be so many times what is left of the noise; the percentile of the slopes that counts."""


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


def noise_deviations(frames: np.ndarray) -> np.ndarray:
    """Estimate the standard deviation of the noise of a pixel in each frame, shape (time,).

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.
    """
    return np.array([noise_deviation(frame[None]) for frame in frames])


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


def wavelength(picture: np.ndarray, pixel: Sequence[float]) -> float:
    """Return the dominant wavelength of a picture.

    It belongs to the mean wavenumber of the waves that stand out of the noise, weighted by the square of the structure
    factor, so that the tail of sharp interfaces weighs little. The waves are cosines, for which the edges of the
    picture are no jumps.

    Parameters
    ----------
    picture : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.
    pixel : sequence of float
        Size of a pixel along x, y and z, in the unit of length.

    Returns
    -------
    float
        In the unit of length; NaN where there is nothing but noise.
    """
    pattern = np.nan_to_num(picture - np.nanmean(picture))
    power = dctn(pattern, norm="ortho") ** 2
    variance = np.nan_to_num(noise_deviation(picture[None])) ** 2
    weights = np.where(power > 2 * np.log(power.size) * variance, power, 0) ** 2  # the most of so many normal variables
    axes = zip(picture.shape, pixel[::-1], strict=True)
    wavenumbers = np.meshgrid(*(np.pi * np.arange(count) / (count * size) for count, size in axes), indexing="ij")
    total = weights.sum()
    if not total > 0:
        return np.nan
    return float(2 * np.pi * total / (np.sqrt(np.sum(np.square(wavenumbers), axis=0)) * weights).sum())


def interface_width(picture: np.ndarray) -> float:
    """Return how many pixels wide the interfaces of a picture are: from phase to phase at the steepest slope.

    Parameters
    ----------
    picture : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.

    Returns
    -------
    float
        At least one; NaN where noise hides the slopes.
    """
    noise = np.nan_to_num(noise_deviation(picture[None]))
    low, high = np.nanpercentile(picture, [5, 95])
    blur = BLUR if noise > NOISY * (high - low) else 0.0
    if blur:
        picture = np.where(np.isfinite(picture), blurred(picture, blur), np.nan)
        low, high = np.nanpercentile(picture, [5, 95])
        if high - low < WIDTHS * noise / (2 * np.sqrt(np.pi) * blur):
            return np.nan
    squares = sum(np.nan_to_num(np.diff(picture, axis=axis, append=np.nan)) ** 2 for axis in range(picture.ndim))
    steepest = np.percentile(squares[np.isfinite(picture)], STEEPEST)
    return float(np.sqrt(max(1.0, (high - low) ** 2 / steepest - 2 * np.pi * blur**2))) if steepest else np.nan


def median_interface_width(frames: np.ndarray) -> float:
    """Return the median over frames of how many pixels wide interfaces are.

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.

    Returns
    -------
    float
        NaN where noise hides the slopes in all of them.
    """
    widths = [interface_width(frame) for frame in frames]
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else np.nan
