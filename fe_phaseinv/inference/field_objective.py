"""The cost of laws together with unknown fields, at explicit points."""

from __future__ import annotations

from copy import copy

import numpy as np

from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.inference.experiment import most_steps
from fe_phaseinv.inference.field_point import FieldPoint, NoPoint
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.inference.matern import FieldPrior
from fe_phaseinv.inference.segments import Segment
from fe_phaseinv.inference.term import TapedTerm
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.optimisation.newton_cg import Hessian, NewtonCG
from fe_phaseinv.solvers.direct import StepFailed


class FieldObjective(FieldUnknowns):
    """Half the squared difference between predicted and given pixels, plus the priors of laws and fields.

    Parameters
    ----------
    forward : ForwardModel
        Of a model whose laws are local; heterogeneous where the map is unknown.
    pixels : Pixels
    coordinates : Coordinates
    prior : Prior
        Of the laws, in units of the squared misfit.
    segment : Segment
        Where the start is unknown, its own frame is the first of the segment's frames.
    variance : float
        Of a pixel, by which the priors of the fields are weighted against the misfit.
    start, heterogeneity : FieldPrior, optional
        Priors of the fields that are unknown.
    term : TapedTerm, optional
        A functional that is added to the cost.
    storage : Storage
        What may be kept of a run.
    hessian : str
        Of which the steps are made, as for `NewtonCG`.

    Raises
    ------
    ValueError
        Where a map is to be learnt by a model without one, a law is not local, or `hessian` is none of the three.
    """

    def __init__(
        self,
        forward: ForwardModel,
        pixels: Pixels,
        coordinates: Coordinates,
        *,
        prior: Prior,
        segment: Segment,
        variance: float,
        start: FieldPrior | None = None,
        heterogeneity: FieldPrior | None = None,
        term: TapedTerm | None = None,
        storage: Storage = Storage(),  # noqa: B008 (a frozen value)
        hessian: Hessian = "gauss-newton",
    ):
        self.subproblem = NewtonCG(hessian)
        super().__init__(
            forward,
            pixels,
            coordinates,
            prior=prior,
            segment=segment,
            variance=variance,
            start=start,
            heterogeneity=heterogeneity,
            term=term,
            storage=storage,
        )

    def radius(self, point: FieldPoint | NoPoint, least: float) -> float:
        """Return the radius of the trust region to begin with: that of the preconditioned gradient. Collective.

        Parameters
        ----------
        point : FieldPoint or NoPoint
            Where to begin.
        least : float
            Radius for a point that could not be evaluated.
        """
        return point.gradient_norm() if np.isfinite(point.value) else least

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
        other.prior, other.variance = prior, variance
        return other

    def carried(self, point: FieldPoint, before: FieldObjective) -> FieldPoint:
        """Return a point that an objective which differs in its prior alone has evaluated. Collective.

        Parameters
        ----------
        point : FieldPoint
        before : FieldObjective
            That has evaluated it.
        """
        return FieldPoint.of(self, point.x, run=point.run, replayed=point.replayed)

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Return the share of a step that the unknowns allow.

        Parameters
        ----------
        x, step : numpy.ndarray, shape (size,)
            Where the step begins, and the step.
        """
        return self.coordinates.allowed(x[self.laws], step[self.laws])

    def at(self, x: np.ndarray, like: FieldPoint | None = None) -> FieldPoint | NoPoint:
        """Evaluate the cost, and what its derivatives need. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        like : FieldPoint, optional
            A point whose time grid is to be used.

        Returns
        -------
        FieldPoint or NoPoint
            The latter where the unknowns stand for no laws, or the model cannot be solved.
        """
        laws = x[self.laws]
        if not self.coordinates.admissible(laws):
            return NoPoint(x)
        m = self.coordinates.coefficients(laws)
        if not self.prior.admits(m):
            return NoPoint(x)
        self.set_map(x)
        start = self.segment.start + self.start(x)
        try:
            run = self.forward.run(
                m,
                start,
                self.segment.times,
                grid=like.grids[0][0] if like else None,
                sensitivities=True,
                record=self.forward.steps_in(self.storage),
                max_steps=most_steps(self.forward.integrator.tolerances),
            )
            return FieldPoint.of(self, x, run=run, replayed=like is not None)
        except StepFailed:
            return NoPoint(x)
