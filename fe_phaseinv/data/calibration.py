"""From grey values to the field that they show."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import DataWarning, InputError, real_numbers, refusing_unreadable
from fe_phaseinv.data.contents import Content

Grey = str | os.PathLike | Sequence[float] | Sequence[Sequence[float]]
"""How grey values are given: "range", a file of two columns, two numbers, or pairs of numbers."""

ACCEPTED = 'grey = [value of 0, value of 1], pairs [[grey, value], ...], a file of two columns, or "range"'
QUANTILES, MARGIN = (0.01, 0.99), 0.05
"""What "range" takes for 0 and 1: quantiles of the pixels, and how far beyond them relative to their distance."""
SHORT = (8, 10, 12, 14)
"""Numbers of bits of cameras that are stored in 16."""


def field_values(content: Content, grey: Grey | None) -> NDArray[np.float64]:
    """Return the values of the field that an array shows.

    Without `grey` these are its numbers, but for the integers of pictures, of which the largest possible one is 1.

    Parameters
    ----------
    content : Content
    grey : str, os.PathLike, pair of floats or sequence of pairs of floats, optional
        The numbers that stand for 0 and 1; or pairs of a number and a value, between which the values are interpolated
        linearly, given or as two columns of a file; or ``"range"``, where 0 and 1 are the 1st and 99th percentile of
        all pixels, moved apart by a twentieth of their distance at either end.

    Raises
    ------
    InputError
        If the numbers are no increasing calibration, or the largest number of a picture is not known.
    """
    values, source = content.values, content.source
    if values.dtype.kind not in "iuf":
        real_numbers(source, "images", values, values.ndim)
    if grey is None:
        return values / _white(content) if content.picture and values.dtype.kind != "f" else values.astype(float)
    x, y = _range(source, values) if grey == "range" else _pairs(source, grey)
    values = values.astype(float)
    steps = np.diff(y) / np.diff(x)
    piece = np.clip(np.searchsorted(x, values, side="right") - 1, 0, len(steps) - 1)
    return y[piece] + steps[piece] * (values - x[piece])


def _white(content: Content) -> float:
    """Return the largest number that the integers of a picture can be."""
    values, source, kind = content.values, content.source, content.values.dtype
    if kind == np.uint8 or (content.bits and kind.kind == "u"):
        return 2.0 ** (content.bits or 8) - 1
    low, high = int(values.min()), int(values.max())
    if kind.kind != "u" or kind.itemsize > 2:
        raise InputError(source, "images", f"integers ({kind}) from {low} to {high}", ACCEPTED)
    for bits in SHORT:
        if high < 2**bits:
            found = f"integers of 16 bits that reach {high}, as those of a camera of {bits} bits"
            raise InputError(source, "images", found, f"grey = [0, {2**bits - 1}], or [0, 65535] if 16 bits are meant")
    return 65535.0


def _range(source: str, values: NDArray) -> tuple[NDArray, NDArray]:
    low, high = np.nanquantile(values, QUANTILES)
    ends = np.array([low, high]) + MARGIN * (high - low) * np.array([-1, 1])
    if not low < high:
        raise InputError(source, "grey", f'"range" of pixels that are mostly {low:g}', ACCEPTED)
    text = f'grey = "range" takes {ends[0]:.6g} of {source} for 0 and {ends[1]:.6g} for 1, on which the laws depend'
    warnings.warn(text, DataWarning, stacklevel=2)
    return ends, np.array([0.0, 1.0])


def _pairs(source: str, grey: Grey) -> tuple[NDArray, NDArray]:
    """Return increasing grey values and the values that belong to them."""
    if isinstance(grey, str | os.PathLike):
        source, grey = str(grey), _table(Path(grey))
    table = real_numbers(source, "grey", grey, (1, 2))
    if table.shape == (2,):
        table = np.column_stack([table, [0.0, 1.0]])
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise InputError(source, "grey", f"numbers of shape {table.shape}", ACCEPTED)
    x, y = table[np.argsort(table[:, 0])].T
    if not (np.all(np.diff(x) > 0) and (np.all(np.diff(y) > 0) or np.all(np.diff(y) < 0))):
        raise InputError(source, "grey", table.tolist(), "grey values, each once, whose values only rise or only fall")
    return x, y


def _table(path: Path) -> NDArray[np.float64]:
    """Read two columns of numbers, separated by commas, semicolons or blanks, with or without a line of names."""
    with refusing_unreadable(path, "a text file of two columns, grey value and value"):
        lines = [line.replace(",", " ").replace(";", " ").split() for line in path.read_text("utf-8-sig").splitlines()]
        lines = [line for line in lines if line and not line[0].startswith("#")]
        named = any(not _is_number(word) for word in lines[0])
        return np.array([[float(word) for word in line] for line in lines[named:]])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
