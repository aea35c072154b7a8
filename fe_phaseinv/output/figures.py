"""Figures of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.models.declarations import WAVENUMBER, FunctionLaw
from fe_phaseinv.output.fitted import Fitted, Tracked, plane
from fe_phaseinv.output.formulas import tex
from fe_phaseinv.output.residual_figure import draw_residuals
from fe_phaseinv.output.result import POINTS, Result, numbered
from fe_phaseinv.output.summary import band, law_summary
from fe_phaseinv.output.truth import true_law, true_number

DRAWN = 1.75
"""Multiple of its wavenumber up to which a kernel is drawn."""
MARGIN = 0.02
"""Curves are drawn this far beyond either end of the data's range."""
LEARNT, TRUE, SHADE, MISSING = "#0072B2", "#222222", "#F1F1F1", "#D0D0D0"
STAGE_COLOURS = ("#E69F00", LEARNT, "#009E73", "#CC79A7")


def figures(result: Result) -> dict[str, Callable]:
    """Return how to draw each figure, by its name.

    Parameters
    ----------
    result : Result

    Returns
    -------
    dict of callable
        Each of them returns a figure of matplotlib, and may fail alone.
    """
    noises = [one and one.noise for one in result.goodness] or [None] * len(result.images)
    frames = _by_channel("frames", result, noises, _draw_frames)
    frames |= _by_channel("residuals", result, noises, draw_residuals) if all(noises) else {}
    drawn = {"laws": partial(draw_laws, result)} if _functions(result, 1) else {}
    drawn |= {"surfaces": partial(_draw_surfaces, result)} if _functions(result, 2) else {}
    drawn |= {**frames, "history": partial(_draw_history, result)}
    series = numbered("scalars", result.scalars).items()
    drawn |= {name: partial(_draw_scalars, scalars) for name, scalars in series if scalars}
    maps = numbered("heterogeneity", result.images).items()
    return drawn | {name: partial(_draw_map, images) for name, images in maps if images.map is not None}


def _by_channel(name: str, result: Result, noises: Sequence[float | None], draw: Callable) -> dict[str, Callable]:
    """Return how to draw each channel of each series, given the noise of the series."""
    return {
        label: partial(draw, channel, noise)
        for (one, images), noise in zip(numbered(name, result.images).items(), noises, strict=True)
        for label, channel in numbered(f"{one}-channel" if len(images.channels) > 1 else one, images.channels).items()
    }


def rendered(figure, kind: str) -> bytes:
    """Return a figure as a file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : str
        The ending of its name, such as "png" or "pdf".
    """
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=150)
    return buffer.getvalue()


def draw_laws(result: Result):
    """Draw the laws with their bands, beside the true ones where they are known.

    Parameters
    ----------
    result : Result
    """
    from matplotlib.figure import Figure

    has_slope = {law.name: law.has_slope for law in result.model.laws if isinstance(law, FunctionLaw)}
    panels = [
        (law, slope)
        for law in _functions(result, 1)
        for slope in (False, True)
        if has_slope[law.relation.name] or not slope
    ]
    figure = Figure(figsize=(max(10, 3.3 * len(panels)), 3.4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (law, slope) in zip(row, panels, strict=True):
        _draw_curve(axes, result, law, slope)
    figure.suptitle(_constants(result), fontsize="medium")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _functions(result: Result, arguments: int) -> list[Law]:
    """Return the laws that are functions of so many arguments."""
    functions = [law for law in result.laws.values() if not isinstance(law.relation.basis, ConstantBasis)]
    return [law for law in functions if law.relation.basis.arguments == arguments]


def _draw_curve(axes, result: Result, law: Law, slope: bool) -> None:
    relation, (low, high) = law.relation, result.argument_range(law.relation.name, DRAWN)
    of_data = relation.argument != WAVENUMBER
    margin, bounds = MARGIN if of_data else 0.0, result.model.bounds_of(relation.argument)
    z = np.linspace(low - margin, high + margin, 2 * POINTS)
    z = z[(z > bounds[0]) & (z < bounds[1])]
    if not z.size:  # data outside the bounds of the field tell nothing of where to look
        z = np.linspace(*bounds, 2 * POINTS)[1:-1]
    inside = ((z >= low) & (z <= high)) if min(high, z[-1]) > max(low, z[0]) else np.full(z.shape, True)
    value = law.slope(z) if slope else law(z)
    truth = true_law(result, law, z, slope)
    if truth is not None and of_data and not slope and relation.name in result.model.free_constants:
        offset = (value - truth)[inside]  # the constant means nothing
        truth = truth + np.mean(offset[np.isfinite(offset)])
    ends = band(result, law, z, slope=slope)
    if of_data:
        axes.axvspan(low, high, color=SHADE, lw=0, label="range of the data")
    if ends:
        axes.fill_between(z, ends["lower"], ends["upper"], color=LEARNT, alpha=0.25, lw=0, label="95 % band")
    axes.plot(z, value, color=LEARNT, lw=2, label="learnt")
    if truth is not None:
        axes.plot(z, truth, color=TRUE, lw=1.4, ls="--", label="truth, in the gauge of the learnt laws")
    shown = np.concatenate([curve[inside] for curve in (value, truth, *ends.values()) if curve is not None])
    axes.set_ylim(_limits(shown[np.isfinite(shown)]))
    symbol = tex(result.model.symbol(relation.name)) + ("'" if slope else "")
    argument = tex(relation.argument)
    unit = f" in {result.unit(relation.name)}" if any(result.units) and result.unit(relation.name) else ""
    axes.set(title=f"${symbol}({argument})${unit}", xlabel=f"${argument}$", xlim=z[[0, -1]])


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
            entry, true = law_summary(result, law), true_number(result, name)
            low, high = entry.get("lower"), entry.get("upper")
            ends = "" if low is None else " (kept)" if low == high else f" (95 %: {low:.3g} to {high:.3g})"
            ending = "" if true is None else f", truth {true:.3g}"
            unit = f" {result.unit(name)}" if any(result.units) else ""
            texts.append(f"${tex(result.model.symbol(name))}$ = {entry['value']:.3g}{unit}{ends}{ending}")
    return "; ".join(texts)


def _draw_surfaces(result: Result):
    from matplotlib.figure import Figure

    laws = _functions(result, 2)
    figure = Figure(figsize=(4.6 * len(laws), 3.7), layout="constrained")
    for axes, law in zip(figure.subplots(1, len(laws), squeeze=False)[0], laws, strict=True):
        x, y = result.grid(law.relation.name)
        shown = axes.pcolormesh(x, y, law(x[:, None], y).T, shading="gouraud", rasterized=True)
        names = [tex(name) for name in law.relation.argument.split(", ")]
        title = f"${tex(result.model.symbol(law.relation.name))}({', '.join(names)})$"
        axes.set(title=title, xlabel=f"${names[0]}$", ylabel=f"${names[1]}$")
        figure.colorbar(shown, ax=axes)
    return figure


def _draw_scalars(scalars: dict[str, Tracked]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.6, 3.3 * len(scalars)), 3.2), layout="constrained")
    row = figure.subplots(1, len(scalars), squeeze=False)[0]
    for axes, (name, tracked) in zip(row, scalars.items(), strict=True):
        columns = tracked.columns
        if "lower" in columns:
            ends = columns["lower"], columns["upper"]
            axes.fill_between(tracked.times, *ends, color=LEARNT, alpha=0.25, lw=0, label="95 % band")
        axes.plot(tracked.times, tracked.value, "o-", color=LEARNT, ms=4, lw=1.4, label="at the frames")
        axes.set(title=f"${tex(name)}(t)$", xlabel="$t$")
    row[0].legend(frameon=False)
    return figure


