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
        key that may not be given beside this one; by_model: a function that gives the class of the section for that of
        the model, None where it has no such section; member: that a path is that of something in a file, file:name;
        starts: values that a new case has in the section; example: the value that it has in place of the default.
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
    outline: str = declared(
        "Whether the place of an outline, which a mask of whole pixels does not tell well, is learnt with the laws",
        "learnt",
        choices=("learnt", "fixed"),
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
class Drive:
    """The mean of the first field, which a model with a number unknown at each time keeps."""

    mean: str | tuple[tuple[float, float], ...] = declared(
        'Its values, [[time, mean], ...], joined by a cubic spline, or "from-images"',
        "from-images",
        choices=("from-images",),
    )
    rate: float | None = declared(
        "By how much it grows in a unit of time, from that of the first frame on", None, instead_of="mean"
    )


@dataclass(frozen=True)
class Images:
    """Images of one experiment over time; several of them, [[images]], share the laws."""

    file: Path = declared(
        "A tif, png, npz, npy, mat, h5 or nc file, a zarr store, or a folder of png or tif files", example="images.npz"
    )
    frames: tuple[int, ...] | None = declared("Indices of the frames to use, from 0; all by default", None, least=0)
    initial: int = declared("Index of the frame that starts the run", 0, least=0)
    noise: str | float | tuple[float, ...] = declared(
        'Standard deviation of the noise of a pixel, one number or one for each frame of the file, or "estimate"',
        0.0,
        choices=("estimate",),
        least=0,
    )
    loss: str = declared(
        "How differences from the pixels count: squared, or, where a few pixels are far off, less (then with a noise)",
        "squares",
        choices=("squares", "huber", "student"),
    )
    sigma: Path | str | None = declared(
        "That of each pixel: a file, or the name of another array in the file of the images", None, instead_of="noise"
    )
    mask: Path | str | None = declared(
        "Where there is data, 0 or 1 or the share of each pixel: a file, or the name of an array as before", None
    )
    key: str | None = declared("Name of the array of the images, in a file of several", None)
    axes: str | None = declared("Its axes, a letter of t, c (channels), z, y and x for each", None)
    channel: int | None = declared("The channel or colour to take, from 0", None, least=0)
    grey: str | Path | tuple[float, float] | tuple[tuple[float, float], ...] | None = declared(
        "Numbers in the file that stand for 0 and 1; pairs of a number and a value, or a text file of two such "
        'columns; or "range", about the smallest and the largest number',
        None,
        choices=("range",),
    )
    times: tuple[float, ...] | None = declared("Time of each frame of the file, where it does not say", None)
    time_step: float | None = declared("Time from frame to frame", None, above=0, instead_of="times")
    extent: tuple[float, ...] | None = declared(
        "Size of the images along x, y and z, where the file does not say", None
    )
    pixel_size: float | tuple[float, ...] | None = declared("Size of a pixel", None, above=0, instead_of="extent")
    origin: tuple[float, ...] | None = declared("Position of the lower left corner; zero where nothing says", None)
    unit: str | None = declared('Name of the unit of length, such as "um"; lengths of the file are converted', None)
    time_unit: str | None = declared('Name of the unit of time, such as "h"; times of the file are converted', None)
    crop: tuple[float, ...] | None = declared(
        "Window to use, [x0, y0, x1, y1], in space [x0, y0, z0, x1, y1, z1]", None
    )
    downsample: int = declared("Average over blocks of so many pixels in each direction", 1, least=1)
    register: bool = declared("Whether shifts from frame to frame are taken out", False)
    domain: Domain | None = declared("In place of the domain of the case", None)
    drive: Drive | None = declared("In place of the drive of the case", None)

    @property
    def noisy(self) -> bool:
        """Whether a noise is known or to be estimated."""
        return self.noise != 0 or self.sigma is not None


@dataclass(frozen=True)
class Simulate:
    """What fe-phaseinv simulate writes."""

    times: tuple[float, ...] | None = declared(
        "Times of its images, after that of the frame that starts the run; those of the frames by default", None
    )


@dataclass(frozen=True)
class Curve:
    """A law that is a function, expanded in a basis."""

    basis: str = declared(
        "Legendre polynomials, or z, z^2, ... without a constant", "legendre", choices=("legendre", "polynomial")
    )
    size: int = declared("How many of them", 10, least=1)
    interval: tuple[float, float] | None = declared(
        "Where the law is smoothed, and Legendre polynomials are orthogonal; the bounds of the field by default", None
    )
    coefficients: tuple[float, ...] = declared(
        "The first coefficients to start from, or to stay at if fixed; the others are zero", (), size="size"
    )
    fixed: bool = declared("Whether the law stays as it starts", False)


@dataclass(frozen=True)
class Potential(Curve):
    """A law of any sign."""

    symmetric: bool = declared("Whether it is odd about the middle of the interval", False)
    convex_ends: bool = declared("Whether it rises at both ends of the interval", False)

    @property
    def starting(self) -> tuple[float, ...]:
        """The first coefficients to start from: where nothing else makes it rise at its ends, those of a line."""
        return self.coefficients or ((0.0, 0.5) if self.convex_ends and not self.known else ())

    @property
    def known(self) -> bool:
        """Whether something is added to the expansion."""
        return False


@dataclass(frozen=True)
class Mixing(Potential):
    """A law of any sign of a concentration between 0 and 1."""

    ideal_entropy: bool = declared("Whether log(c / (1 - c)) is added to the expansion", False, example=True)

    @property
    def known(self) -> bool:
        """Whether something is added to the expansion."""
        return self.ideal_entropy


@dataclass(frozen=True)
class Polynomial(Potential):
    """A law of any sign of what has no bounds."""

    basis: str = declared(
        "z, z^2, ... without a constant, or Legendre polynomials", "polynomial", choices=("polynomial", "legendre")
    )
    size: int = declared("How many of them", 3, least=1)
    ideal_entropy: bool = declared("Whether log(1 + eta), of a density, is added to the expansion", False)

    @property
    def known(self) -> bool:
        """Whether something is added to the expansion."""
        return self.ideal_entropy


@dataclass(frozen=True)
class Surface:
    """A law of two arguments, expanded in products of Legendre polynomials."""

    size: tuple[int, int] = declared("How many polynomials of either argument", (4, 4), least=1)
    intervals: tuple[tuple[float, float], tuple[float, float]] | None = declared(
        "Where they are orthogonal; the bounds of the fields by default", None
    )
    coefficients: tuple[float, ...] = declared(
        "The first coefficients to start from, or to stay at if fixed; the others are zero", ()
    )
    fixed: bool = declared("Whether the law stays as it starts", False)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A function of the wavenumber k."""

    basis: str = declared("Powers or Hermite functions of k/k0", "hermite", choices=("quartic", "hermite"))
    size: int | None = declared("How many of them; 10 of hermite by default, 3 of quartic", None, least=1)
    wavenumber: float = declared("The wavenumber k0 of the pattern", above=0, example=10.0)
    coefficients: tuple[float, ...] = declared(
        "The first coefficients to start from, or to stay at if fixed; the others are zero", (), size="size"
    )
    fixed: bool = declared("Whether the law stays as it starts", False)


@dataclass(frozen=True)
class Number:
    """A law that is a number."""

    initial: float | None = declared("Where to start; worked out of the images where not given", None)
    fixed: float | None = declared("Where to stay, in place of initial", None, instead_of="initial")


@dataclass(frozen=True)
class PositiveNumber(Number):
    """A law that is a positive number."""

    initial: float | None = declared("Where to start; worked out of the images where not given", None, above=0)
    fixed: float | None = declared("Where to stay, in place of initial", None, above=0, instead_of="initial")


KERNEL_SIZES = {"quartic": (3, 3), "hermite": (Hermite.FEWEST, Hermite.MOST)}
"""Smallest and largest size of each basis of a kernel."""


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
    """A map h to be learnt of each series of images: the kinetics are multiplied by exp(h)."""

    deviation: float = declared("Standard deviation that is expected of h at a point", above=0, example=0.3)
    length: float = declared("Length over which h is correlated", above=0, example=0.1)


@dataclass(frozen=True)
class Validation:
    """What is predicted and scored, but not fitted."""

    frames: tuple[int, ...] = declared("Indices of frames, of every series of images", (), least=1)
    images: tuple[int, ...] = declared(
        "Indices of series of images, all of whose frames but the first are", (), least=0
    )


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


@dataclass(frozen=True)
class Experiment:
    """An experiment to compare, like that of the (first) images but for what is given here."""

    name: str = declared("What it is called; what differs by default", "")
    times: tuple[float, ...] = declared("Times of the frames to choose from; those of the images' by default", ())
    mean: float | None = declared("Mean of the first field at the start, whose pattern stays", None)
    speed: float | None = declared(
        "How many times as fast is what is given in time; the frames are sooner by as much", None, above=0
    )
    pixels: int | None = declared("Pixels along the longer side, the noise of each being the same", None, least=2)
    noise: float | None = declared("Standard deviation of the noise of a pixel", None, above=0)


@dataclass(frozen=True)
class Design:
    """What fe-phaseinv design compares."""

    times: tuple[float, ...] | None = declared(
        "Times of the frames to choose from; by default those of the images, or where the case starts from a result, "
        "to which these are known, of the other frames of the file",
        None,
    )
    count: int | None = declared("How many there are, as many apart from each other", None, above=0, instead_of="times")
    last: float | None = declared("Time of the last of them; that of the last frame by default", None)
    choose: int = declared("How many frames to choose", 4, above=0)
    noise: float | None = declared(
        "Standard deviation of the noise of a pixel that is expected; that of the images by default", None, above=0
    )
    within: float = declared("Relative deviation within which the laws are to be known", 0.05, above=0)
    experiments: tuple[Experiment, ...] = declared("Experiments to compare", ())
