"""The refusal of bad input, and what reads files and numbers in its terms."""

import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST_FOUND = 120
"""Characters of what was found that a message shows."""


class InputError(ValueError):
    """Input that cannot be used; its text is one line.

    The line reads ``SOURCE: KEY: found FOUND; accepted: ACCEPTED``.

    Parameters
    ----------
    source : str or os.PathLike
        The file (or other origin) of the input.
    key : str
        What in the source is at fault, dotted where it is nested.
    found : object
        What was found; line breaks are collapsed and long text is shortened.
    accepted : str
        What would have been accepted.
    """

    def __init__(self, source: str | os.PathLike, key: str, found: object, accepted: str):
        # All four go to the base class, so that the error can be pickled and sent to other processes.
        super().__init__(str(source), key, str(found), accepted)
        self.source, self.key, self.found, self.accepted = self.args

    def __str__(self) -> str:
        """Return the line."""
        found = _one_line(self.found)
        if len(found) > LONGEST_FOUND:
            found = found[: LONGEST_FOUND - 3] + "..."
        return _one_line(f"{self.source}: {self.key}: found {found}; accepted: {self.accepted}")


class DataWarning(UserWarning):
    """Something is doubtful about the data or the result; the text is one sentence for the user."""


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())


@contextmanager
def refusing_unreadable(path: str | os.PathLike, accepted: str) -> Iterator[None]:
    """Turn whatever reading a file raises into an `InputError`.

    Readers of other packages raise almost anything on a damaged file. An `InputError` and a package that is not
    installed pass unchanged.

    Parameters
    ----------
    path : str or os.PathLike
        The file, named by the error.
    accepted : str
        What would have been accepted.

    Raises
    ------
    InputError
        With key ``file``, if the file is missing or cannot be read.
    """
    try:
        yield
    except (InputError, ImportError):
        raise
    except Exception as error:
        found = getattr(error, "strerror", None) or f"unreadable content ({type(error).__name__}: {error})"
        raise InputError(path, "file", found, accepted) from error


def read_toml(path: str | os.PathLike, accepted: str) -> dict[str, Any]:
    """Read a TOML file, UTF-8 with or without a byte order mark.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    accepted : str
        What the file should hold.

    Returns
    -------
    dict
        Its keys and values.

    Raises
    ------
    InputError
        If the file is missing, cannot be read or is no TOML.
    """
    with refusing_unreadable(path, accepted):
        return tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))


def real_numbers(
    source: str | os.PathLike, key: str, value: ArrayLike, ndim: int | Sequence[int]
) -> NDArray[np.float64]:
    """Return a read-only float64 copy of integers or floats.

    Parameters
    ----------
    source : str or os.PathLike
        Where the value comes from.
    key : str
        Its name there.
    value : array_like
        The value; NaN and infinity pass, and what is masked becomes NaN.
    ndim : int or sequence of int
        The number of axes it must have, or the numbers it may have.

    Raises
    ------
    InputError
        If the value is ragged, of another type (booleans and complex numbers included) or has other axes.
    """
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    accepted = f"real numbers, an array of {' or '.join(map(str, allowed))} axes" if ndim else "a real number"
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(source, key, "lists of unequal lengths", accepted) from None
    if array.dtype.kind not in "iuf" or array.ndim not in allowed:
        raise InputError(source, key, f"{array.dtype} values of shape {array.shape}", accepted)
    array = np.array(array, np.float64)
    if np.ma.isMaskedArray(value):
        array[np.ma.getmaskarray(value)] = np.nan
    array.setflags(write=False)
    return array


def as_ranges(low: ArrayLike, high: ArrayLike) -> str:
    """Say in words where the box between two corners is.

    Parameters
    ----------
    low, high : array_like of shape (dimension,)
        Its lower and upper corner.

    Returns
    -------
    str
        Such as ``"0 < x < 1, 0 < y < 2"``.
    """
    return ", ".join(f"{a:g} < {name} < {b:g}" for name, a, b in zip("xyz", low, high, strict=False))
