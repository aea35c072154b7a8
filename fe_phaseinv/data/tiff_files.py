"""Images in TIFF files of all kinds."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.contents import Content
from fe_phaseinv.data.picture_files import CHOICE, upright
from fe_phaseinv.data.place import Place
from fe_phaseinv.data.tiff_metadata import imagej_place, linear, ome_pixels, ome_place

WHITE_FIRST, PALETTE, SEPARATED = 0, 3, 5
"""Photometric interpretations."""
ALPHA = (1, 2)
"""Kinds of extra samples that say how opaque a pixel is."""


def read_tiff(path: Path, key: str | None, channel: int | None) -> Content:
    """Read the images of a file, bottom row first.

    Parameters
    ----------
    path : pathlib.Path
    key : str, optional
        Number or name of one of several series of images.
    channel : int, optional
        Whose times are asked for.

    Raises
    ------
    InputError
        If the file is damaged, has colours for printing, or has several series and none is chosen.
    """
    from tifffile import TiffFile

    source = str(path)
    with _complaints() as complaints, TiffFile(path) as file:
        series = _chosen(source, file.series, key)
        arrays, axes, page = [one.asarray() for one in series], series[0].axes.lower(), series[0].keyframe
        values, axes = (np.stack(arrays), f"?{axes}") if len(series) > 1 else (arrays[0], axes)
        metadata, place, bits = file.imagej_metadata or {}, Place(source=source), page.bitspersample
        colours = page.colormap
        if file.is_ome:
            pixels = ome_pixels(file.ome_metadata, file.series.index(series[0]))
            place, bits = ome_place(source, pixels, channel), pixels.get("SignificantBits", bits)
        elif metadata:
            resolution = [page.tags.valueof(f"{axis}Resolution") for axis in "XY"]
            place = imagej_place(source, metadata, resolution, axes)
    if complaints:
        raise InputError(path, "file", f"unreadable content ({complaints[0]})", "a complete TIFF file")
    if page.photometric == SEPARATED:
        raise InputError(path, "images", "colours for printing (CMYK)", CHOICE)
    if page.photometric == PALETTE and colours is not None and not metadata:
        # To ImageJ the numbers are the data, and the colours only how they are shown.
        values, axes = np.moveaxis(colours[:, values], 0, -1), f"{axes}s"
        bits = 8 if colours.max() < 256 else 16
    elif page.photometric == WHITE_FIRST:
        _say_that_white_is_first(source, values)
    numbers = linear(metadata)
    if numbers and not (values.dtype.kind == "i" and numbers[1] == 1):
        values = numbers[0] + numbers[1] * values.astype(float)
    axes = "".join(letter if letter in "tczyxs" else "?" for letter in axes)
    transparent = "s" in axes and any(kind in ALPHA for kind in page.extrasamples[-1:])
    return upright(
        Content(
            source=source,
            values=values.astype(np.uint8) if values.dtype == bool else values,
            axes=axes,
            place=place,
            found="nothing in its metadata",
            picture=True,
            bits=None if bits == 8 * values.dtype.itemsize and bits > 8 else bits,
            transparent=transparent,
        )
    )


def _chosen(source: str, every: Sequence[Any], key: str | None) -> list[Any]:
    """Return the series of a file that is asked for, or all if they are the frames of one."""
    if not every:
        raise InputError(source, "file", "no images", "a TIFF file with images")
    if key is not None:
        found = [one for number, one in enumerate(every) if key in (str(number), one.name)]
        if not found:
            raise InputError(source, "key", key, _names(every))
        return found[:1]
    alike = len({(one.shape, one.dtype) for one in every}) == 1
    if len(every) > 1 and (not alike or every[0].kind == "ome"):
        raise InputError(source, "images", f"{len(every)} series", f"one of them as key: {_names(every)}")
    return list(every)


def _names(every: Sequence[Any]) -> str:
    shapes = [" x ".join(map(str, one.shape)) for one in every]
    return ", ".join(f'"{number}" ({one.name} {shapes[number]})' for number, one in enumerate(every))


def _say_that_white_is_first(source: str, values: NDArray) -> None:
    white = 1 if values.dtype.kind in "fb" else np.iinfo(values.dtype).max
    text = (
        f"{source} says that its smallest number is white; its numbers are taken as they are stored "
        f"(grey = [{white}, 0] turns them)"
    )
    warnings.warn(text, DataWarning, stacklevel=2)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Gather what the library only logs, such as pages that are missing."""
    texts, log = [], logging.getLogger("tifffile")
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: texts.append(record.getMessage())
    log.addHandler(handler)
    propagates, log.propagate = log.propagate, False
    try:
        yield texts
    finally:
        log.removeHandler(handler)
        log.propagate = propagates
