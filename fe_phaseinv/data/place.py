"""When and where images were taken, as several sources tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fe_phaseinv.core.errors import InputError, real_numbers
from fe_phaseinv.data.units import converted, unit_name

NUMERALS = {2: "two", 3: "three"}
TELLS = {"times": "times or time_step", "extent": "extent or pixel_size"}
"""What is needed, and the keys that tell it."""


def increasing_times(source: str, times: ArrayLike) -> NDArray[np.float64]:
    """Return times as read-only float64; dates become seconds since the first one.

    Parameters
    ----------
    source : str
        Where they come from, for errors.
    times : array_like of shape (time,)

    Raises
    ------
    InputError
        If they are no numbers, not finite or do not increase.
    """
    if isinstance(times, np.ndarray) and times.dtype.kind == "M":
        times = (times - times.ravel()[0]) / np.timedelta64(1, "s")
    times = real_numbers(source, "times", times, 1)
    bad = np.flatnonzero(~(np.isfinite(times) & np.r_[True, times[1:] > times[:-1]]))
    if bad.size:
        accepted = "finite times, each later than the one before"
        raise InputError(source, "times", f"{times[bad[0]]} at frame {bad[0]}", accepted)
    return times


def finite(source: str, key: str, value: ArrayLike, count: int) -> tuple[float, ...]:
    """Return finite numbers, one for each direction in space.

    Parameters
    ----------
    source, key : str
        Where they come from, for errors.
    value : array_like of shape (count,)
    count : int
        Two or three.

    Raises
    ------
    InputError
        If they are others.
    """
    numbers = tuple(real_numbers(source, key, value, 1).tolist())
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(source, key, numbers, f"{NUMERALS[count]} finite numbers")
    return numbers


def lengths(source: str, key: str, value: ArrayLike, count: int) -> tuple[float, ...]:
    """Return positive lengths, one for each direction in space.

    Parameters
    ----------
    source, key : str
        Where they come from, for errors.
    value : array_like of shape (count,)
    count : int
        Two or three.

    Raises
    ------
    InputError
        If they are others.
    """
    numbers = finite(source, key, value, count)
    if min(numbers) <= 0:
        raise InputError(source, key, numbers, f"{NUMERALS[count]} positive lengths")
    return numbers


@dataclass(frozen=True, kw_only=True)
class Place:
    """When and where images were taken, as one source tells it; None is what it does not tell.

    Parameters
    ----------
    source : str
        Errors name it.
    times : array_like of shape (time,), optional
        Time of each frame.
    time_step : float, optional
        Time from frame to frame, in place of `times`; the first one is at zero.
    extent : array_like of shape (dimension,), optional
        Size of the images along x, y and z.
    pixel_size : float or array_like of shape (dimension,), optional
        Size of a pixel, in place of `extent`.
    origin : array_like of shape (dimension,), optional
        Position of the lower left corner.
    unit, time_unit : str, optional
        Names of the units of length and time.
    """

    source: str
    times: Any = None
    time_step: Any = None
    extent: Any = None
    pixel_size: Any = None
    origin: Any = None
    unit: Any = None
    time_unit: Any = None

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the names of what a source may tell."""
        return tuple(spec.name for spec in fields(cls) if spec.name != "source")

    def frame_times(self, count: int) -> NDArray[np.float64] | None:
        """Return the time of each frame; None where they are not told.

        Parameters
        ----------
        count : int
            Number of frames.

        Raises
        ------
        InputError
            If they are no increasing times, one for each frame.
        """
        if self.times is not None:
            times = increasing_times(self.source, self.times)
            if times.size != count:
                raise InputError(self.source, "times", f"{times.size} times", f"{count}, one for each frame")
            return times
        if self.time_step is None:
            return None
        step = float(real_numbers(self.source, "time_step", self.time_step, 0))
        if not 0 < step < np.inf:
            raise InputError(self.source, "time_step", step, "a positive time")
        return step * np.arange(count)

    def size(self, counts: Sequence[int]) -> tuple[float, ...] | None:
        """Return the extent; None where it is not told.

        Parameters
        ----------
        counts : sequence of int
            Numbers of pixels along x, y and z.

        Raises
        ------
        InputError
            If it is no positive length for each direction.
        """
        if self.extent is not None:
            return lengths(self.source, "extent", self.extent, len(counts))
        if self.pixel_size is None:
            return None
        each = self.pixel_size if np.ndim(self.pixel_size) else [self.pixel_size] * len(counts)
        pixel = lengths(self.source, "pixel_size", each, len(counts))
        return tuple(size * count for size, count in zip(pixel, counts, strict=True))

    def corner(self, dimension: int) -> tuple[float, ...] | None:
        """Return the origin; None where it is not told.

        Parameters
        ----------
        dimension : int
            Number of directions in space.

        Raises
        ------
        InputError
            If it is no finite number for each direction.
        """
        return None if self.origin is None else finite(self.source, "origin", self.origin, dimension)

    def name(self, key: str) -> str | None:
        """Return the usual name of a unit; None where it is not told.

        Parameters
        ----------
        key : str
            ``unit`` or ``time_unit``.

        Raises
        ------
        InputError
            If it is no text.
        """
        value = getattr(self, key)
        if value is not None and not isinstance(value, str):
            raise InputError(self.source, key, value, 'the name of a unit, such as "um" or "h"')
        return value if value is None else unit_name(value)

    @property
    def tells_times(self) -> bool:
        """Whether the times of the frames are told."""
        return self.times is not None or self.time_step is not None

    @property
    def dimension(self) -> int | None:
        """Number of directions in space; None where it is not told."""
        told = [_length(value) for value in (self.extent, self.pixel_size)]
        return next((count for count in told if count in NUMERALS), None)

    @property
    def frames(self) -> int | None:
        """Number of the times; None where they are not told."""
        return _length(self.times)


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, Sequence) or np.ndim(value) == 1 else None


