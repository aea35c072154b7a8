"""Whether pixels can be those of a concentration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import InputError

WIDTHS, FEW = 6.0, 0.01
"""So many widths of the noise outside of (0, 1) are no noise, and so large a share of such pixels no accident."""
GREY_LEVELS = (255, 4095, 65535)
NEAR = 0.5
"""Pixels that are less far outside of (0, 1) are not likely to be grey values."""


def require_concentration(source: str, frames: NDArray[np.float64], sigma: NDArray[np.float64] | float) -> None:
    """Refuse pixels that cannot be those of a concentration.

    Parameters
    ----------
    source : str
        Where they come from, for errors.
    frames : numpy.ndarray, shape (time, ...)
        Pixels, NaN where there is no data.
    sigma : float or numpy.ndarray of the shape of the frames
        Standard deviation of their noise; zero where it is not known.

    Raises
    ------
    InputError
        If, without noise, a pixel is outside the open interval (0, 1); with noise, if many are by more than it
        explains, or the mean of a frame is outside.
    """
    low, high = np.nanmin(frames), np.nanmax(frames)
    if 0 < low and high < 1:
        return
    found = f"from {low:.6g} to {high:.6g}"
    if np.any(sigma):
        means = np.nanmean(frames, axis=tuple(range(1, frames.ndim)))
        outside = np.abs(frames - np.clip(frames, 0, 1)) > WIDTHS * sigma
        share = np.count_nonzero(outside) / np.count_nonzero(np.isfinite(frames))
        if share <= FEW and np.all((means > 0) & (means < 1)):
            return
        found = f"{found}, {share:.0%} of the pixels further outside (0, 1) than the noise explains"
    elif -NEAR < low and high < 1 + NEAR:
        raise InputError(source, "images", found, "the open interval (0, 1), or a positive noise")
    white = next((level for level in GREY_LEVELS if low >= 0 and high <= level and high > 2), None)
    ends = f"[0, {white}]" if white else f"[{low:.6g}, {high:.6g}]"
    accepted = f"the open interval (0, 1), or grey = [a, b], the numbers of 0 and 1, such as grey = {ends}"
    raise InputError(source, "images", found, accepted)
