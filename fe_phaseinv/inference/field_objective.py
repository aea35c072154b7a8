"""The cost of laws together with unknown fields of several series, at explicit points."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_experiment import FieldExperiment, FieldShare
from fe_phaseinv.inference.field_point import FieldPoint, NoPoint
from fe_phaseinv.inference.joint_unknowns import JointUnknowns
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.optimisation.bordered import Elimination, Hessian
from fe_phaseinv.solvers.direct import StepFailed


class FieldObjective(JointUnknowns):
    """Half the squared difference between predicted and given pixels, plus the priors of laws and fields.

    Parameters
    ----------
    experiments : sequence of FieldExperiment
        Those of this rank's group, with the same laws.
    prior : Prior
        Of the laws, in units of the squared misfit.
    ensemble : SeriesEnsemble, optional
        That the experiments are dealt to; all of them to all ranks where not given.
    hessian : str
        Of which the steps are made, as for `Elimination`.

    Raises
    ------
    ValueError
        Where `hessian` is none of the three.
    """

    def __init__(
        self,
        experiments: Sequence[FieldExperiment],
        prior: Prior,
        ensemble: SeriesEnsemble | None = None,
        hessian: Hessian = "gauss-newton",
    ):
        self.subproblem = Elimination(hessian)
        super().__init__(experiments, prior, ensemble)

    def radius(self, point: FieldPoint | NoPoint, least: float) -> float:
        """Return the radius of the trust region to begin with at a point.

        Parameters
        ----------
        point : FieldPoint or NoPoint
        least : float
            Radius where the point asks for none.
        """
        return least

    def with_prior(self, prior: Prior, variance: float) -> FieldObjective:
        """Return the objective with other priors.

        Parameters
        ----------
        prior : Prior
            Of the laws.
        variance : float
            Of a pixel, by which the priors of the fields are weighted against the misfit.
        """
        other = copy(self)
        other.prior = prior
        if any(experiment.variance != variance for experiment in self.experiments):
            other.experiments = tuple(experiment.with_variance(variance) for experiment in self.experiments)
        return other

    def carried(self, point: FieldPoint) -> FieldPoint:
        """Return a point that an objective which differs in its priors alone has evaluated. Collective.

        Parameters
        ----------
        point : FieldPoint
        """
        pairs = list(zip(self.experiments, point.shares, strict=True))
        shares = [one if one.experiment is of else FieldShare.of(of, one.x, one.run) for of, one in pairs]
        return self._point(point.x, shares, point.replayed)

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Return the share of a step that the unknowns allow.

        Parameters
        ----------
        x, step : numpy.ndarray, shape (size,)
            Where the step begins, and the step.
        """
        return self.coordinates.allowed(x[self.laws], step[self.laws])

    def at(self, x: np.ndarray, like: FieldPoint | None = None, near: FieldPoint | None = None) -> FieldPoint | NoPoint:
        """Evaluate the cost, and what its derivatives need. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        like : FieldPoint, optional
            A point whose time grids are to be used.
        near : FieldPoint, optional
            A point nearby, whose derivatives are not used.

        Returns
        -------
        FieldPoint or NoPoint
            The latter where the unknowns stand for no laws, or the model cannot be solved.
        """
        laws = x[self.laws]
        if not self.coordinates.admissible(laws) or not self.prior.admits(self.coordinates.coefficients(laws)):
            return NoPoint(x)
        shares = self._shares(x, like)
        if None in self.ensemble.gather([one and one.value for one in shares]):
            return NoPoint(x)
        return self._point(x, shares, like is not None)

    def _shares(self, x: np.ndarray, like: FieldPoint | None) -> list[FieldShare | None]:
        """Evaluate the series of this rank's group; None from one that fails on."""
        shares = []
        for number, (experiment, own) in enumerate(zip(self.experiments, self.split(x), strict=True)):
            try:
                grid = like.grids[number][0] if like else None
                near = like.shares[number] if isinstance(like, FieldPoint) else None
                shares.append(experiment.at(own, grid, near))
            except StepFailed:
                return shares + [None] * (len(self.experiments) - len(shares))
        return shares

    def _point(self, x: np.ndarray, shares: Sequence[FieldShare], replayed: bool) -> FieldPoint:
        """Sum the shares of all series and the prior of the laws."""
        numbers = [
            (s.value, s.experiment.weight * s.fit.misfit, s.fit.pixels, s.derivatives.sensitivity) for s in shares
        ]
        value, misfit, pixels, sensitivity = map(sum, zip(*self.ensemble.gather(numbers), strict=True))
        value += self.prior.value(self.coordinates.coefficients(x[self.laws]))
        return FieldPoint(self, x, tuple(shares), value, misfit, int(pixels), sensitivity, replayed)
