"""Case files: what a run is, as validated values."""

import difflib
import json
import math
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import numpy as np

from fe_phaseinv.bases import Hermite, Legendre
from fe_phaseinv.errors import InputError, read_toml


def _key(default: Any = MISSING, **rules: Any) -> Any:
    """Declare a key of a case file, required if it has no default; its type and the rules say what is accepted.

    choices: the accepted texts; above, least, below: bounds of a number or of each number of a list; size: the key
    that holds the greatest length of a list; instead_of: the key that may not be given beside this one; by_model: the
    class of the section, for each model.
    """
    return field(default=default, metadata=rules)


@dataclass(frozen=True)
class Images:
    """Which images, and how noisy.

    Attributes
    ----------
    file : Path
        The file or folder of the images, absolute.
    frames : tuple of int or None
        Indices of the frames to use; None for all.
    initial : int
        Index of the frame that starts the run.
    noise : float or str
        Standard deviation of the noise of a pixel, or ``"estimate"``.
    """

    file: Path = _key()
    frames: tuple[int, ...] | None = _key(None, least=0)
    initial: int = _key(0, least=0)
    noise: str | float = _key(0.0, choices=("estimate",), least=0)


@dataclass(frozen=True)
class Domain:
    """Where the equations hold and how they are discretised.

    Attributes
    ----------
    mesh : str or Path
        ``"rectangle"``, or the absolute path of a mesh.
    cells, degree : int or None
        Elements along the longer side of the images, and their polynomial degree; None leaves it to the program.
    boundary : str
        The boundary condition.
    """

    mesh: str | Path = _key("rectangle", choices=("rectangle",))
    cells: int | None = _key(None, above=0)
    degree: int | None = _key(None, least=1)
    boundary: str = _key("no-flux", choices=("no-flux", "from-images", "periodic"))


@dataclass(frozen=True)
class Curve:
    """A law that is a function, expanded in `size` functions of `basis`.

    The first `coefficients` are given, the others zero: to start from, or to stay at if `fixed`.
    """

    basis: str = _key("legendre", choices=("legendre",))
    size: int = _key(10, least=1)
    coefficients: tuple[float, ...] = _key((), size="size")
    fixed: bool = _key(False)


@dataclass(frozen=True)
class ChemicalPotential(Curve):
    """The homogeneous chemical potential; with `ideal_entropy`, log(c / (1 - c)) is added to the expansion.

    With `symmetric` it is odd about c = 1/2, and with `convex_ends` it rises at c = 0 and 1.
    """

    ideal_entropy: bool = _key(False)
    symmetric: bool = _key(False)
    convex_ends: bool = _key(False)

    @property
    def starting(self) -> tuple[float, ...]:
        """The first coefficients to start from: where nothing else makes it rise at its ends, those of a line."""
        return self.coefficients or ((0.0, 0.5) if self.convex_ends and not self.ideal_entropy else ())


@dataclass(frozen=True)
class Number:
    """A law that is a positive number: the `initial` value to start from, or the `fixed` value to stay at."""

    initial: float = _key(1e-3, above=0)
    fixed: float | None = _key(None, above=0, instead_of="initial")


@dataclass(frozen=True)
class CahnHilliardLaws:
    """The laws of the Cahn-Hilliard equation."""

    chemical_potential: ChemicalPotential = _key()
    diffusivity: Curve = _key()
    gradient_energy: Number = _key(Number())


@dataclass(frozen=True)
class AllenCahnLaws:
    """The laws of the Allen-Cahn equation."""

    chemical_potential: ChemicalPotential = _key()
    kinetic_prefactor: Curve = _key()
    gradient_energy: Number = _key(Number())


@dataclass(frozen=True)
class Polynomial(Curve):
    """A polynomial without its constant: the coefficients are those of the powers 1 to `size`."""

    basis: str = _key("polynomial", choices=("polynomial",))
    size: int = _key(3, least=1)


@dataclass(frozen=True, kw_only=True)
class Kernel(Curve):
    """A function of the wavenumber k, in powers or Hermite functions of k/k0, where k0 is the `wavenumber`."""

    basis: str = _key("hermite", choices=("quartic", "hermite"))
    size: int | None = _key(None, least=1)
    wavenumber: float = _key(above=0)


@dataclass(frozen=True, kw_only=True)
class CrystalLaws:
    """The laws of the phase-field crystal."""

    chemical_potential: Polynomial = _key(Polynomial())
    direct_correlation: Kernel = _key()


KERNEL_SIZES = {"quartic": (3, 3), "hermite": (Hermite.FEWEST, Hermite.MOST)}
"""Smallest and largest size of each basis of a kernel."""
LAWS = {"cahn-hilliard": CahnHilliardLaws, "allen-cahn": AllenCahnLaws, "phase-field-crystal": CrystalLaws}
"""The laws of each model. A new model is a new entry, and its laws a new class."""


