"""The content of a result as plain values: that of result.json and the table of curves.csv."""

from __future__ import annotations

import csv
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from typing import Any

import numpy as np

from fe_phaseinv.core.version import __version__
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.identifiability import Identifiability
from fe_phaseinv.inference.refinement import Refinement
from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Law, Relation
from fe_phaseinv.output.fitted import Fitted, Held, Tracked
from fe_phaseinv.output.reading import compared
from fe_phaseinv.output.result import POINTS, Result

COLUMNS = ("value", "slope", "slope_lower", "slope_upper", "lower", "upper")
"""What curves.csv has of a law."""
PACKAGES = ("firedrake", "pyadjoint-ad", "petsc4py", "numpy", "scipy")


def summary(result: Result) -> dict[str, Any]:
    """Return the content of result.json: strict JSON, with null for what is not finite.

    Parameters
    ----------
    result : Result
    """
    before, after = (
        ("status", "iterations", "cost", "misfit_rms"),
        ("history", "counts", "seconds", "ranks", "warnings"),
    )
    content = {"model": result.model.name} | {key: getattr(result, key) for key in before}
    content["laws"] = {name: law_summary(result, law) for name, law in result.laws.items()}
    length, time = result.units
    content["units"] = {"length": length, "time": time, "laws": {name: result.unit(name) for name in result.laws}}
    content["scalars"] = _scalars(result)
    content["compared"] = [asdict(item) for item in compared(result.model)]
    content["identifiability"] = _identifiability(result.identifiability)
    content["images"] = [_images(images) for images in result.images]
    if result.validation is not None:
        content["validation"] = _validation(result.validation)
    content["goodness"] = _goodness(result.goodness)
    if result.refinement is not None:
        content["refinement"] = _refinement(result.refinement)
    if result.evidence is not None:
        content["evidence"] = vars(result.evidence)
    return plain(content | {key: getattr(result, key) for key in after} | {"versions": _versions()})


def _images(images: Fitted) -> dict[str, Any]:
    """Return what result.json says of a series of images."""
    found = {key: getattr(images, key) for key in ("source", "frames", "misfit_rms")}
    if images.outline is not None:
        found["outline"] = asdict(images.outline) | {"words": images.outline.sentence()}
    return found | ({} if images.held_out is None else {"validation": _validation(images.held_out)})


def _validation(held_out: Held) -> dict[str, Any]:
    """Return how frames that were not fitted are predicted, in units of the pixels and of their noise."""
    return {"frames": held_out.frames, "rms": held_out.rms, "standardised": held_out.standardised}


def table(laws: dict[str, dict[str, Any]], shown: str) -> str:
    """Return the text of curves.csv.

    Parameters
    ----------
    laws : dict
        Those of `summary`.
    shown : str
        The argument whose column is z: the field that images show.
    """
    columns = {}
    for name, law in laws.items():
        if "," in law.get("argument", ""):
            continue
        if "z" in law:
            columns["z" if law["argument"] == shown else law["argument"]] = law["z"]
        for key in [key for key in COLUMNS if key in law]:
            values = np.array(law[key], float)
            columns[name if key == "value" else f"{name}_{key}"] = np.broadcast_to(values, POINTS)
    return _csv(columns)


def scalars_table(scalars: dict[str, Tracked]) -> str:
    """Return the text of scalars.csv.

    Parameters
    ----------
    scalars : dict of Tracked
        Of one series.
    """
    columns = {}
    for name, tracked in scalars.items():
        for key, values in tracked.columns.items():
            columns[{"times": "time", "value": name}.get(key, f"{name}_{key}")] = values
    return _csv(columns)


def _csv(columns: dict[str, Any]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(np.column_stack(list(columns.values())).tolist())
    return text.getvalue()


def law_summary(result: Result, law: Law) -> dict[str, Any]:
    """Return what result.json says of a law.

    Parameters
    ----------
    result : Result
    law : Law
        One of the result.
    """
    relation, coefficients = law.relation, {"coefficients": law.relation.basis.standard() @ law.coefficients}
    if relation.basis.arguments > 1:
        places = result.arguments(relation.name)
        values = {"z": [place.ravel() for place in places], "value": law(*places)} | band(result, law, *places)
        return {"argument": relation.argument} | values | coefficients | structure(relation)
    z = result.points(relation.name)
    if isinstance(relation.basis, ConstantBasis):
        return {key: values[0] for key, values in ({"value": law(z)} | band(result, law, z)).items()}
    entry = {"argument": relation.argument, "z": z, "value": law(z)}
    if result.model.declared(relation.name).has_slope:
        entry["slope"] = law.slope(z)
        entry |= {f"slope_{end}": values for end, values in band(result, law, z, slope=True).items()}
    return entry | band(result, law, z) | coefficients | structure(relation)


def structure(relation: Relation) -> dict[str, Any]:
    """Return what the coefficients of a law mean: its basis with its parameters, the transform and the known part.

    Parameters
    ----------
    relation : Relation
    """
    basis, known = relation.basis, relation.known
    parameters = asdict(basis) if is_dataclass(basis) else {"size": basis.size}
    named = {"transform": relation.transform, "known": known}
    names = {key: call and getattr(call, "__name__", type(call).__name__) for key, call in named.items()}
    return {"basis": {"name": type(basis).__name__, **parameters}, **names}


def band(result: Result, law: Law, *z: np.ndarray, slope: bool = False) -> dict[str, np.ndarray]:
    """Return the 95 % band of a law; empty where the result has no posterior.

    Parameters
    ----------
    result : Result
    law : Law
    *z : numpy.ndarray
        Values of its argument, or of each of two.
    slope : bool
        Whether the band is that of the slope, of a law without transform.

    Returns
    -------
    dict of numpy.ndarray
        Ends of the band, "lower" and "upper".
    """
    if result.posterior is None:
        return {}
    band = result.posterior.slope_band if slope else result.posterior.band
    return dict(zip(("lower", "upper"), band(law.relation, *z), strict=True))


def _scalars(result: Result) -> dict[str, Any]:
    """Return what result.json says of numbers unknown at each time: of several series lists, one item for each."""
    every = [{name: tracked.columns for name, tracked in scalars.items()} for scalars in result.scalars]
    if len(every) < 2:
        return (every or [{}])[0]
    return {name: {key: [one[name].get(key) for one in every] for key in every[0][name]} for name in every[0]}


def _goodness(every: tuple[Goodness | None, ...]) -> dict[str, Any] | list[dict[str, Any] | None]:
    """Return what result.json says of the misfit, held against the noise: of several series a list."""
    contents = [one and vars(one) | {"words": one.sentence()} for one in every]
    return contents if len(contents) > 1 else (contents or [{}])[0]


def _refinement(found: Refinement) -> dict[str, Any]:
    """Return what result.json says of the errors of elements and steps that the laws are corrected for."""
    names = ("degree", "shown", "explained")
    return {name: getattr(found, name) for name in names} | {"words": found.sentence()}


def _identifiability(found: Identifiability | None) -> dict[str, Any] | None:
    return found and {
        "words": found.sentences(),
        "eigenvalues": found.eigenvalues,
        "directions": found.directions,
        "coefficients": {name: {"determined": seen, "of": size} for name, (seen, size) in found.numbers.items()},
        "gauge": found.gauge and asdict(found.gauge),
    }


def _versions() -> dict[str, str]:
    versions = {"fe_phaseinv": __version__}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions | {"python": platform.python_version()}


def plain(value: Any) -> Any:
    """Return a value as strict JSON knows it: null for what is not finite.

    Parameters
    ----------
    value : mapping, sequence, numpy.ndarray, number or text
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
