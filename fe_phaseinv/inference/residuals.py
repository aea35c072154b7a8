"""What is left of images once predictions are taken away, in numbers: its size, its outliers, its correlation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn

OUTLYING = 5.0
"""Robust standard deviations that tell a pixel from all of its neighbours."""
UNCORRELATED, SIGMAS = 0.05, 4.0
"""Correlation below which neighbours count as independent, where so many standard errors of it are not more."""
MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median size of a standard normal variable."""


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

    @cached_property
    def area(self) -> float:
        """Number of pixels of a frame that tell the same: the integral of the autocorrelation until it dies out."""
        sums, pairs = self._lagged()
        correlation = sums / np.maximum(pairs, 1) / (self.variance or 1.0)
        lags = np.ix_(*(np.minimum(np.arange(n), n - np.arange(n)) for n in sums.shape))
        shells = np.sqrt(sum(lag**2 for lag in lags)).round().astype(int)
        copies = 0.0
        for radius in range(min(self.values.shape[-self.dimension :]) // 2):
            shell = (shells == radius) & (pairs > 0)
            count = pairs[shell].sum()
            if count == 0 or np.average(correlation[shell], weights=pairs[shell]) < _significant(count):
                break
            copies += correlation[shell].sum()
        return max(copies, 1.0)

    @cached_property
    def duration(self) -> float:
        """Number of frames that tell the same, by the correlation of one with the next."""
        first, second = self.values[:-1], self.values[1:]
        both = np.isfinite(first) & np.isfinite(second)
        if not both.any():
            return 1.0
        a, b = first[both], second[both]
        correlation = float(a @ b / np.sqrt((a @ a) * (b @ b) or 1.0))
        if correlation < _significant(both.sum()):
            return 1.0
        return float(min((1 + correlation) / max(1 - correlation, 1e-9), len(self.values)))

    def _lagged(self) -> tuple[np.ndarray, np.ndarray]:
        """Return sums of the products of pixels by their lag, and how many there are."""
        shape = [next_fast_len(2 * n) for n in self.values.shape[-self.dimension :]]
        seen = np.isfinite(self.values)
        fields = (np.where(seen, self.values, 0.0), seen.astype(float))
        powers = (np.abs(rfftn(field, shape, axes=self.axes)) ** 2 for field in fields)
        inside = tuple(range(self.values.ndim - self.dimension))
        sums, pairs = (irfftn(power.sum(axis=inside), shape) for power in powers)
        return sums, np.round(pairs)

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


def _significant(count: float) -> float:
    """Return the correlation of so many pairs from which on it is taken for one."""
    return max(UNCORRELATED, SIGMAS / np.sqrt(count))