def _draw_frames(fitted: Fitted, noise: float | None):
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
    held_out = fitted.held_out.frames if fitted.held_out else ()
    rows = zip(grid, fitted.frames, fitted.times, fitted.observed, fitted.predicted, differences, strict=True)
    for row, frame, time, *images in rows:
        titles = (
            f"{'held out' if frame in held_out else 'image'}, t = {time:.4g}{_where(fitted)}",
            "prediction",
            _size(float(np.sqrt(np.nanmean(images[2] ** 2))), noise),
        )
        for axes, image, title, scale in zip(row, images, titles, (seen, seen, error), strict=True):
            axes.imshow(plane(image), origin="lower", extent=extent, **scale)
            axes.set_title(title, fontsize="medium")
            axes.set_facecolor(MISSING)
            axes.locator_params(nbins=3)
            axes.tick_params(labelsize="small")
    for columns, aspect in ((grid[:, :2], 40), (grid[:, 2:], 20)):
        bar = figure.colorbar(columns[0, 0].images[0], ax=columns, location="bottom", aspect=aspect, pad=0.1 / count)
        bar.ax.tick_params(labelsize="small")
        bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _size(rms: float, noise: float | None) -> str:
    """Say how large differences are, and in units of the noise where that is known or estimated."""
    return f"difference, rms {rms:.2g}" + (f", {rms / noise:.2g} x noise" if noise else "")


def _where(images: Fitted) -> str:
    """Say which plane of stacks is shown."""
    if len(images.extent) == 2:
        return ""
    count = images.observed.shape[1]
    return f", z = {images.origin[2] + (count // 2 + 0.5) * images.extent[2] / count:.4g}"


def _shown_extent(images: Fitted) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Return the ends of the images along x, then along y, and their sizes."""
    (x0, y0), (lx, ly) = images.origin[:2], images.extent[:2]
    return (x0, x0 + lx, y0, y0 + ly), (lx, ly)


def _draw_map(images: Fitted):
    from matplotlib.figure import Figure

    extent, (lx, ly) = _shown_extent(images)
    drawn = {"exp(h)": np.exp(plane(images.map.value))}
    if images.map.deviation is not None:
        drawn["standard deviation of h"] = plane(images.map.deviation)
    titles = f"the kinetics here, over their mean{_where(images)}", "how well h is known"
    figure = Figure(figsize=(4.6 * len(drawn), 0.9 + 3.7 * ly / lx), layout="compressed")
    row = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, title, (label, values), colours in zip(row, titles, drawn.items(), ("viridis", "magma"), strict=False):
        shown = axes.imshow(values, origin="lower", extent=extent, cmap=colours)
        axes.set_title(title, fontsize="medium")
        axes.set_facecolor(MISSING)
        figure.colorbar(shown, ax=axes, label=label)
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
