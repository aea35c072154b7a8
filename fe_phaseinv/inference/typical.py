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
    k, and about the square root of kappa for phases that separate. The time is the shortest in which a pattern changes
    by as much as itself.

    Parameters
    ----------
    images : ImageSeries
        Their first channel counts.
    frames : sequence of int
        The frame at the start, then those to compare with.
    """
    pictures = [images.picture(frame) for frame in frames]
    spans = np.diff(images.times[list(frames)])
    rates = [_change(before, after, images.noise) for before, after in pairwise(pictures)] / spans
    fastest = float(rates.max(initial=0.0))
    length = _length(pictures[1:] or pictures, images)
    return Scales(length, 1 / fastest if fastest else float(np.ptp(images.times)) or 1.0)


def _length(pictures: list[np.ndarray], images: ImageSeries) -> float:
    """Return the length over which pictures change, from the shortest differences that are more than noise."""
    variance = sum(max(np.nanvar(picture) - images.noise**2, 0.0) for picture in pictures)
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


def _change(before: np.ndarray, after: np.ndarray, noise: float) -> float:
    """Return the root mean square change between two pictures, relative to the contrast of the later one."""
    change, contrast = np.nanmean((after - before) ** 2) - 2 * noise**2, np.nanvar(after) - noise**2
    return float(np.sqrt(max(change, 0.0) / contrast)) if contrast > 0 else 0.0
