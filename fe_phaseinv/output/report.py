"""What an inversion found, as files: numbers, tables, figures and fields."""

from __future__ import annotations

import csv
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO, StringIO
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.core.version import __version__
from fe_phaseinv.inference.identifiability import Identifiability
from fe_phaseinv.laws.bases import COMPLEX_STEP, ConstantBasis
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.output.result import Fitted, Result

POTENTIAL, ENERGY, KERNEL = "chemical_potential", "gradient_energy", "direct_correlation"
FURTHEST, DRAWN = 4.0, 1.75
"""Multiples of its wavenumber up to which a kernel is tabulated and drawn: short waves decay before they are seen."""
POINTS = 201
"""Number of points at which a curve is tabulated."""
SYMBOLS = {
    POTENTIAL: r"\mu_h",
    ENERGY: r"\kappa",
    KERNEL: r"\hat C_2",
    "diffusivity": "D",
    "kinetic_prefactor": "R_0",
}
ARGUMENTS = {"eta": r"\eta"}
TRUTH_KEYS = {POTENTIAL: "mu", ENERGY: "kappa", KERNEL: "C2hat", "diffusivity": "D", "kinetic_prefactor": "R0"}
PACKAGES = ("firedrake", "pyadjoint-ad", "petsc4py", "numpy", "scipy")
MARGIN = 0.02
"""Curves are drawn this far beyond either end of the data's range."""
LEARNT, TRUE, SHADE, MISSING = "#0072B2", "#222222", "#F1F1F1", "#D0D0D0"
STAGE_COLOURS = ("#E69F00", LEARNT, "#009E73", "#CC79A7")


def summary(result: Result) -> dict[str, Any]:
    """Return the content of result.json: strict JSON, with null for what is not finite."""
    before, after = ("model", "status", "iterations", "cost", "misfit_rms"), ("history", "counts", "seconds", "ranks")
    content = {key: getattr(result, key) for key in before}
    content["laws"] = {name: _law_summary(result, law) for name, law in result.laws.items()}
    content["identifiability"] = _identifiability(result.identifiability)
    shown = ("source", "frames", "misfit_rms")
    content["images"] = [{key: getattr(images, key) for key in shown} for images in result.images]
    return _plain(content | {key: getattr(result, key) for key in after} | {"versions": _versions()})


