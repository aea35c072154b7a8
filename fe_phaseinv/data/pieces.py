"""Pieces of a series of images: channels, frames, windows and blocks of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.masks import COVERED
from fe_phaseinv.data.place import finite
from fe_phaseinv.data.registration import Shifts, measure_shifts, moved
from fe_phaseinv.data.statistics import block_means


class Pieces:
    """What can be taken out of a `fe_phaseinv.data.images.ImageSeries`, which has these methods."""

    def only(self, channel: int) -> Self:
        """Return the series of one channel.

        Parameters
        ----------
        channel : int
            Number of the channel, from 0.
        """
        return self if self.channels == 1 else self._changed(lambda values: values[:, channel])

    def _changed(self, change: Callable[[NDArray], NDArray], **others: Any) -> Self:
        """Return the series with its frames and what goes with each of their pixels changed alike."""
        weights = None if self.weights is None else change(self.weights)
        return replace(self, frames=change(self.frames), weights=weights, **others)

    def select(self, frames: Sequence[int]) -> Self:
        """Return the series of some of the frames.

        Parameters
        ----------
        frames : sequence of int
            Increasing indices, counted from 0.

        Raises
        ------
        InputError
            If there is no index, or one is no frame's, or they do not increase.
        """
        chosen, known = np.ravel(frames).tolist(), range(len(self.times))
        if not chosen or not all(type(i) is int and i in known for i in chosen) or sorted(set(chosen)) != chosen:
            raise InputError(self.source, "frames", chosen, f"increasing indices from 0 to {known[-1]}")
        return self._changed(lambda values: values[chosen], times=self.times[chosen])

    def at(self, times: Sequence[float], otherwise: int = 0) -> Self:
        """Return the series at some times: its frames there, and one of them where it has none.

        Parameters
        ----------
        times : sequence of float
            Increasing.
        otherwise : int
            Number of the frame that stands for others, as for those that a forward run is to give.
        """
        frames = {time: number for number, time in enumerate(self.times.tolist())}
        chosen = [frames.get(float(time), otherwise) for time in times]
        return self._changed(lambda values: values[chosen], times=np.array(times, float))

    def resampled(self, count: int) -> Self:
        """Return the series in other pixels, each with the value of that in which its middle lies.

        Parameters
        ----------
        count : int
            Number of pixels along the longer side.
        """
        axes = tuple(range(-self.dimension, 0))
        places = [_middles(size, max(1, round(size * count / max(self.shape)))) for size in self.shape]

        def taken(values: NDArray) -> NDArray:
            for axis, chosen in zip(axes, places, strict=True):
                values = values.take(chosen, axis)
            return values

        return self._changed(taken, coverage=None if self.coverage is None else taken(self.coverage))

    def crop(self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float] | None = None) -> Self:
        """Return the series of the window (x[0], x[1]) x (y[0], y[1]), its bounds moved to the nearest edges of pixels.

        Parameters
        ----------
        x, y, z : (float, float)
            Ranges; of z, which only stacks have, the whole where not given.

        Raises
        ------
        InputError
            If a range is outside the images or holds no pixel, or a frame has no data in the window.
        """
        if z is not None and self.dimension == 2:
            raise InputError(self.source, "crop.z", z, "ranges of x and y alone, for images")
        ranges = (x, y, z)[: self.dimension]
        counts = self.shape[::-1]
        windows = [slice(0, counts[axis]) if r is None else self._pixels(axis, r) for axis, r in enumerate(ranges)]
        placed = list(zip(self.origin, windows, self.pixel, strict=True))
        return self._changed(
            lambda values: values[..., *windows[::-1]],
            coverage=None if self.coverage is None else self.coverage[*windows[::-1]],
            extent=tuple(length * (window.stop - window.start) for _, window, length in placed),
            origin=tuple(low + window.start * length for low, window, length in placed),
        )

    def _pixels(self, axis: int, bounds: tuple[float, float]) -> slice:
        low, high = self.origin[axis], self.origin[axis] + self.extent[axis]
        key = f"crop.{'xyz'[axis]}"
        bounds = finite(self.source, key, bounds, 2)
        start, stop = (round((bound - low) / self.pixel[axis]) for bound in bounds)
        if not 0 <= start < stop <= self.shape[::-1][axis]:
            raise InputError(self.source, key, bounds, f"a range of at least one pixel from {low:.6g} to {high:.6g}")
        return slice(start, stop)

    def registered(
        self, shifts: Shifts | None = None, *, reference: int = 0, periodic: bool = False, crop: bool = False
    ) -> Self:
        """Return the series without shifts from frame to frame: every picture is where that of one frame is.

        What has moved out of the picture has no data. Between pixels a spline is taken, which keeps clean pixels and
        makes noisy ones a little smoother.

        Parameters
        ----------
        shifts : Shifts, optional
            Measured in the first channel where not given.
        reference : int
            Number of the frame that stays where it is.
        periodic : bool
            Whether the picture repeats; nothing moves out of it then.
        crop : bool
            Whether only the window is kept that all frames show.
        """
        shifts = measure_shifts(self.only(0).frames) if shifts is None else shifts
        if not shifts.found:
            return self
        offsets = shifts.offsets(reference)
        pairs = list(zip(range(len(offsets)), offsets, strict=True))
        frames = np.stack([self._moved(self.frames[index], offset, periodic) for index, offset in pairs])
        weights = self.weights
        if weights is not None:
            whole = np.stack([self._moved(weights[index], np.round(offset), periodic) for index, offset in pairs])
            weights = np.where(np.isfinite(frames), np.nan_to_num(whole), 0.0)
        series = replace(self, frames=frames, weights=weights)
        if periodic or not crop:
            return series
        cut = np.ceil([np.maximum(-offsets, 0).max(axis=0), np.maximum(offsets, 0).max(axis=0)]) * self.pixel
        low = np.array(self.origin)
        return series.crop(*zip(low + cut[0], low + self.extent - cut[1], strict=True))

    def _moved(self, frame: NDArray, offset: NDArray, periodic: bool) -> NDArray:
        """Return a frame with each of its pictures moved."""
        pictures = frame.reshape(-1, *self.shape)
        return np.reshape([moved(picture, offset, periodic) for picture in pictures], frame.shape)

    def downsample(self, factor: int) -> Self:
        """Return the series of averages over blocks of pixels; a block with a NaN becomes NaN.

        The noise of the pixels is taken as independent, so that of an average is smaller by the square root of their
        number.

        Parameters
        ----------
        factor : int
            Number of pixels of a block in each direction.

        Raises
        ------
        InputError
            If `factor` is no positive integer or does not divide `shape`, or a frame keeps no data.
        """
        if type(factor) is not int or factor < 1 or any(count % factor for count in self.shape):
            counts = " and ".join(map(str, self.shape[::-1]))
            raise InputError(self.source, "factor", factor, f"a positive integer that divides {counts}")

        def average(values: NDArray) -> NDArray:
            return block_means(values, factor, self.dimension)

        with np.errstate(divide="ignore", invalid="ignore"):
            weights = None if self.weights is None else 1 / average(1 / self.weights)
            if self.coverage is None:
                frames, coverage = average(self.frames), None
            else:
                part = np.where(self.coverage < COVERED, 0, self.coverage)
                frames = average(np.where(part > 0, self.frames * part, 0)) / average(part)
                coverage = average(self.coverage)
        noise = self.noise / factor ** (self.dimension / 2)
        return replace(self, frames=frames, coverage=coverage, weights=weights, noise=noise)


def _middles(before: int, after: int) -> NDArray:
    """Return the number of the pixel, of some in a row, in which the middle of each of others lies."""
    return ((np.arange(after) + 0.5) * before / after).astype(int)
