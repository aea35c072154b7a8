"""What a comparison takes from results: their laws, checked as they are read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from fe_phaseinv.core.errors import InputError, real_numbers, refusing_unreadable
from fe_phaseinv.models.built_in import BUILT_IN
from fe_phaseinv.models.declarations import FunctionLaw, NumberLaw
from fe_phaseinv.models.interface import Model


def read_result(path: str | os.PathLike) -> dict[str, Any]:
    """Read a result.json.

    Parameters
    ----------
    path : str or os.PathLike

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


def result_file(path: Path) -> Path:
    """Return the result.json of a result that is named by this file or by its folder.

    Parameters
    ----------
    path : pathlib.Path
    """
    return path / "result.json" if path.is_dir() else path


@dataclass(frozen=True)
class Compared:
    """What is compared of a law: `key` names its values in a result; the freedom of scale multiplies them by s^power.

    The slope stands for a potential whose constant changes no image; results hold no band of it. A law without an
    argument is a number.

    Parameters
    ----------
    symbol, law : str
        How tables name it, and its name.
    argument : str or None
    key : str
    power : float
    shifted : bool
        Whether the same constant may be added to it and the others of which this holds.
    positive : bool
        Whether a number is.
    bounds : sequence of float, optional
        Of the argument, if it has any.
    """

    symbol: str
    law: str
    argument: str | None
    key: str = "value"
    power: float = 0
    shifted: bool = False
    positive: bool = True
    bounds: Sequence[float] | None = None


def compared(model: type[Model] | Model) -> tuple[Compared, ...]:
    """Return what is compared of a model's laws, apart from those of several arguments.

    Parameters
    ----------
    model : Model or its class
    """
    return tuple(item for law in model.laws for item in _compared(model, law))


def _compared(model: type[Model] | Model, law: FunctionLaw | NumberLaw) -> Iterator[Compared]:
    symbol, power = model.symbol(law.name), model.power(law.name)
    if isinstance(law, NumberLaw):
        yield Compared(symbol, law.name, None, power=power, positive=law.positive)
    elif isinstance(law.of, str):
        bounds = model.bounds_of(law.of)
        bounds = bounds if np.all(np.isfinite(bounds)) else None
        item = Compared(symbol, law.name, law.of, "value", power, law.name in (model.exchange or ()), bounds=bounds)
        if law.constant or not law.has_slope:
            yield item
        if law.has_slope:
            yield replace(item, symbol=f"{symbol}'", key="slope")


def compared_in(name: str | os.PathLike, content: dict[str, Any]) -> tuple[Compared, ...]:
    """Return what is compared of a result: as its model has it, or as the result itself says of a user's model.

    Parameters
    ----------
    name : str or os.PathLike
        What errors call the result.
    content : dict
        Of result.json.

    Raises
    ------
    InputError
        Where the model is not known, and the result says nothing.
    """
    model = content.get("model")
    if isinstance(model, str) and model in BUILT_IN:
        return compared(BUILT_IN[model])
    if "compared" not in content:
        found = "nothing" if model is None else json.dumps(model)
        raise InputError(name, "model", found, " or ".join(BUILT_IN))
    with refusing_unreadable(name, "the result.json of an inversion"):
        return tuple(Compared(**item) for item in content["compared"])


@dataclass(frozen=True, eq=False)
class Curve:
    """A law at points, with its 95 % band where it has one.

    Parameters
    ----------
    compared : Compared
    z : numpy.ndarray, shape (n,)
        The points.
    rows : numpy.ndarray, shape (3, n) or (1, n)
        Its values there and the ends of the band, or the values alone.
    """

    compared: Compared
    z: np.ndarray
    rows: np.ndarray

    def at(self, z: np.ndarray) -> np.ndarray:
        """Return the rows at other points.

        Parameters
        ----------
        z : numpy.ndarray, shape (m,)
        """
        return CubicSpline(self.z, self.rows * self._weight(self.z), axis=1)(z) / self._weight(z)

    def _weight(self, z: np.ndarray) -> np.ndarray:
        """Return a factor that makes the ideal entropy's part of a slope smooth, as a spline needs it."""
        bounds = self.compared.bounds
        return np.ones_like(z) if bounds is None else (z - bounds[0]) * (bounds[1] - z)


