"""Series of images: what was seen, where and when."""

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import InputError, real_numbers
from fe_phaseinv.data.calibration import Grey
from fe_phaseinv.data.concentration import require_concentration
from fe_phaseinv.data.image_files import Choice, read_series, write_arrays
from fe_phaseinv.data.masks import COVERED
from fe_phaseinv.data.pieces import Pieces
from fe_phaseinv.data.place import NUMERALS, Place, finite, increasing_times, lengths
from fe_phaseinv.data.precision import precision
from fe_phaseinv.data.reconstruction import smooth_function
from fe_phaseinv.data.statistics import coarseness, noise_deviation

AXES = (3, 4, 5)


@dataclass(frozen=True, eq=False)
class ImageSeries(Pieces):
    """Images of one rectangle, or stacks of images of one box, at increasing times.

    Parameters
    ----------
    frames : array_like of shape (time, y, x) or (time, z, y, x), with an axis of channels after that of time or without
        Pixel values, row 0 at the bottom (y = origin), NaN or masked where there is no data. Kept as read-only float64.
        How many directions in space there are is told by the extent.
    times : array_like of shape (time,)
        Time of each frame, increasing; dates become seconds since the first. Kept as read-only float64.
    extent, origin : (float, float) or (float, float, float)
        Size of the images along x, y and z, and position of their lower left corner, in the unit of length; the origin
        is zero where not given.
    noise : float, default 0, by keyword
        Standard deviation of the noise of a pixel, in the unit of the pixels; zero where it is not known.
    weights : array_like of the shape of the frames, by keyword, optional
        Precision of each pixel in units of 1/noise^2, as `with_sigma` finds it; all one where not given.
    unit, time_unit : str, by keyword
        Names of the units of length and time, for people: "um", "h"; empty where the images are in units of their own.
    source : str, by keyword
        Where the images come from; errors name it.
    coverage : array_like of shape (y, x) or (z, y, x), optional, by keyword
        Share of each pixel that lies in the domain, from 0 to 1; those of which less than half does have no data, and
        the others show the average over their part in it. Only NaN tells where not given.

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
    unit: str = ""
    time_unit: str = ""
    source: str = "images"
    coverage: NDArray[np.float64] | None = None

    def __post_init__(self):
        """Bring the values to their types and validate them."""
        frames = real_numbers(self.source, "images", self.frames, AXES)
        dimension = len(np.ravel(self.extent))
        if dimension not in NUMERALS or frames.ndim - dimension not in (1, 2):
            dimension = min(frames.ndim - 1, max(NUMERALS))
        origin = (0.0,) * dimension if self.origin is None else self.origin
        named = Place(source=self.source, unit=self.unit, time_unit=self.time_unit)
        for name, value in {
            "frames": frames,
            "times": increasing_times(self.source, self.times),
            "extent": lengths(self.source, "extent", self.extent, dimension),
            "origin": finite(self.source, "origin", origin, dimension),
            "noise": float(real_numbers(self.source, "noise", self.noise, 0)),
            "unit": named.name("unit"),
            "time_unit": named.name("time_unit"),
        }.items():
            object.__setattr__(self, name, value)
        if self.coverage is not None:
            self._cover(dimension)
        self._check_frames()
        if self.weights is not None and np.shape(self.weights) != frames.shape:
            self._refuse("weights", f"shape {np.shape(self.weights)}", f"{frames.shape}, that of the images")
        if not 0 <= self.noise < np.inf:
            self._refuse("noise", self.noise, "a finite standard deviation >= 0")

    def _refuse(self, key: str, found: object, accepted: str) -> NoReturn:
        raise InputError(self.source, key, found, accepted)

    def _cover(self, dimension: int) -> None:
        coverage = real_numbers(self.source, "coverage", self.coverage, dimension)
        if coverage.shape != self.shape or not ((coverage >= 0) & (coverage <= 1)).all():
            self._refuse("coverage", f"shape {coverage.shape}", f"shares from 0 to 1 of shape {self.shape}")
        frames = np.where(coverage < COVERED, np.nan, self.frames)
        frames.setflags(write=False)
        object.__setattr__(self, "coverage", coverage)
        object.__setattr__(self, "frames", frames)

    def _check_frames(self) -> None:
        if self.frames.size == 0:
            self._refuse("images", f"shape {self.frames.shape}", "at least one frame of at least one pixel")
        for number, frame in enumerate(self.frames):
            if np.isinf(frame).any():
                self._refuse(f"images[{number}]", "infinite pixels", "finite pixels, and NaN where there is no data")
            if np.isnan(frame).all():
                self._refuse(f"images[{number}]", "only NaN", "frames with at least one finite pixel")
        if self.times.size != len(self.frames):
            self._refuse("times", f"{self.times.size} times", f"{len(self.frames)}, one for each frame")

    @property
    def dimension(self) -> int:
        """Number of directions in space, 2 or 3."""
        return len(self.extent)

    @property
    def channels(self) -> int:
        """Number of pictures in a frame."""
        return self.frames.shape[1] if self.frames.ndim > self.dimension + 1 else 1

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
            If pixels of the first channel are further outside the open interval (0, 1) than the noise explains.
        """
        first = self.only(0)
        sigma = self.noise if first.weights is None else self.noise / np.sqrt(np.where(first.weights, first.weights, 1))
        require_concentration(self.source, first.frames, sigma)

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
    def load(
        cls,
        path: str | os.PathLike,
        *,
        noise: float = 0.0,
        key: str | None = None,
        axes: str | None = None,
        channel: int | None = None,
        grey: Grey | None = None,
        mask: str | os.PathLike | ArrayLike | None = None,
        sigma: str | os.PathLike | ArrayLike | None = None,
        times: ArrayLike | None = None,
        time_step: float | None = None,
        extent: Sequence[float] | None = None,
        pixel_size: float | Sequence[float] | None = None,
        origin: Sequence[float] | None = None,
        unit: str | None = None,
        time_unit: str | None = None,
    ) -> Self:
        """Read a series from a file or folder; nothing is written.

        What is given here goes before what a file ``NAME.toml`` beside ``NAME.tif``, or ``images.toml`` in a folder,
        tells, and this before what the file of the images itself tells: ImageJ or OME metadata, coordinates of xarray,
        arrays or attributes with the names of the arguments. Where the times or the extent are told by none, the
        refusal says so.

        Parameters
        ----------
        path : str or os.PathLike
            A tif file; a npz, npy, mat, hdf5 or netCDF file or a zarr store; or a folder with a png or tif file for
            each time, in the order of the numbers in their names, the pages of a tif file being the planes of a stack,
            lowest z first. The first row of a picture is the top, that of an array the bottom.
        noise : float
            Standard deviation of the noise of a pixel, in units of the field.
        key : str
            Name of the array, with those of its groups before it (``"run/u"``), or of one of several series of a tif
            file; by default ``images``, or the only one that can be meant.
        axes : str
            A letter for each axis of the array, of t, c (channels), z, y and x: ``"yxt"``.
        channel : int
            The channel or colour to take, from 0.
        grey : pair of float, sequence of pairs, str or os.PathLike
            Numbers in the file that stand for 0 and 1; or pairs of a number and a value of the field, or a file with
            two columns of them, interpolated linearly; or ``"range"``, the 1st and 99th percentile moved apart by a
            twentieth of their distance at either end. By default floats and arrays are taken as they are, and integers
            of pictures are divided by their largest one.
        mask, sigma : str, os.PathLike or array_like, of the shape of a picture or of all frames
            Where there is data: booleans, or shares from 0 to 1, 255 or 65535, pixels below one half having none; and
            the standard deviation of the noise of each pixel, as `with_sigma` takes it. A file, or a key of the same
            file.
        times, extent, origin : array_like
            As for the series.
        time_step : float
            In place of the times.
        pixel_size : float or sequence of float
            In place of the extent.
        unit, time_unit : str
            Names of the units of length and time; where the file has others, its numbers are converted.

        Raises
        ------
        InputError
            If the file is missing, unreadable or of another kind, lacks something, or holds what is refused.
        """
        told = {"times": times, "time_step": time_step, "extent": extent, "pixel_size": pixel_size, "origin": origin}
        place = Place(source=str(path), **told, unit=unit, time_unit=time_unit)
        choice = Choice(place=place, key=key, axes=axes, channel=channel, grey=grey, mask=mask, sigma=sigma)
        arguments, deviations = read_series(Path(path), choice)
        images = cls(**arguments, noise=noise, source=str(path))
        return images if deviations is None else images.with_sigma(deviations)

    def save(self, path: str | os.PathLike) -> None:
        """Write `images`, `times`, `extent`, `origin` and named units to a npz file, which appears only complete.

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
        place = {key: getattr(self, key) for key in ("times", "extent", "origin")}
        units = {key: getattr(self, key) for key in ("unit", "time_unit") if getattr(self, key)}
        write_arrays(Path(path), {"images": self.frames} | place | units)
