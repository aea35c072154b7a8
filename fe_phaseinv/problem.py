"""What is asked: images, forward models, and which laws are to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fe_phaseinv.boundary import from_images
from fe_phaseinv.coordinates import Coordinates, Scaling
from fe_phaseinv.field_objective import FieldObjective
from fe_phaseinv.forward import Counts, Forward
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.matern import FieldPrior, Matern
from fe_phaseinv.objective import Objective, intervals, trajectory, uncertain_trajectory
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parallel import total
from fe_phaseinv.parameters import Parameters
from fe_phaseinv.priors import Prior
from fe_phaseinv.smoothing import Smoother
from fe_phaseinv.stepping.trajectory import Tolerances

FIRST_STRENGTH = 1e-4
"""Prior strength to begin with where the program is to choose it."""
ROUGH_TIME, ROUGHEST = 5.0, 1.5e-2
"""The intervals, which only lead to a start, are solved with half the degree and a time tolerance larger by this
factor, or with this one where that is finer."""
COARSE = 0.3
"""Coarseness of a clean frame above which modes of the start lower the errors of the laws; below, they raise them."""
INSIDE, INSIDE_NOISE = 1e-3, 0.3
"""A fitted initial field is kept this far inside the model's bounds, or by this share of the noise where that is more:
the entropy makes much of values that noise has brought to a bound."""


def coordinates_for(model, parameters, start: np.ndarray, fixed: np.ndarray) -> Coordinates:
    """Unknowns of a model.

    Parameters
    ----------
    model : CahnHilliard or another model
    parameters : Parameters
    start : numpy.ndarray, shape (n,)
        Starting coefficients.
    fixed : numpy.ndarray of bool, shape (n,)
        Coefficients to keep.
    """
    free = ~fixed
    for name in model.immaterial:
        free[parameters.slices[name].start] = False
    for relation in model.relations:
        free[parameters.slices[relation.name]][relation.absent] = False
    negative = tuple(parameters.slices[name].start + number for name, number in model.negative)
    return Coordinates(np.asarray(start, float), free, _scaling(model, parameters, free, fixed), negative)


def _scaling(model, parameters: Parameters, free: np.ndarray, fixed: np.ndarray) -> Scaling | None:
    """Where the freedom of scale is, if the model has it and nothing that scales is fixed."""
    if model.scaling is None:
        return None
    potential, energy, kinetics = (parameters.slices[name] for name in model.scaling)
    moving = [i for i in range(potential.start, potential.stop) if free[i]]
    whole = not fixed[potential].any() and free[energy.start] and free[kinetics.start]
    return Scaling(tuple(moving), energy.start, kinetics.start) if whole else None


@dataclass(frozen=True, eq=False)
class Discretisation:
    """A forward model with its view of the images, and back."""

    forward: Forward
    pixels: Pixels
    smoother: Smoother


@dataclass(frozen=True, eq=False)
class Problem:
    """Images, forward models, and what is to be learnt.

    Parameters
    ----------
    rough : Discretisation
        For the intervals, which only lead to a start for the trajectory.
    fine : Discretisation
        For the trajectory.
    coordinates : Coordinates
    frames : tuple of int
        Frames to compare with.
    initial : int
        Frame that starts the run.
    strength : float or "auto"
        Of the prior of every law; "auto" takes the variance of a pixel (of its noise, or of what the misfit leaves), so
        that curvatures of order one, in units of kT and of logarithms, are what is expected of the laws. Where the
        noise is known, larger curvatures of a law are allowed for as far as the images show them.
    heterogeneity : Matern, optional
        Prior of a map h to be learnt, too: the kinetics are multiplied by exp(h).
    start_prior : Matern, optional
        Prior of the deviation of the start from the smoothed initial frame, which is then learnt as a field.
    hessian : str
        "gauss-newton", "newton" or "both", as for `NewtonCG`.
    """

    rough: Discretisation
    fine: Discretisation
    coordinates: Coordinates
    frames: tuple[int, ...]
    initial: int = 0
    strength: float | Literal["auto"] = "auto"
    heterogeneity: Matern | None = None
    start_prior: Matern | None = None
    hessian: Literal["gauss-newton", "newton", "both"] = "gauss-newton"

    @property
    def parameters(self) -> Parameters:
        """Where each law's coefficients are."""
        return self.fine.forward.parameters

    @property
    def noise(self) -> float:
        """Standard deviation of a pixel; zero where it is not known."""
        return self.fine.pixels.images.noise

    @property
    def start_unknown(self) -> bool:
        """Whether the images leave the start open: noisy ones, or too coarse ones for the elements and the pattern."""
        pixels, space = self.fine.pixels, self.fine.forward.space
        coarser = total(pixels.comm, np.isfinite(pixels.frame(self.initial)).sum()) < space.dim()
        return self.noise > 0 or (coarser and pixels.images.coarseness(self.initial) > COARSE)

    @property
    def counts(self) -> Counts:
        """Work done by both forward models."""
        return self.rough.forward.counts + self.fine.forward.counts

    def discretisation(self, stage: str) -> Discretisation:
        """How a stage is solved."""
        return self.rough if stage == "intervals" else self.fine

    @property
    def by_fields(self) -> bool:
        """Whether the trajectory is fitted with unknown fields, or whole Hessians, and so by conjugate gradients."""
        return bool(self.heterogeneity or self.start_prior) or self.hessian != "gauss-newton"

    def objective(self, stage: str, strengths: Sequence[float]) -> Objective | FieldObjective:
        """Return the cost of a stage: of the intervals, or of the trajectory."""
        how, prior = self.discretisation(stage), self.prior(strengths)
        low, high = how.forward.model.bounds
        margin = max(INSIDE, INSIDE_NOISE * self.noise)
        chosen = how.smoother, self.initial, self.frames, (low + margin, high - margin)
        if stage != "intervals" and self.by_fields:
            return self._field_objective(prior, chosen, self.noise**2 or strengths[0])
        field = None
        if stage == "intervals":
            segments = intervals(*chosen)
        elif self.start_unknown:
            segment, field = uncertain_trajectory(*chosen)
            segments = [segment]
        else:
            segments = trajectory(*chosen)
        return Objective(how.forward, how.pixels, self.coordinates, prior, segments, field)

    def _field_objective(self, prior: Prior, chosen: tuple, variance: float) -> FieldObjective:
        how, start = self.fine, self.start_prior
        if start is None and self.noise:
            start = Matern(*how.smoother.uncertainty(self.initial))
        (segment,) = trajectory(*chosen, uncertain=start is not None)
        fields = [matern and FieldPrior(matern, how.forward.space) for matern in (start, self.heterogeneity)]
        posed = how.forward, how.pixels, self.coordinates, prior, segment, variance
        return FieldObjective(*posed, *fields, hessian=self.hessian)

    @property
    def first_strengths(self) -> tuple[float, ...]:
        """Strengths of the priors to begin with."""
        strength = FIRST_STRENGTH if self.strength == "auto" else self.strength
        return (strength,) * len(self.parameters.relations)

    def prior(self, strengths: Sequence[float]) -> Prior:
        """Return the prior of all laws."""
        return Prior.smooth(self.parameters.relations, self.coordinates.start, strengths)


