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

    def correlation(self, axis: int, lag: int) -> float:
        """Return the correlation of values that are some places apart, zero where there are none.

        Parameters
        ----------
        axis, lag : int
            Along which, and how far.
        """
        first, second = (np.moveaxis(self.values, axis, 0)[part] for part in (slice(lag, None), slice(-lag or None)))
        products = (first * second)[np.isfinite(first * second)]
        return float(products.mean() / max(self.variance, SMALLEST)) if products.size else 0.0

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
        independent = np.sum(np.where(np.isfinite(self.values), np.nan_to_num(changes), 0.0) ** 2)
        return float(self.covariance_of(changes[None])[0, 0] / max(independent, SMALLEST))

    def covariance_of(self, influences: np.ndarray) -> np.ndarray:
        """Return the covariance of the sums of the products of residuals with influences.

        Where these lie in the pattern is left open: it is the mean over all shifts of the influences.

        Parameters
        ----------
        influences : numpy.ndarray, shape (k, time, pictures, y, x) or (k, time, pictures, z, y, x)
            What residuals are multiplied by; zero where they have no data.

        Returns
        -------
        numpy.ndarray, shape (k, k)
        """
        used = np.isfinite(self.values)
        counts = np.maximum(used.sum(axis=self.axes, keepdims=True), 1)
        left = np.conj(fftn(np.where(used, self.values, 0.0) / np.sqrt(counts), axes=self.axes))
        frames = tuple(range(self.values.ndim - self.dimension))
        told = np.array(
            [
                np.sum(left * fftn(np.where(used, np.nan_to_num(one), 0.0), axes=self.axes), axis=frames).ravel()
                for one in influences
            ]
        )
        return np.real(told.conj() @ told.T) / told.shape[1]

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
