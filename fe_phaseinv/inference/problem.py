"""What is asked: images, forward models, and which laws are to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import total
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import Counts, ForwardModel
from fe_phaseinv.forward.parameters import Parameters
from fe_phaseinv.forward.trajectory import QUIET, Tolerances
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment, multiple_shooting, trajectory, uncertain_trajectory
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.matern import FieldPrior, Matern
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.laws.coordinates import Coordinates, Gauge
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.relations import identity
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother

FIRST_REGULARISATION = 1e-4
"""Prior regularisation to begin with where the program is to choose it."""
NOISE_SHARE, LOOSE = 0.1, 3e-3
"""The error of a step may be this share of the noise of a pixel, as far as this relative tolerance."""
COARSE_TIME, COARSEST_TIME = 5.0, 1.5e-2
"""The intervals, which only lead to a start, are solved with half the degree and a time tolerance larger by this
factor, or with this one where that is finer."""
UNRESOLVED = 0.3
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
    for relation in model.relations:
        part = parameters.slices[relation.name]
        if relation.name in model.free_constants and relation.basis.constant is not None:
            free[part.start + relation.basis.constant] = False
        free[part][relation.absent] = False
    negative = tuple(parameters.slices[name].start + number for name, number in model.negative)
    return Coordinates(np.asarray(start, float), free, _gauge(model, parameters, free, fixed), negative)


def _gauge(model, parameters: Parameters, free: np.ndarray, fixed: np.ndarray) -> Gauge | None:
    """Where the gauge acts, if the model has one that moves no law which is fixed."""
    if model.gauge is None:
        return None
    relations = {relation.name: relation for relation in model.relations}
    (potential,) = model.gauge.keys() - {model.scale, model.kinetics}
    part, log_energy = parameters.slices[potential], parameters.slices[model.scale].start
    constant = relations[model.kinetics].basis.constant
    if constant is None or relations[potential].transform is not identity:
        return None
    log_kinetics = parameters.slices[model.kinetics].start + constant
    if fixed[part].any() or not (free[log_energy] and free[log_kinetics]):
        return None
    return Gauge(tuple(i for i in range(part.start, part.stop) if free[i]), log_energy, log_kinetics)


@dataclass(frozen=True, eq=False)
class Discretisation:
    """A forward model with its view of the images, and back."""

    forward: ForwardModel
    pixels: Pixels
    smoother: Smoother


@dataclass(frozen=True, eq=False)
class Series:
    """A series of images, and how it is solved.

    Parameters
    ----------
    coarse : Discretisation
        For the intervals, which only lead to a start for the trajectory.
    fine : Discretisation
        For the trajectory.
    frames : tuple of int
        Frames to compare with.
    initial : int
        Frame that starts the run.
    """

    coarse: Discretisation
    fine: Discretisation
    frames: tuple[int, ...]
    initial: int = 0

    @property
    def images(self) -> ImageSeries:
        """All frames."""
        return self.fine.pixels.images

    @property
    def start_unknown(self) -> bool:
        """Whether the images leave the start open: noisy ones, or too coarse ones for the elements and the pattern."""
        pixels, space = self.fine.pixels, self.fine.forward.space
        coarser = total(pixels.comm, np.isfinite(pixels.frame(self.initial)).sum()) < space.dim()
        return self.images.noise > 0 or (coarser and self.images.coarseness(self.initial) > UNRESOLVED)

    @property
    def counts(self) -> Counts:
        """Work done by both forward models."""
        return self.coarse.forward.counts + self.fine.forward.counts

    def discretisation(self, stage: str) -> Discretisation:
        """How a stage is solved."""
        return self.coarse if stage == "intervals" else self.fine

    def chosen(self, stage: str) -> tuple:
        """Return what segments are made of in a stage: the smoother, the frames, and the limits of fitted fields."""
        how, margin = self.discretisation(stage), max(INSIDE, INSIDE_NOISE * self.images.noise)
        low, high = how.forward.model.bounds
        return how.smoother, self.initial, self.frames, (low + margin, high - margin)

    def experiment(self, stage: str, weight: float) -> Experiment:
        """Return the comparison with the images in a stage, of which the squares have a weight."""
        how, chosen, field = self.discretisation(stage), self.chosen(stage), None
        if stage == "intervals":
            segments = multiple_shooting(*chosen)
        elif self.start_unknown:
            segment, field = uncertain_trajectory(*chosen)
            segments = [segment]
        else:
            segments = trajectory(*chosen)
        return Experiment(how.forward, how.pixels, segments, field, weight)


@dataclass(frozen=True, eq=False)
class Problem:
    """Images, forward models, and what is to be learnt.

    Parameters
    ----------
    series : tuple of Series
        The image series of this rank's group.
    ensemble : SeriesEnsemble
        That all of the series are dealt to.
    noises : tuple of float
        Standard deviation of a pixel of each of them; zeros where it is not known.
    coordinates : Coordinates
    regularisation : float or "auto"
        Of the prior of every law; "auto" takes the variance of a pixel (of its noise, or of what the misfit leaves), so
        that curvatures of order one, in units of kT and of logarithms, are what is expected of the laws. Where the
        noise is known, larger curvatures of a law are allowed for as far as the images show them.
    heterogeneity : Matern, optional
        Prior of a map h to be learnt, too: the kinetics are multiplied by exp(h).
    start_prior : Matern, optional
        Prior of the deviation of the start from the smoothed initial frame, which is then learnt as a field.
    hessian : str
        "gauss-newton", "newton" or "both", as for `NewtonCG`.
    learnt : bool
        Whether the laws to start from come from another fit, so that they need none of the intervals first.
    """

    series: tuple[Series, ...]
    ensemble: SeriesEnsemble
    noises: tuple[float, ...]
    coordinates: Coordinates
    regularisation: float | Literal["auto"] = "auto"
    heterogeneity: Matern | None = None
    start_prior: Matern | None = None
    hessian: Literal["gauss-newton", "newton", "both"] = "gauss-newton"
    learnt: bool = False

    @property
    def model(self):
        """The model whose laws are learnt."""
        return self.series[0].fine.forward.model

    @property
    def parameters(self) -> Parameters:
        """Where each law's coefficients are."""
        return self.series[0].fine.forward.parameters

    @property
    def noise(self) -> float:
        """Standard deviation of the pixels in whose units the cost is; zero where it is not known.

        Where there are several series, its square is the harmonic mean of their variances, so that the weights of
        their squared differences, this square over their own variance, are one on average.
        """
        if not all(self.noises):
            return 0.0
        first = self.noises[0]
        return first / float(np.sqrt(np.mean([(first / noise) ** 2 for noise in self.noises])))

    @property
    def counts(self) -> Counts:
        """Work done by the forward models of all series; collective."""
        return sum(self.ensemble.gather([series.counts for series in self.series]), Counts())

    @property
    def by_multiple_shooting(self) -> bool:
        """Whether to fit intervals between frames first, where they are not the whole trajectory; collective."""
        return not self.learnt and any(self.ensemble.gather([len(series.frames) > 1 for series in self.series]))

    @property
    def by_fields(self) -> bool:
        """Whether the trajectory is fitted with unknown fields, or whole Hessians, and so by conjugate gradients."""
        return bool(self.heterogeneity or self.start_prior) or self.hessian != "gauss-newton"

    def objective(self, stage: str, regularisation: Sequence[float]) -> Objective | FieldObjective:
        """Return the cost of a stage: of the intervals, or of the trajectory."""
        prior = self.prior(regularisation)
        if stage != "intervals" and self.by_fields:
            return self._field_objective(prior, self.noise**2 or regularisation[0])
        weights = [(self.noise / noise) ** 2 if noise else 1.0 for noise in self.noises]
        own = zip(self.ensemble.own, self.series, strict=True)
        experiments = [series.experiment(stage, weights[index]) for index, series in own]
        return Objective(experiments, self.coordinates, prior, self.ensemble)

    def _field_objective(self, prior: Prior, variance: float) -> FieldObjective:
        (series,), start = self.series, self.start_prior
        how = series.fine
        if start is None and self.noise:
            start = Matern(*how.smoother.uncertainty(series.initial))
        (segment,) = trajectory(*series.chosen("trajectory"), uncertain=start is not None)
        fields = [matern and FieldPrior(matern, how.forward.space) for matern in (start, self.heterogeneity)]
        posed = how.forward, how.pixels, self.coordinates, prior, segment, variance
        return FieldObjective(*posed, *fields, hessian=self.hessian)

    @property
    def first_regularisation(self) -> tuple[float, ...]:
        """Strengths of the priors to begin with."""
        weight = FIRST_REGULARISATION if self.regularisation == "auto" else self.regularisation
        return (weight,) * len(self.parameters.relations)

    def prior(self, regularisation: Sequence[float]) -> Prior:
        """Return the prior of all laws."""
        return Prior.smooth(self.parameters.relations, self.coordinates.start, regularisation)


