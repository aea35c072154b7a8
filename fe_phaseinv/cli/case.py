"""Case files: what a run is, as validated values."""

import difflib
import json
import math
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import numpy as np

from fe_phaseinv.cli.schema import (
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
    Number,
    Optimizer,
    Prior,
    Time,
    Uncertainty,
    declared,
)
from fe_phaseinv.core.errors import InputError, read_toml, refusing_unreadable
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.output.comparison import read_result


@dataclass(frozen=True, kw_only=True)
class Case:
    """A validated case; the attributes are the keys and sections of its file, of `images` one or several.

    `truth` is a file of true laws to be drawn, and `start` the result (its folder or result.json) of another case of
    the same model, on any mesh, with whose laws this one begins, but for those that it fixes.
    """

    model: str = declared(choices=tuple(LAWS))
    truth: Path | None = declared(None)
    start: Path | None = declared(None)
    images: tuple[Images, ...] = declared()
    domain: Domain = declared(Domain())
    laws: CahnHilliardLaws | AllenCahnLaws | CrystalLaws = declared(by_model=LAWS)
    time: Time = declared(Time())
    prior: Prior = declared(Prior())
    heterogeneity: Field | None = declared(None)
    optimizer: Optimizer = declared(Optimizer())
    uncertainty: Uncertainty = declared(Uncertainty())

    @property
    def names(self) -> list[str]:
        """How errors name each series of images."""
        return _item_names("images", self.images)

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
        If the file cannot be read or is no TOML, a key is unknown or missing, or a value is refused, or the result to
        start from is none of the same model.
    """
    table = read_toml(path := Path(path), "a case file (TOML)")
    for override in overrides:
        _override(path, table, override)
    case = _started(_section(path, Case, table, ""))
    _check_potential(path, case.laws.chemical_potential)
    _check_crystal(path, case)
    for key, domain in _domains(case):
        _check_domain(path, key, domain)
    _check_series(path, case)
    return case


def _started(case: Case) -> Case:
    """Return a case with laws that start where those of the result are that it names."""
    if case.start is None:
        return case
    path = case.start / "result.json" if case.start.is_dir() else case.start
    found, laws = read_result(path), {}
    if found.get("model") != case.model:
        raise InputError(path, "model", found.get("model"), f'the result of a case with model = "{case.model}"')
    for spec in fields(case.laws):
        with refusing_unreadable(path, f"a result with the law {spec.name}"):
            laws[spec.name] = _law_from(getattr(case.laws, spec.name), found["laws"][spec.name])
    return replace(case, laws=replace(case.laws, **laws))


def _law_from(law: Curve | Number, found: dict[str, Any]) -> Curve | Number:
    """Return a law that starts as it was found, as far as it has coefficients, unless it is fixed elsewhere."""
    if isinstance(law, Number):
        return replace(law, initial=float(found["value"])) if law.fixed is None else law
    if law.fixed and law.coefficients:
        return law
    return replace(law, coefficients=tuple(map(float, found["coefficients"]))[: law.size])


def _domains(case: Case) -> list[tuple[str, Domain]]:
    """Return all domains that a case describes, with their keys."""
    own = [(f"{name}.domain", images.domain) for name, images in zip(case.names, case.images, strict=True)]
    return [("domain", case.domain), *((key, domain) for key, domain in own if domain is not None)]


def _check_domain(source: Path, key: str, domain: Domain) -> None:
    if domain.tags is not None and domain.boundary != "from-images":
        accepted = f'none, unless {key}.boundary = "from-images"'
        raise InputError(source, f"{key}.tags", list(domain.tags), accepted)
    if domain.boundary == "periodic" and domain.mesh not in ("rectangle", "box"):
        accepted = f'"rectangle" or "box", where {key}.boundary = "periodic"'
        raise InputError(source, f"{key}.mesh", domain.mesh, accepted)


def _check_series(source: Path, case: Case) -> None:
    """Check what several series of images ask for."""
    if len(case.images) == 1:
        return
    where = f", where there are {len(case.images)} series of images"
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
    if case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", _toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    for name, images in zip(case.names, case.images, strict=True):
        if (images.noise == 0) != (case.images[0].noise == 0):
            accepted = "noise of all series of images, or of none"
            found = f"{_toml(images.noise)} beside {_toml(case.images[0].noise)} of {case.names[0]}"
            raise InputError(source, f"{name}.noise", found, accepted)


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
    for key, domain in _domains(case):
        if domain.boundary == "from-images":
            raise InputError(source, f"{key}.boundary", '"from-images"', f'"periodic" or "no-flux"{where}')
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
    for section, following in pairwise((*sections, key)):
        table = table[int(section)] if isinstance(table, list) else table.setdefault(section, {})
        if isinstance(table, list) and table and all(isinstance(item, dict) for item in table):
            if following not in map(str, range(len(table))):
                found = f"{following} of {section}, a list of {len(table)} sections"
                raise InputError(source, dotted, found, f"{section}.0 to {section}.{len(table) - 1}")
        elif not isinstance(table, dict):
            raise InputError(source, dotted, f"{section} = {_toml(table)}, which holds no keys", "a key of a section")
    with suppress(ValueError, RecursionError):
        value = tomllib.loads(f"value = {value}")["value"]
    table[int(key) if isinstance(table, list) else key] = value


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
    if get_origin(kind) is tuple and is_dataclass(section := get_args(kind)[0]):
        items = value if isinstance(value, list) and value else [value]
        return tuple(_section(source, section, *pair) for pair in zip(items, _item_names(name, items), strict=True))
    for section in (kind, *get_args(kind)):
        if is_dataclass(section):
            return _section(source, section, value, name)
    converted = _convert(value, kind, rules, source.absolute().parent)
    if converted is None:
        raise InputError(source, name, _toml(value), _accepted(kind, rules))
    return converted


def _item_names(name: str, items: Sequence[Any]) -> list[str]:
    """Name the only item of a list as the list, and each of several ones by its index."""
    return [name] if len(items) == 1 else [f"{name}[{index}]" for index in range(len(items))]


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
    if kind in (bool, str) and isinstance(value, kind):
        return value if kind is bool or value in rules.get("choices", (value,)) else None
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
    if get_origin(kind) is tuple and is_dataclass(get_args(kind)[0]):
        return f"{_accepted(get_args(kind)[0], rules)}, or a list of such sections"
    if get_origin(kind) is tuple:
        return f"a list, each item {_accepted(get_args(kind)[0], rules)}"
    if kind is str:
        return " or ".join(map(_toml, rules.get("choices", ()))) or "a text"
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


def _lines(section: Any, name: str, listed: bool = False) -> list[str]:
    """Return the lines of a section, or of an item of a list of sections: its keys, then the sections inside it."""
    values = {spec.name: getattr(section, spec.name) for spec in fields(section)}
    replaced = {spec.metadata.get("instead_of") for spec in fields(section) if values[spec.name] is not None}
    given = {key: value for key, value in values.items() if value is not None and key not in replaced}
    inside = {key: _sections(value) for key, value in given.items() if _sections(value)}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items() if key not in inside]
    if name and lines:
        lines = ["", f"[[{name}]]" if listed else f"[{name}]", *lines]
    for key, sections in inside.items():
        for each in sections:
            lines += _lines(each, f"{name}.{key}" if name else key, len(sections) > 1)
    return lines


def _sections(value: Any) -> tuple[Any, ...]:
    """Return the sections that a value is, or of which it is a list."""
    return tuple(item for item in (value if isinstance(value, tuple) else (value,)) if is_dataclass(item))
