"""The figure of a plan, and its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fe_phaseinv.inference.optimal_design import Aim
from fe_phaseinv.inference.posterior import QUANTILE
from fe_phaseinv.output.figures import LEARNT, STAGE_COLOURS, TRUE
from fe_phaseinv.output.files import as_json, drawn_files, write_atomically
from fe_phaseinv.output.formulas import tex
from fe_phaseinv.output.plan import Plan

MARKS = {"D": "^", "A": "v"}


def write_plan(folder: Path, plan: Plan) -> list[Path]:
    """Write design.json, then the figure as png and pdf; gives the files.

    Parameters
    ----------
    folder : pathlib.Path
        Which exists.
    plan : Plan
    """
    write_atomically(folder / "design.json", as_json(plan.summary()))
    drawn = drawn_files("design", draw_plan(plan))
    for name, data in drawn.items():
        write_atomically(folder / name, data)
    return [folder / name for name in ("design.json", *drawn)]


def draw_plan(plan: Plan):
    """Draw what each frame tells, what each next one adds, and how well the laws would be known.

    Parameters
    ----------
    plan : Plan
    """
    from matplotlib.figure import Figure

    aims = [aim for aim in plan.candidates.aims if len(aim.arguments) == 1 and len(aim.rows) > 1]
    figure = Figure(figsize=(12, 7.4 if aims else 3.9), layout="constrained")
    rows = figure.subfigures(2, 1) if aims else [figure]
    frames, information, variance = rows[0].subplots(1, 3)
    _draw_frames(frames, plan)
    _draw_returns(information, plan, "D", plan.candidates.gain, "information / nats")
    _draw_returns(variance, plan, "A", plan.candidates.deviation, "deviation of the laws, rms / %", 100.0)
    if aims:
        panels = rows[1].subplots(1, len(aims), squeeze=False)[0]
        for axes, aim in zip(panels, aims, strict=True):
            _draw_widths(axes, plan, aim)
        rows[1].legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_frames(axes, plan: Plan) -> None:
    """Draw the information of each frame by itself over time, and which were chosen."""
    elapsed, alone = plan.candidates.elapsed, np.array(plan.alone)
    axes.plot(elapsed, alone, "o", color=LEARNT, ms=4, label="each by itself")
    for (name, choice), colour in zip(plan.choices.items(), (STAGE_COLOURS[0], STAGE_COLOURS[2]), strict=True):
        chosen = list(choice.chosen)
        label = f"among the best {len(chosen)} ({name})"
        axes.plot(elapsed[chosen], alone[chosen], MARKS[name], color=colour, ms=10, mfc="none", mew=2, label=label)
    unit = f" / {plan.time_unit}" if plan.time_unit else ""
    axes.set_title("what a frame would tell / nats", fontsize="medium")
    axes.set_xlabel(f"time since the start{unit}")
    axes.legend(frameon=False, fontsize="small")
    axes.grid(alpha=0.3)


def _draw_returns(axes, plan: Plan, name: str, of: Callable, title: str, unit: float = 1.0) -> None:
    """Draw a criterion over the number of frames, each next one chosen where it adds most."""

    def value(chosen: Sequence[int]) -> float:
        return unit * of(chosen)

    choice, colour = plan.choices[name], STAGE_COLOURS[0 if name == "D" else 2]
    counts = np.arange(1, len(choice.values) + 1)
    axes.plot(counts, unit * np.array(choice.values), "o-", color=colour, ms=4, label="one by one")
    axes.plot(
        len(choice.chosen), value(choice.chosen), MARKS[name], color=colour, ms=10, mfc="none", mew=2, label="exchanged"
    )
    even = plan.candidates.evenly(plan.choose)
    axes.plot(len(even), value(even), "x", color=TRUE, ms=8, mew=2, label="evenly spaced")
    axes.axhline(value(range(len(plan.candidates))), color=TRUE, lw=1, ls=":", label=f"all {len(plan.candidates)}")
    axes.set_title(f"{title} ({name})", fontsize="medium")
    axes.set_xlabel("number of frames")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize="small")
    axes.grid(alpha=0.3)


def _draw_widths(axes, plan: Plan, aim: Aim) -> None:
    """Draw half the width of the expected band of a law, relative to it."""
    (z,), relation = aim.arguments, plan.laws[aim.name].relation
    styles = ((STAGE_COLOURS[0], "-"), (STAGE_COLOURS[2], "-"), (TRUE, "--"), (TRUE, ":"))
    for (name, chosen), (colour, line) in zip(plan.sets.items(), styles, strict=True):
        width = 100 * QUANTILE * aim.deviations(plan.candidates.covariance(chosen))
        axes.plot(z, width, color=colour, ls=line, label=plan.title(name))
    symbol, argument = tex(plan.model.symbol(aim.name)) + ("'" if aim.slope else ""), tex(relation.argument)
    axes.set_title(f"expected 95 % band of ${symbol}({argument})$, +- % of its size", fontsize="medium")
    axes.set(xlabel=f"${argument}$", xlim=z[[0, -1]])
    axes.set_ylim(0, 1.05 * axes.dataLim.y1)
    axes.grid(alpha=0.3)
