"""Comparison of two results, apart from what no image can tell."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from scipy.interpolate import CubicSpline

from fe_phaseinv.errors import InputError, real_numbers, refusing_unreadable

POTENTIAL, ENERGY = "chemical_potential", "gradient_energy"
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
    """A law that is a number, in both results as they are.

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
        return self.first / self.second


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


@dataclass(frozen=True)
class _Compared:
    """What is compared of a law: `key` names its values in a result; the freedom of scale multiplies them by s^power.

    The slope stands for a potential whose constant changes no image; results hold no band of it.
    """

    symbol: str
    law: str
    key: str = "value"
    power: int = 0


COMPARED = {
    "cahn-hilliard": (
        _Compared("mu_h'", POTENTIAL, "slope", 1),
        _Compared("D", "diffusivity", power=-1),
        _Compared("kappa", ENERGY, power=1),
    ),
    "allen-cahn": (
        _Compared("mu_h", POTENTIAL, power=1),
        _Compared("mu_h'", POTENTIAL, "slope", 1),
        _Compared("R0", "kinetic_prefactor", power=-1),
        _Compared("kappa", ENERGY, power=1),
    ),
    "phase-field-crystal": (_Compared("mu_h'", POTENTIAL, "slope"), _Compared("C2", "direct_correlation")),
}
"""By the name of a model."""


@dataclass(frozen=True, eq=False)
class _Curve:
    """Points z of a law and, at them, its values with their 95 % band: an array of 3 rows, or of 1 without a band."""

    argument: str
    z: np.ndarray
    rows: np.ndarray

    def at(self, z: np.ndarray) -> np.ndarray:
        """Return the rows at other points."""
        return CubicSpline(self.z, self.rows * self._weight(self.z), axis=1)(z) / self._weight(z)

    def _weight(self, z: np.ndarray) -> np.ndarray:
        """Return a factor that makes the ideal entropy's part of mu_h' smooth, as a spline needs it."""
        return z * (1 - z) if self.argument == "c" else np.ones_like(z)


@dataclass(frozen=True, eq=False)
class _Laws:
    """The laws of a result as they are compared, by symbol; those that are numbers as rows of one column."""

    source: str
    curves: dict[str, _Curve]
    numbers: dict[str, np.ndarray]


def read_result(path: str | os.PathLike) -> dict[str, Any]:
    """Read a result.json.

    Raises
    ------
    InputError
        Where the file is missing or holds no JSON object.
    """
    accepted = "the result.json of an inversion"
    with refusing_unreadable(path, accepted):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(path, "file", json.dumps(content), accepted)
    return content


def compare(
    first: dict[str, Any], second: dict[str, Any], names: tuple[str | os.PathLike, ...] = ("first", "second")
) -> Comparison:
    """Compare two results over the range of the argument that both have, in the gauge of the first.

    (mu_h, kappa, D or R0) and (s mu_h, s kappa, D/s) give the same images, and so do mu_h and mu_h plus a constant
    except for Allen-Cahn; of the phase-field crystal, (mu_h', C2) and (mu_h' + a, C2 + a) do. Where the ideal entropy
    is a known part of mu_h it pins s, but through the prior rather than the images, so s is removed all the same.
    Concentrations outside 0 to 1, which noise brings about, are left out. The bands are those of the results, moved
    with their curves: they still hold the uncertainty of what was removed.

    Parameters
    ----------
    first, second : dict
        Contents of result.json.
    names : tuple of str or os.PathLike
        What errors call the two.

    Raises
    ------
    InputError
        Where keys are missing, values are null, or models or ranges do not go together.
    """
    model = _model(names[0], first, tuple(COMPARED))
    _model(names[1], second, (model,))
    compared = COMPARED[model]
    one, two = (_laws(name, content, compared) for name, content in zip(names, (first, second), strict=True))
    numbers = tuple(_number(item.symbol, one, two) for item in compared if item.symbol in one.numbers)
    if numbers:
        ours, theirs, removed = one.curves, *_scaled(two, compared, numbers[0].ratio)
    else:
        ours, theirs, removed = _shifted(one, two)
    curves = tuple(
        _difference(item, ours[item.symbol], theirs[item.symbol], names) for item in compared if item.symbol in ours
    )
    return Comparison(curves, numbers, removed)


