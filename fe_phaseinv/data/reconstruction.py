"""From the averages over pixels to a smooth function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import NdBSpline, make_interp_spline

DEGREE = 5
"""Degree of the splines through the integrals over pixels."""


def smooth_function(frame: np.ndarray, origin: Sequence[float], pixel: Sequence[float]) -> NdBSpline:
    """Return a smooth function whose averages over the pixels are a frame.

    It is the mixed derivative of a quintic spline through the integral up to the corners of the pixels, and keeps its
    order up to the edge of the picture.

    Parameters
    ----------
    frame : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, all finite.
    origin, pixel : sequence of float
        Lower left corner of the frame and size of a pixel along x, y and z, in the unit of length.

    Returns
    -------
    scipy.interpolate.NdBSpline
        Takes points of shape (..., dimension); outside the picture it extrapolates.
    """
    coefficients, knots, degrees = frame.T, [], []
    for axis, (low, length) in enumerate(zip(origin, pixel, strict=True)):
        count = coefficients.shape[axis]
        sums = np.insert(np.cumsum(np.moveaxis(coefficients, axis, 0), axis=0), 0, 0.0, axis=0) * length
        spline = make_interp_spline(low + length * np.arange(count + 1), sums, min(DEGREE, count)).derivative()
        coefficients = np.moveaxis(spline.c[:count], 0, axis)
        knots.append(spline.t)
        degrees.append(spline.k)
    return NdBSpline(tuple(knots), coefficients, tuple(degrees))
