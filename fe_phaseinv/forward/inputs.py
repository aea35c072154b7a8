"""What a trajectory depends on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a trajectory depends on, or its change, or the derivative of something by it.

    Parameters
    ----------
    coefficients : numpy.ndarray, shape (n,)
        Unknown coefficients of all laws, the same on all ranks.
    start : numpy.ndarray, shape (rated * nodes,)
        Local nodal values of the components with rates, or integrals where it is a derivative.
    heterogeneity : numpy.ndarray, shape (nodes,)
        The same for the map of a `ForwardModel` that has one; zero otherwise.
    boundary : numpy.ndarray, shape (k, nodes of a degree more)
        The same for the fields of the `BoundaryData`; k is zero where nothing is prescribed.
    data : numpy.ndarray, shape (k, names)
        The same for the values of the `DataInTime`, on all ranks; k is zero where there are none.
    """

    coefficients: np.ndarray
    start: np.ndarray
    heterogeneity: np.ndarray
    boundary: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    data: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