def as_text(comparison: Comparison) -> str:
    """Return a comparison as a table with a sentence below it."""
    row = "{:<7} {:<30} {:>12} {:>12} {:>12} {:>16}".format
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


def _model(source: str | os.PathLike, content: dict[str, Any], accepted: tuple[str, ...]) -> str:
    model = content.get("model")
    if model not in accepted:
        raise InputError(source, "model", "nothing" if model is None else json.dumps(model), " or ".join(accepted))
    return model


def _laws(source: str | os.PathLike, content: dict[str, Any], compared: tuple[_Compared, ...]) -> _Laws:
    laws, names = content.get("laws"), sorted({item.law for item in compared})
    if not isinstance(laws, dict) or sorted(laws) != names:
        found = ", ".join(laws) if isinstance(laws, dict) else json.dumps(laws)
        raise InputError(source, "laws", found or "nothing", ", ".join(names))
    curves, numbers = {}, {}
    for item in compared:
        if item.law == ENERGY:
            numbers[item.symbol] = _rows(source, laws, item, 0)
        else:
            curves[item.symbol] = _curve(source, laws, item)
    for symbol, rows in numbers.items():
        if rows[0] <= 0:
            raise InputError(source, f"laws.{ENERGY}.value", rows[0], f"a positive {symbol}")
    return _Laws(str(source), curves, numbers)


def _curve(source: str | os.PathLike, laws: dict[str, Any], item: _Compared) -> _Curve:
    rows, z = _rows(source, laws, item, 1), _numbers(source, laws, item.law, "z", 1)
    argument = laws[item.law].get("argument")
    if not isinstance(argument, str):
        raise InputError(source, f"laws.{item.law}.argument", json.dumps(argument), "a name")
    if rows.shape[1] != len(z):
        raise InputError(source, f"laws.{item.law}.{item.key}", f"{rows.shape[1]} values", f"one for each of {len(z)} z")
    inside = (z > 0) & (z < 1) if argument == "c" else np.full(len(z), True)
    if inside.sum() < 2 or np.any(np.diff(z) <= 0):
        accepted = "increasing numbers, two or more" + (" of them between 0 and 1" if argument == "c" else "")
        raise InputError(source, f"laws.{item.law}.z", list(z), accepted)
    return _Curve(argument, z[inside], rows[:, inside])


def _rows(source: str | os.PathLike, laws: dict[str, Any], item: _Compared, ndim: int) -> np.ndarray:
    law = laws[item.law]
    if not isinstance(law, dict):
        raise InputError(source, f"laws.{item.law}", json.dumps(law), f"an object with {item.key}")
    band = ("lower", "upper") if item.key == "value" and law.keys() & {"lower", "upper"} else ()
    rows = [_numbers(source, laws, item.law, key, ndim) for key in (item.key, *band)]
    for key, row in zip(band, rows[1:], strict=True):
        if row.shape != rows[0].shape:
            raise InputError(source, f"laws.{item.law}.{key}", f"{row.size} values", f"{rows[0].size} as of {item.key}")
    return np.array(rows)


def _numbers(source: str | os.PathLike, laws: dict[str, Any], law: str, key: str, ndim: int) -> np.ndarray:
    name, accepted, value = f"laws.{law}.{key}", "finite numbers", laws[law].get(key)
    if key not in laws[law]:
        raise InputError(source, name, "nothing", accepted)
    if value is None or (isinstance(value, list) and None in value):
        raise InputError(source, name, "null", accepted)
    array = real_numbers(source, name, value, ndim)
    if not np.isfinite(array).all():
        raise InputError(source, name, "NaN or infinity", accepted)
    return array


