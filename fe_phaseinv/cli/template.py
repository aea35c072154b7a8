"""A commented case to begin with, and the JSON schema of case files, both made from what the sections declare."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.reading import accepted
from fe_phaseinv.cli.schema import LAWS
from fe_phaseinv.cli.writing import toml

WIDTH = 100
HEADER = """# A case of fe-phaseinv: fe-phaseinv check case.toml, then fe-phaseinv invert case.toml --output out.
# Paths start from this folder. What begins with "# key = " is optional and has no value unless it is given."""
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", NoneType: "null"}
BOUNDS = {"above": "exclusiveMinimum", "least": "minimum", "below": "exclusiveMaximum"}


def template(model: str, schema: str | None = None) -> str:
    """Return a case file with every key, its default and a comment, which is valid once its images exist.

    Parameters
    ----------
    model : str
        Name of the model.
    schema : str, optional
        Path of the JSON schema, which editors look for in the first line.
    """
    first = [f"#:schema {schema}"] if schema else []
    return "\n".join([*first, HEADER, *_template(Case, "", {"model": model})]) + "\n"


def _template(kind: type, name: str, given: Mapping[str, Any], optional: bool = False) -> list[str]:
    """Return the lines of a section, all of them comments where it is optional."""
    mark, written, inside = "# " if optional else "", [], []
    for spec in fields(kind):
        section = _section_of(spec, given)
        if section:
            below = f"{name}.{spec.name}" if name else spec.name
            inside += _template(section, below, {}, optional or spec.default is None)
            continue
        written += _comment(f"{_says(spec)}.")
        value = given.get(spec.name, spec.metadata.get("example", spec.default))
        shown = value not in (None, ()) and value is not MISSING
        written.append(f"{mark}{spec.name} = {toml(value)}" if shown else f"# {spec.name} =")
    return ["", *_comment(kind.__doc__), f"{mark}[{name}]", *written, *inside] if name and written else written + inside


def _section_of(spec: Field, given: Mapping[str, Any]) -> type | None:
    """Return the class of the section that a key holds, if it is one; of the laws that of the model."""
    if "by_model" in spec.metadata:
        return spec.metadata["by_model"][given["model"]]
    kinds = (spec.type, *get_args(spec.type))
    return next((kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)), None)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _says(spec: Field) -> str:
    """Return what a key is for, with the texts among which it chooses."""
    choices = spec.type is str and "choices" in spec.metadata
    return spec.metadata["says"] + (f": {accepted(spec.type, spec.metadata)}" if choices else "")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of case files, by which editors complete and check them."""
    whole = _schema(Case)
    laws = whole["properties"].pop("laws")
    whole["properties"]["laws"] = {"type": "object", "description": laws["description"]}
    whole["allOf"] = [
        {"if": {"properties": {"model": {"const": model}}}, "then": {"properties": {"laws": _schema(kind)}}}
        for model, kind in LAWS.items()
    ]
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "A case of fe-phaseinv"} | whole


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
