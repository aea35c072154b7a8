"""The sections of a case file that a model decides on: its laws, options and data in time."""

from __future__ import annotations

import re
from dataclasses import make_dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.cli.schema import (
    Curve,
    Drive,
    Kernel,
    Mixing,
    Number,
    Polynomial,
    PositiveNumber,
    Potential,
    Surface,
    declared,
)
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.laws.bases import Powers
from fe_phaseinv.models.declarations import MEAN, WAVENUMBER, FunctionLaw, NumberLaw
from fe_phaseinv.models.interface import Model

ELSEWHERE = {"weighted": ("laws", "diffusivity"), "stiffness": ("elasticity",)}
"""Sections in which options may stand as well as among the others."""

Law = Curve | Surface | Kernel | Number


def laws_section(model: type[Model]) -> type:
    """Return the class of the section of a model's laws.

    Parameters
    ----------
    model : type
        A subclass of Model.
    """
    return _made("Laws", [_law(model, law) for law in model.laws], "The laws.")


def options_section(model: type[Model]) -> type | None:
    """Return the class of the section of a model's options; None where a file can give none.

    Parameters
    ----------
    model : type
        A subclass of Model.
    """
    values = {name: getattr(model, name) for name in model.options}
    kinds = {name: kind for name, value in values.items() if (kind := _kind_of(value)) is not None}
    keys = [
        (name, kind, declared(_documented(model, name), _plain(values[name], kind))) for name, kind in kinds.items()
    ]
    return _made("Options", keys, "What the model can be told besides its laws.")


def drive_section(model: type[Model]) -> type | None:
    """Return the class of the section of a model's prescribed mean; None where it has none.

    Parameters
    ----------
    model : type
        A subclass of Model.
    """
    return Drive if MEAN in model.data else None


def data_section(model: type[Model]) -> type | None:
    """Return the class of the section of what else is given in time; None where there is nothing.

    Parameters
    ----------
    model : type
        A subclass of Model.
    """
    values = declared("Its values, [[time, value], ...], joined by a cubic spline", example=((0.0, 0.0), (1.0, 0.0)))
    keys = [(name, tuple[tuple[float, float], ...], values) for name in model.data if name != MEAN]
    return _made("Data", keys, "Numbers that are given in time.")


def gathered(source: Path, table: dict[str, Any]) -> dict[str, str]:
    """Move the options that stand in sections of their own to the others.

    Parameters
    ----------
    source : pathlib.Path
        The file, for errors.
    table : dict
        What it holds; changed.

    Returns
    -------
    dict of str
        By key of an option, where it stood.

    Raises
    ------
    InputError
        Where an option is given twice.
    """
    moved = {}
    for name, path in ELSEWHERE.items():
        holders = [table]
        for key in path:
            holders.append(holders[-1].get(key) if isinstance(holders[-1], dict) else None)
        if not isinstance(holders[-1], dict) or name not in holders[-1]:
            continue
        options, key = table.setdefault("options", {}), ".".join((*path, name))
        if not isinstance(options, dict) or name in options:
            raise InputError(source, key, f"{name} beside options", f"{name} in one of the two")
        options[name], moved[f"options.{name}"] = holders[-1].pop(name), key
        if len(path) == 1 and not holders[-1]:
            del table[path[0]]
    return moved


def completed(source: Path, model: type[Model], laws: dict[str, Law]) -> dict[str, Law]:
    """Return the sections of the laws with what the model decides on where the file does not.

    Parameters
    ----------
    source : pathlib.Path
        The file, for errors.
    model : type
        A subclass of Model.
    laws : dict
        By name.

    Raises
    ------
    InputError
        Where an interval is missing, or none.
    """
    return {name: _completed(source, model, model.declared(name), section) for name, section in laws.items()}


