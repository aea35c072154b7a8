"""The files of a result, the numbers before the figures, so that a figure that fails costs no result."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.output.figures import figures, rendered
from fe_phaseinv.output.result import Fitted, Result, numbered
from fe_phaseinv.output.summary import scalars_table, summary, table

KINDS = ("png", "pdf")


def write(folder: Path, result: Result) -> list[Path]:
    """Write all files of a result but those of its fields: `write_values`, then `write_figures`.

    Nothing here is collective, so that one process can do it alone.

    Parameters
    ----------
    folder : pathlib.Path
        Made where it is missing.
    result : Result

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    return write_values(folder, result) + write_figures(folder, result)


def write_values(folder: Path, result: Result) -> list[Path]:
    """Write result.json, curves.csv and, where there are such, scalars.csv and heterogeneity.npz.

    With several series of images there is one of the latter for each, scalars-1.csv and so on.

    Parameters
    ----------
    folder : pathlib.Path
        Made where it is missing.
    result : Result

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = summary(result)
    files: dict[str, bytes | str] = {"result.json": as_json(content)}
    files["curves.csv"] = table(content["laws"], result.model.fields[0].name)
    for name, scalars in numbered("scalars", result.scalars).items():
        if scalars:
            files[f"{name}.csv"] = scalars_table(scalars)
    for name, images in numbered("heterogeneity", result.images).items():
        if images.map is not None:
            files[f"{name}.npz"] = _map_file(images)
    for name, data in files.items():
        write_atomically(folder / name, data)
    return [folder / name for name in files]


def write_figures(folder: Path, result: Result) -> list[Path]:
    """Draw each figure and write it as png and pdf; one that fails is a `DataWarning`, here and in result.json.

    Parameters
    ----------
    folder : pathlib.Path
        Where `write_values` has written.
    result : Result

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    paths, doubts = [], []
    for name, draw in figures(result).items():
        try:
            figure = draw()
            drawn = drawn_files(name, figure)
        except Exception as error:  # whatever matplotlib raises, the numbers are there
            doubts.append(" ".join(f"figure {name} was not drawn ({type(error).__name__}: {error})".split()))
            warnings.warn(doubts[-1], DataWarning, stacklevel=2)
            continue
        for file, data in drawn.items():
            write_atomically(folder / file, data)
        paths += [folder / file for file in drawn]
    if doubts:
        write_values(folder, replace(result, warnings=(*result.warnings, *doubts)))
    return paths


def as_json(content: Mapping[str, Any]) -> str:
    """Return the text of a file of strict JSON, a line for each key.

    Parameters
    ----------
    content : mapping
        Plain values, as `plain` of `summary` gives them.
    """
    lines = [f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def drawn_files(name: str, figure) -> dict[str, bytes]:
    """Return the files of a figure, by their names.

    Parameters
    ----------
    name : str
        Of the figure.
    figure : matplotlib.figure.Figure
    """
    return {f"{name}.{kind}": rendered(figure, kind) for kind in KINDS}


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file so that at any moment the whole old or the whole new one is there.

    Parameters
    ----------
    path : pathlib.Path
    data : bytes or str
        Text becomes UTF-8.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _map_file(images: Fitted) -> bytes:
    """Return the map and, where it is known, its deviation as a NumPy archive with the keys of an image file."""
    buffer, learnt = BytesIO(), images.map
    deviations = {"deviation": learnt.deviation, "level_deviation": learnt.level_deviation}
    known = {"level": learnt.level} | {key: value for key, value in deviations.items() if value is not None}
    np.savez_compressed(buffer, heterogeneity=learnt.value, **known, extent=images.extent, origin=images.origin)
    return buffer.getvalue()
