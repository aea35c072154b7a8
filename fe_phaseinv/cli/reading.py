"""From the tables of a TOML file to the dataclasses of its sections, by what these declare of each key."""

from __future__ import annotations

import difflib
import math
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from fe_phaseinv.cli.writing import toml
from fe_phaseinv.core.errors import InputError


@dataclass(frozen=True)
class Reader:
    """What reads the sections of one file.

    Parameters
    ----------
    source : pathlib.Path
        The file, for errors; relative paths in it start from its folder.
    existing : bool
        Whether the files that it names must exist.
    moved : mapping of str
        By key, where it stands in the file, if elsewhere.
    """

    source: Path
    existing: bool = True
    moved: Mapping[str, str] = field(default_factory=dict)

    def section(self, kind: type, table: Any, name: str = "") -> Any:
        """Return a section of the file as an object of its class.

        Parameters
        ----------
        kind : type
            The class, a dataclass whose fields are `declared`.
        table : dict
            What the file holds.
        name : str
            Of the section, dotted; empty for the whole file.

        Raises
        ------
        InputError
            Where a key is unknown or missing, or a value is refused.
        """
        if not isinstance(table, dict):
            raise self._refusal(name, toml(table), accepted(kind, {}))
        prefix = f"{name}." if name else ""
        known = [spec.name for spec in fields(kind)]
        for key in table:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
                raise self._refusal(prefix + key, f"an unknown key (nearest: {nearest})", ", ".join(known))
        values = {}
        for spec in fields(kind):
            key, rules = prefix + spec.name, spec.metadata
            if "by_model" in rules:
                values[spec.name] = self._of_model(spec, values["model"], table)
            elif spec.name in table:
                values[spec.name] = self._value(spec.type, rules, table[spec.name], key)
            elif spec.default is MISSING:
                raise self._refusal(key, "nothing", accepted(spec.type, rules))
        section = kind(**values)
        self._check_together(section, table, prefix)
        return section

    def _of_model(self, spec: Field, model: str | Path, table: dict[str, Any]) -> Any:
        """Return a section whose class the model decides on: a dictionary where its keys are not known beforehand."""
        kind = spec.metadata["by_model"](model)
        if kind is None:
            if spec.name in table:
                first = "".join(f".{key}" for key in list(table[spec.name])[:1])
                raise self._refusal(spec.name + first, "an unknown key", f"none, where model = {toml(model)}")
            return {} if get_origin(spec.type) is dict else None
        if spec.name not in table and any(key.default is MISSING for key in fields(kind)):
            raise self._refusal(spec.name, "nothing", accepted(kind, {}))
        section = self.section(kind, table.get(spec.name, {}), spec.name)
        return vars(section) if get_origin(spec.type) is dict else section

    def _refusal(self, key: str, found: object, wanted: str) -> InputError:
        return InputError(self.source, self.moved.get(key, key), found, wanted)

    def _check_together(self, section: Any, table: dict[str, Any], prefix: str) -> None:
        for spec in fields(section):
            key, value, rules = prefix + spec.name, getattr(section, spec.name), spec.metadata
            most = getattr(section, rules["size"]) if "size" in rules else None
            if most is not None and len(value) > most:
                raise self._refusal(key, f"{len(value)} numbers", f"at most {most} ({prefix}{rules['size']})")
            if spec.name in table and rules.get("instead_of") in table:
                raise self._refusal(key, f"{spec.name} beside {rules['instead_of']}", "one of the two")

    def _value(self, kind: Any, rules: Mapping[str, Any], value: Any, name: str) -> Any:
        if get_origin(kind) is tuple and is_dataclass(section := get_args(kind)[0]):
            items = value if isinstance(value, list) and value else [value]
            return tuple(self.section(section, *pair) for pair in zip(items, item_names(name, items), strict=True))
        for section in (kind, *get_args(kind)):
            if is_dataclass(section):
                return self.section(section, value, name)
        converted = self._convert(value, kind, rules)
        if converted is None:
            raise self._refusal(name, toml(value), accepted(kind, rules))
        return converted

    def _convert(self, value: Any, kind: Any, rules: Mapping[str, Any]) -> Any:
        """Return a TOML value as a `kind`; None if it is none or breaks the rules."""
        if isinstance(kind, UnionType):
            found = (self._convert(value, option, rules) for option in get_args(kind))
            return next((value for value in found if value is not None), None)
        if get_origin(kind) is tuple and isinstance(value, list):
            first, *others = get_args(kind)
            if others != [...] and len(value) != 1 + len(others):
                return None
            items = tuple(self._convert(item, first, rules) for item in value)
            return None if None in items else items
        if kind is Path and isinstance(value, str) and value:
            path = self.source.absolute().parent / value
            file = str(path).rpartition(":")[0] if "member" in rules else path
            return path.resolve() if os.path.exists(file) or not self.existing else None
        if kind in (bool, str) and isinstance(value, kind):
            return value if kind is bool or value in rules.get("choices", (value,)) else None
        number = type(value) is kind is int or (kind is float and type(value) in (int, float))
        return kind(value) if number and _in_bounds(value, rules) else None


