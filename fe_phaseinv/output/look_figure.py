"""The figure of a look at images."""

from __future__ import annotations

import numpy as np

from fe_phaseinv.output.figures import LEARNT, MISSING, STAGE_COLOURS
from fe_phaseinv.output.look import Look

SHOWN, BINS = 4, 100
"""Pictures shown, and bins of the histograms of their values."""


def draw_look(look: Look):
    """Draw some frames, their histograms, and what changes from frame to frame.

    Parameters
    ----------
    look : Look
    """
    from matplotlib.figure import Figure

    images, survey = look.images, look.survey
    count = len(images.times)
    shown = sorted(set(np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int)))
    figure = Figure(figsize=(12, 8.4), layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=[1, 1.7])
    _draw_pictures(rows[0], look, shown)
    (histogram, mean, noise), (length, width, shift) = rows[1].subplots(2, 3)
    _draw_histograms(histogram, look, shown)
    unit = f" / {images.unit}" if images.unit else ""
    mean.fill_between(images.times, survey.mean - survey.contrast, survey.mean + survey.contrast, alpha=0.2, lw=0)
    for axes, values, title in (
        (mean, survey.mean, "mean, and standard deviation"),
        (noise, survey.noise, "noise of a pixel, estimated"),
        (length, survey.wavelength, f"wavelength{unit}"),
        (width, survey.interface, "width of interfaces / pixels"),
    ):
        axes.plot(images.times, values, "o-", color=LEARNT, ms=4)
        axes.set_title(title, fontsize="medium")
    for axes in (noise, length, width):
        axes.set_ylim(0, 1.1 * axes.dataLim.y1)
    for name, offset, colour in zip("xyz", survey.offsets.T, STAGE_COLOURS, strict=False):
        shift.plot(images.times, offset, "o-", color=colour, ms=4, label=name)
    shift.set_title("shift since the first frame / pixels", fontsize="medium")
    if survey.offsets.any():
        shift.legend(frameon=False)
    else:
        shift.text(0.5, 0.7, "none is believed", transform=shift.transAxes, ha="center")
    for axes in (mean, noise, length, width, shift):
        axes.set_xlabel(f"time{f' / {images.time_unit}' if images.time_unit else ''}")
        axes.grid(alpha=0.3)
    return figure


def _draw_pictures(figure, look: Look, shown: list[int]) -> None:
    images = look.images
    (x0, y0), (lx, ly) = images.origin[:2], images.extent[:2]
    middle = images.shape[0] // 2
    planes = [images.picture(index) if images.dimension == 2 else images.picture(index)[middle] for index in shown]
    faulty = look.survey.faulty if images.dimension == 2 else look.survey.faulty[middle]
    low, high = (end([end(plane) for plane in planes]) for end in (np.nanmin, np.nanmax))
    row = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, index, plane in zip(row, shown, planes, strict=True):
        picture = axes.imshow(plane, origin="lower", extent=(x0, x0 + lx, y0, y0 + ly), vmin=low, vmax=high)
        axes.set_facecolor(MISSING)
        axes.set_title(f"frame {look.indices[index]}, t = {images.times[index]:.4g}", fontsize="medium")
        axes.locator_params(nbins=4)
        y, x = (np.argwhere(faulty) + 0.5).T * np.reshape(images.pixel[1::-1], (2, 1)) + [[y0], [x0]]
        axes.plot(x, y, "o", mfc="none", mec="red", ms=7)
    figure.colorbar(picture, ax=row, aspect=15, shrink=0.8)


def _draw_histograms(axes, look: Look, shown: list[int]) -> None:
    pictures = [look.images.picture(index) for index in shown]
    edges = np.linspace(look.survey.low.min(), look.survey.high.max(), BINS + 1)
    for index, picture, colour in zip(shown, pictures, STAGE_COLOURS, strict=False):
        label = f"frame {look.indices[index]}"
        axes.hist(picture[np.isfinite(picture)], edges, density=True, histtype="step", color=colour, label=label)
    axes.set(yscale="log", ylabel="share")
    axes.set_title("values", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