@dataclass(frozen=True)
class Time:
    """The time steps; `rtol` is the relative error of one, None leaving it to the program."""

    rtol: float | None = _key(None, above=0, below=1)


@dataclass(frozen=True)
class Prior:
    """The prior of the laws; `strength` is its weight or ``"auto"``."""

    strength: str | float = _key("auto", choices=("auto",), least=0)


@dataclass(frozen=True, kw_only=True)
class Field:
    """What is expected of an unknown field: its `deviation` at a point, correlated over a `length`."""

    deviation: float = _key(above=0)
    length: float = _key(above=0)


@dataclass(frozen=True)
class Optimizer:
    """The optimiser: its Hessian and the most iterations it may take."""

    hessian: str = _key("gauss-newton", choices=("gauss-newton", "newton", "both"))
    max_iterations: int = _key(50, least=1)


@dataclass(frozen=True)
class Uncertainty:
    """How the uncertainty of the laws is found."""

    method: str = _key("laplace", choices=("laplace", "none"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A validated case; the attributes are the keys and sections of its file."""

    model: str = _key(choices=tuple(LAWS))
    truth: Path | None = _key(None)
    images: Images = _key()
    domain: Domain = _key(Domain())
    laws: CahnHilliardLaws | AllenCahnLaws | CrystalLaws = _key(by_model=LAWS)
    time: Time = _key(Time())
    prior: Prior = _key(Prior())
    heterogeneity: Field | None = _key(None)
    optimizer: Optimizer = _key(Optimizer())
    uncertainty: Uncertainty = _key(Uncertainty())

    def text(self) -> str:
        """Return the case as TOML with all defaults and absolute paths; `read_case` reads it back to an equal case."""
        return "\n".join(_lines(self, "")) + "\n"


def read_case(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Case:
    """Read and validate a case file.

    Parameters
    ----------
    path : str or os.PathLike
        The file; relative paths in it and in the overrides start from its folder.
    overrides : sequence of str
        Replacements ``key.path=value``; the value is TOML, or else a text.

    Raises
    ------
    InputError
        If the file cannot be read or is no TOML, a key is unknown or missing, or a value is refused.
    """
    table = read_toml(path := Path(path), "a case file (TOML)")
    for override in overrides:
        _override(path, table, override)
    case = _section(path, Case, table, "")
    _check_potential(path, case.laws.chemical_potential)
    _check_crystal(path, case)
    if case.domain.boundary == "periodic" and isinstance(case.domain.mesh, Path):
        raise InputError(path, "domain.mesh", case.domain.mesh, '"rectangle", where domain.boundary = "periodic"')
    return case


def _check_potential(source: Path, law: Curve) -> None:
    """Check that the coefficients to start from are among those that the constraints allow."""
    if not isinstance(law, ChemicalPotential):
        return
    key = "laws.chemical_potential"
    if law.symmetric and any(law.coefficients[2::2]):
        accepted = "zeros for the even polynomials, where symmetric = true"
        raise InputError(source, f"{key}.coefficients", list(law.coefficients), accepted)
    if law.convex_ends and not law.ideal_entropy:
        m = np.array(law.starting[: law.size])
        found = m @ Legendre(law.size).slopes(np.array([0.0, 1.0]))[: len(m)]
        if not np.all(found > 0):
            accepted = "two or more coefficients with which it rises at 0 and 1, where convex_ends = true"
            raise InputError(source, key, f"slopes {found[0]:g} and {found[1]:g}", accepted)


def _check_crystal(source: Path, case: Case) -> None:
    """Check what only the phase-field crystal asks for."""
    if not isinstance(case.laws, CrystalLaws):
        return
    where = f', where model = "{case.model}"'
    if case.domain.boundary == "from-images":
        raise InputError(source, "domain.boundary", '"from-images"', f'"periodic" or "no-flux"{where}')
    if case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", _toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
    kernel, key = case.laws.direct_correlation, "laws.direct_correlation"
    least, most = KERNEL_SIZES[kernel.basis]
    if kernel.size is not None and not least <= kernel.size <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(source, f"{key}.size", kernel.size, f'{accepted}, where basis = "{kernel.basis}"')
    given = kernel.coefficients
    if kernel.basis == "quartic" and given and not (len(given) == 3 and given[2] < 0):
        raise InputError(source, f"{key}.coefficients", list(given), "three numbers, the last one below zero")


def _override(source: Path, table: dict[str, Any], override: str) -> None:
    dotted, equals, value = (part.strip() for part in override.partition("="))
    *sections, key = dotted.split(".")
    if not equals or not all((*sections, key)):
        raise InputError(source, "override", _toml(override), "key.path=value")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(source, dotted, f"{section} = {_toml(table)}, which holds no keys", "a key of a section")
    with suppress(ValueError, RecursionError):
        value = tomllib.loads(f"value = {value}")["value"]
    table[key] = value


def _section(source: Path, kind: type, table: Any, name: str) -> Any:
    """Return a section of a case file as an object of its class."""
    if not isinstance(table, dict):
        raise InputError(source, name, _toml(table), _accepted(kind, {}))
    prefix = f"{name}." if name else ""
    known = [spec.name for spec in fields(kind)]
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
            raise InputError(source, prefix + key, f"an unknown key (nearest: {nearest})", ", ".join(known))
    values = {}
    for spec in fields(kind):
        key, rules = prefix + spec.name, spec.metadata
        accepted = rules["by_model"][values["model"]] if "by_model" in rules else spec.type
        if spec.name in table:
            values[spec.name] = _value(source, accepted, rules, table[spec.name], key)
        elif spec.default is MISSING:
            raise InputError(source, key, "nothing", _accepted(accepted, rules))
    section = kind(**values)
    _check_together(source, section, table, prefix)
    return section


def _check_together(source: Path, section: Any, table: dict[str, Any], prefix: str) -> None:
    for spec in fields(section):
        key, value, rules = prefix + spec.name, getattr(section, spec.name), spec.metadata
        most = getattr(section, rules["size"]) if "size" in rules else None
        if most is not None and len(value) > most:
            accepted = f"at most {most} ({prefix}{rules['size']})"
            raise InputError(source, key, f"{len(value)} numbers", accepted)
        if spec.name in table and rules.get("instead_of") in table:
            raise InputError(source, key, f"{spec.name} beside {rules['instead_of']}", "one of the two")


def _value(source: Path, kind: Any, rules: Mapping[str, Any], value: Any, name: str) -> Any:
    for section in (kind, *get_args(kind)):
        if is_dataclass(section):
            return _section(source, section, value, name)
    converted = _convert(value, kind, rules, source.absolute().parent)
    if converted is None:
        raise InputError(source, name, _toml(value), _accepted(kind, rules))
    return converted


def _convert(value: Any, kind: Any, rules: Mapping[str, Any], folder: Path) -> Any:
    """Return a TOML value as a `kind`; None if it is none or breaks the rules."""
    if isinstance(kind, UnionType):
        found = (_convert(value, option, rules, folder) for option in get_args(kind))
        return next((value for value in found if value is not None), None)
    if get_origin(kind) is tuple and isinstance(value, list):
        items = tuple(_convert(item, get_args(kind)[0], rules, folder) for item in value)
        return None if None in items else items
    if kind is Path and isinstance(value, str) and value and os.path.exists(folder / value):
        return (folder / value).resolve()
    if (kind is bool and isinstance(value, bool)) or (kind is str and value in rules["choices"]):
        return value
    number = type(value) is kind is int or (kind is float and type(value) in (int, float))
    return kind(value) if number and _in_bounds(value, rules) else None


def _in_bounds(value: float, rules: Mapping[str, float]) -> bool:
    # The limit of floats refuses NaN, infinity and integers that no float can hold.
    within = rules.get("above", -math.inf) < value < rules.get("below", math.inf)
    return within and value >= rules.get("least", -math.inf) and abs(value) <= sys.float_info.max


def _accepted(kind: Any, rules: Mapping[str, Any]) -> str:
    """Say in words what `_convert` or `_section` takes."""
    if isinstance(kind, UnionType):
        return " or ".join(_accepted(option, rules) for option in get_args(kind) if option is not NoneType)
    if is_dataclass(kind):
        return f"a section with the keys {', '.join(spec.name for spec in fields(kind))}"
    if get_origin(kind) is tuple:
        return f"a list, each item {_accepted(get_args(kind)[0], rules)}"
    if kind is str:
        return " or ".join(map(_toml, rules["choices"]))
    words = {int: "an integer", float: "a finite number", bool: "true or false", Path: "an existing file or folder"}
    signs = {"above": ">", "least": ">=", "below": "<"}
    bounds = [f"{sign} {rules[rule]}" for rule, sign in signs.items() if rule in rules and kind in (int, float)]
    return " ".join((words[kind], " and ".join(bounds))).strip()


def _toml(value: Any) -> str:
    """Return a value as TOML text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        # A JSON string is a TOML string but for one character.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def _lines(section: Any, name: str) -> list[str]:
    """Return the lines of a section: its keys, then the sections inside it."""
    values = {spec.name: getattr(section, spec.name) for spec in fields(section)}
    replaced = {spec.metadata.get("instead_of") for spec in fields(section) if values[spec.name] is not None}
    given = {key: value for key, value in values.items() if value is not None and key not in replaced}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items() if not is_dataclass(value)]
    if name and lines:
        lines = ["", f"[{name}]", *lines]
    for key, value in given.items():
        if is_dataclass(value):
            lines += _lines(value, f"{name}.{key}" if name else key)
    return lines