def override(source: Path, table: dict[str, Any], text: str) -> None:
    """Replace or add a key of a file's table.

    Parameters
    ----------
    source : pathlib.Path
        The file, for errors.
    table : dict
        What it holds; changed.
    text : str
        ``key.path=value``; the value is TOML, or else a text.

    Raises
    ------
    InputError
        Where the text or the place is none.
    """
    dotted, equals, value = (part.strip() for part in text.partition("="))
    *sections, key = dotted.split(".")
    if not equals or not all((*sections, key)):
        raise InputError(source, "override", toml(text), "key.path=value")
    for section, following in pairwise((*sections, key)):
        table = table[int(section)] if isinstance(table, list) else table.setdefault(section, {})
        if isinstance(table, list) and table and all(isinstance(item, dict) for item in table):
            if following not in map(str, range(len(table))):
                found = f"{following} of {section}, a list of {len(table)} sections"
                raise InputError(source, dotted, found, f"{section}.0 to {section}.{len(table) - 1}")
        elif not isinstance(table, dict):
            raise InputError(source, dotted, f"{section} = {toml(table)}, which holds no keys", "a key of a section")
    with suppress(ValueError, RecursionError):
        value = tomllib.loads(f"value = {value}")["value"]
    table[int(key) if isinstance(table, list) else key] = value


def item_names(name: str, items: Sequence[Any]) -> list[str]:
    """Name the only item of a list as the list, and each of several ones by its index.

    Parameters
    ----------
    name : str
        Of the list.
    items : sequence
    """
    return [name] if len(items) == 1 else [f"{name}[{index}]" for index in range(len(items))]


def accepted(kind: Any, rules: Mapping[str, Any]) -> str:
    """Say in words what a key takes.

    Parameters
    ----------
    kind : type
        Of its value.
    rules : mapping
        Those with which it is `declared`.
    """
    if isinstance(kind, UnionType):
        return " or ".join(accepted(option, rules) for option in get_args(kind) if option is not NoneType)
    if is_dataclass(kind):
        return f"a section with the keys {', '.join(spec.name for spec in fields(kind))}"
    if get_origin(kind) is tuple and is_dataclass(get_args(kind)[0]):
        return f"{accepted(get_args(kind)[0], rules)}, or a list of such sections"
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        length = "a list" if others == [...] else f"a list of {1 + len(others)}"
        return f"{length}, each item {accepted(first, rules)}"
    if kind is Path and "member" in rules:
        return 'a class in an existing file, "file.py:Class"'
    if kind is str:
        return " or ".join(map(toml, rules.get("choices", ()))) or "a text"
    words = {int: "an integer", float: "a finite number", bool: "true or false", Path: "an existing file or folder"}
    signs = {"above": ">", "least": ">=", "below": "<"}
    bounds = [f"{sign} {rules[rule]}" for rule, sign in signs.items() if rule in rules and kind in (int, float)]
    return " ".join((words[kind], " and ".join(bounds))).strip()


def _in_bounds(value: float, rules: Mapping[str, float]) -> bool:
    # The limit of floats refuses NaN, infinity and integers that no float can hold.
    within = rules.get("above", -math.inf) < value < rules.get("below", math.inf)
    return within and value >= rules.get("least", -math.inf) and abs(value) <= sys.float_info.max
