"""The cost of laws together with unknown fields, at explicit points."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Literal

import numpy as np

from fe_phaseinv.inference.experiment import MOST_STEPS
from fe_phaseinv.inference.field_point import FieldPoint, NoPoint
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.optimisation.newton_cg import NewtonCG
from fe_phaseinv.solvers.direct import StepFailed


class FieldObjective(FieldUnknowns):
    """Half the squared difference between predicted and given pixels, plus the priors of laws and fields.

    Parameters
    ----------
    *args, **options
        As for `FieldUnknowns`.
    hessian : str
        Of which the steps are made, as for `NewtonCG`.
    """

    def __init__(self, *args, hessian: Literal["gauss-newton", "newton", "both"] = "gauss-newton", **options):
        super().__init__(*args, **options)
        self.subproblem = NewtonCG(hessian)

    def radius(self, point: FieldPoint | NoPoint, least: float) -> float:
        """Return the radius of the trust region to begin with at a point: that of the preconditioned gradient."""
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
        """Return a point that an objective which differs in its prior alone has evaluated."""
        return replace(point, objective=self)

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Share of a step from x that the unknowns allow."""
        return self.coordinates.allowed(x[self.laws], step[self.laws])

    def at(self, x: np.ndarray, like: FieldPoint | None = None) -> FieldPoint | NoPoint:
        """Evaluate the cost, and what its derivatives need.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        like : FieldPoint, optional
            A point whose time grid is to be used.
        """
        laws = x[self.laws]
        if not self.coordinates.admissible(laws):
            return NoPoint(x)
        m = self.coordinates.coefficients(laws)
        if not self.prior.admits(m):
            return NoPoint(x)
        self.set_map(x)
        start = self.segment.start + self.field(x, "start")
        try:
            run = self.forward.run(
                m,
                start,
                self.segment.times,
                like.grids[0][0] if like else None,
                sensitivities=True,
                record=self.forward.steps_in(self.storage),
                max_steps=MOST_STEPS,
            )
        except StepFailed:
            return NoPoint(x)
        return FieldPoint(self, x, m, run, start, like is not None)