def pose(
    images: ImageSeries,
    model,
    mesh,
    start: dict[str, Sequence[float]],
    fixed: Sequence[str] = (),
    frames: Sequence[int] | None = None,
    initial: int = 0,
    degree: int = 3,
    tolerances: Tolerances | None = None,
    regularisation: float | Literal["auto"] = "auto",
    boundary: Literal["no-flux", "from-images", "periodic"] = "no-flux",
    heterogeneity: Matern | None = None,
    start_prior: Matern | None = None,
    hessian: Literal["gauss-newton", "newton", "both"] = "gauss-newton",
    tags: Sequence[int] | None = None,
    learnt: bool = False,
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
    tolerances : Tolerances, optional
        In time, looser by default for noisy images than for clean ones; the intervals are solved with larger ones.
    regularisation : float or "auto"
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
    learnt : bool
        Whether the laws to start from come from another fit, so that they need none of the intervals first.

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
    allowed = tolerances or _tolerances(images)

    def discretise(degree: int, tolerances: Tolerances, heterogeneous: bool = False) -> Discretisation:
        cropped = boundary == "from-images"
        boundary_data = from_images(images, mesh, degree, tags) if cropped else None
        forward = ForwardModel(model, mesh, degree, coordinates.free, tolerances, boundary_data, heterogeneous)
        pixels = Pixels(images, forward.space)
        return Discretisation(forward, pixels, Smoother(pixels, flat=not cropped, tags=tags if cropped else None))

    series = Series(
        coarse=discretise((degree + 1) // 2, replace(allowed, rtol=max(COARSE_TIME * allowed.rtol, COARSEST_TIME))),
        fine=discretise(degree, allowed, heterogeneity is not None),
        frames=tuple(range(initial + 1, len(images.times)) if frames is None else frames),
        initial=initial,
    )
    return Problem(
        series=(series,),
        ensemble=SeriesEnsemble.together(mesh.comm),
        noises=(images.noise,),
        coordinates=coordinates,
        regularisation=regularisation,
        heterogeneity=heterogeneity,
        start_prior=start_prior,
        hessian=hessian,
        learnt=learnt,
    )


def _tolerances(images: ImageSeries) -> Tolerances:
    """Return the accuracy in time that images deserve: errors that clean ones do not show, or noise hides."""
    noise = images.noise / max(np.nanstd(images.frames), QUIET)
    return Tolerances(rtol=float(np.clip(NOISE_SHARE * noise, Tolerances.rtol, LOOSE)))


def joint(problems: Sequence[Problem], ensemble: SeriesEnsemble | None = None) -> Problem:
    """Ask which laws explain several series of images at once; collective.

    The squared differences of a series are weighted by the inverse of the variance of its noise. Strength of the prior
    and starting laws are those of the first problem.

    Parameters
    ----------
    problems : sequence of Problem
        From `pose`, one for each series, with the same laws. With groups those of `ensemble.own`, on meshes of
        `ensemble.within`.
    ensemble : SeriesEnsemble, optional
        That work side by side; all ranks take one series after the other where not given.

    Raises
    ------
    InputError
        Where the noise of some series is known and that of others is not.
    ValueError
        Where the laws differ, or a map, a start as a field or whole Hessians are asked for.
    """
    series = tuple(series for problem in problems for series in problem.series)
    ensemble = ensemble or SeriesEnsemble.together(problems[0].ensemble.comm, len(series))
    first = ensemble.gather([(_laws_of(problem), problem.by_fields) for problem in problems])
    if any(laws != first[0][0] for laws, _ in first):
        raise ValueError("the series differ in their model, or in which laws are learnt from where")
    if len(first) > 1 and any(by_fields for _, by_fields in first):
        raise ValueError("maps, starts as fields and whole Hessians are for one series of images")
    images = ensemble.gather([(one.images.source, one.images.noise) for one in series])
    for source, noise in images:
        if (noise > 0) != (images[0][1] > 0):
            accepted = "noise of all the series, or of none"
            raise InputError(source, "noise", f"{noise:g} beside {images[0][1]:g} of {images[0][0]}", accepted)
    return replace(problems[0], series=series, ensemble=ensemble, noises=tuple(noise for _, noise in images))


def _laws_of(problem: Problem) -> tuple:
    """Return what is the same in problems with the same laws, apart from their regularisation."""
    slices, coordinates = problem.parameters.slices, problem.coordinates
    sizes = {name: part.stop - part.start for name, part in slices.items()}
    return problem.model.name, sizes, coordinates.start.tolist(), coordinates.free.tolist()
