"""Images in zarr stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fe_phaseinv.data.array_files import content_of
from fe_phaseinv.data.contents import Content
from fe_phaseinv.data.labelled_files import read_labelled, require
from fe_phaseinv.data.picture_files import upright
from fe_phaseinv.data.place import Place

MARKS = ("zarr.json", ".zgroup", ".zarray")
"""Files by which a folder is known to be a store."""


def is_store(folder: Path) -> bool:
    """Whether a folder is a zarr store.

    Parameters
    ----------
    folder : pathlib.Path
    """
    return any((folder / mark).exists() for mark in MARKS)


def read_zarr(path: Path, key: str | None) -> Content:
    """Read the images of a zarr store: of xarray, of OME, or one of arrays that have nothing but names.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their array, with those of its groups before it, divided by slashes.

    Raises
    ------
    InputError
        If a package is not installed, or the store lacks the array.
    """
    require(path, "zarr", "xarray")
    import zarr

    store = zarr.open(path, mode="r")
    if isinstance(store, zarr.Array):
        return content_of(path, {"images": store}, key)
    attributes = dict(store.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    if scales and key is None:
        return _of_ome(path, store, scales[0])
    arrays = [array for _, array in store.arrays()]
    if arrays and all("_ARRAY_DIMENSIONS" in array.attrs or _dimensions(array) for array in arrays):
        return read_labelled(path, key, "zarr")
    return content_of(path, store, key)


def _dimensions(array: Any) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None)
    return tuple(names) if names and all(names) else ()


def _of_ome(path: Path, store: Any, scales: Mapping[str, Any]) -> Content:
    """Return the finest images of a pyramid, whose first row is the top."""
    finest, axes = scales["datasets"][0], scales["axes"]
    letters = [axis["name"].lower() for axis in axes]
    steps = next(item["scale"] for item in finest["coordinateTransformations"] if item["type"] == "scale")
    sizes = dict(zip(letters, steps, strict=True))
    units = {axis["name"].lower(): axis.get("unit", "") for axis in axes}
    told: dict[str, Any] = {}
    if units["x"]:
        told |= {"pixel_size": [sizes[letter] for letter in "xyz" if letter in letters], "unit": units["x"]}
    if units.get("t"):
        told |= {"time_step": sizes["t"], "time_unit": units["t"]}
    content = content_of(path, store, finest["path"])
    axes = "".join(letter if letter in "tczyx" else "?" for letter in letters)
    return upright(replace(content, axes=axes, place=Place(source=str(path), **told), picture=True))
