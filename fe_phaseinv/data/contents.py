"""An array of a file with what the file says of it, and its axes brought into order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.place import NUMERALS, Place

LETTERS = "tczyx"
"""Axes of time, channels and space, in the order in which series have them."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """An array of a file, with what the file says of it.

    Parameters
    ----------
    source : str
        The file, for errors.
    values : numpy.ndarray
        As they are stored, row 0 at the bottom.
    axes : str
        A letter of ``tczyx`` for each axis, ``s`` for the samples of a colour, ``?`` where the file does not say.
    place : Place
        What the file says of when and where.
    found : str
        What else it has, for errors.
    picture : bool
        Whether integers are grey values, and not numbers.
    bits : int, optional
        Of the largest grey value; None where the file does not say.
    transparent : bool
        Whether the last sample of a colour is how opaque the pixel is.
    opaque : numpy.ndarray of bool, optional
        Which pixels are seen, of the shape of the values; all where not given.
    """

    source: str
    values: NDArray
    axes: str
    place: Place
    found: str = "nothing else"
    picture: bool = False
    bits: int | None = None
    transparent: bool = False
    opaque: NDArray[np.bool_] | None = None


def told(source: str, items: Mapping[str, Any]) -> Place:
    """Return when and where images were taken from the arrays or attributes of a file that have the usual names.

    Parameters
    ----------
    source : str
        The file, for errors.
    items : mapping
        Arrays, numbers and texts by name.
    """
    return Place(source=source, **{key: _plain(key, items[key]) for key in Place.keys() if key in items})


def _plain(key: str, value: Any) -> Any:
    """Return a number, text or list as it is meant, in whatever array a file wraps it."""
    array = np.asarray(value)
    if array.dtype.kind in "US" and array.size == 1:
        text = array.ravel()[0]
        return text.decode() if isinstance(text, bytes) else str(text)
    if key == "time_step" or (key == "pixel_size" and array.size == 1):
        return array.ravel()[0]
    return array.ravel() if array.ndim else value


def arranged(content: Content, axes: str | None, channel: int | None, sources: Sequence[Place]) -> Content:
    """Return a content whose axes are those of a series: time, channels if there are several, z in space, y and x.

    Parameters
    ----------
    content : Content
    axes : str, optional
        A letter for each axis, in place of what the file says.
    channel : int, optional
        The channel to keep.
    sources : sequence of Place
        What is known of the images, which tells time from space, and two directions in space from three.

    Raises
    ------
    InputError
        If the letters do not fit the array, or there is no such channel.
    """
    shape = content.values.shape
    if axes is not None:
        letters = _checked(content, axes.lower())
    else:
        letters = _usual(content, sources) if set(content.axes) - set(LETTERS) else content.axes
        letters = _with_time(letters, shape, channel, sources)
    channels = dict(zip(letters, shape, strict=True)).get("c", 1)
    if channel is not None and channel not in range(channels):
        raise InputError(content.source, "channel", channel, "0" if channels == 1 else f"0 to {channels - 1}")
    chosen = tuple(
        (channel or 0)
        if letter == "c" and (channel is not None or count == 1)
        else 0
        if letter == "z" and count == 1
        else slice(None)
        for letter, count in zip(letters, shape, strict=True)
    )
    kept = "".join(letter for letter, index in zip(letters, chosen, strict=True) if isinstance(index, slice))
    order = [kept.index(letter) for letter in LETTERS if letter in kept]

    def ordered(array: NDArray) -> NDArray:
        array = array[chosen].transpose(order)
        return array if "t" in kept else array[None]

    opaque = None if content.opaque is None else ordered(content.opaque)
    axes = "".join(letter for letter in LETTERS if letter in kept or letter == "t")
    return replace(content, values=ordered(content.values), axes=axes, opaque=opaque)


def dimension_of(sources: Sequence[Place]) -> int | None:
    """Return the number of directions in space that the first source tells which tells any.

    Parameters
    ----------
    sources : sequence of Place
    """
    return next((source.dimension for source in sources if source.dimension), None)


def _checked(content: Content, letters: str) -> str:
    """Return the letters that are asked for, if there is one for each axis."""
    shape = content.values.shape
    once = len(set(letters)) == len(letters) == len(shape)
    if not once or not set("yx") <= set(letters) <= set(LETTERS):
        accepted = f"one of t, c, z, y and x for each axis of the shape {shape}, y and x among them"
        raise InputError(content.source, "axes", letters, accepted)
    return letters


def _usual(content: Content, sources: Sequence[Place]) -> str:
    """Return the letters of an array of which nothing is said: time, then channels or z, y and x."""
    count = content.values.ndim
    dimension = dimension_of(sources)
    if dimension is None or not 0 <= count - dimension <= 2:
        dimension = min(max(count - 1, 2), max(NUMERALS))
    if not 0 <= count - dimension <= 2:
        found = f"{content.values.dtype} values of shape {content.values.shape}"
        raise InputError(content.source, "images", found, "an array of 2 to 5 axes")
    return ("", "t", "tc")[count - dimension] + "zyx"[-dimension:]


def _with_time(letters: str, shape: Sequence[int], channel: int | None, sources: Sequence[Place]) -> str:
    """Return letters of which one is time if times are known: programs save frames as slices or channels."""
    if "t" in letters:
        return letters
    times = next((source.frames for source in sources if source.frames), None)
    steps = times is None and any(source.time_step is not None for source in sources)
    for letter, count in zip(letters, shape, strict=True):
        flat = letter == "z" and dimension_of(sources) == 2
        if letter in ("zc" if channel is None else "z") and count > 1 and (count == times or steps or flat):
            return letters.replace(letter, "t")
    return letters
