"""Uncertainty of the laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.coordinates import Coordinates
from fe_phaseinv.objective import Linearisation
from fe_phaseinv.parameters import Parameters
from fe_phaseinv.priors import Prior
from fe_phaseinv.relations import COMPLEX_STEP, Relation

QUANTILE = 1.959963984540054
"""Half-width of the central 95 % of a standard normal distribution."""


@dataclass(frozen=True, eq=False)
class Laplace:
    """Gaussian approximation of the posterior at a minimiser.

    Parameters
    ----------
    parameters : Parameters
    coefficients : numpy.ndarray, shape (n,)
        Flat coefficients of all laws.
    covariance : numpy.ndarray, shape (n, n)
        Their covariance; zero for those that were not free.
    deviation : float
        Standard deviation of a pixel that it rests on.
    determined : float
        Number of coefficients that the images rather than the prior determine.
    """

    parameters: Parameters
    coefficients: np.ndarray
    covariance: np.ndarray
    deviation: float
    determined: float

    @classmethod
    def at(
        cls, parameters: Parameters, coordinates: Coordinates, prior: Prior, point: Linearisation, noise: float = 0.0
    ) -> Laplace:
        """Posterior from the Gauss-Newton Hessian.

        Parameters
        ----------
        parameters : Parameters
        coordinates : Coordinates
        prior : Prior
        point : Linearisation
            The minimiser.
        noise : float
            Standard deviation of a pixel; estimated from the misfit where it is zero.
        """
        count = len(coordinates)
        chain = coordinates.jacobian(point.x[:count])
        # Of all unknowns; the part of the laws is then what any others leave uncertain.
        inverse = cho_solve(cho_factor(point.hessian), np.eye(len(point.x)))[:count, :count]
        by_prior = float(np.trace(inverse @ chain.T @ prior.hessian @ chain))
        determined = count - by_prior
        deviation = noise or np.sqrt(2 * point.misfit / max(point.pixels - determined, 1.0))
        covariance = deviation**2 * chain @ inverse @ chain.T
        return cls(parameters, coordinates.natural(point.x[:count]), covariance, float(deviation), determined)

    def band(self, relation: Relation, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the pointwise 95 % band of a law at z, formed before its transform."""
        part = self.parameters.slices[relation.name]
        middle = relation.expansion(self.coefficients[part], z)
        spread = self._spread(relation, np.array(relation.basis.functions(z)))
        known = 0.0 if relation.known is None else relation.known(z)
        return relation.transform(middle - spread) + known, relation.transform(middle + spread) + known

    def slope_band(self, relation: Relation, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the pointwise 95 % band of the slope of a law without transform."""
        slope = relation.slope(self.coefficients[self.parameters.slices[relation.name]], z)
        slopes = np.imag(relation.basis.functions(z + 1j * COMPLEX_STEP)) / COMPLEX_STEP
        spread = self._spread(relation, slopes)
        return slope - spread, slope + spread

    def _spread(self, relation: Relation, functions: np.ndarray) -> np.ndarray:
        """Half-width of the band of a combination of a law's coefficients, given for each point."""
        part = self.parameters.slices[relation.name]
        variance = np.einsum("iz,ij,jz->z", functions, self.covariance[part, part], functions)
        return QUANTILE * np.sqrt(np.maximum(variance, 0))
