"""Case files: what a run is, as validated values."""

import difflib
import json
import math
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import numpy as np

from fe_phaseinv.bases import Legendre
from fe_phaseinv.errors import InputError, read_toml
from fe_phaseinv.sections import (
    KERNEL_SIZES,
    LAWS,
    AllenCahnLaws,
    CahnHilliardLaws,
    ChemicalPotential,
    CrystalLaws,
    Curve,
    Domain,
    Field,
    Images,
    Optimizer,
    Prior,
    Time,
    Uncertainty,
    declared,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A validated case; the attributes are the keys and sections of its file."""

    model: str = declared(choices=tuple(LAWS))
    truth: Path | None = declared(None)
    images: Images = declared()
    domain: Domain = declared(Domain())
    laws: CahnHilliardLaws | AllenCahnLaws | CrystalLaws = declared(by_model=LAWS)
    time: Time = declared(Time())
    prior: Prior = declared(Prior())
    heterogeneity: Field | None = declared(None)
    optimizer: Optimizer = declared(Optimizer())
    uncertainty: Uncertainty = declared(Uncertainty())

    def text(self) -> str:
        """Return the case as TOML with all defaults and absolute paths; `read_case` reads it back to an equal case."""
        return "\n".join(_lines(self, "")) + "\n"


def read_case(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Case:
    """Read and validate a case file.

    Parameters
    ----------
    path : str or os.PathLike
        The file; relative paths in it and in the overrides start from its folder.
    overrides : sequence of str
        Replacements ``key.path=value``; the value is TOML, or else a text.

    Raises
    ------
    InputError
        If the file cannot be read or is no TOML, a key is unknown or missing, or a value is refused.
    """
    table = read_toml(path := Path(path), "a case file (TOML)")
    for override in overrides:
        _override(path, table, override)
    case = _section(path, Case, table, "")
    _check_potential(path, case.laws.chemical_potential)
    _check_crystal(path, case)
    if case.domain.tags is not None and case.domain.boundary != "from-images":
        accepted = 'none, unless domain.boundary = "from-images"'
        raise InputError(path, "domain.tags", list(case.domain.tags), accepted)
    if case.domain.boundary == "periodic" and case.domain.mesh not in ("rectangle", "box"):
        accepted = '"rectangle" or "box", where domain.boundary = "periodic"'
        raise InputError(path, "domain.mesh", case.domain.mesh, accepted)
    return case


def _check_potential(source: Path, law: Curve) -> None:
    """Check that the coefficients to start from are among those that the constraints allow."""
    if not isinstance(law, ChemicalPotential):
        return
    key = "laws.chemical_potential"
    if law.symmetric and any(law.coefficients[2::2]):
        accepted = "zeros for the even polynomials, where symmetric = true"
        raise InputError(source, f"{key}.coefficients", list(law.coefficients), accepted)
    if law.convex_ends and not law.ideal_entropy:
        m = np.array(law.starting[: law.size])
        found = m @ Legendre(law.size).slopes(np.array([0.0, 1.0]))[: len(m)]
        if not np.all(found > 0):
            accepted = "two or more coefficients with which it rises at 0 and 1, where convex_ends = true"
            raise InputError(source, key, f"slopes {found[0]:g} and {found[1]:g}", accepted)


def _check_crystal(source: Path, case: Case) -> None:
    """Check what only the phase-field crystal asks for."""
    if not isinstance(case.laws, CrystalLaws):
        return
    where = f', where model = "{case.model}"'
    if case.domain.boundary == "from-images":
        raise InputError(source, "domain.boundary", '"from-images"', f'"periodic" or "no-flux"{where}')
    if case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", _toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
    kernel, key = case.laws.direct_correlation, "laws.direct_correlation"
    least, most = KERNEL_SIZES[kernel.basis]
    if kernel.size is not None and not least <= kernel.size <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(source, f"{key}.size", kernel.size, f'{accepted}, where basis = "{kernel.basis}"')
    given = kernel.coefficients
    if kernel.basis == "quartic" and given and not (len(given) == 3 and given[2] < 0):
        raise InputError(source, f"{key}.coefficients", list(given), "three numbers, the last one below zero")


def _override(source: Path, table: dict[str, Any], override: str) -> None:
    dotted, equals, value = (part.strip() for part in override.partition("="))
    *sections, key = dotted.split(".")
    if not equals or not all((*sections, key)):
        raise InputError(source, "override", _toml(override), "key.path=value")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(source, dotted, f"{section} = {_toml(table)}, which holds no keys", "a key of a section")
    with suppress(ValueError, RecursionError):
        value = tomllib.loads(f"value = {value}")["value"]
    table[key] = value


def _section(source: Path, kind: type, table: Any, name: str) -> Any:
    """Return a section of a case file as an object of its class."""
    if not isinstance(table, dict):
        raise InputError(source, name, _toml(table), _accepted(kind, {}))
    prefix = f"{name}." if name else ""
    known = [spec.name for spec in fields(kind)]
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
            raise InputError(source, prefix + key, f"an unknown key (nearest: {nearest})", ", ".join(known))
    values = {}
    for spec in fields(kind):
        key, rules = prefix + spec.name, spec.metadata
        accepted = rules["by_model"][values["model"]] if "by_model" in rules else spec.type
        if spec.name in table:
            values[spec.name] = _value(source, accepted, rules, table[spec.name], key)
        elif spec.default is MISSING:
            raise InputError(source, key, "nothing", _accepted(accepted, rules))
    section = kind(**values)
    _check_together(source, section, table, prefix)
    return section


def _check_together(source: Path, section: Any, table: dict[str, Any], prefix: str) -> None:
    for spec in fields(section):
        key, value, rules = prefix + spec.name, getattr(section, spec.name), spec.metadata
        most = getattr(section, rules["size"]) if "size" in rules else None
        if most is not None and len(value) > most:
            accepted = f"at most {most} ({prefix}{rules['size']})"
            raise InputError(source, key, f"{len(value)} numbers", accepted)
        if spec.name in table and rules.get("instead_of") in table:
            raise InputError(source, key, f"{spec.name} beside {rules['instead_of']}", "one of the two")


def _value(source: Path, kind: Any, rules: Mapping[str, Any], value: Any, name: str) -> Any:
    for section in (kind, *get_args(kind)):
        if is_dataclass(section):
            return _section(source, section, value, name)
    converted = _convert(value, kind, rules, source.absolute().parent)
    if converted is None:
        raise InputError(source, name, _toml(value), _accepted(kind, rules))
    return converted


def _convert(value: Any, kind: Any, rules: Mapping[str, Any], folder: Path) -> Any:
    """Return a TOML value as a `kind`; None if it is none or breaks the rules."""
    if isinstance(kind, UnionType):
        found = (_convert(value, option, rules, folder) for option in get_args(kind))
        return next((value for value in found if value is not None), None)
    if get_origin(kind) is tuple and isinstance(value, list):
        items = tuple(_convert(item, get_args(kind)[0], rules, folder) for item in value)
        return None if None in items else items
    if kind is Path and isinstance(value, str) and value and os.path.exists(folder / value):
        return (folder / value).resolve()
    if (kind is bool and isinstance(value, bool)) or (kind is str and value in rules["choices"]):
        return value
    number = type(value) is kind is int or (kind is float and type(value) in (int, float))
    return kind(value) if number and _in_bounds(value, rules) else None


def _in_bounds(value: float, rules: Mapping[str, float]) -> bool:
    # The limit of floats refuses NaN, infinity and integers that no float can hold.
    within = rules.get("above", -math.inf) < value < rules.get("below", math.inf)
    return within and value >= rules.get("least", -math.inf) and abs(value) <= sys.float_info.max


def _accepted(kind: Any, rules: Mapping[str, Any]) -> str:
    """Say in words what `_convert` or `_section` takes."""
    if isinstance(kind, UnionType):
        return " or ".join(_accepted(option, rules) for option in get_args(kind) if option is not NoneType)
    if is_dataclass(kind):
        return f"a section with the keys {', '.join(spec.name for spec in fields(kind))}"
    if get_origin(kind) is tuple:
        return f"a list, each item {_accepted(get_args(kind)[0], rules)}"
    if kind is str:
        return " or ".join(map(_toml, rules["choices"]))
    words = {int: "an integer", float: "a finite number", bool: "true or false", Path: "an existing file or folder"}
    signs = {"above": ">", "least": ">=", "below": "<"}
    bounds = [f"{sign} {rules[rule]}" for rule, sign in signs.items() if rule in rules and kind in (int, float)]
    return " ".join((words[kind], " and ".join(bounds))).strip()


def _toml(value: Any) -> str:
    """Return a value as TOML text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        # A JSON string is a TOML string but for one character.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def _lines(section: Any, name: str) -> list[str]:
    """Return the lines of a section: its keys, then the sections inside it."""
    values = {spec.name: getattr(section, spec.name) for spec in fields(section)}
    replaced = {spec.metadata.get("instead_of") for spec in fields(section) if values[spec.name] is not None}
    given = {key: value for key, value in values.items() if value is not None and key not in replaced}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items() if not is_dataclass(value)]
    if name and lines:
        lines = ["", f"[{name}]", *lines]
    for key, value in given.items():
        if is_dataclass(value):
            lines += _lines(value, f"{name}.{key}" if name else key)
    return lines