def write(folder: Path, result: Result) -> list[Path]:
    """Write result.json, curves.csv and the figures (png and pdf) into a folder, made where it is missing.

    Returns
    -------
    list of pathlib.Path
        The files. Nothing here is collective, so that one process can do it alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = summary(result)
    lines = [f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items()]
    files: dict[str, bytes | str] = {"result.json": "{\n" + ",\n".join(lines) + "\n}\n"}
    files["curves.csv"] = _table(content["laws"])
    frames = {name: _draw_frames(images) for name, images in numbered("frames", result.images).items()}
    figures = {"laws": _draw_laws(result)} | frames | {"history": _draw_history(result)}
    if result.heterogeneity is not None:
        files["heterogeneity.npz"] = _map_file(result)
        figures["heterogeneity"] = _draw_map(result)
    for name, figure in figures.items():
        for kind in ("png", "pdf"):
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=150)
            files[f"{name}.{kind}"] = buffer.getvalue()
    for name, data in files.items():
        write_atomically(folder / name, data)
    return [folder / name for name in files]


def numbered(name: str, items: Sequence[Any]) -> dict[str, Any]:
    """Name what belongs to each of several series: by the name alone for one, by name-1, name-2, ... for more."""
    names = [name] if len(items) == 1 else [f"{name}-{number}" for number in range(1, len(items) + 1)]
    return dict(zip(names, items, strict=True))


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write bytes, or text as UTF-8, so that at any moment the whole old or the whole new file is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _law_summary(result: Result, law: Law) -> dict[str, Any]:
    relation = law.relation
    if isinstance(relation.basis, ConstantBasis):
        z = np.zeros(1)
        return {key: values[0] for key, values in ({"value": law(z)} | _band(result, law, z)).items()}
    z = _points(result, law)
    entry = {"argument": relation.argument, "z": z, "value": law(z)}
    if relation.name == POTENTIAL:
        entry["slope"] = law.slope(z)
    return entry | _band(result, law, z) | {"coefficients": relation.basis.standard() @ law.coefficients}


def _identifiability(found: Identifiability | None) -> dict[str, Any] | None:
    return found and {
        "words": found.sentences(),
        "eigenvalues": found.eigenvalues,
        "directions": found.directions,
        "coefficients": {name: {"determined": seen, "of": size} for name, (seen, size) in found.numbers.items()},
        "gauge": asdict(found.gauge),
    }


def _points(result: Result, law: Law) -> np.ndarray:
    """Arguments at which a curve is tabulated: the range of the data, or wavenumbers."""
    return np.linspace(*_range(result, law, FURTHEST), POINTS)


def _range(result: Result, law: Law, multiple: float) -> tuple[float, float]:
    return (0.0, multiple * law.relation.basis.scale) if law.relation.name == KERNEL else result.range


def _band(result: Result, law: Law, z: np.ndarray, slope: bool = False) -> dict[str, np.ndarray]:
    """Return the 95 % band of a law, or of the slope of a law without transform."""
    if result.posterior is None:
        return {}
    band = result.posterior.slope_band if slope else result.posterior.band
    return dict(zip(("lower", "upper"), band(law.relation, z), strict=True))


def _versions() -> dict[str, str]:
    versions = {"fe_phaseinv": __version__}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions | {"python": platform.python_version()}


def _plain(value: Any) -> Any:
    """Return a value as strict JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _table(laws: dict[str, dict[str, Any]]) -> str:
    columns = {}
    for name, law in laws.items():
        if "z" in law:
            columns["k" if law["argument"] == "k" else "z"] = law["z"]
        for key in [key for key in ("value", "slope", "lower", "upper") if key in law]:
            values = np.array(law[key], float)
            columns[name if key == "value" else f"{name}_{key}"] = np.broadcast_to(values, POINTS)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(np.column_stack(list(columns.values())).tolist())
    return text.getvalue()


def _gauge(result: Result) -> float:
    """Return s of (mu, kappa, D) -> (s mu, s kappa, D/s), which changes no image, from the true to the learnt laws."""
    kappa = (result.truth or {}).get(TRUTH_KEYS[ENERGY])
    return float(result.laws[ENERGY](0.0)) / kappa if kappa and ENERGY in result.laws else 1.0


def evaluate_formula(formula: Any, argument: str, z: np.ndarray) -> np.ndarray:
    """Return the values at z of a formula of a truth file, in which log, exp and sqrt are known."""
    names = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, argument: z}
    return eval(str(formula), {"__builtins__": {}}, names) + 0 * z


def _truth(result: Result, law: Law, z: np.ndarray, slope: bool = False) -> np.ndarray | None:
    """Return the true law, or its slope, in the gauge of the learnt ones."""
    name, value = law.relation.name, _formula(result, law, z, slope)
    if value is None:
        return None
    if name == POTENTIAL:
        return value * _gauge(result) + _exchanged(result) * (1.0 if slope else z)
    return value + _exchanged(result) if name == KERNEL else value / _gauge(result)


def _formula(result: Result, law: Law, z: np.ndarray, slope: bool = False) -> np.ndarray | None:
    """Return the true law, or its slope, as the truth file has it."""
    formula = (result.truth or {}).get(TRUTH_KEYS.get(law.relation.name))
    if formula is None:
        return None
    with np.errstate(all="ignore"):
        value = evaluate_formula(formula, law.relation.argument, z + 1j * COMPLEX_STEP)
    return np.imag(value) / COMPLEX_STEP if slope else np.real(value)