@dataclass(frozen=True)
class Source:
    """A result whose laws are checked as they are read.

    Parameters
    ----------
    name : str or os.PathLike
        What errors call it.
    laws : dict
        Of its content.
    """

    name: str | os.PathLike
    laws: dict[str, Any]

    @classmethod
    def of(cls, name: str | os.PathLike, content: dict[str, Any], compared: tuple[Compared, ...]) -> Source:
        """Return a result that has the laws to be compared.

        Parameters
        ----------
        name : str or os.PathLike
        content : dict
            Of result.json.
        compared : tuple of Compared

        Raises
        ------
        InputError
            Where it has other laws.
        """
        laws, wanted = content.get("laws"), sorted({item.law for item in compared})
        if not isinstance(laws, dict) or sorted(name for name, law in laws.items() if not _is_surface(law)) != wanted:
            found = ", ".join(laws) if isinstance(laws, dict) else json.dumps(laws)
            raise InputError(name, "laws", found or "none", ", ".join(wanted))
        return cls(name, laws)

    def refusal(self, law: str, key: str, found: object, accepted: str) -> InputError:
        """Return the error that refuses a key of a law.

        Parameters
        ----------
        law, key : str
        found : object
        accepted : str
        """
        return InputError(self.name, f"laws.{law}.{key}", found, accepted)

    def number(self, item: Compared) -> np.ndarray:
        """Return a number, with the ends of its band if it has one.

        Parameters
        ----------
        item : Compared

        Raises
        ------
        InputError
            Where it is none, or not positive as it should be.
        """
        rows = self._table(item, (), 0)
        if item.positive and rows[0] <= 0:
            raise self.refusal(item.law, item.key, rows[0], "a positive number")
        return rows

    def curve(self, item: Compared) -> Curve:
        """Return a curve, inside the bounds of its argument alone.

        Parameters
        ----------
        item : Compared

        Raises
        ------
        InputError
            Where it is no such curve.
        """
        z, *rows = self._table(item, ("z",), 1)
        if (argument := self.laws[item.law].get("argument")) != item.argument:
            raise self.refusal(item.law, "argument", json.dumps(argument), json.dumps(item.argument))
        low, high = item.bounds or (-np.inf, np.inf)
        inside = (z > low) & (z < high)
        if inside.sum() < 2 or np.any(np.diff(z) <= 0):
            accepted = "increasing numbers, two or more"
            accepted += f" of them between {low:g} and {high:g}" if item.bounds else ""
            raise self.refusal(item.law, "z", f"[{', '.join(f'{point:.4g}' for point in z)}]", accepted)
        return Curve(item, z[inside], np.array(rows)[:, inside])

    def _table(self, item: Compared, before: tuple[str, ...], ndim: int) -> np.ndarray:
        law = self.laws[item.law]
        if not isinstance(law, dict):
            raise InputError(self.name, f"laws.{item.law}", json.dumps(law), f"an object with {item.key}")
        band = ("lower", "upper") if item.key == "value" and law.keys() & {"lower", "upper"} else ()
        keys = (*before, item.key, *band)
        rows = [self._numbers(item.law, key, ndim) for key in keys]
        for key, row in zip(keys, rows, strict=True):
            if row.size != rows[0].size:
                raise self.refusal(item.law, key, f"{row.size} values", f"{rows[0].size}, as many as of {keys[0]}")
        return np.array(rows)

    def _numbers(self, law: str, key: str, ndim: int) -> np.ndarray:
        accepted, value = "finite numbers" if ndim else "a finite number", self.laws[law].get(key)
        if key not in self.laws[law]:
            raise self.refusal(law, key, "nothing", accepted)
        if value is None or (isinstance(value, list) and None in value):
            raise self.refusal(law, key, "null", accepted)
        array = real_numbers(self.name, f"laws.{law}.{key}", value, ndim)
        if not np.isfinite(array).all():
            raise self.refusal(law, key, "NaN or infinity", accepted)
        return array


def _is_surface(law: object) -> bool:
    """Whether what a result says of a law is that of one of several arguments, which is not compared."""
    return isinstance(law, dict) and "," in str(law.get("argument"))
