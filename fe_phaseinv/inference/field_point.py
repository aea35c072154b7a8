"""The cost of laws together with unknown fields at a point."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.field_derivatives import FieldDerivatives
from fe_phaseinv.inference.field_fit import FieldFit
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.optimisation.newton_cg import Ending, Solve, steihaug

ELIMINATED, MOST_SOLVES = 0.02, 300
"""Share of a gradient that is left when fields are eliminated, and the most iterations for it."""


@dataclass(frozen=True, eq=False)
class NoPoint:
    """A point at which the model could not be solved.

    Parameters
    ----------
    x : numpy.ndarray, shape (size,)
        Unknowns.
    """

    x: np.ndarray
    value: float = np.inf
    scale: float = np.inf
    sensitivity: float = np.inf
    misfit_rms: float = np.inf

    def gradient_norm(self) -> float:
        """Return that there is no gradient: NaN."""
        return np.nan


@dataclass(frozen=True, eq=False)
class FieldPoint:
    """The cost at a point, with its derivatives as actions.

    Its numbers are known once it is made; what takes sweeps (gradient, Hessians) is computed when it is asked for
    first, on all ranks together.

    Parameters
    ----------
    objective : FieldUnknowns
    x : numpy.ndarray, shape (size,)
        Unknowns.
    value : float
        Cost: misfit + priors + what the user adds.
    run : Trajectory
        With sensitivities.
    fit : FieldFit
        Of the run.
    derivatives : FieldDerivatives
    replayed : bool
        Whether the time grid was given rather than chosen.
    """

    objective: FieldUnknowns
    x: np.ndarray
    value: float
    run: Trajectory
    fit: FieldFit
    derivatives: FieldDerivatives
    replayed: bool = False

    @classmethod
    def of(cls, objective: FieldUnknowns, x: np.ndarray, *, run: Trajectory, replayed: bool = False) -> FieldPoint:
        """Evaluate the cost of a run. Collective.

        Parameters
        ----------
        objective : FieldUnknowns
        x : numpy.ndarray, shape (size,)
            Unknowns.
        run : Trajectory
            With sensitivities.
        replayed : bool
            Whether the time grid was given rather than chosen.

        Raises
        ------
        StepFailed
            Where a prediction is not finite.
        """
        m = objective.coordinates.coefficients(x[objective.laws])
        states = [run.start] * objective.starts_compared + run.states
        fit = FieldFit.of(objective.channels, objective.segment.frames, states)
        value = fit.misfit + objective.prior.value(m) + objective.value_of_field_priors(x)
        if objective.term is not None:
            value += objective.term.value(objective.first_fields([run.start, *run.states]))
        derivatives = FieldDerivatives(objective, x, m, run=run, fit=fit)
        return cls(objective, x, value, run, fit, derivatives, replayed)

    @property
    def whole(self) -> np.ndarray:
        """Unknowns as they are kept: the same on any number of ranks, with nodes by position. Collective."""
        of = self.objective
        return np.concatenate([self.x[of.laws], *(of.order.gather(self.x[part]) for part in of.parts.values())])

    @property
    def grids(self) -> tuple[tuple[TimeGrid, ...], ...]:
        """The time grid, of the only segment of the only series."""
        return ((self.run.grid,),)

    @property
    def fits(self) -> tuple[FieldFit]:
        """How the laws explain the only series."""
        return (self.fit,)

    @property
    def misfit(self) -> float:
        """Half the weighted sum of the squared differences, or of another loss."""
        return self.fit.misfit

    @property
    def pixels(self) -> int:
        """Number of differences."""
        return self.fit.pixels

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images, weighted."""
        return float(np.sqrt(2 * self.misfit / self.pixels))

    @property
    def scale(self) -> float:
        """What a change of the cost is compared with: priors may bring the cost below the misfit, even below zero."""
        return max(abs(self.value), self.misfit)

    @property
    def sensitivity(self) -> float:
        """Sum of the squares of the derivatives of the pixels by the unknowns of the laws."""
        return self.derivatives.sensitivity

    @property
    def gradient(self) -> np.ndarray:
        """Derivative of the cost, shape (size,): numbers, and local integrals for the fields. Collective."""
        return self.derivatives.gradient

    def gradient_norm(self) -> float:
        """Return the norm of the gradient, as long as the step that its preconditioner would make. Collective."""
        return float(np.sqrt(self.dot(self.gradient, self.precondition(self.gradient))))

    def action(self, v: np.ndarray, full: bool = False) -> np.ndarray:
        """Return the Hessian of the cost, or its Gauss-Newton part, times a vector. Collective.

        Parameters
        ----------
        v : numpy.ndarray, shape (size,)
            A change of the unknowns.
        full : bool
            Whether to count second derivatives of the forward model, too.
        """
        return self.derivatives.action(v, full)

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the sum of the products, over all ranks. Collective.

        Parameters
        ----------
        a, b : numpy.ndarray, shape (size,)
        """
        return self.objective.dot(a, b)

    def precondition(self, g: np.ndarray) -> np.ndarray:
        """Solve for the laws by Gauss-Newton, and for the fields, once the laws are eliminated, by their priors alone.

        Preconditioned so, the Gauss-Newton Hessian has no eigenvalue below one, and as many that are much larger as the
        images tell of the fields, on any mesh. Collective.

        Parameters
        ----------
        g : numpy.ndarray, shape (size,)
            Derivative by the unknowns.
        """
        of, H_um = self.objective, self.derivatives.H_um
        by_laws, rest = cho_solve(self._factored, g[of.laws]), g.copy()
        rest[of.laws.stop :] -= H_um @ by_laws
        found = of.covariance(rest)
        across = total(of.pixels.comm, H_um.T @ found[of.laws.stop :])
        found[of.laws] = by_laws - cho_solve(self._factored, across)
        return found

    @cached_property
    def _factored(self):
        return cho_factor(self.derivatives.H_mm)

    @cached_property
    def hessian(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknowns of the laws, with the fields eliminated, shape (k, k). Collective.

        For some changes of the laws, conjugate gradients give those of the fields that go with them. The Hessian of the
        pairs is positive definite whatever error is left, and too large by no more than the square of it.
        """
        if not self.objective.parts:
            return self.derivatives.H_mm + self.derivatives.H_mm_of_term
        solves = [self._eliminated(column) for column in np.linalg.cholesky(self.derivatives.H_mm).T]
        self._warn_of_unfinished(solves)
        pairs = [solve.trial.step for solve in solves]
        actions = [self.action(pair) for pair in pairs]
        curvature = np.array([[self.dot(pair, action) for action in actions] for pair in pairs])
        into = np.linalg.inv([pair[self.objective.laws] for pair in pairs])
        return into @ (0.5 * (curvature + curvature.T)) @ into.T

    def _eliminated(self, by_laws: np.ndarray) -> Solve:
        """Find a change of the laws, with the best one of the fields, on which the cost pulls like this."""
        gradient = np.zeros_like(self.x)
        gradient[self.objective.laws] = -by_laws
        return steihaug(
            gradient,
            action=self.action,
            precondition=self.precondition,
            dot=self.dot,
            radius=np.inf,
            allowed=ELIMINATED * np.sqrt(self.dot(gradient, self.precondition(gradient))),
            most=MOST_SOLVES,
        )

    def _warn_of_unfinished(self, solves: list[Solve]) -> None:
        """Say where the fields are not what goes best with the laws: the Hessian is then too large."""
        unfinished = sum(solve.ending is not Ending.CONVERGED for solve in solves)
        if unfinished:
            text = (
                f"the bands of the laws may be too narrow: for {unfinished} of {len(solves)} changes of the laws, "
                "conjugate gradients did not find the changes of the fields that go with them"
            )
            warnings.warn(text, DataWarning, stacklevel=3)