def _exchanged(result: Result) -> float:
    """Return a of (mu_h', C2) -> (mu_h' + a, C2 + a), which changes no image, from the true to the learnt laws."""
    true = _formula(result, result.laws[POTENTIAL], np.zeros(1), slope=True) if KERNEL in result.laws else None
    return 0.0 if true is None else float((result.laws[POTENTIAL].slope(np.zeros(1)) - true)[0])


def _draw_curve(axes, result: Result, law: Law, slope: bool) -> None:
    relation, (low, high) = law.relation, _range(result, law, DRAWN)
    margin = 0.0 if relation.name == KERNEL else MARGIN
    z = np.linspace(low - margin, high + margin, 2 * POINTS)
    z = z[(z > 0) & (z < 1)] if relation.argument == "c" else z
    inside = (z >= low) & (z <= high)
    value = law.slope(z) if slope else law(z)
    truth = _truth(result, law, z, slope)
    if truth is not None and relation.name == POTENTIAL and not slope:
        offset = (value - truth)[inside]  # the constant of a potential means nothing
        truth = truth + np.mean(offset[np.isfinite(offset)])
    band = _band(result, law, z, slope)
    if relation.name != KERNEL:
        axes.axvspan(low, high, color=SHADE, lw=0, label="range of the data")
    if band:
        axes.fill_between(z, band["lower"], band["upper"], color=LEARNT, alpha=0.25, lw=0, label="95 % band")
    axes.plot(z, value, color=LEARNT, lw=2, label="learnt")
    if truth is not None:
        axes.plot(z, truth, color=TRUE, lw=1.4, ls="--", label="truth, in the gauge of the learnt laws")
    shown = np.concatenate([curve[inside] for curve in (value, truth, *band.values()) if curve is not None])
    axes.set_ylim(_limits(shown[np.isfinite(shown)]))
    symbol = SYMBOLS.get(relation.name, relation.name) + ("'" if slope else "")
    argument = ARGUMENTS.get(relation.argument, relation.argument)
    axes.set(title=f"${symbol}({argument})$", xlabel=f"${argument}$", xlim=z[[0, -1]])


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Choose axis bounds that divergent ends and wide bands do not stretch."""
    low, high = np.percentile(values, [10, 90])
    margin = 0.35 * (high - low) + 0.02 * max(abs(low), abs(high))
    return max(low - margin, 0.0) if values.min() > 0 else low - margin, high + margin


def _constants(result: Result) -> str:
    """Return the laws that are numbers, in words."""
    texts = []
    for name, law in result.laws.items():
        if isinstance(law.relation.basis, ConstantBasis):
            entry, true = _law_summary(result, law), (result.truth or {}).get(TRUTH_KEYS.get(name))
            band = f" (95 %: {entry['lower']:.3g} to {entry['upper']:.3g})" if "lower" in entry else ""
            ending = "" if true is None else f", truth {true:.3g}"
            texts.append(f"${SYMBOLS.get(name, name)}$ = {entry['value']:.3g}{band}{ending}")
    return "; ".join(texts)


def _draw_laws(result: Result):
    from matplotlib.figure import Figure

    curves = [law for law in result.laws.values() if not isinstance(law.relation.basis, ConstantBasis)]
    panels = [(law, slope) for law in curves for slope in (False, True) if law.relation.name == POTENTIAL or not slope]
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (law, slope) in zip(row, panels, strict=True):
        _draw_curve(axes, result, law, slope)
    figure.suptitle(_constants(result), fontsize="medium")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_frames(fitted: Fitted):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    extent, (lx, ly) = _shown_extent(fitted)
    differences = fitted.predicted - fitted.observed
    most = np.abs(differences[np.isfinite(differences)]).max(initial=0) or 1.0
    count = len(differences)
    figure = Figure(figsize=(7.5, 0.7 + count * (0.3 + 2.15 * ly / lx)), layout="compressed")
    grid = figure.subplots(count, 3, squeeze=False, sharex=True, sharey=True)
    seen = {"cmap": "viridis", "vmin": fitted.range[0], "vmax": fitted.range[1]}
    error = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    for row, time, *images in zip(grid, fitted.times, fitted.observed, fitted.predicted, differences, strict=True):
        titles = (
            f"image, t = {time:.4g}{_where(fitted)}",
            "prediction",
            f"difference, rms {np.sqrt(np.nanmean(images[2] ** 2)):.2g}",
        )
        for axes, image, title, scale in zip(row, images, titles, (seen, seen, error), strict=True):
            axes.imshow(_plane(image), origin="lower", extent=extent, **scale)
            axes.set_title(title, fontsize="medium")
            axes.set_facecolor(MISSING)
            axes.locator_params(nbins=3)
            axes.tick_params(labelsize="small")
    for columns, aspect in ((grid[:, :2], 40), (grid[:, 2:], 20)):
        bar = figure.colorbar(columns[0, 0].images[0], ax=columns, location="bottom", aspect=aspect, pad=0.1 / count)
        bar.ax.tick_params(labelsize="small")
        bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _plane(image: np.ndarray) -> np.ndarray:
    """Return an image, or the middle one of a stack."""
    return image if image.ndim == 2 else image[len(image) // 2]


def _where(images: Fitted) -> str:
    """Say which plane of stacks is shown."""
    if images.observed.ndim == 3:
        return ""
    count = images.observed.shape[1]
    return f", z = {images.origin[2] + (count // 2 + 0.5) * images.extent[2] / count:.4g}"


def _shown_extent(images: Fitted) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Return the ends of the images along x, then along y, and their sizes."""
    (x0, y0), (lx, ly) = images.origin[:2], images.extent[:2]
    return (x0, x0 + lx, y0, y0 + ly), (lx, ly)


