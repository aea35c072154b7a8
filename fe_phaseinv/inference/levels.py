"""One series of images with predictions of a fine discretisation and derivatives of a coarse one.

Where the residuals are small, derivatives of predictions need not be exact: an error of theirs, times what is left of
the images, is of second order in the laws (defect correction; Böhmer, Hemker and Stetter, Computing Suppl. 5, 1
(1984)). Noise is not small, and leaves laws open along directions in which such errors matter: there the coarse level
tells no more than how predictions depend on the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.experiment import Experiment, Fit
from fe_phaseinv.observation.pixels import Pixels


@dataclass(frozen=True, eq=False)
class LevelledExperiment:
    """A series of images on two levels.

    Parameters
    ----------
    fine : Experiment
        Predicts.
    coarse : Experiment
        Tells how predictions depend on the unknowns, the same as those of the fine one.
    own_laws : bool
        Whether the fine level tells how they depend on the laws.
    """

    fine: Experiment
    coarse: Experiment
    own_laws: bool = False

    @property
    def pixels(self) -> Pixels:
        """Pixels of the fine level; those of the coarse one are on the same ranks."""
        return self.fine.pixels

    @property
    def modes(self) -> int:
        """Number of the modes of an unknown start."""
        return self.fine.modes

    def prior_at(self, q: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return value, gradient and Hessian of the share of an unknown start's prior in the cost.

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        """
        return self.fine.prior_at(q)

    def with_variance(self, variance: float) -> LevelledExperiment:
        """Return the same: no prior here is weighted by the variance of a pixel.

        Parameters
        ----------
        variance : float
        """
        return self

    def fit(self, m: np.ndarray, q: np.ndarray, grids: Sequence[TimeGrid] | None = None) -> Fit:
        """Compare predictions with the images. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        grids : sequence of TimeGrid, optional
            Steps to take in each segment, of the fine level, then of the coarse one; chosen where not given.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved on one of the levels.
        """
        fine, coarse, count = self.fine, self.coarse, len(self.fine.segments)
        below = coarse.solve(m, q, grids and grids[count:])
        runs = fine.solve(m, q, grids and grids[:count], sensitivities=self.own_laws, of_start=False)
        scalars = (fine if self.own_laws else coarse).scalar_derivatives(runs if self.own_laws else below)
        fit = fine.compared(runs, self._derivatives(runs, below), scalars)
        return replace(fit, grids=(*fit.grids, *(run.grid for run in below)))

    def _derivatives(self, runs: Sequence[Trajectory], below: Sequence[Trajectory]) -> Iterator[np.ndarray]:
        coarse = self.coarse.derivatives(below)
        if not self.own_laws:
            return coarse
        laws = self.fine.forward.step.forms.columns
        pairs = zip(self.fine.derivatives(runs), coarse, strict=True)
        return (np.hstack([own, others[:, laws:]]) for own, others in pairs)

    def squared(self, changes: Sequence[np.ndarray], fit: Fit) -> float:
        """Return the sum of the squares of changes of the pixels compared with, weighted as in a fit. Collective.

        Parameters
        ----------
        changes : sequence of numpy.ndarray
            Local changes, one array for each frame.
        fit : Fit
        """
        return self.fine.squared(changes, fit)
