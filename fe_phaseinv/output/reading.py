"""What a comparison takes from results: their laws, checked as they are read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from fe_phaseinv.core.errors import InputError, real_numbers, refusing_unreadable

POTENTIAL, SLOPE = "chemical_potential", "mu_h'"


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
    power : int
    """

    symbol: str
    law: str
    argument: str | None
    key: str = "value"
    power: int = 0


COMPARED = {
    "cahn-hilliard": (
        Compared(SLOPE, POTENTIAL, "c", "slope", power=1),
        Compared("D", "diffusivity", "c", power=-1),
        Compared("kappa", "gradient_energy", None, power=1),
    ),
    "allen-cahn": (
        Compared("mu_h", POTENTIAL, "c", power=1),
        Compared(SLOPE, POTENTIAL, "c", "slope", power=1),
        Compared("R0", "kinetic_prefactor", "c", power=-1),
        Compared("kappa", "gradient_energy", None, power=1),
    ),
    "phase-field-crystal": (
        Compared(SLOPE, POTENTIAL, "eta", "slope"),
        Compared("C2", "direct_correlation", "k"),
    ),
}
"""By the name of a model."""


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
        """Return a factor that makes the ideal entropy's part of mu_h' smooth, as a spline needs it."""
        return z * (1 - z) if self.compared.argument == "c" else np.ones_like(z)


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
        if not isinstance(laws, dict) or sorted(laws) != wanted:
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
        """Return a positive number, with the ends of its band if it has one.

        Parameters
        ----------
        item : Compared

        Raises
        ------
        InputError
            Where it is no such number.
        """
        rows = self._table(item, (), 0)
        if rows[0] <= 0:
            raise self.refusal(item.law, item.key, rows[0], "a positive number")
        return rows

    def curve(self, item: Compared) -> Curve:
        """Return a curve, of concentrations between 0 and 1 alone.

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
        inside = (z > 0) & (z < 1) if argument == "c" else np.full(len(z), True)
        if inside.sum() < 2 or np.any(np.diff(z) <= 0):
            accepted = "increasing numbers, two or more" + (" of them between 0 and 1" if argument == "c" else "")
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
