"""What TIFF files say of when and where their images were taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.place import Place
from fe_phaseinv.data.units import unit_name

NO_LENGTHS = ("", "pixel", "pixels", "inch", "px")
"""Units of files without a scale: ImageJ writes inches where it knows nothing."""


def imagej_place(source: str, metadata: Mapping[str, Any], resolution: tuple[Any, Any], axes: str) -> Place:
    """Return what ImageJ says: the time between frames, the size of a pixel, and their units.

    Parameters
    ----------
    source : str
        The file.
    metadata : mapping
        That of ImageJ.
    resolution : tuple
        Pixels in a unit of length along x and y, fractions of two numbers.
    axes : str
        Letters of the axes.
    """
    step = metadata.get("finterval")  # fps is only how fast the movie is shown
    told = {"time_step": step, "time_unit": str(metadata.get("tunit", "s"))} if step else {}
    unit = str(metadata.get("unit", ""))
    if unit_name(unit) not in NO_LENGTHS and all(resolution) and all(part for pair in resolution for part in pair):
        told["pixel_size"] = tuple(float(down / up) for up, down in resolution)
        told["unit"] = unit
        if "z" in axes and metadata.get("spacing"):
            told["pixel_size"] += (float(metadata["spacing"]),)
    return Place(source=source, **told)


def linear(metadata: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the offset and the factor by which ImageJ turns what is stored into numbers; None where it does not.

    Parameters
    ----------
    metadata : mapping
        That of ImageJ.
    """
    numbers = metadata.get("c0"), metadata.get("c1")
    return None if metadata.get("cf") != 0 or None in numbers else numbers


def ome_pixels(xml: str, index: int) -> dict[str, Any]:
    """Return the properties of the pixels of one of the images that OME-XML describes.

    Parameters
    ----------
    xml : str
    index : int
        Number of the image.
    """
    from tifffile import xml2dict

    images = _listed(xml2dict(xml)["OME"]["Image"])
    return images[index]["Pixels"]


def ome_place(source: str, pixels: Mapping[str, Any], channel: int | None) -> Place:
    """Return what OME-XML says: the times, or the time between frames, the size of a pixel, and their units.

    Parameters
    ----------
    source : str
        The file.
    pixels : mapping
        From `ome_pixels`.
    channel : int, optional
        Whose times are asked for; those of the first where not given.

    Raises
    ------
    InputError
        If pixels are measured in several units.
    """
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "XYZ"[: 3 if pixels.get("SizeZ", 1) > 1 else 2]]
    units = {unit_name(str(pixels.get(f"PhysicalSize{axis}Unit", "um"))) for axis in "XYZ"[: len(sizes)]}
    told: dict[str, Any] = {}
    if all(sizes) and units != {"pixel"}:
        if len(units) > 1:
            raise InputError(source, "unit", f"pixels in {' and '.join(sorted(units))}", "a single unit of length")
        told |= {"pixel_size": tuple(map(float, sizes)), "unit": units.pop()}
    planes = [
        plane
        for plane in _listed(pixels.get("Plane", ()))
        if plane.get("TheZ", 0) == 0 and plane.get("TheC", 0) == (channel or 0) and "DeltaT" in plane
    ]
    if pixels.get("TimeIncrement"):
        told |= {"time_step": pixels["TimeIncrement"], "time_unit": str(pixels.get("TimeIncrementUnit", "s"))}
    if len(planes) == pixels.get("SizeT") > 1:
        planes.sort(key=lambda plane: plane["TheT"])
        times = np.array([plane["DeltaT"] for plane in planes], float)
        told |= {"times": times, "time_unit": str(planes[0].get("DeltaTUnit", "s"))}
    return Place(source=source, **told)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
