"""What is left of images once predictions are taken away, in numbers: its size, its outliers, its correlation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.fft import fftn

from fe_phaseinv.data.statistics import MEDIAN_OF_NORMAL

OUTLYING = 5.0
"""Robust standard deviations that tell a pixel from all of its neighbours."""
SIGMAS = 4.0
"""Standard errors beyond which neighbours are taken to share something."""
SMALLEST = 1e-300
"""What is divided by in place of zero."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Differences of images from predictions, over the standard deviations of their noise.

    Parameters
    ----------
    values : numpy.ndarray, shape (time, pictures, y, x) or (time, pictures, z, y, x)
        NaN where there is no data; pictures are the channels.
    dimension : int
        Of space.
    """

    values: np.ndarray
    dimension: int

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of space."""
        return tuple(range(-self.dimension, 0))

    @cached_property
    def squares(self) -> np.ndarray:
        """Mean square by frame, shape (time,); one where it is noise alone."""
        return np.array([np.nanmean(frame**2) for frame in self.values])

    @cached_property
    def covariance(self) -> np.ndarray:
        """Mean product of neighbours by frame, shape (time,): what is left of the squares without white noise."""
        sums = np.zeros((2, len(self.values)))
        for axis in self.axes:
            pairs = np.delete(self.values, 0, axis) * np.delete(self.values, -1, axis)
            flat = pairs.reshape(len(pairs), -1)
            sums += np.nansum(flat, axis=1), np.isfinite(flat).sum(axis=1)
        return sums[0] / np.maximum(sums[1], 1)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of pixels with data by frame, shape (time,)."""
        return np.array([np.isfinite(frame).sum() for frame in self.values])

    @cached_property
    def outliers(self) -> np.ndarray:
        """Which pixels are far from their neighbours, with most of their own size, of the shape of the values."""
        apart = self.values - self._local_median
        found = np.zeros(apart.shape, bool)
        for number, frame in enumerate(apart):
            scale = max(1.0, np.nanmedian(np.abs(frame)) / MEDIAN_OF_NORMAL)
            far = np.abs(np.nan_to_num(frame))
            found[number] = (far > OUTLYING * scale) & (far > 0.5 * np.abs(np.nan_to_num(self.values[number])))
        return found

    def without(self, pixels: np.ndarray) -> Residuals:
        """Return the residuals of all other pixels.

        Parameters
        ----------
        pixels : numpy.ndarray of bool, of the shape of the values
        """
        return Residuals(np.where(pixels, np.nan, self.values), self.dimension)

    def after(self, start: int) -> Residuals:
        """Return the residuals without the first frames.

        Parameters
        ----------
        start : int
            How many.
        """
        return Residuals(self.values[start:], self.dimension)

    @cached_property
    def variance(self) -> float:
        """Mean square of all."""
        return float(np.nanmean(self.values**2))

    @property
    def white(self) -> bool:
        """Whether pixels share no more with their neighbours, and with themselves a frame later, than chance has it."""
        later = (self.values[1:] * self.values[:-1]).ravel()
        shared = (
            (np.sum(self.counts * self.covariance), self.counts.sum()),
            (np.nansum(later), np.isfinite(later).sum()),
        )
        return all(products < SIGMAS * self.variance * np.sqrt(count) for products, count in shared if count)

    def inflation(self, changes: np.ndarray) -> float:
        """Return the variance of what residuals tell of a change, in units of that of independent noise of size one.

        What they tell is the sum of their products with the change, over pixels and frames; its variance is that over
        all shifts of the change.

        Parameters
        ----------
        changes : numpy.ndarray, of the shape of the values
            What a change of the laws makes of the predictions, such as that from frame to frame.
        """
        used = np.isfinite(self.values) & np.isfinite(changes)
        left, changes = np.where(used, self.values, 0.0), np.where(used, changes, 0.0)
        frames = tuple(range(self.values.ndim - self.dimension))
        told = np.sum(np.conj(fftn(left, axes=self.axes)) * fftn(changes, axes=self.axes), axis=frames)
        independent = np.sum(used.sum(axis=self.axes) * np.sum(changes**2, axis=self.axes))
        return float(np.sum(np.abs(told) ** 2) / told.size / max(independent, SMALLEST))

    @property
    def _local_median(self) -> np.ndarray:
        """Median of each pixel and its neighbours; of no interest where it has no data."""
        near = np.array(list(self._shifted()))
        near[len(near) // 2] = np.nan_to_num(self.values)
        return np.nanmedian(near, axis=0)

    def _shifted(self) -> Iterator[np.ndarray]:
        """Give the values moved by one pixel or none in each direction, the outermost ones repeated."""
        width = [(0, 0)] * (self.values.ndim - self.dimension) + [(1, 1)] * self.dimension
        padded = np.pad(self.values, width, mode="edge")
        for offsets in product(range(3), repeat=self.dimension):
            places = zip(offsets, self.values.shape[-self.dimension :], strict=True)
            yield padded[..., *(slice(start, start + n) for start, n in places)]
