"""Files of images, as arrays."""

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import InputError, read_toml, refusing_unreadable

FORMATS = "a .npz, .mat, .h5, .hdf5, .tif or .tiff file, or a folder of .png or .tif files"
_ARRAYS = ("images", "times", "extent")
_SIDECAR = "a TOML file with times, extent and optionally origin"
_FULL_SCALE = {"L": 255, "I;16": 65535, "I;16B": 65535, "F": 1}
_KINDS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}


def read_arrays(path: Path) -> tuple[dict[str, Any], Path]:
    """Read the arrays of a series.

    Parameters
    ----------
    path : pathlib.Path
        As for `fe_phaseinv.data.images.ImageSeries.load`.

    Returns
    -------
    arrays : dict
        `images`, `times`, `extent` and where given `origin`.
    place : pathlib.Path
        The file that holds all of them but the images.

    Raises
    ------
    InputError
        If the file is missing, unreadable or of another kind, or lacks an array.
    """
    with refusing_unreadable(path, FORMATS):
        suffix = "folder" if path.is_dir() else path.suffix.lower()
        if suffix != "folder":
            path.open("rb").close()
        if suffix in _READERS:
            return _READERS[suffix](path), path
        if suffix in _SIDECARS:
            sidecar = _SIDECARS[suffix](path)
            return {"images": _FRAMES[suffix](path), **_place(sidecar)}, sidecar
        raise InputError(path, "file", f'suffix "{suffix}"', FORMATS)


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays to a npz file, which appears only complete; as float32 where that loses nothing.

    Parameters
    ----------
    path : pathlib.Path
        The file; its name ends in ``.npz``.
    arrays : mapping of array_like
        Real numbers by their names.

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
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return single if np.array_equal(single, array, equal_nan=True) else array


def _pick(source: Path, data: Mapping[str, Any], *required: str) -> dict[str, Any]:
    for key in required:
        if key not in data:
            accepted = f"{', '.join(required)} and optionally origin"
            raise InputError(source, key, f"only {', '.join(data)}" if len(data) else "nothing", accepted)
    return {key: data[key] for key in (*required, "origin") if key in data}


def _read_npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise InputError(path, "file", "a file that is no npz archive", FORMATS)
    with np.load(path, allow_pickle=False) as data:
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


def _folder(path: Path) -> NDArray[np.float64]:
    """Read a file for each time, with one page, or with several that are the planes of a stack."""
    files = [file for file in path.iterdir() if file.suffix.lower() in _KINDS]
    files.sort(key=lambda file: [int(s) if s.isdecimal() else s for s in re.split(r"(\d+)", file.name)])
    frames = [_stack(file) for file in files]
    counts = {len(frame) for frame in frames}
    if len(counts) > 1:
        raise InputError(path, "images", f"files of {' and '.join(map(str, counts))} pages", "files of as many pages")
    return _stacked(path, [frame[0] if counts == {1} else frame for frame in frames])


def _stack(path: Path) -> NDArray[np.float64]:
    """Read the pages of a grey image file, bottom row first, integers scaled to [0, 1]."""
    from PIL import Image, ImageSequence

    pages = []
    kinds = [_KINDS[path.suffix.lower()]]
    with refusing_unreadable(path, FORMATS), Image.open(path, formats=kinds) as image:
        for page in ImageSequence.Iterator(image):
            if page.mode not in _FULL_SCALE:
                raise InputError(path, "images", f"pixels of mode {page.mode}", "grey of 8 or 16 bits or 32-bit floats")
            pages.append(np.asarray(page, dtype=np.float64)[::-1] / _FULL_SCALE[page.mode])
    return _stacked(path, pages)


def _stacked(path: Path, images: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise InputError(path, "images", f"{len(images)} images of {len(sizes)} sizes", "at least one, all of one size")
    return np.stack(images)


def _place(sidecar: Path) -> dict[str, Any]:
    """Read the times and place of a stack or folder from the TOML file that tells them."""
    data = read_toml(sidecar, _SIDECAR)
    for key in sorted(data.keys() - {"times", "extent", "origin"}):
        raise InputError(sidecar, key, "an unknown key", _SIDECAR)
    return _pick(sidecar, data, *_ARRAYS[1:])


_READERS = {".npz": _read_npz, ".mat": _read_mat, ".h5": _read_hdf5, ".hdf5": _read_hdf5}
_FRAMES = {".tif": _stack, ".tiff": _stack, "folder": _folder}
_SIDECARS = {suffix: lambda path: path.with_suffix(".toml") for suffix in (".tif", ".tiff")}
_SIDECARS |= {"folder": lambda path: path / "images.toml"}
