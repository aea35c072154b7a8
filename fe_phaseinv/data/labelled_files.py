"""Images in files that name their axes: netCDF, and zarr stores of xarray."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.contents import Content, told
from fe_phaseinv.data.place import increasing_times
from fe_phaseinv.data.units import unit_name

NAMES = {"time": "t", "frame": "t", "channel": "c", "band": "c"} | {letter: letter for letter in "tczyx"}
UNEVEN = 1e-3
"""By how much of itself the distance of neighbouring pixels may vary."""
HDF5 = b"\x89HDF"


def require(path: Path, *packages: str) -> None:
    """Refuse a file for which a package is not installed.

    Parameters
    ----------
    path : pathlib.Path
    *packages : str
        Those that are needed.

    Raises
    ------
    InputError
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        accepted = 'what pip install "fe_phaseinv[xarray]" installs'
        raise InputError(path, "file", f"no {' and no '.join(missing)} to read it with", accepted)


def read_netcdf(path: Path, key: str | None) -> Content:
    """Read the images of a netCDF file of version 3 or 4.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their variable; the only one with several axes where not given.

    Raises
    ------
    InputError
        If a package is not installed, the file lacks the variable, or its pixels are not equally far from each other.
    """
    with path.open("rb") as file:
        engine = "h5netcdf" if file.read(len(HDF5)) == HDF5 else "scipy"
    require(path, "xarray", engine)
    return read_labelled(path, key, engine)


def read_labelled(path: Path, key: str | None, engine: str) -> Content:
    """Read the images of a file or store with xarray.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Name of their variable; the only one with several axes where not given.
    engine : str
        What xarray reads it with.

    Raises
    ------
    InputError
        If the file lacks the variable, or its pixels are not equally far from each other.
    """
    import xarray

    options = {"consolidated": False} if engine == "zarr" else {}
    with xarray.open_dataset(path, engine=engine, decode_timedelta=False, **options) as data:
        names = [str(name) for name in data.data_vars]
        found = [name for name in names if data[name].ndim > 1 and "images" not in names] or names
        found = [key] if key is not None else ["images"] if "images" in names else found
        if len(found) != 1 or found[0] not in names:
            raise InputError(path, "key", ", ".join(found) or "nothing", f"one of the variables {', '.join(names)}")
        array = data[found[0]]
        letters = {str(dim): NAMES.get(str(dim).lower(), "?") for dim in array.dims}
        values = array.values
        known, turned = _known(path, array, letters)
    for axis in turned:
        values = np.flip(values, axis=array.dims.index(axis))
    place = told(str(path), dict(data.attrs) | dict(array.attrs) | known)
    axes = "".join(letters[dim] for dim in array.dims)
    return Content(source=str(path), values=values, axes=axes, place=place, found=f"only {', '.join(names)}")


def _known(path: Path, array: Any, letters: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return what the coordinates of an array say of when and where, and the axes in space along which they fall."""
    known, units, sizes, starts, turned = {}, set(), {}, {}, []
    for dim, letter in letters.items():
        if dim not in array.coords or letter not in "tzyx":
            continue
        coordinate = array.coords[dim]
        unit = coordinate.attrs.get("units")
        if letter == "t":
            dates = coordinate.dtype.kind == "M"
            known["times"] = increasing_times(str(path), coordinate.values)
            known |= {"time_unit": "s" if dates else unit} if dates or unit else {}
            continue
        places = coordinate.values.astype(float)
        if places.size < 2:
            continue
        steps = np.diff(places)
        step = steps.mean()
        if not np.abs(steps - step).max() <= UNEVEN * abs(step):
            found = f"distances from {np.abs(steps).min():.6g} to {np.abs(steps).max():.6g}"
            raise InputError(path, dim, found, "equal distances of the pixels")
        turned += [dim] if step < 0 else []
        sizes[letter], starts[letter] = abs(step) * places.size, places.min() - abs(step) / 2
        units |= {unit_name(str(unit))} if unit else set()
    if len(units) > 1:
        raise InputError(path, "units", ", ".join(sorted(units)), "a single unit of length")
    space = [letter for letter in "xyz" if letter in letters.values()]
    if all(letter in sizes for letter in space) and space:
        known["extent"] = [sizes[letter] for letter in space]
        known["origin"] = [starts[letter] for letter in space]
        known |= {"unit": units.pop()} if units else {}
    return known, turned