def _scaled(laws: _Laws, compared: tuple[_Compared, ...], s: float) -> tuple[dict[str, _Curve], str]:
    """Return the curves in the gauge in which kappa is s times what it is, and say so."""
    powers = {item.symbol: item.power for item in compared}
    curves = {
        symbol: _Curve(curve.argument, curve.z, curve.rows * s ** powers[symbol])
        for symbol, curve in laws.curves.items()
    }
    (inverse,) = (symbol for symbol, power in powers.items() if power < 0)
    constant = "" if "mu_h" in powers else "; nor does the constant of mu_h, which was left out"
    removed = (
        f"kappa of the second is {1 / s:.4g} times that of the first; mu_h, kappa and 1/{inverse} of the second were "
        f"scaled by {s:.4g}, which changes no image{constant}"
    )
    return curves, removed


def _shifted(one: _Laws, two: _Laws) -> tuple[dict[str, _Curve], dict[str, _Curve], str]:
    """Return the curves of both less their own mu_h'(0), and say so."""
    shifts = [_slope_at_zero(laws) for laws in (one, two)]
    curves = [
        {symbol: _Curve(curve.argument, curve.z, curve.rows - shift) for symbol, curve in laws.curves.items()}
        for laws, shift in zip((one, two), shifts, strict=True)
    ]
    removed = (
        f"mu_h'(0) is {shifts[0]:.4g} in the first and {shifts[1]:.4g} in the second; each was subtracted from mu_h' "
        "and C2 of its own, which changes no image"
    )
    return *curves, removed


def _slope_at_zero(laws: _Laws) -> float:
    curve = laws.curves["mu_h'"]
    low, high = curve.z[[0, -1]]
    if not low <= 0 <= high:
        raise InputError(laws.source, f"laws.{POTENTIAL}.z", f"{low:.4g} to {high:.4g}", "a range that holds 0")
    return float(curve.at(np.zeros(1))[0, 0])


def _number(symbol: str, one: _Laws, two: _Laws) -> NumberDifference:
    ours, theirs = one.numbers[symbol], two.numbers[symbol]
    overlap = _overlap(ours, theirs)
    return NumberDifference(symbol, float(ours[0]), float(theirs[0]), None if overlap is None else bool(overlap))


def _difference(item: _Compared, ours: _Curve, theirs: _Curve, names: tuple[str | os.PathLike, ...]) -> CurveDifference:
    if theirs.argument != ours.argument:
        raise InputError(names[1], f"laws.{item.law}.argument", theirs.argument, f"{ours.argument}, as in {names[0]}")
    inside = (ours.z >= theirs.z[0]) & (ours.z <= theirs.z[-1])
    if inside.sum() < 2:
        found, wanted = (f"{curve.z[0]:.4g} to {curve.z[-1]:.4g}" for curve in (theirs, ours))
        accepted = f"a range that overlaps that of {names[0]}, {wanted}, on two of its points or more"
        raise InputError(names[1], f"laws.{item.law}.z", found, accepted)
    z, rows = ours.z[inside], ours.rows[:, inside]
    others = theirs.at(z)
    difference, overlap = others[0] - rows[0], _overlap(rows, others)
    size, distance = (float(np.sqrt(trapezoid(values**2, z))) for values in (rows[0], difference))
    largest = int(np.argmax(np.abs(difference)))
    return CurveDifference(
        item.symbol,
        ours.argument,
        (float(z[0]), float(z[-1])),
        distance / size if size else np.inf if distance else 0.0,
        float(abs(difference[largest])),
        float(z[largest]),
        None if overlap is None else float(trapezoid(overlap.astype(float), z) / (z[-1] - z[0])),
    )


def _overlap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    """Return where the bands of two sets of rows overlap; None where one has no band."""
    if len(ours) == 1 or len(theirs) == 1:
        return None
    gap = np.maximum(ours[1], theirs[1]) - np.minimum(ours[2], theirs[2])
    return gap <= NEGLIGIBLE * np.abs(ours[0])
