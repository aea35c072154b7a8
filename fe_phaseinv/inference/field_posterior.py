"""How well the fields of a series are known, and what that tells of the laws."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.core.parallel import total
from fe_phaseinv.inference.field_experiment import FieldShare


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
    of, subspace = share.experiment, share.probed_subspace
    found = np.zeros(of.size)
    for seed, probe in enumerate(share.probes):
        found += share.derivatives.derivative_of_probe(seed, subspace.inverse(probe)) / len(share.probes)
    border = subspace.border(share.blocks[1], found)
    return found[of.laws] - border.mixed @ (border.gradient / border.curvatures)


def map_deviation(share: FieldShare, by_laws: np.ndarray, deviation: float) -> np.ndarray:
    """Return standard deviations of the averages of a map over pixels: local rows, NaN outside the domain. Collective.

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
    of, subspace = share.experiment, share.probed_subspace
    border, place = share.border(subspace), of.parts["heterogeneity"]
    directions = subspace.directions[:, place.start - of.laws.stop : place.stop - of.laws.stop]
    seen = of.pixels.average(np.ascontiguousarray(directions.T))
    known = seen**2 @ (1 / border.curvatures - 1 / of.variance)
    along = seen @ (border.mixed / border.curvatures).T
    with_laws = np.sum(along * cho_solve(cho_factor(by_laws), along.T).T, axis=1)
    variance = prior_variances(share) / of.variance + known + with_laws
    return np.where(of.pixels.inside, deviation * np.sqrt(np.maximum(variance, 0.0)), np.nan)


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
