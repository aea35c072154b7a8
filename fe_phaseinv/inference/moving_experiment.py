"""One series of images inside of a boundary that is known only in part, and how well laws and boundary explain it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from firedrake import MeshGeometry
from scipy.linalg import block_diag

from fe_phaseinv.data.moving import MovingMesh
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.displaced import Displaced
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.fit import Fit
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class MovingExperiment:
    """A series of images with its forward model on a mesh whose boundary is unknown.

    Parameters
    ----------
    still : Experiment
        On the mesh at rest.
    mesh : MovingMesh
    moved : callable
        Of a displaced mesh: the experiment there, with derivatives by further displacements.
    variance : float
        Of a pixel, by which the prior of the displacement is weighted against the misfit.
    limits : tuple of float
        Between which the values of a start are kept.
    """

    still: Experiment
    mesh: MovingMesh
    moved: Callable[[MeshGeometry], Experiment]
    _: KW_ONLY
    variance: float
    limits: tuple[float, float]

    @property
    def pixels(self) -> Pixels:
        """Pixels on the mesh at rest."""
        return self.still.pixels

    @property
    def modes(self) -> int:
        """Number of the modes of an unknown start, and of the displacement."""
        return self.still.modes + len(self.mesh)

    def with_variance(self, variance: float) -> MovingExperiment:
        """Return the same with another weight of the prior of the displacement.

        Parameters
        ----------
        variance : float
            Of a pixel.
        """
        return replace(self, variance=variance)

    def prior_at(self, q: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return value, gradient and Hessian of the share of the priors of start and displacement in the cost.

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start, then of the displacement, in standard deviations.
        """
        start, shares = self._split(q)
        value, gradient, hessian = self.still.prior_at(start)
        weight = self.variance
        return (
            value + 0.5 * weight * float(shares @ shares),
            np.r_[gradient, weight * shares],
            block_diag(hessian, weight * np.eye(len(shares))),
        )

    @property
    def reuses(self) -> bool:
        """Whether a fit takes derivatives from one nearby: none does, of another mesh."""
        return False

    def fit(
        self, m: np.ndarray, q: np.ndarray, grids: Sequence[TimeGrid] | None = None, near: Fit | None = None
    ) -> Fit:
        """Compare predictions with the images. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start, then of the displacement.
        grids : sequence of TimeGrid, optional
            Steps to take; chosen where not given.
        near : Fit, optional
            Of a point nearby, which does not count.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved, or the displacement leaves no mesh.
        """
        return self._there(q, lambda experiment, start: experiment.fit(m, start, grids))

    def misfit(self, m: np.ndarray, q: np.ndarray, grids: Sequence[TimeGrid] | None = None) -> float:
        """Return what the differences of predictions from the images add to the cost. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start, then of the displacement.
        grids : sequence of TimeGrid, optional
            Steps to take; chosen where not given.

        Raises
        ------
        StepFailed
            On all ranks, as `fit` does.
        """
        return self._there(q, lambda experiment, start: experiment.misfit(m, start, grids))

    def _there(self, q: np.ndarray, compare: Callable[[Experiment, np.ndarray], Any]) -> Any:
        """Return what an experiment on the displaced mesh, with shares of the modes of its start, is made to tell."""
        start, shares = self._split(q)
        try:
            mesh = self.mesh.moved(shares)
        except ValueError as error:
            raise StepFailed(str(error)) from error
        experiment = self._with_start(self.moved(mesh), shares)
        try:
            return compare(experiment, start)
        finally:
            self.still.forward.work += experiment.forward.counts

    def _with_start(self, experiment: Experiment, shares: np.ndarray) -> Experiment:
        """Return an experiment with the changes of its start, which stays where it is: if unknown, to first order."""
        if self.still.field is None:
            (segment,) = experiment.segments
            return replace(
                experiment, changes=_changes(experiment.forward, segment.start, experiment.forward.displaced)
            )
        base = self.still.field.base + self._changes_at_rest @ shares
        first = slice(len(base) // len(self.still.forward.layout.rated))
        base[first] = np.clip(base[first], *self.limits)
        return replace(experiment, field=replace(self.still.field, base=base), changes=self._changes_at_rest)

    @cached_property
    def _changes_at_rest(self) -> np.ndarray:
        at_rest = Displaced(self.still.forward.mesh, self.mesh.fields)
        return _changes(self.still.forward, self.still.field.base, at_rest)

    def squared(self, changes: Sequence[np.ndarray], fit: Fit) -> float:
        """Return the sum of the squares of changes of the pixels compared with, weighted as in a fit. Collective.

        Parameters
        ----------
        changes : sequence of numpy.ndarray
            Local changes, one array for each frame.
        fit : Fit
        """
        return self.still.squared(changes, fit)

    def _split(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return q[: self.still.modes], q[self.still.modes :]


def _changes(forward: ForwardModel, start: np.ndarray, displaced: Displaced) -> np.ndarray:
    """Return the changes of the nodal values of a start that stays where it is in a mesh that is displaced."""
    parts = np.split(start, len(forward.layout.rated))
    return np.concatenate([displaced.seen(part, forward.space) for part in parts])
