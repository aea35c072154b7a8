"""From the dataclasses of a case file's sections to TOML."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin


def toml(value: Any, folder: Path | None = None) -> str:
    """Return a value as TOML text.

    Parameters
    ----------
    value : bool, str, pathlib.Path, number, or list or tuple of them
    folder : pathlib.Path, optional
        From which paths start; they are absolute where it is not given.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path) and folder:
        value = os.path.relpath(value, folder)
    if isinstance(value, str | Path):
        # A JSON string is a TOML string but for one character.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(item, folder) for item in value)}]"
    return str(value)


def lines(section: Any, name: str = "", *, listed: bool = False, folder: Path | None = None) -> list[str]:
    """Return the lines of a section: its keys, then the sections inside it.

    Parameters
    ----------
    section : object
        Of a dataclass whose fields are `declared`, or a dictionary.
    name : str
        Of the section, dotted; empty for the whole file.
    listed : bool
        Whether it is an item of a list of sections.
    folder : pathlib.Path, optional
        From which paths start; they are absolute where it is not given.
    """
    specs = () if isinstance(section, dict) else fields(section)
    values = section if isinstance(section, dict) else {spec.name: getattr(section, spec.name) for spec in specs}
    replaced = {spec.metadata.get("instead_of") for spec in specs if values[spec.name] is not None}
    none = {spec.name for spec in specs if values[spec.name] == () and _lists_sections(spec.type)}
    given = {key: value for key, value in values.items() if value is not None and key not in replaced | none}
    inside = {key: _sections(value) for key, value in given.items() if _sections(value)}
    written = [f"{key} = {toml(value, folder)}" for key, value in given.items() if key not in inside]
    if name and written:
        written = ["", f"[[{name}]]" if listed else f"[{name}]", *written]
    for key, sections in inside.items():
        for each in sections:
            written += lines(each, f"{name}.{key}" if name else key, listed=len(sections) > 1, folder=folder)
    return written


def _sections(value: Any) -> tuple[Any, ...]:
    """Return the sections that a value is, or of which it is a list."""
    items = value if isinstance(value, tuple) else (value,)
    return tuple(item for item in items if is_dataclass(item) or isinstance(item, dict))


def _lists_sections(kind: Any) -> bool:
    """Whether the values of a type are lists of sections, of which an empty one is written as nothing."""
    return get_origin(kind) is tuple and is_dataclass(get_args(kind)[0])
