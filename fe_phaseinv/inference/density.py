"""The posterior density of the unknowns of an inversion, with Laplace's approximation for reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from fe_phaseinv.inference.inversion import posterior
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.sampling import Gaussian, Target
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class PosteriorDensity:
    """The posterior density of laws and of modes of starts, exp(-cost / variance) of the coefficients.

    Priors are densities of the free coefficients m of the laws, and so is this. In the unknowns x of the objective,
    where the valley along the gauge is straight, it has the determinant of dm/dx besides.

    Parameters
    ----------
    objective : Objective
    point : Linearisation
        Near its minimiser, with derivatives that tell the reference.
    laplace : Laplace
        The approximation with which the samples are compared.
    like : Linearisation, optional
        A point whose time grids are used everywhere; they are chosen at each point where not given.
    """

    objective: Objective
    point: Linearisation
    laplace: Laplace
    like: Linearisation | None = None

    @classmethod
    def at_end(cls, problem: Problem, progress: Progress) -> PosteriorDensity:
        """Return the density at whose maximum an inversion has ended. Collective.

        The derivatives there are found anew, on the fine level: those of the end may be a coarse level's, or of a point
        nearby, and are good enough for laws but not for hundreds of modes of a start.

        Parameters
        ----------
        problem : Problem
        progress : Progress
            Of a trajectory without unknown fields.

        Raises
        ------
        StepFailed
            Where the model cannot be solved with these derivatives.
        """
        task = progress.task
        point = replace(task, exact=True).objective(problem).at(progress.state.point.x)
        if not np.isfinite(point.value):
            raise StepFailed("the model could not be solved at the end of the inversion with all derivatives")
        return cls(task.objective(problem), point, posterior(problem, progress))

    @property
    def variance(self) -> float:
        """Variance of a pixel."""
        return self.laplace.deviation**2

    @property
    def coordinates(self) -> Coordinates:
        """Unknowns of the laws."""
        return self.objective.coordinates

    @cached_property
    def of_unknowns(self) -> Target:
        """The density of the unknowns, about the minimum of the Gauss-Newton model; calls are collective."""
        x, laws = self.point.x, slice(len(self.coordinates))
        there = Gaussian.of_precision(x, self.point.hessian / self.variance)
        step = -there.factor @ (there.factor.T @ self.point.gradient) / self.variance
        share = self.coordinates.allowed(x[laws], step[laws])
        return Target(replace(there, mean=x + share * step), self._log_density, self._log_gradient)

    @cached_property
    def of_coefficients(self) -> Target:
        """The density of the free coefficients and the modes, about Laplace's approximation; calls are collective."""
        reference = self.of_unknowns.reference
        laws = reference.mean[: len(self.coordinates)]
        chain = self.coordinates.jacobian(laws)[self.coordinates.free]
        jacobian = block_diag(chain, np.eye(len(reference.mean) - len(laws)))
        mean = np.r_[self.coordinates.coefficients(laws)[self.coordinates.free], reference.mean[len(laws) :]]
        reference = reference.mapped(mean, jacobian)
        return Target(reference, lambda y: -self.objective.cost(self._unknowns(y), self.like) / self.variance)

    def from_unknowns(self, x: np.ndarray) -> np.ndarray:
        """Return the coefficients of all laws.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        """
        return self.coordinates.coefficients(x[: len(self.coordinates)])

    def from_free(self, y: np.ndarray) -> np.ndarray:
        """Return the coefficients of all laws.

        Parameters
        ----------
        y : numpy.ndarray, shape (n,)
            Free coefficients, then modes.
        """
        m = self.coordinates.start.copy()
        m[self.coordinates.free] = y[: len(self.coordinates)]
        return m

    def _unknowns(self, y: np.ndarray) -> np.ndarray:
        return np.r_[self.coordinates.from_coefficients(self.from_free(y)), y[len(self.coordinates) :]]

    def _log_density(self, x: np.ndarray) -> float:
        cost = self.objective.cost(x, self.like)
        if not np.isfinite(cost):
            return -np.inf
        return self.coordinates.log_volume(x[: len(self.coordinates)])[0] - cost / self.variance

    def _log_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        point, gradient = self.objective.at(x, self.like), np.zeros(len(x))
        if not np.isfinite(point.value):
            return -np.inf, gradient
        laws = slice(len(self.coordinates))
        volume, gradient[laws] = self.coordinates.log_volume(x[laws])
        return volume - point.value / self.variance, gradient - point.gradient / self.variance