def _completed(source: Path, model: type[Model], law: FunctionLaw | NumberLaw, section: Law) -> Law:
    if isinstance(section, Number):
        given = (section.initial, section.fixed) != (None, None)
        return section if given or law.initial is None else replace(section, **_starts(law))
    if isinstance(section, Kernel):
        return section
    key = f"laws.{law.name}.interval"
    if isinstance(section, Surface):
        given = zip(law.of, section.intervals or (None, None), strict=True)
        return replace(section, intervals=tuple(_interval(source, f"{key}s", model, *pair) for pair in given))
    otherwise = Powers.interval if section.basis == "polynomial" else None
    return replace(section, interval=_interval(source, key, model, law.of, section.interval, otherwise))


def _starts(law: NumberLaw) -> dict[str, float]:
    """Return the key under which a number stands unless the file says otherwise, with its value, if it has one."""
    return {} if law.initial is None else {"fixed" if law.fixed else "initial": law.initial}


def _interval(
    source: Path,
    key: str,
    model: type[Model],
    argument: str,
    given: tuple[float, float] | None,
    otherwise: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Return the interval of an argument: as given, or the bounds of its field, or else some other."""
    bounds = tuple(map(float, model.bounds_of(argument)))
    interval = given or (bounds if np.all(np.isfinite(bounds)) else otherwise)
    if interval is None:
        raise InputError(source, key, "nothing", f"increasing numbers, for {argument} has no bounds")
    if not interval[0] < interval[1]:
        raise InputError(source, key, list(interval), "increasing numbers")
    return interval


def _law(model: type[Model], law: FunctionLaw | NumberLaw) -> tuple[str, type, Any]:
    """Return the key of a law, its class and what it declares."""
    unit = f", in units of {law.unit}" if law.unit else ""
    if isinstance(law, NumberLaw):
        symbol = f" {law.symbol}" if law.symbol else ""
        kind, sign = (PositiveNumber, "a positive number") if law.positive else (Number, "a number")
        says = f"The {_words(law.name)}{symbol}, {sign}{unit}"
        return law.name, kind, declared(says, kind(), starts=_starts(law))
    logarithm = "; the coefficients are those of its logarithm" if law.positive else ""
    arguments = law.of if isinstance(law.of, str) else ", ".join(law.of)
    says = f"The {_words(law.name)} {law.symbol or law.name}({arguments}){unit}{logarithm}"
    return law.name, _curve(model, law), declared(says)


def _curve(model: type[Model], law: FunctionLaw) -> type:
    """Return the class of the section of a law that is a function."""
    bounds = model.bounds_of(law.of)
    if not isinstance(law.of, str):
        return Surface
    if law.of == WAVENUMBER:
        return Kernel
    if law.positive:
        return Curve
    if bounds == (0, 1) and not law.excess:
        return Mixing
    return Potential if np.all(np.isfinite(bounds)) else Polynomial


def _words(name: str) -> str:
    return name.replace("_", " ")


def _documented(model: type[Model], name: str) -> str:
    """Return what the docstring of a model, or of one that it follows, says of a parameter."""
    for kind in model.__mro__:
        found = re.search(rf"^( *){name} : .*\n((?:\1 +.*\n?)+)", kind.__doc__ or "", re.M)
        if found:
            return " ".join(found[2].split()).removesuffix(".")
    return "An option of the model"


def _kind_of(value: Any) -> Any:
    """Return the type of an option by its default; None of what no file can give."""
    if isinstance(value, bool | str):
        return type(value)
    if isinstance(value, Real):
        return float
    if isinstance(value, tuple | list) and value and all(isinstance(item, Real) for item in value):
        return tuple[(float,) * len(value)]
    return None


def _plain(value: Any, kind: Any) -> Any:
    return value if kind in (bool, str) else float(value) if kind is float else tuple(map(float, value))


def _made(name: str, keys: list[tuple[str, Any, Any]], doc: str) -> type | None:
    return make_dataclass(name, keys, frozen=True, kw_only=True, namespace={"__doc__": doc}) if keys else None
