"""The figures of samples: laws with bands of both kinds, and how chains have mixed."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.output.figures import LEARNT, STAGE_COLOURS, TRUE
from fe_phaseinv.output.formulas import tex
from fe_phaseinv.output.samples import Sampled

BINS = 20
"""Of the histograms of ranks."""
COLOURS = {"importance": STAGE_COLOURS[2], "samples": STAGE_COLOURS[0]}
NAMES = {"laplace": "Laplace", "importance": "weighted draws", "samples": "chains"}


def draw_bands(sampled: Sampled):
    """Draw each law of one argument with the 95 % bands of Laplace's approximation, of chains and of reliable draws.

    Parameters
    ----------
    sampled : Sampled
    """
    from matplotlib.figure import Figure

    result = sampled.result
    bases = {name: law.relation.basis for name, law in result.laws.items()}
    names = [name for name, basis in bases.items() if basis.arguments == 1]
    drawn = [kind for kind in NAMES if kind != "importance" or sampled.draws.holds]
    figure = Figure(figsize=(max(4.6, 3.5 * len(names)), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        z, symbol = result.points(name), tex(result.model.symbol(name))
        bands = {kind: ends for kind, ends in sampled.bands(name, z).items() if kind in drawn}
        if isinstance(bases[name], ConstantBasis):
            _draw_number(axes, bands)
            axes.set_title(f"${symbol}$")
            continue
        for kind, (low, high) in bands.items():
            if kind == "laplace":
                axes.fill_between(z, low, high, color=LEARNT, alpha=0.25, lw=0, label=NAMES[kind])
            else:
                axes.plot(z, low, "--", color=COLOURS[kind], lw=1.2, label=NAMES[kind])
                axes.plot(z, high, "--", color=COLOURS[kind], lw=1.2)
        axes.plot(z, result.laws[name](z), color=LEARNT, lw=1.4)
        argument = tex(result.laws[name].relation.argument)
        axes.set(title=f"${symbol}({argument})$", xlabel=f"${argument}$", xlim=z[[0, -1]])
    labels = [axes.get_legend_handles_labels() for axes in figure.axes]
    row = {label: handle for handles, names in labels for handle, label in zip(handles, names, strict=True)}
    figure.legend(row.values(), row, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_number(axes, bands: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    for place, (kind, ends) in enumerate(bands.items()):
        low, high = (float(end[0]) for end in ends)
        axes.plot([place, place], [low, high], "_-", color=COLOURS.get(kind, LEARNT), ms=14, lw=2)
    axes.set_xticks(range(len(bands)), [NAMES[kind] for kind in bands])
    axes.margins(x=0.3)


def draw_mixing(sampled: Sampled):
    """Draw traces of each law's first free coefficient, and the ranks of its values by chain: flat where they mix.

    Parameters
    ----------
    sampled : Sampled
        With chains.
    """
    from matplotlib.figure import Figure

    told = sampled.told(sampled.chains.coefficients)
    traces = {name: _moving(values) for name, values in told.items()}
    traces = {name: values for name, values in traces.items() if values is not None}
    figure = Figure(figsize=(10, 1.0 + 1.9 * len(traces)), layout="constrained")
    for (left, right), (name, values) in zip(
        figure.subplots(len(traces), 2, squeeze=False), traces.items(), strict=True
    ):
        ranks = rankdata(values).reshape(values.shape)
        edges = np.linspace(0, values.size, min(BINS, values.shape[1]) + 1)
        for number, (trace, rank) in enumerate(zip(values, ranks, strict=True), 1):
            left.plot(trace, lw=0.6)
            right.hist(rank, edges, histtype="step", label=f"chain {number}")
        right.axhline(values.shape[1] / (len(edges) - 1), color=TRUE, lw=0.8, ls="--")
        left.set_ylabel(f"${tex(sampled.result.model.symbol(name))}$")
        right.set_yticks([])
    left.set_xlabel("state")
    right.set_xlabel("rank among the states of all chains")
    return figure


def _moving(values: np.ndarray) -> np.ndarray | None:
    """Return the first of the numbers of each state that is free, shape (chains, states); None where none is."""
    flat = values.reshape(*values.shape[:2], -1)
    free = np.flatnonzero(np.ptp(flat, axis=(0, 1)))
    return flat[..., free[0]] if free.size else None
