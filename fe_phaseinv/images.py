"""Series of images: what was seen, where and when."""

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

from fe_phaseinv.errors import InputError, read_toml, real_numbers, refusing_unreadable

_FORMATS = "a .npz, .mat, .h5, .hdf5, .tif or .tiff file, or a folder of .png files"
_ARRAYS = ("images", "times", "extent")
_SIDECAR = "a TOML file with times, extent and optionally origin"
MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median size of a standard normal variable."""
_FULL_SCALE = {"L": 255, "I;16": 65535, "I;16B": 65535, "F": 1}


@dataclass(frozen=True, eq=False)
class ImageSeries:
    """Images of one rectangle at increasing times.

    Parameters
    ----------
    frames : array_like of shape (time, y, x)
        Pixel values, row 0 at the bottom (y = origin), NaN where there is no data. Kept as read-only float64.
    times : array_like of shape (time,)
        Time of each frame, increasing. Kept as read-only float64.
    extent, origin : (float, float)
        Size of the images and position of their lower left corner, in the unit of length.
    noise : float
        Standard deviation of the noise of a pixel.
    source : str
        Where the images come from; errors name it.

    Raises
    ------
    InputError
        If a value is of the wrong kind or shape or out of range, or a frame holds infinities or no data at all. Its
        key is the array's name in a file: ``images`` for the frames, ``images[2]`` for the third of them.
    """

    frames: NDArray[np.float64]
    times: NDArray[np.float64]
    extent: tuple[float, float]
    origin: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    source: str = "images"

    def __post_init__(self):
        """Bring the values to their types and validate them."""
        for name, value in {
            "frames": real_numbers(self.source, "images", self.frames, 3),
            "times": real_numbers(self.source, "times", self.times, 1),
            "extent": _pair(self.source, "extent", self.extent),
            "origin": _pair(self.source, "origin", self.origin),
            "noise": float(real_numbers(self.source, "noise", self.noise, 0)),
        }.items():
            object.__setattr__(self, name, value)
        self._check_frames()
        self._check_times()
        if min(self.extent) <= 0:
            self._refuse("extent", self.extent, "two positive lengths")
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
    def shape(self) -> tuple[int, int]:
        """Numbers of pixels (ny, nx)."""
        return self.frames.shape[1:]

    @property
    def pixel(self) -> tuple[float, float]:
        """Size (hx, hy) of a pixel, in the unit of length."""
        return self.extent[0] / self.shape[1], self.extent[1] / self.shape[0]

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Whether a pixel is finite in every frame, of shape (ny, nx)."""
        return np.isfinite(self.frames).all(axis=0)

    def require_concentration(self) -> None:
        """Refuse pixels that cannot be a concentration.

        Raises
        ------
        InputError
            If a pixel is outside the open interval (0, 1) although `noise` is zero.
        """
        low, high = np.nanmin(self.frames), np.nanmax(self.frames)
        if self.noise == 0 and not 0 < low <= high < 1:
            self._refuse("images", f"from {low:.6g} to {high:.6g}", "the open interval (0, 1), or a positive noise")

    def estimate_noise(self) -> float:
        """Return the standard deviation of independent Gaussian noise of a pixel, from the frames themselves.

        The second difference along both axes removes what is smooth over three pixels; its median size does not
        mind the few places where the pattern is not. Clean images give a small value, not zero.

        Notes
        -----
        The mask is that of Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996); the median in place of the mean is
        that of Donoho and Johnstone, Biometrika 81, 425 (1994).

        Raises
        ------
        InputError
            If no pixel has eight neighbours with data.
        """
        differences = np.diff(np.diff(self.frames, 2, axis=1), 2, axis=2)
        if not np.isfinite(differences).any():
            self._refuse("images", "no block of 3 x 3 pixels with data", "such blocks, or a given noise")
        return float(np.nanmedian(np.abs(differences)) / (6 * MEDIAN_OF_NORMAL))

    def coarseness(self, index: int) -> float:
        """Return how far the pixels of a clean frame are from resolving it: 0 where it is smooth, above 1 for details.

        The fourth differences along both axes (root mean square), relative to the standard deviation of the pixels: for
        waves of n pixels along one axis (2 sin(pi / n))^4, which is 0.02 for n = 16, 0.3 for 8 and 4 for 4. Infinite
        where no five neighbours have data.

        Parameters
        ----------
        index : int
            Frame.
        """
        frame, squares = self.frames[index], 0.0
        for axis in (0, 1):
            differences = np.diff(frame, 4, axis=axis)
            differences = differences[np.isfinite(differences)]
            if not differences.size:
                return np.inf
            squares += np.mean(differences**2)
        deviation = np.nanstd(frame)
        return float(np.sqrt(squares) / deviation) if deviation else 0.0

    def select(self, frames: Sequence[int]) -> Self:
        """Return the series of the frames with these increasing indices, counted from 0.

        Raises
        ------
        InputError
            If there is no index, or one is no frame's, or they do not increase.
        """
        chosen, known = np.ravel(frames).tolist(), range(len(self.times))
        if not chosen or not all(type(i) is int and i in known for i in chosen) or sorted(set(chosen)) != chosen:
            self._refuse("frames", chosen, f"increasing indices from 0 to {known[-1]}")
        return replace(self, frames=self.frames[chosen], times=self.times[chosen])

    def crop(self, x: tuple[float, float], y: tuple[float, float]) -> Self:
        """Return the series of the window (x[0], x[1]) x (y[0], y[1]), its bounds moved to the nearest edges of pixels.

        Raises
        ------
        InputError
            If a range is outside the images or holds no pixel, or a frame has no data in the window.
        """
        columns, rows = self._pixels("x", x, 0), self._pixels("y", y, 1)
        frames = self.frames[:, rows, columns]
        extent = tuple(self.extent[i] * frames.shape[2 - i] / self.shape[1 - i] for i in (0, 1))
        corner = self.origin[0] + columns.start * self.pixel[0], self.origin[1] + rows.start * self.pixel[1]
        return replace(self, frames=frames, extent=extent, origin=corner)

    def _pixels(self, name: str, bounds: tuple[float, float], axis: int) -> slice:
        low, high = self.origin[axis], self.origin[axis] + self.extent[axis]
        bounds = _pair(self.source, f"crop.{name}", bounds)
        start, stop = (round((bound - low) / self.pixel[axis]) for bound in bounds)
        if not 0 <= start < stop <= self.shape[1 - axis]:
            self._refuse(f"crop.{name}", bounds, f"a range of at least one pixel from {low:.6g} to {high:.6g}")
        return slice(start, stop)

    def downsample(self, factor: int) -> Self:
        """Return the series of averages over blocks of `factor` x `factor` pixels; a block with a NaN becomes NaN.

        The noise of the pixels is taken as independent, so that of an average is `factor` times smaller.

        Raises
        ------
        InputError
            If `factor` is no positive integer or does not divide `shape`, or a frame keeps no data.
        """
        ny, nx = self.shape
        if type(factor) is not int or factor < 1 or ny % factor or nx % factor:
            self._refuse("factor", factor, f"a positive integer that divides {nx} and {ny}")
        blocks = self.frames.reshape(-1, ny // factor, factor, nx // factor, factor)
        return replace(self, frames=blocks.mean(axis=(2, 4)), noise=self.noise / factor)

    def interpolate(self, index: int, points: ArrayLike) -> NDArray[np.float64]:
        """Values of a smooth function whose averages over the pixels are a frame, a clean and complete one.

        It is the mixed derivative of a quintic spline through the integral up to the corners of the pixels, and keeps
        its order up to the edge of the picture.

        Parameters
        ----------
        index : int
            Frame.
        points : array_like of shape (n, 2)
            Positions (x, y).

        Returns
        -------
        numpy.ndarray, shape (n,)
        """
        x, y = np.asarray(points, float).T
        (ny, nx), (x0, y0), (hx, hy) = self.shape, self.origin, self.pixel
        rows, columns = y0 + hy * np.arange(ny + 1), x0 + hx * np.arange(nx + 1)
        integral = np.pad(self.frames[index].cumsum(0).cumsum(1), ((1, 0), (1, 0))) * hx * hy
        spline = RectBivariateSpline(rows, columns, integral, kx=min(5, ny), ky=min(5, nx))
        return spline(y, x, dx=1, dy=1, grid=False)

    @classmethod
    def load(cls, path: str | os.PathLike, noise: float = 0.0) -> Self:
        """Read a series from a file or folder; nothing is written.

        Parameters
        ----------
        path : str or os.PathLike
            A npz, mat or hdf5 file with arrays `images` (time, y, x), `times`, `extent` and optionally `origin`; or a
            tif stack, or a folder of png files in the order of their names (frame2 before frame10). The pixels of
            these two are grey, integers of 8 or 16 bits being scaled to [0, 1], their first row is the top, and the
            other arrays come from ``NAME.toml`` beside ``NAME.tif``, or ``images.toml`` in the folder.
        noise : float
            Standard deviation of the noise of a pixel, after the scaling.

        Raises
        ------
        InputError
            If the file is missing, unreadable or of another kind, lacks an array, or holds values that are refused.
        """
        path = Path(path)
        with refusing_unreadable(path, _FORMATS):
            suffix = "folder" if path.is_dir() else path.suffix.lower()
            if suffix != "folder":
                path.open("rb").close()
            if suffix not in _READERS:
                raise InputError(path, "file", f'suffix "{suffix}"', _FORMATS)
            arrays = _READERS[suffix](path)
        return cls(arrays.pop("images"), **arrays, noise=noise, source=str(path))

    def save(self, path: str | os.PathLike) -> None:
        """Write `images` (as float32), `times`, `extent` and `origin` to a npz file, which appears only complete.

        Raises
        ------
        InputError
            If the name does not end in ``.npz``.
        OSError
            If the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".npz":
            raise InputError(path, "file", f'suffix "{path.suffix}"', "a name that ends in .npz")
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        arrays = {"images": self.frames.astype(np.float32), "times": self.times}
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays, extent=self.extent, origin=self.origin)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _pair(source: str, key: str, value: ArrayLike) -> tuple[float, float]:
    pair = tuple(real_numbers(source, key, value, 1).tolist())
    if len(pair) != 2 or not np.isfinite(pair).all():
        raise InputError(source, key, pair, "two finite numbers")
    return pair


def _pick(source: Path, data: Mapping[str, Any], *required: str) -> dict[str, Any]:
    for key in required:
        if key not in data:
            accepted = f"{', '.join(required)} and optionally origin"
            raise InputError(source, key, f"only {', '.join(data)}" if len(data) else "nothing", accepted)
    return {key: data[key] for key in (*required, "origin") if key in data}


def _read_npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise InputError(path, "file", "a file that is no npz archive", _FORMATS)
    with np.load(path) as data:
        return _pick(path, data, *_ARRAYS)


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        data = loadmat(path, appendmat=False)
        arrays = _pick(path, {key: data[key] for key in data if not key.startswith("__")}, *_ARRAYS)
    except NotImplementedError:
        # Version 7.3 is HDF5, with the axes of every array reversed.
        arrays = {key: array.T for key, array in _read_hdf5(path).items()}
    return {key: array if key == "images" else array.ravel() for key, array in arrays.items()}


def _read_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as data:
        return {key: array[()] for key, array in _pick(path, data, *_ARRAYS).items()}


def _read_stack(path: Path) -> dict[str, Any]:
    return _with_place(path, _pages(path, "TIFF"), path.with_suffix(".toml"))


def _read_folder(path: Path) -> dict[str, Any]:
    files = [file for file in path.iterdir() if file.suffix.lower() == ".png"]
    files.sort(key=lambda file: [int(s) if s.isdecimal() else s for s in re.split(r"(\d+)", file.name)])
    return _with_place(path, [page for file in files for page in _pages(file, "PNG")], path / "images.toml")


def _pages(path: Path, kind: str) -> list[NDArray[np.float64]]:
    """Read the pages of a grey image file, bottom row first, integers scaled to [0, 1]."""
    from PIL import Image, ImageSequence

    pages = []
    with refusing_unreadable(path, _FORMATS), Image.open(path, formats=[kind]) as image:
        for page in ImageSequence.Iterator(image):
            if page.mode not in _FULL_SCALE:
                raise InputError(path, "images", f"pixels of mode {page.mode}", "grey of 8 or 16 bits or 32-bit floats")
            pages.append(np.asarray(page, dtype=np.float64)[::-1] / _FULL_SCALE[page.mode])
    return pages


def _with_place(path: Path, frames: list[NDArray[np.float64]], sidecar: Path) -> dict[str, Any]:
    """Add the times and place of a stack or folder, from the TOML file that tells them."""
    sizes = {frame.shape for frame in frames}
    if len(sizes) != 1:
        raise InputError(path, "images", f"{len(frames)} images of {len(sizes)} sizes", "at least one, all of one size")
    data = read_toml(sidecar, _SIDECAR)
    for key in sorted(data.keys() - {"times", "extent", "origin"}):
        raise InputError(sidecar, key, "an unknown key", _SIDECAR)
    place = _pick(sidecar, data, *_ARRAYS[1:])
    ImageSeries(np.zeros((len(frames), 1, 1)), **place, source=str(sidecar))  # its faults are the sidecar's
    return {"images": np.stack(frames), **place}


_READERS = {".npz": _read_npz, ".mat": _read_mat, ".h5": _read_hdf5, ".hdf5": _read_hdf5}
_READERS |= {".tif": _read_stack, ".tiff": _read_stack, "folder": _read_folder}
