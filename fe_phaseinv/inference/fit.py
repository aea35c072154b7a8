"""How well laws explain a series of images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.inference.term import TermShare
from fe_phaseinv.observation.channels import Channels


@dataclass(frozen=True, eq=False, kw_only=True)
class Squares:
    """Half the weighted sum of the squared differences, or of another loss, the same on all ranks of a mesh.

    Parameters
    ----------
    misfit : float
    pixels : int
        Number of differences.
    gradient : numpy.ndarray, shape (n,)
        By the unknown coefficients of the laws, then the shares of the modes of an unknown start.
    hessian : numpy.ndarray, shape (n, n)
        Gauss-Newton Hessian.
    term : TermShare, optional
        What the user adds to the cost.
    """

    misfit: float
    pixels: int
    gradient: np.ndarray
    hessian: np.ndarray
    term: TermShare | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """How laws explain a series.

    Parameters
    ----------
    squares : Squares
    misfit_rms : float
        Root mean square difference between prediction and images, without weight.
    grids : tuple of TimeGrid
        One for each segment.
    channels : Channels
        What the images show of the states.
    frames : tuple of int
        Frames compared with.
    states, predictions, weights : list of numpy.ndarray
        States, as `StateLayout` has them, the local pixels predicted for them, and the weights of their differences.
    derivatives : tuple of numpy.ndarray, shape (rows, k)
        Those of the predictions, where they may serve at points nearby.
    scalars : dict of numpy.ndarray, shape (frames,)
        By name, the model's scalars in these states.
    scalar_derivatives : dict of numpy.ndarray, shape (frames, columns)
        Their derivatives by the unknown coefficients.
    """

    squares: Squares
    misfit_rms: float
    grids: tuple[TimeGrid, ...]
    channels: Channels
    frames: tuple[int, ...]
    states: list[np.ndarray]
    predictions: list[np.ndarray]
    weights: list[np.ndarray]
    derivatives: tuple[np.ndarray, ...] = ()
    scalars: dict[str, np.ndarray] = field(default_factory=dict)
    scalar_derivatives: dict[str, np.ndarray] = field(default_factory=dict)
