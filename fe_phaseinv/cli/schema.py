"""The sections of a case file: their keys, with what each of them accepts."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from fe_phaseinv.laws.bases import Hermite


def declared(default: Any = MISSING, **rules: Any) -> Any:
    """Declare a key of a case file, required if it has no default; its type and the rules say what is accepted.

    choices: the accepted texts, any where not given; above, least, below: bounds of a number or of each number of a
    list; size: the key that holds the greatest length of a list; instead_of: the key that may not be given beside
    this one; by_model: the class of the section, for each model.
    """
    return field(default=default, metadata=rules)


@dataclass(frozen=True)
class Domain:
    """Where the equations hold and how they are discretised.

    Attributes
    ----------
    mesh : str or Path
        ``"rectangle"`` or ``"box"`` (the whole picture), ``"outline"`` (of the pixels with data), or the absolute path
        of a mesh.
    cells, degree : int or None
        Elements along the longer side of the images, and their polynomial degree; None leaves it to the program.
    boundary : str
        The boundary condition.
    tags : tuple of int or str, or None
        Of the parts of the boundary that the images give, where it is ``"from-images"``; nothing passes the others.
        Names are those of the physical groups of a mesh file, or ``"outside"`` and ``"holes"`` of an outline.
    """

    mesh: str | Path = declared("rectangle", choices=("rectangle", "box", "outline"))
    cells: int | None = declared(None, above=0)
    degree: int | None = declared(None, least=1)
    boundary: str = declared("no-flux", choices=("no-flux", "from-images", "periodic"))
    tags: tuple[int | str, ...] | None = declared(None, least=1)


@dataclass(frozen=True)
class Images:
    """Which images of one experiment, and how noisy.

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
    domain : Domain or None
        In place of the domain of the case.
    """

    file: Path = declared()
    frames: tuple[int, ...] | None = declared(None, least=0)
    initial: int = declared(0, least=0)
    noise: str | float = declared(0.0, choices=("estimate",), least=0)
    domain: Domain | None = declared(None)


@dataclass(frozen=True)
class Curve:
    """A law that is a function, expanded in `size` functions of `basis`.

    The first `coefficients` are given, the others zero: to start from, or to stay at if `fixed`.
    """

    basis: str = declared("legendre", choices=("legendre",))
    size: int = declared(10, least=1)
    coefficients: tuple[float, ...] = declared((), size="size")
    fixed: bool = declared(False)


@dataclass(frozen=True)
class ChemicalPotential(Curve):
    """The homogeneous chemical potential; with `ideal_entropy`, log(c / (1 - c)) is added to the expansion.

    With `symmetric` it is odd about c = 1/2, and with `convex_ends` it rises at c = 0 and 1.
    """

    ideal_entropy: bool = declared(False)
    symmetric: bool = declared(False)
    convex_ends: bool = declared(False)

    @property
    def starting(self) -> tuple[float, ...]:
        """The first coefficients to start from: where nothing else makes it rise at its ends, those of a line."""
        return self.coefficients or ((0.0, 0.5) if self.convex_ends and not self.ideal_entropy else ())


@dataclass(frozen=True)
class Diffusivity(Curve):
    """The diffusivity D(c); the mobility is D(c) c, or D(c) itself where it is not `weighted`."""

    weighted: bool = declared(True)


@dataclass(frozen=True)
class Number:
    """A law that is a positive number: the `initial` value to start from, or the `fixed` value to stay at."""

    initial: float = declared(1e-3, above=0)
    fixed: float | None = declared(None, above=0, instead_of="initial")


@dataclass(frozen=True)
class CahnHilliardLaws:
    """The laws of the Cahn-Hilliard equation."""

    chemical_potential: ChemicalPotential = declared()
    diffusivity: Diffusivity = declared()
    gradient_energy: Number = declared(Number())


@dataclass(frozen=True)
class AllenCahnLaws:
    """The laws of the Allen-Cahn equation."""

    chemical_potential: ChemicalPotential = declared()
    kinetic_prefactor: Curve = declared()
    gradient_energy: Number = declared(Number())


@dataclass(frozen=True)
class Polynomial(Curve):
    """A polynomial without its constant: the coefficients are those of the powers 1 to `size`."""

    basis: str = declared("polynomial", choices=("polynomial",))
    size: int = declared(3, least=1)


@dataclass(frozen=True, kw_only=True)
class Kernel(Curve):
    """A function of the wavenumber k, in powers or Hermite functions of k/k0, where k0 is the `wavenumber`."""

    basis: str = declared("hermite", choices=("quartic", "hermite"))
    size: int | None = declared(None, least=1)
    wavenumber: float = declared(above=0)


@dataclass(frozen=True, kw_only=True)
class CrystalLaws:
    """The laws of the phase-field crystal."""

    chemical_potential: Polynomial = declared(Polynomial())
    direct_correlation: Kernel = declared()


KERNEL_SIZES = {"quartic": (3, 3), "hermite": (Hermite.FEWEST, Hermite.MOST)}
"""Smallest and largest size of each basis of a kernel."""
LAWS = {"cahn-hilliard": CahnHilliardLaws, "allen-cahn": AllenCahnLaws, "phase-field-crystal": CrystalLaws}
"""The laws of each model. A new model is a new entry, and its laws a new class."""


@dataclass(frozen=True)
class Time:
    """The time steps; `rtol` is the relative error of one, None leaving it to the program."""

    rtol: float | None = declared(None, above=0, below=1)


@dataclass(frozen=True)
class Prior:
    """The prior of the laws; `strength` is its weight or ``"auto"``."""

    strength: str | float = declared("auto", choices=("auto",), least=0)


@dataclass(frozen=True, kw_only=True)
class Field:
    """What is expected of an unknown field: its `deviation` at a point, correlated over a `length`."""

    deviation: float = declared(above=0)
    length: float = declared(above=0)


@dataclass(frozen=True)
class Optimizer:
    """The optimiser: its Hessian and the most iterations it may take."""

    hessian: str = declared("gauss-newton", choices=("gauss-newton", "newton", "both"))
    max_iterations: int = declared(50, least=1)


@dataclass(frozen=True)
class Uncertainty:
    """How the uncertainty of the laws is found."""

    method: str = declared("laplace", choices=("laplace", "none"))
