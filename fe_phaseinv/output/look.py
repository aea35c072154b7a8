"""A page about images: words, a table and a figure, before anything is fitted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.survey import Survey

COLUMNS = ("frame", "time", "least", "mean", "most", "contrast", "noise", "wavelength", "interface", "shift")
STYLE = (
    "body { font-family: sans-serif; max-width: 70em; margin: 2em auto; line-height: 1.4 } img { width: 100% } "
    "table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 0.15em 0.9em 0.15em 0; text-align: right } "
    "th { border-bottom: 1px solid } td:first-child, .facts td { text-align: left } "
    ".findings li { margin: 0.4em 0; color: #A03000 }"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Look:
    """A series of images with what was found about it.

    Parameters
    ----------
    name : str
        What the page calls it.
    images : ImageSeries
        Its frames that are used, from the initial one on.
    indices : sequence of int
        Their numbers in the file.
    survey : Survey
    findings : sequence of str
        What is doubtful.
    size : float or None
        Of an element, in the unit of length, where the images decide it.
    """

    name: str
    images: ImageSeries
    indices: Sequence[int]
    survey: Survey
    findings: Sequence[str]
    size: float | None

    def facts(self) -> dict[str, str]:
        """Return what was read and what it shows, in words."""
        images, survey = self.images, self.survey
        length, time = (f" {name}" if name else "" for name in (images.unit, images.time_unit))
        pixel = min(images.pixel)
        finite = images.frames[np.isfinite(images.frames)]
        low, high = np.percentile(finite, [1, 99])
        facts = {
            "file": images.source,
            "frames": f"{len(self.indices)}, from {images.times[0]:.6g} to {images.times[-1]:.6g}{time}",
            "pictures": f"{_by(images.shape[::-1])} pixels of {_by(images.pixel)}{length}, {_by(images.extent)}{length}"
            + (f", {images.channels} channels" if images.channels > 1 else ""),
            "without data": f"{_span(100 - 100 * survey.known)} % of the pixels",
            "values": f"{finite.min():.4g} to {finite.max():.4g}, 98 % of them between {low:.4g} and {high:.4g}",
            "noise": f"{_span(survey.noise)} estimated, {f'{images.noise:.3g}' if images.noise else 'none'} assumed",
            "mean": _span(survey.mean),
            "wavelength": f"{_span(survey.wavelength)}{length}, {_span(survey.wavelength / pixel)} pixels",
            "interfaces": f"{_span(survey.interface)} pixels wide",
        }
        if self.size:
            across, wave = _span(survey.interface * pixel / self.size), _span(survey.wavelength / self.size)
            facts["elements"] = f"of size {self.size:.3g}{length}: {across} across an interface, {wave} in a wave"
        return facts

    def rows(self) -> list[list[str]]:
        """Return the table by frame, `COLUMNS` without their names."""
        survey = self.survey
        numbers = zip(
            *(survey.low, survey.mean, survey.high, survey.contrast, survey.noise, survey.wavelength, survey.interface),
            np.linalg.norm(survey.offsets, axis=1),
            strict=True,
        )
        return [
            [str(index), f"{time:.6g}", *(f"{number:.3g}" if np.isfinite(number) else "-" for number in row)]
            for index, time, row in zip(self.indices, self.images.times, numbers, strict=True)
        ]


def page(looks: Sequence[Look], figures: Sequence[bytes]) -> str:
    """Return a page of HTML that holds all of it.

    Parameters
    ----------
    looks : sequence of Look
    figures : sequence of bytes
        A figure of each, as png.
    """
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8"><title>A look at the images</title>']
    parts.append(f"<style>{STYLE}</style></head><body>")
    for look, figure in zip(looks, figures, strict=True):
        parts.append(f"<h1>{escape(look.name)}</h1>")
        found = "".join(f"<li>{escape(finding)}</li>" for finding in look.findings)
        parts.append(f'<ul class="findings">{found}</ul>' if found else "<p>Nothing doubtful was found.</p>")
        facts = "".join(f"<tr><td><b>{key}</b></td><td>{escape(text)}</td></tr>" for key, text in look.facts().items())
        parts.append(f'<table class="facts">{facts}</table>')
        parts.append(f'<img alt="figures of the frames" src="data:image/png;base64,{b64encode(figure).decode()}">')
        rows = [COLUMNS, *look.rows()]
        cells = [
            "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
            for tag, row in zip(["th"] + ["td"] * (len(rows) - 1), rows, strict=True)
        ]
        parts.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _span(numbers: np.ndarray) -> str:
    """Say where numbers go from the first frame that tells one to the last."""
    told = numbers[np.isfinite(numbers)]
    if not told.size:
        return "no"
    first, last = f"{told[0]:.3g}", f"{told[-1]:.3g}"
    return first if first == last else f"{first} to {last}"