def _map_file(result: Result) -> bytes:
    """Return the map as a NumPy archive with the keys of an image file."""
    buffer, (images,) = BytesIO(), result.images
    np.savez_compressed(buffer, heterogeneity=result.heterogeneity, extent=images.extent, origin=images.origin)
    return buffer.getvalue()


def _draw_map(result: Result):
    from matplotlib.figure import Figure

    (images,) = result.images
    extent, (lx, ly) = _shown_extent(images)
    factors = np.exp(_plane(result.heterogeneity))
    figure = Figure(figsize=(4.6, 0.9 + 3.7 * ly / lx), layout="compressed")
    axes = figure.subplots()
    shown = axes.imshow(factors, origin="lower", extent=extent, cmap="viridis")
    axes.set_title(f"the kinetics here, over those of the law{_where(images)}", fontsize="medium")
    axes.set_facecolor(MISSING)
    figure.colorbar(shown, ax=axes, label="exp(h)")
    return figure


def _draw_history(result: Result):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    runs = _runs(result.history)
    colours = dict(zip(dict.fromkeys(run[0]["stage"] for run in runs), cycle(STAGE_COLOURS), strict=False))
    rejected = [e for e in result.history if not e["accepted"]]
    for axes, key in zip(figure.subplots(1, 2), ("cost", "misfit_rms"), strict=True):
        for run in runs:
            stage, x, y = run[0]["stage"], [e["iteration"] for e in run], [e[key] for e in run]
            axes.plot(x, y, "o-", color=colours[stage], ms=4, label=stage)
        if rejected:
            x, y = [e["iteration"] for e in rejected], [e[key] for e in rejected]
            axes.plot(x, y, "x", color=TRUE, ms=8, label="rejected")
        axes.set(title=key.replace("_", " "), xlabel="iteration", yscale="log")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once, frameon=False)
    return figure


def _runs(history: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """Split a history where a stage begins, which repeats an iteration's number."""
    numbers = [-1, *(entry["iteration"] for entry in history)]
    starts = [i for i, (before, number) in enumerate(pairwise(numbers)) if i == 0 or number <= before]
    return [history[a:b] for a, b in pairwise([*starts, len(history)])]
