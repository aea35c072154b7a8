"""Series of images: what was seen, where and when."""

import os
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import InputError, real_numbers
from fe_phaseinv.data.image_files import read_arrays, write_arrays
from fe_phaseinv.data.precision import precision
from fe_phaseinv.data.reconstruction import smooth_function
from fe_phaseinv.data.statistics import coarseness, noise_deviation

AXES, NUMERALS = (3, 4, 5), {2: "two", 3: "three"}


@dataclass(frozen=True, eq=False)
class ImageSeries:
    """Images of one rectangle, or stacks of images of one box, at increasing times.

    Parameters
    ----------
    frames : array_like of shape (time, y, x) or (time, z, y, x), with an axis of channels after that of time or without
        Pixel values, row 0 at the bottom (y = origin), NaN or masked where there is no data. Kept as read-only float64.
        How many directions in space there are is told by the extent.
    times : array_like of shape (time,)
        Time of each frame, increasing. Kept as read-only float64.
    extent, origin : (float, float) or (float, float, float)
        Size of the images along x, y and z, and position of their lower left corner, in the unit of length; the origin
        is zero where not given.
    noise : float, default 0, by keyword
        Standard deviation of the noise of a pixel, in the unit of the pixels; zero where it is not known.
    weights : array_like of the shape of the frames, by keyword, optional
        Precision of each pixel in units of 1/noise^2, as `with_sigma` finds it; all one where not given.
    source : str, by keyword
        Where the images come from; errors name it.

    Raises
    ------
    InputError
        If a value is of the wrong kind or shape or out of range, or a frame holds infinities or no data at all. Its
        key is the array's name in a file: ``images`` for the frames, ``images[2]`` for the third of them.
    """

    frames: NDArray[np.float64]
    times: NDArray[np.float64]
    extent: tuple[float, ...]
    origin: tuple[float, ...] | None = None
    _: KW_ONLY
    noise: float = 0.0
    weights: NDArray[np.float64] | None = None
    source: str = "images"

    def __post_init__(self):
        """Bring the values to their types and validate them."""
        frames = real_numbers(self.source, "images", self.frames, AXES)
        dimension = len(np.ravel(self.extent))
        if dimension not in NUMERALS or frames.ndim - dimension not in (1, 2):
            dimension = min(frames.ndim - 1, max(NUMERALS))
        origin = (0.0,) * dimension if self.origin is None else self.origin
        for name, value in {
            "frames": frames,
            "times": real_numbers(self.source, "times", self.times, 1),
            "extent": _finite(self.source, "extent", self.extent, dimension),
            "origin": _finite(self.source, "origin", origin, dimension),
            "noise": float(real_numbers(self.source, "noise", self.noise, 0)),
        }.items():
            object.__setattr__(self, name, value)
        self._check_frames()
        self._check_times()
        if self.weights is not None and np.shape(self.weights) != frames.shape:
            self._refuse("weights", f"shape {np.shape(self.weights)}", f"{frames.shape}, that of the images")
        if min(self.extent) <= 0:
            self._refuse("extent", self.extent, f"{NUMERALS[self.dimension]} positive lengths")
        if not 0 <= self.noise < np.inf:
            self._refuse("noise", self.noise, "a finite standard deviation >= 0")

    def _refuse(self, key: str, found: object, accepted: str) -> NoReturn:
        raise InputError(self.source, key, found, accepted)

    def _check_frames(self) -> None:
        if self.frames.size == 0:
            self._refuse("images", f"shape {self.frames.shape}", "at least one frame of at least one pixel")
        for number, frame in enumerate(self.frames):
            if np.isinf(frame).any():
                self._refuse(f"images[{number}]", "infinite pixels", "finite pixels, and NaN where there is no data")
            if np.isnan(frame).all():
                self._refuse(f"images[{number}]", "only NaN", "frames with at least one finite pixel")

    def _check_times(self) -> None:
        times, count = self.times, len(self.frames)
        if times.size != count:
            self._refuse("times", f"{times.size} times", f"{count}, one for each frame")
        bad = np.flatnonzero(~(np.isfinite(times) & np.r_[True, times[1:] > times[:-1]]))
        if bad.size:
            self._refuse("times", f"{times[bad[0]]} at frame {bad[0]}", "finite times, each later than the one before")

    @property
    def dimension(self) -> int:
        """Number of directions in space, 2 or 3."""
        return len(self.extent)

    @property
    def channels(self) -> int:
        """Number of pictures in a frame."""
        return self.frames.shape[1] if self.frames.ndim > self.dimension + 1 else 1

    def only(self, channel: int) -> Self:
        """Return the series of one channel.

        Parameters
        ----------
        channel : int
            Number of the channel, from 0.
        """
        return self if self.channels == 1 else self._changed(lambda values: values[:, channel])

    def picture(self, index: int, channel: int = 0) -> NDArray[np.float64]:
        """Return the picture of a channel of a frame, of shape `shape`.

        Parameters
        ----------
        index : int
            Number of the frame, from 0.
        channel : int
            Number of the channel, from 0.
        """
        return self.frames[index].reshape(-1, *self.shape)[channel]

    def precision(self, index: int, channel: int = 0) -> NDArray[np.float64]:
        """Return the weights of the pixels of `picture`, one where all are alike.

        Parameters
        ----------
        index : int
            Number of the frame, from 0.
        channel : int
            Number of the channel, from 0.
        """
        return np.ones(self.shape) if self.weights is None else self.weights[index].reshape(-1, *self.shape)[channel]

    def with_sigma(self, sigma: ArrayLike) -> Self:
        """Return the series with the noise of its pixels known: `noise` is a representative one, and `weights` are set.

        Parameters
        ----------
        sigma : float or array_like of shape (time,), `shape` or that of the frames
            Standard deviation of the noise; a pixel where it is infinite or NaN has no data.

        Raises
        ------
        InputError
            If it is of another shape, or zero or less where there is data, or a frame keeps no data.
        """
        return replace(self, **precision(self.source, self.frames, self.dimension, sigma)._asdict())

    def _changed(self, change: Callable[[NDArray], NDArray], **others: Any) -> Self:
        """Return the series with its frames and what goes with each of their pixels changed alike."""
        weights = None if self.weights is None else change(self.weights)
        return replace(self, frames=change(self.frames), weights=weights, **others)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of pixels (ny, nx) or (nz, ny, nx)."""
        return self.frames.shape[-self.dimension :]

    @property
    def pixel(self) -> tuple[float, ...]:
        """Size (hx, hy) or (hx, hy, hz) of a pixel, in the unit of length."""
        return tuple(length / count for length, count in zip(self.extent, self.shape[::-1], strict=True))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Whether a pixel is finite in every picture, of shape `shape`."""
        return np.isfinite(self.frames.reshape(-1, *self.shape)).all(axis=0)

    def require_concentration(self) -> None:
        """Refuse pixels that cannot be a concentration.

        Raises
        ------
        InputError
            If a pixel of the first channel is outside the open interval (0, 1) although `noise` is zero.
        """
        first = self.only(0).frames
        low, high = np.nanmin(first), np.nanmax(first)
        if self.noise == 0 and not 0 < low <= high < 1:
            self._refuse("images", f"from {low:.6g} to {high:.6g}", "the open interval (0, 1), or a positive noise")

    def estimate_noise(self) -> float:
        """Estimate the standard deviation of the noise of a pixel from the frames themselves.

        Returns
        -------
        float
            As `fe_phaseinv.data.statistics.noise_deviation` gives it.

        Raises
        ------
        InputError
            If no pixel has data all around it.
        """
        deviation = noise_deviation(self.frames.reshape(-1, *self.shape))
        if np.isnan(deviation):
            block = " x ".join("3" * self.dimension)
            self._refuse("images", f"no block of {block} pixels with data", "such blocks, or a given noise")
        return deviation

    def coarseness(self, index: int) -> float:
        """Return how far the pixels of a clean frame are from resolving it: 0 where it is smooth, above 1 for details.

        Parameters
        ----------
        index : int
            Number of the frame, from 0.

        Returns
        -------
        float
            As `fe_phaseinv.data.statistics.coarseness` gives it.
        """
        return coarseness(self.picture(index))

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
            self._refuse("frames", chosen, f"increasing indices from 0 to {known[-1]}")
        return self._changed(lambda values: values[chosen], times=self.times[chosen])

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
            self._refuse("crop.z", z, "ranges of x and y alone, for images")
        ranges = (x, y, z)[: self.dimension]
        counts = self.shape[::-1]
        windows = [slice(0, counts[axis]) if r is None else self._pixels(axis, r) for axis, r in enumerate(ranges)]
        placed = list(zip(self.origin, windows, self.pixel, strict=True))
        return self._changed(
            lambda values: values[..., *windows[::-1]],
            extent=tuple(length * (window.stop - window.start) for _, window, length in placed),
            origin=tuple(low + window.start * length for low, window, length in placed),
        )

    def _pixels(self, axis: int, bounds: tuple[float, float]) -> slice:
        low, high = self.origin[axis], self.origin[axis] + self.extent[axis]
        key = f"crop.{'xyz'[axis]}"
        bounds = _finite(self.source, key, bounds, 2)
        start, stop = (round((bound - low) / self.pixel[axis]) for bound in bounds)
        if not 0 <= start < stop <= self.shape[::-1][axis]:
            self._refuse(key, bounds, f"a range of at least one pixel from {low:.6g} to {high:.6g}")
        return slice(start, stop)

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
            self._refuse("factor", factor, f"a positive integer that divides {counts}")
        split = [size for count in self.shape for size in (count // factor, factor)]
        inside = tuple(range(-2 * self.dimension + 1, 0, 2))

        def average(values: NDArray) -> NDArray:
            return values.reshape(*values.shape[: -self.dimension], *split).mean(axis=inside)

        with np.errstate(divide="ignore"):
            weights = None if self.weights is None else 1 / average(1 / self.weights)
        noise = self.noise / factor ** (self.dimension / 2)
        return replace(self, frames=average(self.frames), weights=weights, noise=noise)

    def interpolate(self, index: int, points: ArrayLike) -> NDArray[np.float64]:
        """Return values of a smooth function whose averages over the pixels are a frame.

        Parameters
        ----------
        index : int
            Number of the frame, from 0; it should be clean.
        points : array_like of shape (n, dimension)
            Positions (x, y) or (x, y, z) inside the picture; beyond it the function is extrapolated.

        Returns
        -------
        numpy.ndarray, shape (n,)
            As `fe_phaseinv.data.reconstruction.smooth_function` gives them.

        Raises
        ------
        InputError
            If a pixel of the frame has no data.
        """
        frame = self.picture(index)
        if np.isnan(frame).any():
            self._refuse(f"images[{index}]", f"{np.isnan(frame).sum()} pixels without data", "a complete frame")
        return smooth_function(frame, self.origin, self.pixel)(np.asarray(points, float))

    @classmethod
    def load(cls, path: str | os.PathLike, *, noise: float = 0.0) -> Self:
        """Read a series from a file or folder; nothing is written.

        Parameters
        ----------
        path : str or os.PathLike
            A npz, mat or hdf5 file with arrays `images` (time, y, x) or (time, z, y, x), `times`, `extent` and
            optionally `origin`; or a tif file with a page for each time; or a folder with a png or tif file for each
            time, in the order of their names (frame2 before frame10), the pages of a tif file being the planes of a
            stack, lowest z first. The pixels of these two are grey, integers of 8 or 16 bits being scaled to [0, 1],
            their first row is the top, and the other arrays come from ``NAME.toml`` beside ``NAME.tif``, or
            ``images.toml`` in the folder.
        noise : float
            Standard deviation of the noise of a pixel, after the scaling.

        Raises
        ------
        InputError
            If the file is missing, unreadable or of another kind, lacks an array, or holds values that are refused.
        """
        arrays, place = read_arrays(Path(path))
        frames = arrays.pop("images")
        if place != Path(path):
            cls(np.zeros((len(frames), *[1] * (np.ndim(frames) - 1))), **arrays, source=str(place))  # its own faults
        return cls(frames, **arrays, noise=noise, source=str(path))

    def save(self, path: str | os.PathLike) -> None:
        """Write `images`, `times`, `extent` and `origin` to a npz file, which appears only complete.

        What is read back is exactly what was saved.

        Parameters
        ----------
        path : str or os.PathLike
            The file; its name ends in ``.npz``.

        Raises
        ------
        InputError
            If the name does not end in ``.npz``.
        OSError
            If the file cannot be written.
        """
        place = {"times": self.times, "extent": self.extent, "origin": self.origin}
        write_arrays(Path(path), {"images": self.frames} | place)


def _finite(source: str, key: str, value: ArrayLike, count: int) -> tuple[float, ...]:
    numbers = tuple(real_numbers(source, key, value, 1).tolist())
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(source, key, numbers, f"{NUMERALS[count]} finite numbers")
    return numbers
