"""A commented case to begin with, and the JSON schema of case files, both made from what the sections declare."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.models import parts
from fe_phaseinv.cli.reading import accepted
from fe_phaseinv.cli.sections import ELSEWHERE
from fe_phaseinv.cli.writing import toml
from fe_phaseinv.models.built_in import BUILT_IN

WIDTH = 100
HEADER = """# A case of fe-phaseinv: fe-phaseinv check case.toml, then fe-phaseinv invert case.toml --output out.
# Paths start from this folder. What begins with "# key = " is optional and has no value unless it is given."""
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", NoneType: "null"}
BOUNDS = {"above": "exclusiveMinimum", "least": "minimum", "below": "exclusiveMaximum"}


def template(model: str | Path, schema: str | None = None, folder: Path | None = None) -> str:
    """Return a case file with every key, its default and a comment, which is valid once its images exist.

    Parameters
    ----------
    model : str or pathlib.Path
        Name of the model, or ``file.py:Class``.
    schema : str, optional
        Path of the JSON schema, which editors look for in the first line.
    folder : pathlib.Path, optional
        Where the file will lie, from which the path of the model starts; it is absolute where not given.
    """
    first = [f"#:schema {schema}"] if schema else []
    return "\n".join([*first, HEADER, *_template(Case, "", {"model": model}, folder=folder)]) + "\n"


def _template(
    kind: type,
    name: str,
    given: Mapping[str, Any],
    *,
    optional: bool = False,
    says: str | None = None,
    folder: Path | None = None,
) -> list[str]:
    """Return the lines of a section, all of them comments where it is optional."""
    mark, written, inside = "# " if optional else "", [], []
    for spec in fields(kind):
        section = _section_of(spec, given)
        if section:
            below = f"{name}.{spec.name}" if name else spec.name
            starts, text = spec.metadata.get("starts", {}), f"{spec.metadata['says']}." if name == "laws" else None
            inside += _template(section, below, starts, optional=optional or spec.default in (None, ()), says=text)
            continue
        if "by_model" in spec.metadata:
            continue
        written += _comment(f"{_says(spec)}.")
        value = given.get(spec.name, spec.metadata.get("example", spec.default))
        shown = value not in (None, ()) and value is not MISSING
        written.append(f"{mark}{spec.name} = {toml(value, folder)}" if shown else f"# {spec.name} =")
    begun = ["", *_comment(says or kind.__doc__), f"{mark}[{name}]"] if name and written else []
    return begun + written + inside


def _section_of(spec: Field, given: Mapping[str, Any]) -> type | None:
    """Return the class of the section that a key holds, if it is one; of some that of the model."""
    if "by_model" in spec.metadata:
        return spec.metadata["by_model"](given["model"])
    kinds = (spec.type, *get_args(spec.type))
    return next((kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)), None)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _says(spec: Field) -> str:
    """Return what a key is for, with the texts among which it chooses."""
    choices = (spec.type is str or "member" in spec.metadata) and "choices" in spec.metadata
    return spec.metadata["says"] + (f": {accepted(spec.type, spec.metadata)}" if choices else "")


def json_schema(model: str | Path | None = None) -> dict[str, Any]:
    """Return the JSON schema of case files, by which editors complete and check them.

    Parameters
    ----------
    model : str or pathlib.Path, optional
        One in a file, besides those of the package.
    """
    whole = _schema(Case)
    chosen = [spec for spec in fields(Case) if "by_model" in spec.metadata]
    whole["required"] = [key for key in whole["required"] if key not in {spec.name for spec in chosen} - {"laws"}]
    whole["properties"] |= {path[0]: {"type": "object"} for path in ELSEWHERE.values() if len(path) == 1}
    rules = {name: {"const": name} for name in BUILT_IN}
    if isinstance(model, Path):
        rules[model] = {"pattern": f":{parts(model)[1]}$"}
    whole["allOf"] = [
        {"if": {"properties": {"model": rule}}, "then": {"properties": _of_model(chosen, name)}}
        for name, rule in rules.items()
    ]
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "A case of fe-phaseinv"} | whole


def _of_model(chosen: Sequence[Field], model: str | Path) -> dict[str, Any]:
    """Return the schema of the sections that a model decides on."""
    kinds = {spec.name: spec.metadata["by_model"](model) for spec in chosen}
    sections = {name: _schema(kind) for name, kind in kinds.items() if kind is not None}
    for option, value in sections.get("options", {"properties": {}})["properties"].items():
        first, *rest = ELSEWHERE.get(option, ("options",))
        place = sections.setdefault(first, {"type": "object", "properties": {}})
        for key in rest:
            place = place["properties"].get(key, {"properties": {}})
        place["properties"][option] = value
    return sections


def _schema(kind: type) -> dict[str, Any]:
    """Return the schema of a section."""
    properties = {spec.name: _value(spec.type, spec.metadata) | _described(spec) for spec in fields(kind)}
    required = [spec.name for spec in fields(kind) if spec.default is MISSING]
    section = {"type": "object", "description": kind.__doc__, "properties": properties}
    return section | {"required": required, "additionalProperties": False}


def _described(spec: Field) -> dict[str, Any]:
    described = {"description": f"{spec.metadata['says']}."}
    plain = spec.default is not MISSING and spec.default is not None and not is_dataclass(spec.default)
    return described | ({"default": spec.default} if plain else {})


def _value(kind: Any, rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a value of a type, with its rules."""
    if get_origin(kind) is dict:
        return {"type": "object"}
    if isinstance(kind, UnionType):
        options = [_value(option, rules) for option in get_args(kind) if option is not NoneType]
        return options[0] if len(options) == 1 else {"anyOf": options}
    if is_dataclass(kind):
        return _schema(kind)
    if get_origin(kind) is tuple:
        items = _value(get_args(kind)[0], rules)
        several = {"type": "array", "items": items}
        return {"anyOf": [items, several | {"minItems": 1}]} if items.get("type") == "object" else several
    value = {"type": TYPES[kind]}
    if kind is str and "choices" in rules:
        value["enum"] = list(rules["choices"])
    if kind in (int, float):
        value |= {word: rules[rule] for rule, word in BOUNDS.items() if rule in rules}
    return value
