"""How well the fields of a series are known, and what that tells of the laws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.core.parallel import total
from fe_phaseinv.inference.field_experiment import FieldShare

DRAWS = 6
"""Of noise, for the mean that is a trace; of some tens of directions, which pull alike, it is right to a tenth."""
PROBES = 24
"""Draws of noise that show the directions in which a map is known: with a quarter of them its deviations are an eighth
too large, with these by a fiftieth."""


def volume_slope(share: FieldShare) -> np.ndarray:
    """Return the derivative by the laws of the log of the volume that is left to the fields, negative. Collective.

    That is half the derivative of the log of the determinant of their Hessian H, in units of the variance of a pixel,
    the fields going with the laws. With J the derivative of the pixels, in standard deviations, it is the trace of
    dJ H^-1 J^T, which is a mean over noise (Hutchinson, Commun. Stat. Simul. Comput. 19, 433 (1990)).

    Parameters
    ----------
    share : FieldShare
        Of the series in the cost, at the minimum.

    Returns
    -------
    numpy.ndarray, shape (n,)
    """
    of, probes = share.experiment, share.derivatives.probes(DRAWS)
    subspace, found = share.probed(probes), np.zeros(share.experiment.size)
    for seed, probe in enumerate(probes):
        found += share.derivatives.derivative_of_probe(seed, subspace.inverse(probe)) / DRAWS
    border = subspace.border(share.blocks[1], found)
    return found[of.laws] - border.mixed @ (border.gradient / border.curvatures)


class MapDeviation(NamedTuple):
    """Standard deviations of a map: of the averages over local pixels about their mean, and of this mean."""

    pixels: np.ndarray
    level: float


def map_deviation(share: FieldShare, by_laws: np.ndarray, deviation: float) -> MapDeviation:
    """Return how well the averages of a map over pixels are known; NaN outside the domain. Collective.

    Where the images tell nothing, the Hessian is that of the prior; it is updated in the directions of which they do
    (Bui-Thanh, Ghattas, Martin and Stadler, SIAM J. Sci. Comput. 35, A2494 (2013), section 3.6). The uncertainty of the
    start, which is one of these fields, and that of the laws are counted.

    Parameters
    ----------
    share : FieldShare
        Of the series in the cost, at the minimum.
    by_laws : numpy.ndarray, shape (n, n)
        Hessian of the cost by the laws, of all series, with the fields eliminated.
    deviation : float
        Standard deviation of a pixel.
    """
    of = share.experiment
    subspace = share.probed(share.derivatives.probes(PROBES))
    border, place, pixels = share.border(subspace), of.parts["heterogeneity"], of.pixels
    directions = subspace.directions[:, place.start - of.laws.stop : place.stop - of.laws.stop]
    mean = pixels.inside / total(pixels.comm, pixels.inside.sum())
    with_mean = pixels.average(of.fields["heterogeneity"].covariance(pixels.spread(mean)))
    seen = pixels.average(np.ascontiguousarray(directions.T))
    level, of_level = total(pixels.comm, mean @ seen), total(pixels.comm, mean @ with_mean)

    def known(rows: np.ndarray, by_prior: np.ndarray) -> np.ndarray:
        along = rows @ (border.mixed / border.curvatures).T
        with_laws = np.sum(along * cho_solve(cho_factor(by_laws), along.T).T, axis=1)
        variance = by_prior / of.variance + rows**2 @ (1 / border.curvatures - 1 / of.variance) + with_laws
        return deviation * np.sqrt(np.maximum(variance, 0.0))

    about = known(seen - level, prior_variances(share) - 2 * with_mean + of_level)
    return MapDeviation(np.where(pixels.inside, about, np.nan), float(known(level[None], np.array([of_level]))[0]))


def prior_variances(share: FieldShare) -> np.ndarray:
    """Return the variances by the prior of the averages of a map over pixels: local rows. Collective.

    Parameters
    ----------
    share : FieldShare
        Of the series in the cost.
    """
    of, found = share.experiment, np.zeros(len(share.experiment.pixels.inside))
    pixels, prior = of.pixels, of.fields["heterogeneity"]
    inside = np.zeros(np.prod(pixels.images.shape))
    inside[pixels.rows] = pixels.inside
    for pixel in np.flatnonzero(total(pixels.comm, inside)):
        unit = np.zeros(len(found))
        mine = pixels.rows.start <= pixel < pixels.rows.stop
        if mine:
            unit[pixel - pixels.rows.start] = 1.0
        covariance = pixels.average(prior.covariance(pixels.spread(unit)))
        if mine:
            found[pixel - pixels.rows.start] = covariance[pixel - pixels.rows.start]
    return found
