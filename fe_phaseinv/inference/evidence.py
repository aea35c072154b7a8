"""What the images say for a model as a whole: the marginal likelihood, or evidence, of its laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, pinvh

from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.inference.posterior import Laplace, marginal
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress

WIDE = 3.0
"""Standard deviation a priori of constants and slopes of laws and of the logarithms of numbers, in the units of the
laws: a factor of twenty either way. Priors that leave them open would speak against each law by how open they are."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The misfit about the laws learnt, as a quadratic function of the free coefficients, and their prior.

    Parameters
    ----------
    misfit : float
        Half the sum of the squared differences.
    pixels : int
        Number of differences.
    variance : float
        Of what is left of a pixel, times that of what residuals tell of the laws in units of independent noise.
    gradient : numpy.ndarray, shape (k,)
        Of the misfit.
    information : numpy.ndarray, shape (k, k)
        Gauss-Newton Hessian of the misfit, all but the laws eliminated.
    precision : numpy.ndarray, shape (k, k)
        Of the prior, a density of the coefficients.
    distance : numpy.ndarray, shape (k,)
        Of the coefficients from its mean.
    """

    misfit: float
    pixels: int
    variance: float
    gradient: np.ndarray
    information: np.ndarray
    precision: np.ndarray
    distance: np.ndarray

    @classmethod
    def at(
        cls, problem: Problem, progress: Progress, posterior: Laplace, *, share: float = 1.0, inflation: float = 1.0
    ) -> Evidence | None:
        """Return that of an inversion at its end; None where fields are unknown, or it is not at the whole trajectory.

        Parameters
        ----------
        problem : Problem
        progress : Progress
        posterior : Laplace
            At the laws reached, of independent noise.
        share : float
            Of the misfit that finer elements leave.
        inflation : float
            Factor by which correlated residuals widen the variances of the laws.
        """
        point, unknowns = progress.state.point, problem.coordinates
        if progress.stage in problem.preparations or not isinstance(point, Linearisation) or not len(unknowns):
            return None
        laws, free, relations = point.x[: len(unknowns)], unknowns.free, problem.parameters.relations
        prior, back = progress.task.prior(problem), np.linalg.inv(unknowns.jacobian(laws)[free])
        information = back.T @ marginal(point.hessian, len(laws)) @ back
        curved = [s * each.basis.roughness() for s, each in zip(progress.regularisation, relations, strict=True)]
        by_curvature = block_diag(*curved) / posterior.deviation**2 + np.eye(len(free)) / WIDE**2
        m = unknowns.coefficients(laws)
        return cls(
            misfit=share * point.misfit,
            pixels=point.pixels,
            variance=inflation * posterior.deviation**2,
            gradient=-prior.gradient(m)[free],
            information=information - prior.hessian(m)[np.ix_(free, free)],
            precision=(by_curvature / np.multiply.outer(prior.scales, prior.scales))[np.ix_(free, free)],
            distance=(m - prior.mean)[free],
        )

    def fit(self, variance: float) -> float:
        """Return the logarithm of the likelihood at the most probable laws, up to a number that all models share.

        Parameters
        ----------
        variance : float
            Of a pixel; with another one than that of the inversion, other laws are the most probable.
        """
        change = self._change(variance)
        slope, bend = self.gradient @ change, 0.5 * change @ self.information @ change
        return -float(self.misfit + slope + bend) / variance

    def volume(self, variance: float) -> float:
        """Return the logarithm of the share of the prior that the images leave, the rest of that of the evidence.

        An integral over Gaussian densities: MacKay, Neural Comput. 4, 415 (1992), equation 2.19.

        Parameters
        ----------
        variance : float
            Of a pixel.
        """
        away = self.distance + self._change(variance)
        determinants = np.linalg.slogdet(self.precision)[1] - np.linalg.slogdet(self._both(variance))[1]
        return 0.5 * float(determinants - away @ self.precision @ away)

    def _both(self, variance: float) -> np.ndarray:
        """Precision of the coefficients, by images and prior."""
        return self.information / variance + self.precision

    def _change(self, variance: float) -> np.ndarray:
        """Change of the coefficients to the most probable ones."""
        return -pinvh(self._both(variance)) @ (self.gradient / variance + self.precision @ self.distance)
