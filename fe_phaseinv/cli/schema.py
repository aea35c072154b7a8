"""The sections of a case file: their keys, with what each of them says and accepts."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from fe_phaseinv.laws.bases import Hermite


def declared(says: str, default: Any = MISSING, **rules: Any) -> Any:
    """Declare a key of a case file.

    Parameters
    ----------
    says : str
        What the key is for, a sentence without its full stop.
    default : object, optional
        Its value where the file does not give it; required where there is none.
    **rules : object
        What is accepted, besides the type. choices: the texts, any where not given; above, least, below: bounds of a
        number or of each number of a list; size: the key that holds the greatest length of a list; instead_of: the
        key that may not be given beside this one; by_model: the class of the section, for each model; example: the
        value that a new case has in place of the default.
    """
    return field(default=default, metadata=rules | {"says": says})


@dataclass(frozen=True)
class Domain:
    """Where the equations hold, and how they are discretised."""

    mesh: str | Path = declared(
        '"rectangle" or "box", the whole picture; "outline", of the pixels with data; or the file of a mesh',
        "rectangle",
        choices=("rectangle", "box", "outline"),
    )
    cells: int | None = declared(
        "Elements along the longer side of the images; by default as many as the pixels can tell apart", None, above=0
    )
    degree: int | None = declared("Polynomial degree of the elements; 3 by default", None, least=1)
    boundary: str = declared(
        "Nothing passes the boundary, or the images give what is beyond it, or the picture repeats",
        "no-flux",
        choices=("no-flux", "from-images", "periodic"),
    )
    tags: tuple[int | str, ...] | None = declared(
        'With boundary = "from-images": the parts of the boundary that the images give, by number or name of a mesh '
        'file\'s physical group, or "outside" and "holes" of an outline; all where not given',
        None,
        least=1,
    )


@dataclass(frozen=True)
class Images:
    """Images of one experiment over time; several of them, [[images]], share the laws."""

    file: Path = declared("A npz, mat, h5 or tif file, or a folder of png or tif files", example="images.npz")
    frames: tuple[int, ...] | None = declared("Indices of the frames to use, from 0; all by default", None, least=0)
    initial: int = declared("Index of the frame that starts the run", 0, least=0)
    noise: str | float = declared(
        'Standard deviation of the noise of a pixel, or "estimate"', 0.0, choices=("estimate",), least=0
    )
    domain: Domain | None = declared("In place of the domain of the case", None)


@dataclass(frozen=True)
class Curve:
    """A law that is a function, expanded in a basis."""

    basis: str = declared("The functions", "legendre", choices=("legendre",))
    size: int = declared("How many of them", 10, least=1)
    coefficients: tuple[float, ...] = declared(
        "The first coefficients to start from, or to stay at if fixed; the others are zero", (), size="size"
    )
    fixed: bool = declared("Whether the law stays as it starts", False)


@dataclass(frozen=True)
class ChemicalPotential(Curve):
    """The homogeneous chemical potential mu_h(c), in units of kT."""

    ideal_entropy: bool = declared("Whether log(c / (1 - c)) is added to the expansion", False, example=True)
    symmetric: bool = declared("Whether it is odd about c = 1/2", False)
    convex_ends: bool = declared("Whether it rises at c = 0 and 1", False)

    @property
    def starting(self) -> tuple[float, ...]:
        """The first coefficients to start from: where nothing else makes it rise at its ends, those of a line."""
        return self.coefficients or ((0.0, 0.5) if self.convex_ends and not self.ideal_entropy else ())


@dataclass(frozen=True)
class Diffusivity(Curve):
    """The diffusivity D(c), in units of length^2/time; the coefficients are those of log D."""

    weighted: bool = declared("Whether the mobility is D(c) c, rather than D(c) itself", True)


@dataclass(frozen=True)
class Prefactor(Curve):
    """The kinetic prefactor R0(c), in units of 1/time; the coefficients are those of log R0."""


@dataclass(frozen=True)
class Number:
    """The gradient energy kappa, a positive number in units of length^2."""

    initial: float = declared("Where to start", 1e-3, above=0)
    fixed: float | None = declared("Where to stay, in place of initial", None, above=0, instead_of="initial")


@dataclass(frozen=True)
class CahnHilliardLaws:
    """The laws of the Cahn-Hilliard equation."""

    chemical_potential: ChemicalPotential = declared("The homogeneous chemical potential")
    diffusivity: Diffusivity = declared("The diffusivity")
    gradient_energy: Number = declared("The gradient energy", Number())


@dataclass(frozen=True)
class AllenCahnLaws:
    """The laws of the Allen-Cahn equation."""

    chemical_potential: ChemicalPotential = declared("The homogeneous chemical potential")
    kinetic_prefactor: Prefactor = declared("The kinetic prefactor")
    gradient_energy: Number = declared("The gradient energy", Number())


@dataclass(frozen=True)
class Polynomial(Curve):
    """The homogeneous chemical potential mu_h(eta), a polynomial without its constant."""

    basis: str = declared("The functions: eta, eta^2, ...", "polynomial", choices=("polynomial",))
    size: int = declared("How many of them", 3, least=1)


@dataclass(frozen=True, kw_only=True)
class Kernel(Curve):
    """The direct correlation C2(k), a function of the wavenumber k."""

    basis: str = declared("Powers or Hermite functions of k/k0", "hermite", choices=("quartic", "hermite"))
    size: int | None = declared("How many of them; 10 of hermite by default, 3 of quartic", None, least=1)
    wavenumber: float = declared("The wavenumber k0 of the crystal", above=0, example=10.0)


@dataclass(frozen=True, kw_only=True)
class CrystalLaws:
    """The laws of the phase-field crystal."""

    chemical_potential: Polynomial = declared("The homogeneous chemical potential", Polynomial())
    direct_correlation: Kernel = declared("The direct correlation")


KERNEL_SIZES = {"quartic": (3, 3), "hermite": (Hermite.FEWEST, Hermite.MOST)}
"""Smallest and largest size of each basis of a kernel."""
LAWS = {"cahn-hilliard": CahnHilliardLaws, "allen-cahn": AllenCahnLaws, "phase-field-crystal": CrystalLaws}
"""The laws of each model. A new model is a new entry, and its laws a new class."""


@dataclass(frozen=True)
class Time:
    """The time steps."""

    rtol: float | None = declared("Relative error of a step; by default as the noise allows", None, above=0, below=1)


@dataclass(frozen=True)
class Prior:
    """What is expected of the laws: that they are smooth."""

    strength: str | float = declared(
        'Weight of the prior in units of the squared misfit of a pixel, or "auto"', "auto", choices=("auto",), least=0
    )


@dataclass(frozen=True, kw_only=True)
class Field:
    """A map h to be learnt from one series of images: the kinetics are multiplied by exp(h)."""

    deviation: float = declared("Standard deviation that is expected of h at a point", above=0, example=0.3)
    length: float = declared("Length over which h is correlated", above=0, example=0.1)


@dataclass(frozen=True)
class Optimizer:
    """How the cost is minimised."""

    hessian: str = declared(
        "Without or with the second derivatives of the model, or both in turn",
        "gauss-newton",
        choices=("gauss-newton", "newton", "both"),
    )
    max_iterations: int = declared("Most trial points of all stages together", 50, least=1)


@dataclass(frozen=True)
class Uncertainty:
    """How the uncertainty of the laws is found."""

    method: str = declared('A Gaussian at the optimum, or "none"', "laplace", choices=("laplace", "none"))
