"""Units in words, such as "length^2/time", and what a length and a time make of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_POWER = re.compile(r"(/?)\s*\b(length|time)\b(?:\s*\^\s*(-?\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Scales:
    """A typical length and a typical time, by which everything that has a unit is measured.

    Parameters
    ----------
    length, time : float
        In the units of the images.
    """

    length: float = 1.0
    time: float = 1.0

    def of(self, unit: str) -> float:
        """Return the typical value of what has a unit.

        Parameters
        ----------
        unit : str
            A product of powers of "length" and "time", such as "length^2/time"; other words have no dimension here.
        """
        value = 1.0
        for divided, base, power in _POWER.findall(unit):
            value *= getattr(self, base) ** ((-1 if divided else 1) * float(power or 1))
        return value


def named(unit: str, length: str, time: str) -> str:
    """Return a unit with the names of those of length and time, "um^2/h" for "length^2/time".

    Parameters
    ----------
    unit : str
        As a law declares it.
    length, time : str
        Names; where one is empty its word stays.
    """
    names = {"length": length or "length", "time": time or "time"}
    return re.sub(r"\b(length|time)\b", lambda word: names[word[0]], unit)
