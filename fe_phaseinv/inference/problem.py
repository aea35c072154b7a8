"""What is asked: series of images with their forward models, and which laws are to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fe_phaseinv.forward.model import Counts
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_experiment import FieldExperiment
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.matern import FieldPrior, Matern
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.inference.series import COARSE, INTERVALS, MANY, SOME, Series, beginnings, prepares
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior

FIRST_REGULARISATION = 1e-4
"""Weight of the priors to begin with where the program is to choose it."""


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
        return sum(self.ensemble.of_groups(sum((one.counts for one in self.series), Counts())), Counts())

    @property
    def preparations(self) -> tuple[str, ...]:
        """Stages before the trajectory, coarsely solved, which only lead to a start for it. Collective.

        Intervals between frames, of many some first; where no image shows a field that has a rate, the trajectory
        through the first frames, then through one more each time. Then the whole trajectory, where it is fitted on two
        levels.
        """
        if not self.settings.multiple_shooting:
            return ()
        asked = self.ensemble.gather([(len(one.frames), one.coarse.smoother.at_any_frame) for one in self.series])
        longest, whole = max(count for count, _ in asked), (COARSE,) if self.levelled else ()
        if longest == 1:
            return whole
        anywhere = all(at_any_frame for _, at_any_frame in asked)
        intervals = (SOME, INTERVALS) if longest >= MANY else (INTERVALS,)
        return (*(intervals if anywhere else beginnings(longest)), *whole)

    @cached_property
    def levelled(self) -> bool:
        """Whether trajectories can be fitted with derivatives of the coarse discretisation. Collective."""
        return not self.by_fields and all(self.ensemble.gather([one.levelled for one in self.series]))

    @cached_property
    def ends_exactly(self) -> bool:
        """Whether trajectories of clean images that are fitted so end with derivatives of their own. Collective."""
        clean = self.levelled and not self.noise
        return clean and all(self.ensemble.gather([one.fine.forward.step.linear.many_at_once for one in self.series]))

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

    def coefficients(self, x: np.ndarray) -> np.ndarray:
        """Return the coefficients of all laws.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns, those of the laws first.
        """
        return self.coordinates.coefficients(x[: len(self.coordinates)])

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
        self, stage: str, regularisation: Sequence[float], tilt: Sequence[float] = (), exact: bool = True
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
        exact : bool
            Whether a trajectory has derivatives of its own, where it could have those of the coarse discretisation.
        """
        weights = [(self.noise / noise) ** 2 if noise else 1.0 for noise in self.noises]
        own = [(series, weights[index]) for index, series in zip(self.ensemble.own, self.series, strict=True)]
        prior, variance = self.prior(regularisation, tilt), self.variance(regularisation)
        if prepares(stage):
            experiments = [series.preparation(stage, weight) for series, weight in own]
        elif self.by_fields:
            fields = [self._field_experiment(series, weight, variance) for series, weight in own]
            return FieldObjective(fields, prior, self.ensemble, self.settings.hessian)
        else:
            exact = exact or not self.levelled
            experiments = [series.experiment(weight, variance, exact) for series, weight in own]
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
