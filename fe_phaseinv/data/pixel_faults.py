"""Pixels that show something else than what is before them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from fe_phaseinv.data.filters import completed
from fe_phaseinv.data.statistics import noise_deviation

NOISES, SHARE = 6.0, 0.02
"""A pixel stands out where it is outside the range of its neighbours by more than that range, so many standard
deviations of the noise and this share of the contrast."""
MOST_FRAMES, FEWEST = 0.6, 3
"""It is faulty where it does so in this share of the frames, of at least so many."""
CHANGING = 0.05
"""Share of the contrast by which the neighbours of a pixel change that does not change itself."""


def outlying(frames: np.ndarray, noise: float) -> np.ndarray:
    """Return where pixels stand out of their neighbours, of the shape of the frames.

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.
    noise : float
        Standard deviation of the noise of a pixel.
    """
    return np.abs(_excess(frames, noise)) > 0


def faulty(frames: np.ndarray, noise: float) -> np.ndarray:
    """Return which pixels stand out of their neighbours in most frames, or do not change while these do.

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.
    noise : float
        Standard deviation of the noise of a pixel.

    Returns
    -------
    numpy.ndarray of bool
        Of the shape of a picture; all false where there are too few frames to tell.
    """
    if len(frames) < FEWEST:
        return np.zeros(frames.shape[1:], bool)
    excess = _excess(frames, noise)
    hot, dead = (np.mean(sign * excess > 0, axis=0) >= MOST_FRAMES for sign in (1, -1))
    change = np.nan_to_num(np.ptp(frames, axis=0))
    stuck = np.isfinite(frames).all(axis=0) & (change == 0) & (_neighbours(change, 1) > CHANGING * np.nanstd(frames))
    return hot | dead | stuck


def _excess(frames: np.ndarray, noise: float) -> np.ndarray:
    """Return by how much pixels are outside of what their neighbours allow, zero where they are inside."""
    excess = np.zeros(frames.shape)
    for frame, over in zip(frames, excess, strict=True):
        whole = completed(frame)
        low, high = _neighbours(whole, 1), _neighbours(whole, -2)
        margin = high - low + NOISES * np.fmax(noise, noise_deviation(frame[None])) + SHARE * np.nanstd(frames)
        over[:] = np.maximum(whole - high - margin, 0) - np.maximum(low - margin - whole, 0)
        over[np.isnan(frame)] = 0.0
    return excess


def _neighbours(picture: np.ndarray, rank: int) -> np.ndarray:
    """Return the value of some rank among the neighbours of each pixel: the second lowest, or the second highest.

    The lowest and highest may belong to another pixel that is faulty.
    """
    beside = np.ones((3,) * picture.ndim, bool)
    beside[(1,) * picture.ndim] = False
    return ndimage.rank_filter(picture, rank, footprint=beside, mode="nearest")