def placed(sources: Sequence[Place], count: int, counts: Sequence[int], found: str, where: str) -> dict[str, Any]:
    """Return `times`, `extent`, `origin`, `unit` and `time_unit` as the first source tells them that does.

    The unit of a source does not name numbers that a more important one gives without a unit; where a more important
    one names another unit than that of the numbers, these are converted.

    Parameters
    ----------
    sources : sequence of Place
        The most important one first, the file of the images last.
    count : int
        Number of frames; a single one needs no time.
    counts : sequence of int
        Numbers of pixels along x, y and z.
    found : str
        What else the file has, for errors.
    where : str
        Where what is missing can be told, for errors.

    Raises
    ------
    InputError
        If something is missing or refused.
    """
    times, time_unit = _first(lambda source: source.frame_times(count), sources, "time_unit")
    extent, unit = _first(lambda source: source.size(counts), sources, "unit")
    if times is None and count == 1:
        times = np.zeros(1)
    missing = [key for key, value in (("times", times), ("extent", extent)) if value is None]
    if missing:
        accepted = f"{' and '.join(TELLS[key] for key in missing)}, {where}"
        raise InputError(sources[-1].source, " and ".join(missing), found, accepted)
    origin, _ = _first(lambda source: source.corner(len(counts)), sources, "unit")
    return {"times": times, "extent": extent, "origin": origin, "unit": unit, "time_unit": time_unit}


def _first(tells: Callable[[Place], Any], sources: Sequence[Place], key: str) -> tuple[Any, str]:
    """Return the first value that is told, in the unit that is asked for, and the name of this unit."""
    asked = ""
    for source in sources:
        own, value = source.name(key), tells(source)
        asked = asked or own or ""
        if value is None:
            continue
        if not own or asked == own:
            return value, asked
        factor = converted(own, asked)
        if factor is None:
            raise InputError(sources[0].source, key, asked, f"a unit into which {own} can be converted")
        value = factor * np.asarray(value)
        return (value if key == "time_unit" else tuple(value.tolist())), asked
    return None, asked
