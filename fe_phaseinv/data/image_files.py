"""Files of images, as what a series is made of."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import DataWarning, InputError, read_toml, refusing_unreadable
from fe_phaseinv.data import masks
from fe_phaseinv.data.array_files import read_hdf5, read_mat, read_npy, read_npz
from fe_phaseinv.data.calibration import Grey, field_values
from fe_phaseinv.data.contents import Content, arranged
from fe_phaseinv.data.folders import image_files
from fe_phaseinv.data.labelled_files import read_netcdf
from fe_phaseinv.data.picture_files import one_sample, read_png
from fe_phaseinv.data.place import Place, placed
from fe_phaseinv.data.tiff_files import read_tiff
from fe_phaseinv.data.zarr_files import is_store, read_zarr

FORMATS = (
    "a .npz, .npy, .mat, .h5, .hdf5, .nc, .tif, .tiff or .png file, a zarr store, or a folder of .png or .tif files"
)
SIDECAR = "images.toml"
"""In a folder, what tells when and where its images were taken."""
_PICTURES = {".tif": read_tiff, ".tiff": read_tiff, ".png": lambda path, key, channel: read_png(path)}
_ARRAYS = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".mat": read_mat,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".nc": read_netcdf,
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What of a file is wanted, and what is to be made of it; as `fe_phaseinv.data.images.ImageSeries.load` says.

    Parameters
    ----------
    key, axes : str, optional
    channel : int, optional
    grey : str, os.PathLike, pair of floats or sequence of pairs of floats, optional
    mask, sigma : str, os.PathLike or array_like, optional
    place : Place
        When and where the images were taken, as it is given with the name of the file.
    """

    place: Place
    key: str | None = None
    axes: str | None = None
    channel: int | None = None
    grey: Grey | None = None
    mask: str | os.PathLike | ArrayLike | None = None
    sigma: str | os.PathLike | ArrayLike | None = None


def read_series(path: Path, choice: Choice) -> tuple[dict[str, Any], NDArray | None]:
    """Read what a series of images is made of.

    Parameters
    ----------
    path : pathlib.Path
    choice : Choice

    Returns
    -------
    arguments : dict
        Those of `fe_phaseinv.data.images.ImageSeries`.
    deviations : numpy.ndarray or None
        Standard deviation of the noise of each pixel, of a picture or of all frames.

    Raises
    ------
    InputError
        If the file is missing, unreadable or of another kind, or what is wanted is not in it.
    """
    content, beside, where = _read(path, choice)
    sources = [choice.place, *beside]
    content, space = _ordered(content, choice.axes, choice.channel, sources)
    frames = field_values(content, choice.grey)
    if content.opaque is not None:
        frames = np.where(content.opaque, frames, np.nan)
    counts = frames.shape[: -len(space) - 1 : -1]
    series = placed([*sources, _in_space(content, len(space))], len(frames), counts, content.found, where)
    if choice.mask is not None:
        share = _share(path, choice, content, space)
        inside = share >= masks.COVERED
        frames = np.where(inside if frames.ndim == inside.ndim else inside[:, None], frames, np.nan)
        if len(share) == 1 and np.any((share > 0) & (share < 1)):
            series["coverage"] = share[0]
    deviations = None if choice.sigma is None else _deviations(path, choice, content, space)
    return {"frames": frames} | series, deviations


def _ordered(content: Content, axes: str | None, channel: int | None, sources: Sequence[Place]) -> tuple[Content, str]:
    """Return a content with the axes of a series, and the letters of those in space."""
    if axes is None or len(axes) != content.values.ndim:
        content, channel = one_sample(content, channel)
    content = arranged(content, axes, channel, [*sources, content.place])
    return content, content.axes.translate({ord("t"): None, ord("c"): None})


def _in_space(content: Content, dimension: int) -> Place:
    """Return what a file says of its place, for as many directions as it turned out to have."""
    size = content.place.pixel_size
    return replace(content.place, pixel_size=size if size is None or np.ndim(size) == 0 else size[:dimension])


def _read(path: Path, choice: Choice) -> tuple[Content, list[Place], str]:
    """Return what a file holds, what is told beside it, and where more can be told."""
    with refusing_unreadable(path, FORMATS):
        store = path.is_dir() and is_store(path)
        if path.is_dir() and not store:
            content, named = _folder(path, choice)
            sidecar = path / SIDECAR
        else:
            content, named, sidecar = _file(path, choice.key, choice.channel), None, path.with_suffix(".toml")
    given = "or given with the name of the file"
    if path.suffix.lower() in _ARRAYS and path.suffix.lower() != ".npy" or store:
        return content, [], f"in the file, {given}"
    beside = [_sidecar(sidecar)] if sidecar.exists() else []
    if named is not None and not any(place.tells_times for place in (choice.place, *beside)):
        shown = ", ".join(f"{time:g}" for time in named[:3])
        text = f"the times {shown}, ... are those in the names of the files of {path}"
        warnings.warn(text, DataWarning, stacklevel=2)
        beside.append(Place(source=str(path), times=named))
    return content, beside, f"in {sidecar.name} {'in it' if path.is_dir() else 'beside it'}, {given}"


