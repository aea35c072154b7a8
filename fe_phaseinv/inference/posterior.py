"""Uncertainty of the laws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh, pinvh

from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.field_point import FieldPoint
from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.relations import Relation

QUANTILE = 1.959963984540054
"""Half-width of the central 95 % of a standard normal distribution."""
SMALLEST_SHARE = 1e-12
"""Shares of the prior below this cannot be told from rounding."""
SWEEPS = 50
"""Of the fixed-point iteration for the regularisation."""
WEAKEST = 1e-2
"""Least strength, for curvatures of order ten: nothing but the prior keeps the laws from the freedom of scale."""
SEEN, SQUARED = 1.0, 0.03
"""Number and summed square of the curvatures that are taken for seen already when the strength of a law's prior is
chosen: so few and small ones that those in the images decide, but for laws of which they show none."""


@dataclass(frozen=True, eq=False)
class Laplace:
    """Gaussian approximation of the posterior at a minimiser, by directions that are independent of each other.

    The directions v_i solve P v = theta H v with P the Hessian of the prior and H that of the whole cost (Gauss-Newton,
    all unknowns but the laws eliminated): theta_i is the share of the prior in what is known of the direction, and
    1/theta_i - 1 the eigenvalue of the prior-scaled Hessian of the misfit (Bui-Thanh, Ghattas, Martin and Stadler,
    SIAM J. Sci. Comput. 35, A2494 (2013), section 5).

    Parameters
    ----------
    parameters : CoefficientLayout
    coefficients : numpy.ndarray, shape (n,)
        Flat coefficients of all laws.
    directions : numpy.ndarray, shape (n, k)
        One for each unknown, as changes of the coefficients by a standard deviation where that of a pixel is one; those
        that the images determine best first.
    shares : numpy.ndarray, shape (k,)
        Of the prior, theta.
    prior_shares : dict of numpy.ndarray, shape (k,)
        By law, how much of each direction the prior determines rather than the images.
    deviation : float
        Standard deviation of a pixel that it rests on.
    covariance : numpy.ndarray, shape (n, n)
        Of the coefficients; zero for those that were not free.
    """

    parameters: CoefficientLayout
    coefficients: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    prior_shares: dict[str, np.ndarray]
    deviation: float
    covariance: np.ndarray

    @classmethod
    def at(
        cls,
        parameters: CoefficientLayout,
        coordinates: Coordinates,
        *,
        prior: Prior,
        point: Linearisation | FieldPoint,
        noise: float = 0.0,
    ) -> Laplace:
        """Find the posterior from the Gauss-Newton Hessian. Collective.

        Parameters
        ----------
        parameters : CoefficientLayout
        coordinates : Coordinates
        prior : Prior
        point : Linearisation or FieldPoint
            The minimiser.
        noise : float
            Standard deviation of a pixel; estimated from the misfit where it is zero.
        """
        count = len(coordinates)
        m, chain = coordinates.coefficients(point.x[:count]), coordinates.jacobian(point.x[:count])
        by_prior = prior.hessian(m)
        shares, vectors = eigh(chain.T @ by_prior @ chain, marginal(point.hessian, count))
        shares, directions = np.clip(shares, SMALLEST_SHARE, 1.0), chain @ vectors
        of_laws = {
            name: np.sum(directions[part] * (by_prior[part, part] @ directions[part]), axis=0)
            for name, part in parameters.slices.items()
        }
        deviation = noise or np.sqrt(2 * point.misfit / max(point.pixels - np.sum(1 - shares), 1.0))
        covariance = deviation**2 * directions @ directions.T
        return cls(parameters, m, directions, shares, of_laws, float(deviation), covariance)

    @property
    def by_prior(self) -> dict[str, float]:
        """By law, the number of its coefficients that the prior determines rather than the images."""
        return {name: float(shares.sum()) for name, shares in self.prior_shares.items()}

    def widened(self, factor: float) -> Laplace:
        """Return the posterior of images that tell less: the prior stays what it is.

        Parameters
        ----------
        factor : float
            Of the variance of what the images tell of a direction, at least one.
        """
        squares = 1 / ((1 - self.shares) / factor + self.shares)
        directions = self.directions * np.sqrt(squares)
        return replace(
            self,
            directions=directions,
            shares=self.shares * squares,
            prior_shares={name: shares * squares for name, shares in self.prior_shares.items()},
            covariance=self.deviation**2 * directions @ directions.T,
        )

    def known(self, functional: np.ndarray) -> tuple[float, float]:
        """Return how well a linear function of the coefficients is known.

        Parameters
        ----------
        functional : numpy.ndarray, shape (n,)
            Its derivative by the coefficients.

        Returns
        -------
        deviation : float
            Standard deviation of the function.
        share : float
            Of the images in what is known along the direction in which the function changes at the least cost.
        """
        along = (functional @ self.directions) ** 2
        total, variance = float(along.sum()), float(functional @ self.covariance @ functional)
        return np.sqrt(max(variance, 0.0)), float(1 - self.shares @ along / total) if total else 0.0

    def moved(self, tilt: np.ndarray) -> float:
        """Return by how many standard deviations a tilt of the prior moves the laws.

        Parameters
        ----------
        tilt : numpy.ndarray, shape (n,)
            As `Prior` has it.
        """
        return float(np.linalg.norm(tilt @ self.directions) / self.deviation)

    def better_regularisation(self, prior: Prior, regularisation: tuple[float, ...]) -> tuple[float, ...]:
        """Choose the weights of the priors of the laws that explain the noisy images best.

        Fixed point of the largest evidence with a wide Gamma density for the precision of the curvatures, the misfit
        being taken for quadratic: MacKay, Neural Comput. 4, 415 (1992), equation 2.22.

        Parameters
        ----------
        prior : Prior
            With which this posterior was found.
        regularisation : tuple of float
            Those of that prior, all positive.
        """
        first = np.array(regularisation)
        parts = [self.parameters.slices[relation.name] for relation in self.parameters.relations]
        units = [prior.precision[part, part] / strength for part, strength in zip(parts, first, strict=True)]
        rows, distance = [self.directions[part] for part in parts], self.coefficients - prior.mean
        stiff = np.array([row.T @ unit @ row for row, unit in zip(rows, units, strict=True)])
        pulls = np.array([r.T @ unit @ distance[p] for r, unit, p in zip(rows, units, parts, strict=True)])
        chosen = first
        for _ in range(SWEEPS):
            covariance = np.linalg.inv(np.diag(1 - self.shares) + np.tensordot(chosen, stiff, 1))
            m = self.coefficients - self.directions @ (covariance @ ((chosen - first) @ pulls))
            pairs, measured = zip(self.parameters.relations, chosen, strict=True), m / prior.scales
            chosen = np.array(
                [self._strength(relation, s, measured, prior.scales, covariance) for relation, s in pairs]
            )
        return tuple(chosen.tolist())

    def _strength(
        self, relation: Relation, strength: float, m: np.ndarray, scales: np.ndarray, covariance: np.ndarray
    ) -> float:
        """Better strength for a law at coefficients, measured by scales, with a covariance of the directions."""
        part = self.parameters.slices[relation.name]
        free = np.any(self.directions[part] != 0, axis=1)
        rows = (self.directions[part] / scales[part, None])[free]
        roughness, m = relation.basis.roughness()[np.ix_(free, free)], m[part][free]
        if not np.any(roughness):
            return self.deviation**2
        seen = np.linalg.matrix_rank(roughness) - strength * np.sum(roughness * (rows @ covariance @ rows.T))
        return self.deviation**2 * max(WEAKEST, float((seen + SEEN) / (m @ roughness @ m + SQUARED)))

    def band(self, relation: Relation, *z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper end of the pointwise 95 % band of a law, formed before its transform.

        Parameters
        ----------
        relation : Relation
            The law.
        *z : numpy.ndarray
            Its argument, or each of two, of shapes that go together.
        """
        part = self.parameters.slices[relation.name]
        middle = relation.expansion(self.coefficients[part], *z)
        spread = self._spread(relation, np.array([relation.expansion(u, *z) for u in np.eye(relation.basis.size)]))
        known = 0.0 if relation.known is None else relation.known(*z)
        return relation.transform(middle - spread) + known, relation.transform(middle + spread) + known

    def slope_band(self, relation: Relation, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper end of the pointwise 95 % band of the slope of a law without transform.

        Parameters
        ----------
        relation : Relation
            The law.
        z : numpy.ndarray, shape (k,)
            Its arguments.
        """
        slope = relation.slope(self.coefficients[self.parameters.slices[relation.name]], z)
        spread = self._spread(relation, relation.basis.slopes(z))
        return slope - spread, slope + spread

    def _spread(self, relation: Relation, functions: np.ndarray) -> np.ndarray:
        """Half-width of the band of a combination of a law's coefficients, given for each point."""
        part = self.parameters.slices[relation.name]
        variance = np.einsum("i...,ij,j...->...", functions, self.covariance[part, part], functions)
        return QUANTILE * np.sqrt(np.maximum(variance, 0))


def marginal(hessian: np.ndarray, count: int) -> np.ndarray:
    """Return the Hessian of the first unknowns with all others eliminated, shape (count, count).

    Parameters
    ----------
    hessian : numpy.ndarray, shape (n, n), or what has its blocks
    count : int
        Number of the first unknowns, those of the laws.
    """
    laws, others = slice(count), slice(count, None)
    # Modes of a start that no pixel shows have no curvature, and no part in the laws.
    found = hessian[laws, laws] - hessian[laws, others] @ pinvh(hessian[others, others]) @ hessian[laws, others].T
    return 0.5 * (found + found.T)
