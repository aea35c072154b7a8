"""What is asked: series of images with their forward models, and which laws are to be learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from firedrake import MeshGeometry

from fe_phaseinv.core.parallel import total
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import Counts
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.discretisation import Discretisation, Moving
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.field_experiment import FieldExperiment
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.matern import FieldPrior, Matern
from fe_phaseinv.inference.moving_experiment import MovingExperiment
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.inference.segments import Segment, multiple_shooting, trajectory, uncertain_trajectory
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.term import TapedTerm
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior

FIRST_REGULARISATION = 1e-4
"""Weight of the priors to begin with where the program is to choose it."""
UNRESOLVED = 0.3
"""Coarseness of a clean frame above which modes of the start lower the errors of the laws; below, they raise them."""
INSIDE, INSIDE_NOISE = 1e-3, 0.3
"""A fitted initial field is kept this far inside the model's bounds, or by this share of the noise where that is more:
the entropy makes much of values that noise has brought to a bound."""


FEWEST = 2
"""Frames of the first beginning: one tells too little of the laws of a hidden field."""
_BEGINNING = "first "


def beginning(stage: str) -> int | None:
    """Return the number of frames of a stage that fits the beginning of a trajectory; None of another one.

    Parameters
    ----------
    stage : str
    """
    count = stage.removeprefix(_BEGINNING)
    return int(count) if count != stage and count.isdecimal() else None


@dataclass(frozen=True, eq=False, kw_only=True)
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
    first_frame : int
        Frame that starts the run.
    held_out : tuple of int
        Frames that are predicted and count for nothing; of a series that is held out as a whole, all.
    term : callable, optional
        A functional that is added to the cost of the trajectory, as in `Settings`.
    moving : Moving, optional
        Where the trajectory has an unknown boundary.
    """

    coarse: Discretisation
    fine: Discretisation
    frames: tuple[int, ...]
    first_frame: int = 0
    held_out: tuple[int, ...] = ()
    term: Callable | None = None
    moving: Moving | None = None

    @property
    def only_predicted(self) -> bool:
        """Whether no frame after the first one counts."""
        return set(self.frames) <= set(self.held_out)

    @property
    def followed(self) -> tuple[int, ...]:
        """Frames of the trajectory: those to compare with, and those held out."""
        return tuple(sorted({*self.frames, *self.held_out}))

    @property
    def images(self) -> ImageSeries:
        """All frames."""
        return self.fine.pixels.images

    @property
    def start_unknown(self) -> bool:
        """Whether the images leave the start open: noisy, or too coarse for elements and pattern. Collective."""
        pixels, space = self.fine.pixels, self.fine.forward.space
        coarser = total(pixels.comm, np.isfinite(pixels.frame(self.first_frame)).sum()) < space.dim()
        return self.images.noise > 0 or (coarser and self.images.coarseness(self.first_frame) > UNRESOLVED)

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values of a fitted field are kept."""
        margin = max(INSIDE, INSIDE_NOISE * self.images.noise)
        low, high = self.fine.forward.model.bounds
        return low + margin, high - margin

    @property
    def counts(self) -> Counts:
        """Work done by both forward models."""
        return self.coarse.forward.counts + self.fine.forward.counts

    def discretisation(self, stage: str) -> Discretisation:
        """Return how a stage is solved.

        Parameters
        ----------
        stage : str
            One of the preparations, or of the trajectory.
        """
        return self.coarse if stage == "intervals" or beginning(stage) else self.fine

    def trajectory(self, uncertain: bool = False) -> Segment:
        """Return the trajectory from the first frame, fitted as a field, through all others. Collective.

        Parameters
        ----------
        uncertain : bool
            Whether the first frame is compared with, too.
        """
        return trajectory(self.fine.smoother, self.first_frame, self.followed, limits=self.limits, uncertain=uncertain)

    def experiment(self, stage: str, weight: float, variance: float) -> Experiment | MovingExperiment:
        """Return the comparison with the images in a stage. Collective.

        Parameters
        ----------
        stage : str
            One of the preparations, or of the trajectory.
        weight : float
            Of the squared differences.
        variance : float
            Of a pixel, by which the prior of an unknown boundary is weighted against the misfit.
        """
        how = self.discretisation(stage)
        if stage == "intervals":
            segments = multiple_shooting(how.smoother, self.first_frame, self.frames, limits=self.limits)
            return Experiment(how.forward, how.pixels, segments, weight=weight)
        if count := beginning(stage):
            short = trajectory(how.smoother, self.first_frame, self.frames[:count], limits=self.limits)
            return Experiment(how.forward, how.pixels, [short], weight=weight)
        fit, field = (how.smoother, self.first_frame, self.followed), None
        if self.start_unknown:
            segment, field = uncertain_trajectory(*fit, limits=self.limits)
        else:
            segment = trajectory(*fit, limits=self.limits)
        still = Experiment(how.forward, how.pixels, [segment], field=field, weight=weight, term=self.taped_term())
        if self.moving is None:
            return still
        return MovingExperiment(
            still, self.moving.mesh, lambda mesh: self._moved(mesh, still), variance=variance, limits=self.limits
        )

    def _moved(self, mesh: MeshGeometry, still: Experiment) -> Experiment:
        """Return a trajectory on a displaced mesh, with a start that is fitted there, or unknown as it is at rest."""
        how, (segment,) = self.moving.discretise(mesh), still.segments
        if still.field is None:
            segment = trajectory(how.smoother, self.first_frame, self.followed, limits=self.limits)
        return replace(still, forward=how.forward, pixels=how.pixels, segments=[segment])

    def taped_term(self) -> TapedTerm | None:
        """Return the functional that is added to the cost, on a tape of its own. Collective."""
        return self.term and TapedTerm(self.term, self.fine.forward.space, len(self.followed) + 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """Images, forward models, and what is to be learnt.

    Parameters
    ----------
    series : tuple of Series
        The image series of this rank's group.
    ensemble : SeriesEnsemble
        That all of the series are dealt to.
    noises : tuple of float
        Standard deviation of a pixel of each of all the series; zeros where it is not known.
    coordinates : Coordinates
        The unknowns of the laws.
    settings : Settings
        What is asked; of several series, what holds for each of them alone is that of the first.
    """

    series: tuple[Series, ...]
    ensemble: SeriesEnsemble
    noises: tuple[float, ...]
    coordinates: Coordinates
    settings: Settings

    @property
    def model(self):
        """The model whose laws are learnt."""
        return self.series[0].fine.forward.model

    @property
    def parameters(self) -> CoefficientLayout:
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
        """Work done by the forward models of all series. Collective."""
        return sum(self.ensemble.gather([series.counts for series in self.series]), Counts())

    @property
    def preparations(self) -> tuple[str, ...]:
        """Stages before the trajectory, coarsely solved, which only lead to a start for it. Collective.

        Intervals between frames; where no image shows a field that has a rate, the trajectory through the first frames,
        then through one more each time.
        """
        asked = self.ensemble.gather([(len(one.frames), one.coarse.smoother.at_any_frame) for one in self.series])
        longest = max(count for count, _ in asked)
        if not self.settings.multiple_shooting or longest == 1:
            return ()
        if all(anywhere for _, anywhere in asked):
            return ("intervals",)
        return tuple(f"{_BEGINNING}{count}" for count in range(FEWEST, longest))

    @property
    def by_fields(self) -> bool:
        """Whether the trajectory is fitted with unknown fields, or whole Hessians."""
        asked = self.settings
        return bool(asked.heterogeneity or asked.start_prior) or asked.hessian != "gauss-newton"

    @property
    def eliminates_fields(self) -> bool:
        """Whether a map or a start is unknown as a field, and so left out of the density of the laws."""
        return bool(self.settings.heterogeneity or self.settings.start_prior or (self.by_fields and self.noise))

    @property
    def first_regularisation(self) -> tuple[float, ...]:
        """Weights of the priors to begin with."""
        given = self.settings.regularisation
        return (FIRST_REGULARISATION if given == "auto" else given,) * len(self.parameters.relations)

    def variance(self, regularisation: Sequence[float]) -> float:
        """Return the variance of a pixel by which the priors of fields are weighted against the misfit.

        Parameters
        ----------
        regularisation : sequence of float
            Weights of the priors of the laws, which stand for it where the noise is not known.
        """
        return self.noise**2 or regularisation[0]

    def prior(self, regularisation: Sequence[float], tilt: Sequence[float] = ()) -> Prior:
        """Return the prior of all laws.

        Parameters
        ----------
        regularisation : sequence of float
            Weight of each law's.
        tilt : sequence of float, optional
            As `Prior` has it.
        """
        unknowns = self.coordinates
        prior = Prior.smooth(self.parameters.relations, unknowns.start, regularisation, unknowns.scales)
        return replace(prior, tilt=np.array(tilt)) if len(tilt) else prior

    def objective(
        self, stage: str, regularisation: Sequence[float], tilt: Sequence[float] = ()
    ) -> Objective | FieldObjective:
        """Return the cost of a stage. Collective.

        Parameters
        ----------
        stage : str
            One of the preparations, or of the trajectory.
        regularisation : sequence of float
            Weight of the prior of each law.
        tilt : sequence of float, optional
            Of the prior.
        """
        weights = [(self.noise / noise) ** 2 if noise else 1.0 for noise in self.noises]
        own = [(series, weights[index]) for index, series in zip(self.ensemble.own, self.series, strict=True)]
        prior, variance = self.prior(regularisation, tilt), self.variance(regularisation)
        if self.by_fields and stage != "intervals" and not beginning(stage):
            fields = [self._field_experiment(series, weight, variance) for series, weight in own]
            return FieldObjective(fields, prior, self.ensemble, self.settings.hessian)
        experiments = [series.experiment(stage, weight, variance) for series, weight in own]
        return Objective(experiments, self.coordinates, prior, self.ensemble)

    def _field_experiment(self, series: Series, weight: float, variance: float) -> FieldExperiment:
        how, start, heterogeneity = series.fine, self.settings.start_prior, self.settings.heterogeneity
        if start is None and self.noise:
            start = Matern(*how.smoother.uncertainty(series.first_frame))
        return FieldExperiment(
            how.forward,
            how.pixels,
            self.coordinates,
            segment=series.trajectory(uncertain=start is not None),
            variance=variance,
            weight=weight,
            start=start and FieldPrior(start, how.forward.space),
            heterogeneity=heterogeneity and FieldPrior(heterogeneity, how.forward.space),
            term=series.taped_term(),
        )
