"""Images in files of named arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.contents import Content, told
from fe_phaseinv.data.place import Place


def read_npy(path: Path, key: str | None) -> Content:
    """Read the array of a npy file.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Not accepted.

    Raises
    ------
    InputError
        If the file holds Python objects, or a key is given.
    """
    if key is not None:
        raise InputError(path, "key", key, "none, for the single array of a npy file")
    values = np.load(path, allow_pickle=False)
    return Content(source=str(path), values=values, axes="?" * values.ndim, place=Place(source=str(path)))


def read_npz(path: Path, key: str | None) -> Content:
    """Read the images of a npz file.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their array.

    Raises
    ------
    InputError
        If the file is no archive, holds Python objects or lacks the array.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(path, "file", "a file that is no npz archive", "one with arrays, as NumPy writes them")
    with np.load(path, allow_pickle=False) as data:
        return content_of(path, {name: data[name] for name in data}, key)


def read_mat(path: Path, key: str | None) -> Content:
    """Read the images of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their array, with those of structures before it, divided by slashes.

    Raises
    ------
    InputError
        If the file lacks the array.
    """
    from scipy.io import loadmat

    try:
        data = loadmat(path, appendmat=False)
    except NotImplementedError:
        # Version 7.3 is HDF5, with the axes of every array reversed.
        return read_hdf5(path, key, reverse=True)
    return content_of(path, {name: data[name] for name in data if not name.startswith("__")}, key)


def read_hdf5(path: Path, key: str | None, *, reverse: bool = False) -> Content:
    """Read the images of a HDF5 file, on file systems without locks, too.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their dataset, with those of its groups before it, divided by slashes.
    reverse : bool
        Whether to reverse the axes of the arrays.

    Raises
    ------
    InputError
        If the file lacks the dataset.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except BlockingIOError:
        file = h5py.File(path, "r", locking=False)
    with file:
        return content_of(path, file, key, reverse=reverse)


def content_of(path: Path, data: Mapping[str, Any], key: str | None, *, reverse: bool = False) -> Content:
    """Return the array of a name, or the one that can only be meant, with what is told beside it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    data : mapping
        Its arrays and groups of arrays.
    key : str, optional
        Name of the array, with those of its groups before it, divided by slashes.
    reverse : bool
        Whether to reverse the axes of the arrays.

    Raises
    ------
    InputError
        If there is no such array, or none or several that may be meant.
    """
    arrays = dict(_arrays(data))
    shapes = {name: array.shape[::-1] if reverse else array.shape for name, array in arrays.items()}
    key = _only(path, shapes) if key is None else key.strip("/")
    if key not in arrays:
        raise InputError(path, "key", key, f"the name of an array: {', '.join(arrays) or 'there is none'}")
    item, names = arrays[key], {}
    for group in (data, *_groups(data, key)):
        names |= dict(getattr(group, "attrs", {})) | {name: group[name] for name in Place.keys() if name in group}
    names |= dict(getattr(item, "attrs", {}))
    values = np.asarray(item[()])
    return Content(
        source=str(path),
        values=values.T if reverse else values,
        axes="?" * values.ndim,
        place=told(str(path), {name: _read(value) for name, value in names.items() if name in Place.keys()}),
        found=f"only {', '.join(arrays)}",
    )


def _groups(data: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """Give the groups that hold an array, from the outermost one in."""
    for name in key.split("/")[:-1]:
        data = _opened(data[name])
        yield data


def _arrays(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give all arrays by their names, divided by slashes."""
    for name in data:
        item = _opened(data[name])
        if hasattr(item, "keys"):
            yield from _arrays(item, f"{prefix}{name}/")
        elif hasattr(item, "shape"):
            yield prefix + name, item


def _opened(item: Any) -> Any:
    """Return a structure of MATLAB as a mapping, and all else as it is."""
    if isinstance(item, np.ndarray) and item.dtype.names and item.size == 1:
        return {name: item[name].ravel()[0] for name in item.dtype.names}
    return item


def _only(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the images: the usual one, or that of the only array that can be such."""
    if "images" in shapes:
        return "images"
    others = {name: shape for name, shape in shapes.items() if name.split("/")[-1] not in Place.keys()}
    for axes in (range(3, 6), (2,)):
        found = [name for name, shape in others.items() if len(shape) in axes and min(shape[-2:]) > 1]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{name} ({' x '.join(map(str, shapes[name]))})" for name in found)
            raise InputError(path, "images", several, "one of them as key")
    accepted = "an array named images, or the name of another one as key"
    raise InputError(path, "images", f"only {', '.join(shapes)}" if shapes else "nothing", accepted)


def _read(value: Any) -> Any:
    """Return an array, attribute or text of a file as NumPy has it."""
    if not hasattr(value, "shape"):
        return value
    array = np.asarray(value[()])
    is_text = dict(getattr(value, "attrs", {})).get("MATLAB_class") == b"char"
    return "".join(map(chr, array.ravel())) if is_text else array