def _file(path: Path, key: str | None, channel: int | None) -> Content:
    """Return what a file, which is no folder of pictures, holds."""
    if path.is_dir():
        return read_zarr(path, key)
    path.open("rb").close()
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        return _PICTURES[suffix](path, key, channel)
    if suffix in _ARRAYS:
        return _ARRAYS[suffix](path, key)
    raise InputError(path, "file", f'suffix "{path.suffix}"', FORMATS)


def _folder(path: Path, choice: Choice) -> tuple[Content, NDArray[np.float64] | None]:
    """Return the pictures of a folder, one for each time, and the times that their names hold."""
    files, named = image_files(path, tuple(_PICTURES))
    contents = []
    for file in files:
        with refusing_unreadable(file, FORMATS):
            contents.append(_file(file, choice.key, choice.channel))
    kinds = {(content.values.shape, content.values.dtype, content.bits) for content in contents}
    if len(kinds) != 1:
        shapes = ", ".join(sorted({f"{' x '.join(map(str, shape))} ({dtype})" for shape, dtype, _ in kinds}))
        found = f"{len(files)} files of images{f', of {shapes}' if shapes else ''}"
        raise InputError(path, "images", found, "at least one, all of one size and kind")
    first = contents[0]
    if "t" in first.axes:
        raise InputError(files[0], "images", f"{first.values.shape[first.axes.index('t')]} times", "one in each file")
    values = np.stack([one.values for one in contents])
    place = replace(first.place, source=str(path), times=None, time_step=None)
    content = replace(first, source=str(path), values=values, axes=f"t{first.axes}", place=place)
    return replace(content, found="nothing in its files"), named


def _sidecar(path: Path) -> Place:
    """Read what a TOML file tells of the images beside it."""
    accepted = f"a TOML file with {', '.join(Place.keys())}"
    data = read_toml(path, accepted)
    for key in sorted(data.keys() - set(Place.keys())):
        raise InputError(path, key, "an unknown key", accepted)
    return Place(source=str(path), **data)


def _share(path: Path, choice: Choice, images: Content, space: str) -> NDArray[np.float64]:
    """Return the share of each pixel inside the mask, for all frames at once or for each of them."""
    mask = _beside(path, "mask", choice, images, space)
    share = masks.shares(mask.source, mask.values)
    count, *shape = share.shape
    if count not in (1, len(images.values)) or tuple(shape) != images.values.shape[-len(space) :]:
        found = f"the shape {' x '.join(map(str, shape))}{f' in {count} frames' if count > 1 else ''}"
        expected = " x ".join(map(str, images.values.shape[-len(space) :]))
        raise InputError(mask.source, "mask", found, f"the shape of the images, {expected}, once or for each frame")
    if mask.picture != images.picture and not np.array_equal(share, np.flip(share, -len(space))):
        first, last = (mask.source, images.source) if mask.picture else (images.source, mask.source)
        text = f"the first row of {first}, a picture, is taken for its top, that of {last}, an array, for its bottom"
        warnings.warn(text, DataWarning, stacklevel=2)
    return share


def _deviations(path: Path, choice: Choice, images: Content, space: str) -> NDArray:
    """Return the standard deviations of the noise of the pixels, of all frames at once or for each of them."""
    sigma = _beside(path, "sigma", choice, images, space)
    if sigma.picture and sigma.values.dtype.kind != "f":
        raise InputError(sigma.source, "sigma", f"integers ({sigma.values.dtype})", "floats, in units of the field")
    return sigma.values[0] if len(sigma.values) == 1 else sigma.values


def _beside(path: Path, what: str, choice: Choice, images: Content, space: str) -> Content:
    """Return an array that belongs to the images: as it is given, of a file, or of a key of the same file."""
    given, axes = getattr(choice, what), None
    if not isinstance(given, str | os.PathLike):
        values, place = np.asarray(given), Place(source=str(path))
        content = Content(source=str(path), values=values, axes="?" * values.ndim, place=place, picture=images.picture)
    elif isinstance(given, os.PathLike) or os.path.exists(given):
        content = _read(Path(given), Choice(place=Place(source=str(given))))[0]
    else:
        axes = choice.axes and "".join(letter for letter in choice.axes.lower() if letter in space)
        try:
            content = _file(path, given, None)
        except InputError as error:
            accepted = f"an existing file, or in place of a key of {path.name} {error.accepted}"
            raise InputError(path, what, given, accepted) from error
        axes = axes if axes and len(axes) == content.values.ndim else None
    flat = Place(source=content.source, extent=[1.0] * len(space))
    return _ordered(replace(content, place=flat), axes, None, [])[0]


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays to a npz file, which appears only complete; as float32 where that loses nothing.

    Parameters
    ----------
    path : pathlib.Path
        The file; its name ends in ``.npz``.
    arrays : mapping of array_like
        Real numbers and texts by their names.

    Raises
    ------
    InputError
        If the name does not end in ``.npz``.
    OSError
        If the file cannot be written.
    """
    if path.suffix.lower() != ".npz":
        raise InputError(path, "file", f'suffix "{path.suffix}"', "a name that ends in .npz")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **{key: _short(np.asarray(array)) for key, array in arrays.items()})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _short(array: NDArray) -> NDArray:
    if array.dtype.kind not in "iuf":
        return array
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return single if np.array_equal(single, array, equal_nan=True) else array
