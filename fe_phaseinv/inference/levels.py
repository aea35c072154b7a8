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
from mpi4py import MPI

from fe_phaseinv.core.parallel import dealt
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.fit import Fit


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelledExperiment(Experiment):
    """An experiment that predicts, and a coarse one that tells how predictions depend on the unknowns.

    Parameters
    ----------
    coarse : Experiment
        With the same unknowns; its pixels are on the same ranks.
    own_laws : bool
        Whether the fine level tells how predictions depend on the laws.
    apart : mpi4py.MPI.Comm, optional
        Ranks with the same experiments on meshes of their own, of which one predicts while another one differentiates.
    """

    coarse: Experiment
    own_laws: bool = False
    apart: MPI.Comm | None = None

    @property
    def reuses(self) -> bool:
        """Whether a fit takes derivatives from one nearby: those of the coarse level alone are soon found."""
        return self.own_laws and super().reuses

    def fit(
        self, m: np.ndarray, q: np.ndarray, grids: Sequence[TimeGrid] | None = None, near: Fit | None = None
    ) -> Fit:
        """Compare predictions with the images. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        grids : sequence of TimeGrid, optional
            Steps to take in each segment, of the fine level, then of the coarse one; chosen where not given.
        near : Fit, optional
            Of a point nearby, whose derivatives will do.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved on one of the levels.
        """
        coarse, count = self.coarse, len(self.segments)
        if near:
            fit = super().fit(m, q, grids and grids[:count], near)
            return replace(fit, grids=(*fit.grids, *near.grids[count:]))
        runs, below = dealt(
            self.apart,
            [
                lambda: self.solve(m, q, grids and grids[:count], sensitivities=self.own_laws, of_start=False),
                lambda: coarse.solve(m, q, grids and grids[count:]),
            ],
        )
        scalars = self.scalar_derivatives(runs) if self.own_laws else coarse.scalar_derivatives(below)
        fit = self.compared(runs, self._derivatives(runs, below), scalars)
        return replace(fit, grids=(*fit.grids, *(run.grid for run in below)))

    def _derivatives(self, runs: Sequence[Trajectory], below: Sequence[Trajectory]) -> Iterator[np.ndarray]:
        coarse = self.coarse.derivatives(below)
        if not self.own_laws:
            return coarse
        laws = self.forward.step.forms.columns
        pairs = zip(self.derivatives(runs), coarse, strict=True)
        return (np.hstack([own, others[:, laws:]]) for own, others in pairs)
