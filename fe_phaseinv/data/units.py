"""Names of units of length and time."""

from __future__ import annotations

_PREFIXES = {"": 1.0, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
_LENGTHS = {f"{prefix}m": size for prefix, size in _PREFIXES.items()} | {"km": 1e3, "A": 1e-10}
_TIMES = {f"{prefix}s": size for prefix, size in _PREFIXES.items() if prefix != "c"}
_TIMES |= {"min": 60.0, "h": 3600.0, "d": 86400.0}
_LONG = {"": "", "centi": "c", "milli": "m", "micro": "u", "nano": "n", "pico": "p"}
_NAMES = {f"{long}{stem}": f"{short}m" for long, short in _LONG.items() for stem in ("meter", "metre")}
_NAMES |= {f"{long}{stem}": f"{short}s" for long, short in _LONG.items() for stem in ("second", "sec")}
_NAMES |= {"micron": "um", "kilometer": "km", "kilometre": "km", "angstrom": "A", "å": "A", "ångström": "A"}
_NAMES |= {f"{short}sec": f"{short}s" for short in ("m", "u", "n", "p")}
_NAMES |= {"minute": "min", "hour": "h", "hr": "h", "day": "d"}


def unit_name(text: str) -> str:
    """Return the usual name of a unit: "um" for "µm", "micron" or "micrometers"; one that is not known as it is.

    Parameters
    ----------
    text : str
    """
    name = text.strip()
    for micro in ("\\u00B5", "\\u00b5", "\u00b5", "\u03bc"):
        name = name.replace(micro, "u")
    for known in (name.lower(), name.lower().removesuffix("s")):
        if known in _NAMES:
            return _NAMES[known]
    return "min" if name == "mins" else name


def converted(unit: str, other: str) -> float | None:
    """Return how many of another unit a unit is; None where they are not both lengths, or both times.

    Parameters
    ----------
    unit, other : str
        Usual names.
    """
    for sizes in (_LENGTHS, _TIMES):
        if unit in sizes and other in sizes:
            return sizes[unit] / sizes[other]
    return None
