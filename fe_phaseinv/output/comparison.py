"""Comparison of two results, apart from what no image can tell."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.output.reading import Compared, Curve, Source, compared_in

NEGLIGIBLE = 1e-6
"""Bands that miss each other by this share of the law still touch: those of a fixed law have no width, and
interpolation has an error."""


@dataclass(frozen=True)
class CurveDifference:
    """How far a curve of the second result, in the gauge of the first, is from that of the first.

    Parameters
    ----------
    symbol, argument : str
        Of the law, for example "D" and "c".
    range : tuple of float
        Of the argument, that both results have.
    relative : float
        L2 norm of the difference over that of the first's curve.
    largest, at : float
        Largest absolute value of the difference, and where it is.
    overlap : float or None
        Share of the range on which the 95 % bands overlap; None where not both curves have one.
    """

    symbol: str
    argument: str
    range: tuple[float, float]
    relative: float
    largest: float
    at: float
    overlap: float | None


@dataclass(frozen=True)
class NumberDifference:
    """A law that is a number: the second in the gauge of the first, unless it tells the gauge.

    Parameters
    ----------
    symbol : str
    first, second : float
    overlap : bool or None
        Whether the 95 % bands overlap; None where not both have one.
    """

    symbol: str
    first: float
    second: float
    overlap: bool | None

    @property
    def ratio(self) -> float:
        """The first over the second."""
        return self.first / self.second if self.second else np.nan


@dataclass(frozen=True)
class Comparison:
    """What differs between two results.

    Parameters
    ----------
    curves : tuple of CurveDifference
    numbers : tuple of NumberDifference
    removed : str
        In words, what was taken out because no image can tell it.
    """

    curves: tuple[CurveDifference, ...]
    numbers: tuple[NumberDifference, ...]
    removed: str


def compare(
    first: dict[str, Any], second: dict[str, Any], names: tuple[str | os.PathLike, ...] = ("first", "second")
) -> Comparison:
    """Compare two results, in the gauge of the first, over the range of the argument that both have.

    What gives the same images is as the model declares it: for Cahn-Hilliard (mu_h, kappa, D) and (s mu_h, s kappa,
    D/s), and mu_h and mu_h plus a constant; of the phase-field crystal (mu_h', C2) and (mu_h' + a, C2 + a). An ideal
    entropy that is a known part of mu_h pins s by what the rest of mu_h can represent; s is removed all the same. The
    bands are those of the results, moved with their curves, so they still hold the uncertainty of what was removed.

    Parameters
    ----------
    first, second : dict
        Contents of result.json. Concentrations outside 0 to 1, which noise brings about, are left out.
    names : tuple of str or os.PathLike
        What errors call the two.

    Raises
    ------
    InputError
        Where keys are missing, values are null, or models or ranges do not go together.
    """
    compared = compared_in(names[0], first)
    if second.get("model") != first["model"]:
        compared_in(names[1], second)
        raise InputError(names[1], "model", json.dumps(second.get("model")), first["model"])
    sources = [Source.of(name, content, compared) for name, content in zip(names, (first, second), strict=True)]
    pairs = [[source.curve(item) for source in sources] for item in compared if item.argument]
    numbers = {item: [source.number(item) for source in sources] for item in compared if not item.argument}
    pairs, numbers, removed = _reduced(pairs, numbers, sources)
    return Comparison(
        tuple(_curve_difference(*pair, sources) for pair in pairs),
        tuple(_number_difference(item, *both) for item, both in numbers.items()),
        removed,
    )


def as_text(comparison: Comparison) -> str:
    """Return a comparison as a table with a sentence below it.

    Parameters
    ----------
    comparison : Comparison
    """
    row = "{:<7} {:<30} {:>12} {:>10} {:>12} {:>16}".format
    lines = [row("law", "range or ratio", "relative L2", "largest", "at", "95 % bands meet")]
    for curve in comparison.curves:
        low, high = curve.range
        bands = "-" if curve.overlap is None else f"{100 * curve.overlap:.0f} %"
        over, at = f"{low:.4g} <= {curve.argument} <= {high:.4g}", f"{curve.argument} = {curve.at:.3g}"
        lines.append(row(curve.symbol, over, f"{100 * curve.relative:.3f} %", f"{curve.largest:.3g}", at, bands))
    for number in comparison.numbers:
        bands = {None: "-", True: "yes", False: "no"}[number.overlap]
        ratio = f"{number.first:.4g} / {number.second:.4g} = {number.ratio:.4g}"
        lines.append(row(number.symbol, ratio, "", "", "", bands))
    return "\n".join([*lines, comparison.removed])


def _reduced(
    pairs: list[list[Curve]], numbers: dict[Compared, list[np.ndarray]], sources: list[Source]
) -> tuple[list[list[Curve]], dict[Compared, list[np.ndarray]], str]:
    """Take out of the second of each pair what no image can tell, and say so."""
    if any(ours.compared.shifted for ours, _ in pairs):
        shifted, removed = _shifted(pairs, sources)
        return shifted, numbers, removed
    constants = _constants([ours.compared for ours, _ in pairs])
    scale = next((item for item in numbers if item.power == 1 and item.positive), None)
    if scale is None:
        left_out = f"; the constant of {constants}, which changes no image, was left out" if constants else ""
        return pairs, numbers, f"nothing was scaled{left_out}"
    left_out = f"; nor does the constant of {constants}, which was left out" if constants else ""
    s = float(numbers[scale][0][0] / numbers[scale][1][0])
    scaled = [[ours, replace(theirs, rows=theirs.rows * s**theirs.compared.power)] for ours, theirs in pairs]
    kept = {scale: numbers[scale]}
    rescaled = {item: [ours, theirs * s**item.power] for item, (ours, theirs) in numbers.items()} | kept
    removed = _scaled([*(ours.compared for ours, _ in pairs), *numbers], scale, s)
    return scaled, rescaled, removed + left_out


def _constants(compared: list[Compared]) -> str:
    """Name the laws of which only the slope is compared."""
    with_values = {item.law for item in compared if item.key == "value"}
    return _listed([item.symbol.removesuffix("'") for item in compared if item.law not in with_values])


def _scaled(compared: list[Compared], scale: Compared, s: float) -> str:
    """Say what was scaled so that the scale of the second is that of the first."""
    items = sorted((item for item in compared if item.power), key=lambda item: item.power < 0)
    symbols = [*dict.fromkeys(map(_power, items))]
    ratio = f"{scale.symbol} of the second is {1 / s:.4g} times that of the first"
    return f"{ratio}; {_listed(symbols)} of the second were scaled by {s:.4g}, which changes no image"


def _power(item: Compared) -> str:
    """Name what is scaled by s itself."""
    symbol, exponent = item.symbol.removesuffix("'"), "" if abs(item.power) == 1 else f"^{1 / abs(item.power):g}"
    return f"1/{symbol}{exponent}" if item.power < 0 else f"{symbol}{exponent}"


def _listed(names: list[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _shifted(pairs: list[list[Curve]], sources: list[Source]) -> tuple[list[list[Curve]], str]:
    """Subtract the first slope at zero of either result from all curves that share its freedom, and say so."""
    slopes, *others = (pair for pair in pairs if pair[0].compared.shifted)
    shifts = [_at_zero(*both) for both in zip(slopes, sources, strict=True)]
    shifted = [_moved(pair, shifts) if pair[0].compared.shifted else pair for pair in pairs]
    symbols = _listed([pair[0].compared.symbol for pair in (slopes, *others)])
    found = f"{slopes[0].compared.symbol}(0) is {shifts[0]:.4g} in the first and {shifts[1]:.4g} in the second"
    return shifted, f"{found}; each was subtracted from {symbols} of its own, which changes no image"


def _moved(pair: list[Curve], shifts: list[float]) -> list[Curve]:
    return [replace(curve, rows=curve.rows - shift) for curve, shift in zip(pair, shifts, strict=True)]


def _at_zero(curve: Curve, source: Source) -> float:
    low, high = curve.z[[0, -1]]
    if not low <= 0 <= high:
        raise source.refusal(curve.compared.law, "z", f"{low:.4g} to {high:.4g}", "a range that holds 0")
    return float(curve.at(np.zeros(1))[0, 0])


def _number_difference(item: Compared, ours: np.ndarray, theirs: np.ndarray) -> NumberDifference:
    overlap = _overlap(ours, theirs)
    return NumberDifference(item.symbol, float(ours[0]), float(theirs[0]), None if overlap is None else bool(overlap))


def _curve_difference(ours: Curve, theirs: Curve, sources: list[Source]) -> CurveDifference:
    inside = (ours.z >= theirs.z[0]) & (ours.z <= theirs.z[-1])
    if inside.sum() < 2:
        found, wanted = (f"{curve.z[0]:.4g} to {curve.z[-1]:.4g}" for curve in (theirs, ours))
        accepted = f"a range that holds two points or more of {wanted} in {sources[0].name}"
        raise sources[1].refusal(ours.compared.law, "z", found, accepted)
    z, rows = ours.z[inside], ours.rows[:, inside]
    others = theirs.at(z)
    difference, overlap = others[0] - rows[0], _overlap(rows, others)
    size, distance = (float(np.sqrt(trapezoid(values**2, z))) for values in (rows[0], difference))
    largest = int(np.argmax(np.abs(difference)))
    return CurveDifference(
        ours.compared.symbol,
        ours.compared.argument,
        (float(z[0]), float(z[-1])),
        distance / max(size, sys.float_info.min),
        float(abs(difference[largest])),
        float(z[largest]),
        None if overlap is None else float(trapezoid(overlap.astype(float), z) / (z[-1] - z[0])),
    )


def _overlap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    """Return where the bands of two sets of rows overlap; None where one has no band."""
    if len(ours) == 1 or len(theirs) == 1:
        return None
    gap = np.maximum(ours[1], theirs[1]) - np.minimum(ours[2], theirs[2])
    return gap <= NEGLIGIBLE * np.abs(ours[0]).max()
