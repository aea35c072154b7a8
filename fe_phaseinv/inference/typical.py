"""Typical length and time of a pattern, from its images: by them laws that have a unit are measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.models.dimensions import Scales

ABOVE_NOISE = 2.0
"""Differences between pixels count from the distance on at which their mean square is this multiple of the noise's."""


def typical_scales(images: ImageSeries, frames: Sequence[int]) -> Scales:
    """Return the typical length and time of what images show.

    The length is the root mean square of a pattern over that of its gradient, which is 1/k for waves of the wavenumber
    k, and about the square root of kappa for phases that separate. The time is that in which it changes by as much as
    its own root mean square.

    Parameters
    ----------
    images : ImageSeries
        Their first channel counts.
    frames : sequence of int
        The frame at the start, then those to compare with.
    """
    pictures = [images.picture(frame) for frame in frames]
    times = images.times[list(frames)]
    later = pictures[1:] or pictures
    variance = sum(max(np.nanvar(picture) - images.noise**2, 0.0) for picture in later)
    changes = [np.nanvar(after - before) - 2 * images.noise**2 for before, after in pairwise(pictures)]
    rate = np.sqrt(max(np.sum(changes / np.diff(times) ** 2), 0.0) / variance) if variance > 0 else 0.0
    return Scales(_length(later, images, variance), float(1 / rate if rate else np.ptp(times) or 1.0))


def _length(pictures: list[np.ndarray], images: ImageSeries, variance: float) -> float:
    """Return the length over which pictures change, from the shortest differences that are more than noise."""
    lag, longest = 1, max(1, min(images.shape) // 4)
    while True:
        slopes = [_squared_differences(picture, lag) - 2 * images.noise**2 for picture in pictures]
        clear = np.mean(slopes) > ABOVE_NOISE * images.noise**2
        gradient = sum(float(np.sum(slope / np.square(images.pixel))) for slope in slopes) / lag**2
        if (clear and gradient > 0) or 2 * lag > longest:
            break
        lag *= 2
    if variance <= 0 or gradient <= 0:
        return max(images.extent) / (2 * np.pi)
    return float(np.sqrt(variance / gradient))


def _squared_differences(picture: np.ndarray, lag: int) -> np.ndarray:
    """Return the mean squares of the differences over some pixels along x, y and z."""
    lags = [
        (picture.take(range(lag, n), axis) - picture.take(range(n - lag), axis)) for axis, n in enumerate(picture.shape)
    ]
    means = [float(np.mean(change[np.isfinite(change)] ** 2)) if np.isfinite(change).any() else 0.0 for change in lags]
    return np.array(means[::-1])
