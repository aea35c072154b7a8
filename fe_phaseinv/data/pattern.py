"""The length and the rate of the pattern that images show."""

from __future__ import annotations

import numpy as np

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.statistics import noise_deviation, wavelength


def pattern_wavelength(images: ImageSeries) -> float:
    """Return the dominant wavelength of the pattern that images show in their first channel.

    Parameters
    ----------
    images : ImageSeries

    Returns
    -------
    float
        Median of those of the frames, in the unit of length; NaN where no frame shows a pattern.
    """
    lengths = [wavelength(images.picture(index), images.pixel) for index in range(len(images.times))]
    return float(np.nanmedian(lengths)) if np.isfinite(lengths).any() else np.nan


def pattern_rate(images: ImageSeries) -> float:
    """Return how fast the pattern changes: by its own contrast in the inverse of this time.

    The root mean square change from frame to frame, without that of the noise, is held against the standard deviation
    of the pixels.

    Parameters
    ----------
    images : ImageSeries
        Their noise is estimated where they say none.

    Returns
    -------
    float
        Median over pairs of neighbouring frames, in the inverse of the unit of time; zero where nothing but noise
        changes, NaN where there is a single frame or no pattern.
    """
    frames = images.only(0).frames
    if len(frames) < 2:
        return np.nan
    noise = images.noise or noise_deviation(frames)
    variance = np.nan_to_num(noise) ** 2
    spatial = tuple(range(1, frames.ndim))
    change = np.nanmean(np.diff(frames, axis=0) ** 2, axis=spatial) - 2 * variance
    contrast = np.maximum(np.nanmean([np.nanvar(frame) for frame in frames]) - variance, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.sqrt(np.maximum(change, 0) / contrast) / np.diff(images.times)
    return float(np.nanmedian(rates)) if np.isfinite(rates).any() else np.nan
