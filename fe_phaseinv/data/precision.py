"""How precise each pixel is: from standard deviations of its noise to one for all and weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import InputError, real_numbers


class Precision(NamedTuple):
    """Frames with what is known of the noise of their pixels.

    Parameters
    ----------
    frames : numpy.ndarray
        NaN where there is no data, or where the deviation says that there is none.
    noise : float
        Representative standard deviation: its square is the harmonic mean of the variances of the pixels with data.
    weights : numpy.ndarray or None
        Square of `noise` over that of a pixel, zero where there is no data; None where all are one.
    """

    frames: NDArray[np.float64]
    noise: float
    weights: NDArray[np.float64] | None


def precision(source: str, frames: NDArray[np.float64], dimension: int, sigma: ArrayLike) -> Precision:
    """Find the noise and the weights of pixels by their standard deviations.

    Parameters
    ----------
    source : str
        Where the images come from, for errors.
    frames : numpy.ndarray
        As `ImageSeries` has them.
    dimension : int
        Of space.
    sigma : array_like
        One number, one for each frame, or one for each pixel of a picture or of all frames. A pixel where it is
        infinite or NaN has no data.

    Raises
    ------
    InputError
        If the shape is none of these, a pixel with data has a deviation of zero or less, or a frame keeps no data.
    """
    given = real_numbers(source, "sigma", sigma, tuple(range(frames.ndim + 1)))
    count, shape = len(frames), frames.shape[-dimension:]
    if given.ndim == 0:
        return Precision(frames, float(given), None)
    if given.shape == (count,):
        given = given.reshape(count, *[1] * (frames.ndim - 1))
    elif given.shape not in (shape, frames.shape[1:], frames.shape):
        accepted = f"a number, {count} of them by frame, or an array of shape {shape} or {frames.shape}"
        raise InputError(source, "sigma", f"an array of shape {given.shape}", accepted)
    given = np.broadcast_to(given, frames.shape)
    frames = np.where(np.isfinite(given), frames, np.nan)
    seen = np.isfinite(frames)
    if wrong := int(np.sum(given[seen] <= 0)):
        accepted = "positive standard deviations, infinite where a pixel tells nothing"
        raise InputError(source, "sigma", f"{wrong} pixels with a deviation of zero or less", accepted)
    for number, has in enumerate(seen.reshape(count, -1).any(axis=1)):
        if not has:
            raise InputError(source, f"sigma[{number}]", "no finite value", "a frame with a pixel that counts")
    relative = np.where(seen, given[seen].min() / np.where(seen, given, np.inf), 0.0) ** 2
    mean = relative[seen].mean()
    alike = np.ptp(relative[seen]) == 0
    return Precision(frames, float(given[seen].min() / np.sqrt(mean)), None if alike else relative / mean)
