"""Pixels around a particle that show nothing, although they are numbers."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_erosion, label

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.images import ImageSeries

DILUTED = 0.8
"""Share of the next ones' mean, above the background, below which pixels at the edge were averaged with it."""


def without_background(images: ImageSeries) -> ImageSeries:
    """Take regions of one constant value that reach the edge of the picture for pixels without data, and say so.

    Pixels next to them are left out, too, where they are between the background and the others, as in pictures that
    were averaged after what is outside had been set to a number.

    Parameters
    ----------
    images : ImageSeries
        Single images; those with a mask of their own, or with pixels that are NaN, are returned as they are.
    """
    if images.dimension != 2 or images.coverage is not None or not images.mask.all():
        return images
    flat = images.frames.reshape(-1, *images.shape)
    value, outside = _background(flat)
    if not outside.any() or outside.all():
        return images
    inner = _shrunk(~outside)
    rim, ring = ~outside & ~inner, inner & ~_shrunk(inner)
    if ring.any() and abs(flat[:, rim].mean() - value) < DILUTED * abs(flat[:, ring].mean() - value):
        outside |= rim
    text = f"{images.source}: {outside.sum()} pixels around the rest, always {value:g}, are taken for no data (NaN)"
    warnings.warn(text, DataWarning, stacklevel=2)
    return replace(images, frames=np.where(outside, np.nan, images.frames))


def _shrunk(inside: np.ndarray) -> np.ndarray:
    """Leave out the pixels that have a neighbour outside, be it at a corner."""
    return binary_erosion(inside, np.ones((3, 3)), border_value=1)


def _background(frames: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the most frequent constant value at the edge of the picture, and the regions of it that reach there."""
    constant = (frames == frames[0]).all(axis=0)
    edge = np.ones_like(constant)
    edge[1:-1, 1:-1] = False
    values, counts = np.unique(frames[0][constant & edge], return_counts=True)
    if not len(values):
        return np.nan, np.zeros_like(constant)
    value = values[counts.argmax()]
    regions, _ = label(constant & (frames[0] == value))
    return float(value), np.isin(regions, np.setdiff1d(regions[edge], 0))