def pose(
    images: ImageSeries,
    model,
    mesh,
    start: dict[str, Sequence[float]],
    fixed: Sequence[str] = (),
    frames: Sequence[int] | None = None,
    initial: int = 0,
    degree: int = 3,
    tolerances: Tolerances = Tolerances(),  # noqa: B008 (a frozen value)
    strength: float | Literal["auto"] = "auto",
    boundary: Literal["no-flux", "from-images", "periodic"] = "no-flux",
    heterogeneity: Matern | None = None,
    start_prior: Matern | None = None,
    hessian: Literal["gauss-newton", "newton", "both"] = "gauss-newton",
    tags: Sequence[int] | None = None,
) -> Problem:
    """Ask which laws of a model turn the initial frame into the others.

    Parameters
    ----------
    images : ImageSeries
    model : CahnHilliard or another model
    mesh : firedrake.MeshGeometry
        Inside the picture.
    start : dict of sequence of float
        By law, the first coefficients to start from; the others are zero.
    fixed : sequence of str
        Laws to leave as they start.
    frames : sequence of int, optional
        Frames to compare with; all after the initial one where not given.
    initial : int
        Frame that starts the run.
    degree : int
        Of the elements; the intervals are solved with half of it, rounded up.
    tolerances : Tolerances
        In time; the intervals are solved with larger ones.
    strength : float or "auto"
        Of the prior.
    boundary : str
        "no-flux": nothing passes the boundary, and the normal gradient is zero; "from-images": values and normal
        gradients come from all frames of the images, which show a part of a larger domain; "periodic": the mesh is.
    heterogeneity, start_prior : Matern, optional
        Priors of a map h to be learnt together with the laws, by exp(h) of which the kinetics are multiplied, and of
        the start as an unknown field. With a map, the start of noisy images is one, too.
    hessian : str
        "gauss-newton", or with second derivatives of the forward model: "newton", or "both" in turn.
    tags : sequence of int, optional
        Of the parts of the boundary that the images give, where it is "from-images"; nothing passes the others.

    Raises
    ------
    InputError
        Where the images and the mesh do not fit, or have no data on the boundary.
    ValueError
        Where a map or whole Hessians are asked of a model that has none.
    """
    parameters = Parameters(model.relations, mesh)
    is_fixed = np.zeros(parameters.size, bool)
    for name in fixed:
        is_fixed[parameters.slices[name]] = True
    coordinates = coordinates_for(model, parameters, parameters.flat(start), is_fixed)

    def discretise(degree: int, tolerances: Tolerances, heterogeneous: bool = False) -> Discretisation:
        cropped = boundary == "from-images"
        outside = from_images(images, mesh, degree, tags) if cropped else None
        forward = Forward(model, mesh, degree, coordinates.free, tolerances, outside, heterogeneous)
        pixels = Pixels(images, forward.space)
        return Discretisation(forward, pixels, Smoother(pixels, flat=not cropped, tags=tags if cropped else None))

    return Problem(
        rough=discretise((degree + 1) // 2, replace(tolerances, rtol=max(ROUGH_TIME * tolerances.rtol, ROUGHEST))),
        fine=discretise(degree, tolerances, heterogeneity is not None),
        coordinates=coordinates,
        frames=tuple(range(initial + 1, len(images.times)) if frames is None else frames),
        initial=initial,
        strength=strength,
        heterogeneity=heterogeneity,
        start_prior=start_prior,
        hessian=hessian,
    )
