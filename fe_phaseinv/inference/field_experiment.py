"""One series of images with the fields that are unknown of it, and its share in the cost of laws and fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.experiment import most_steps
from fe_phaseinv.inference.field_derivatives import FieldDerivatives
from fe_phaseinv.inference.field_fit import FieldFit
from fe_phaseinv.inference.field_subspace import Search, Subspace
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.optimisation.bordered import Border

LEFT, FINE = 0.1, 0.02
"""Share of a change of the fields, in the norm of the cost, that is left where they are eliminated. The Hessian by the
laws is then too large by the square of it at most, in units of that without the fields. For steps, and at the end."""


class FieldExperiment(FieldUnknowns):
    """Half the squared difference between the predicted and given pixels of a series, plus the priors of its fields."""

    def at(self, x: np.ndarray, grid: TimeGrid | None = None, near: FieldShare | None = None) -> FieldShare:
        """Evaluate the share in the cost, and what its derivatives need. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns of the laws, then of the fields.
        grid : TimeGrid, optional
            Steps to take; chosen where not given.
        near : FieldShare, optional
            Of a point nearby.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved, or predictions are not finite.
        """
        self.set_map(x)
        run = self.forward.run(
            self.coordinates.coefficients(x[self.laws]),
            self.segment.start + self.start(x),
            self.segment.times,
            grid=grid,
            sensitivities=True,
            record=self.forward.steps_in(self.storage),
            max_steps=most_steps(self.forward.integrator.tolerances),
        )
        return FieldShare.of(self, x, run, near and (near.near or near))


@dataclass(frozen=True, eq=False)
class WholePart:
    """The whole Hessian of the share of a series.

    Parameters
    ----------
    hessian : numpy.ndarray, shape (n, n)
        By the laws.
    border : Border
        The fields.
    rotation : numpy.ndarray, shape (r, r)
        Columns are the directions of the border as shares of those of the subspace.
    """

    hessian: np.ndarray
    border: Border
    rotation: np.ndarray


@dataclass(frozen=True, eq=False)
class FieldShare:
    """The share of a series in the cost at a point, with its derivatives as actions.

    Its numbers are known once it is made; what takes sweeps (gradient, Hessians) is computed when it is asked for
    first, on all ranks of the series together.

    Parameters
    ----------
    experiment : FieldExperiment
    x : numpy.ndarray, shape (size,)
        Unknowns of the laws, then of the fields.
    value : float
        Weighted misfit + priors of the fields + what the user adds.
    run : Trajectory
        With sensitivities.
    fit : FieldFit
        Of the run.
    derivatives : FieldDerivatives
    near : FieldShare, optional
        Of a point nearby, with whose subspace conjugate gradients are preconditioned. That one had none.
    """

    experiment: FieldExperiment
    x: np.ndarray
    value: float
    run: Trajectory
    fit: FieldFit
    derivatives: FieldDerivatives
    near: FieldShare | None = None

    @classmethod
    def of(
        cls, experiment: FieldExperiment, x: np.ndarray, run: Trajectory, near: FieldShare | None = None
    ) -> FieldShare:
        """Evaluate the share of a run. Collective.

        Parameters
        ----------
        experiment : FieldExperiment
        x : numpy.ndarray, shape (size,)
            Unknowns of the laws, then of the fields.
        run : Trajectory
            With sensitivities.
        near : FieldShare, optional
            Of a point nearby.

        Raises
        ------
        StepFailed
            Where a prediction or a sensitivity is not finite.
        """
        states = [run.start] * experiment.starts_compared + run.states
        fit = FieldFit.of(experiment.channels, experiment.segment.frames, states)
        value = experiment.weight * fit.misfit + experiment.value_of_field_priors(x)
        if experiment.term is not None:
            value += experiment.term.value(experiment.first_fields([run.start, *run.states]))
        m = experiment.coordinates.coefficients(x[experiment.laws])
        return cls(experiment, x, value, run, fit, FieldDerivatives(experiment, x, m, run=run, fit=fit), near)

    @cached_property
    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton Hessian by the laws, shape (n, n), and by fields and laws, shape (fields, n). Collective."""
        derivatives, of = self.derivatives, self.experiment
        if of.term is None:
            return derivatives.H_mm, derivatives.H_um
        units = np.eye(of.size, of.laws.stop).T
        columns = np.reshape(derivatives.actions(units), (len(units), of.size)).T
        return columns[of.laws], columns[of.own]

    @cached_property
    def subspace(self) -> Subspace:
        """Directions of the fields in which the images and the laws pull, for a step. Collective."""
        return self._spanned(self._search, LEFT)

    @cached_property
    def fine_subspace(self) -> Subspace:
        """More of them, for the uncertainty of the laws. Collective."""
        self.subspace  # noqa: B018 (the search may go on from there)
        return self._spanned(self._exact_search, FINE)

    def probed(self, probes: Sequence[np.ndarray]) -> Subspace:
        """Return directions of the fields that the images tell of, whatever pulls. Collective.

        Parameters
        ----------
        probes : sequence of numpy.ndarray, shape (size,)
            Derivatives that noise would make: the more, the more directions.
        """
        self.fine_subspace  # noqa: B018 (the search goes on from there)
        return self._spanned(self._exact_search, LEFT, probes)

    def border(self, subspace: Subspace) -> Border:
        """Return the fields as a border of the Gauss-Newton model. Collective.

        Parameters
        ----------
        subspace : Subspace
        """
        return subspace.border(self.blocks[1], self.derivatives.gradient)

    def whole_part(self) -> WholePart:
        """Return the whole Hessian by the laws and the fields in their directions. Collective."""
        of, directions, n = self.experiment, self.subspace.directions, self.experiment.laws.stop
        rows = np.zeros((n + len(directions), of.size))
        rows[:n, of.laws], rows[n:, of.own] = np.eye(n), directions
        actions = np.reshape([self.derivatives.action(row, full=True) for row in rows], rows.shape)
        whole = rows[:, of.laws] @ actions[:, of.laws].T
        whole += total(of.pixels.comm, rows[:, of.own] @ actions[:, of.own].T)
        whole = 0.5 * (whole + whole.T)
        curvatures, rotation = np.linalg.eigh(whole[n:, n:])
        gradient = self.border(self.subspace).gradient @ rotation
        return WholePart(whole[:n, :n], Border(curvatures, whole[:n, n:] @ rotation, gradient), rotation)

    @cached_property
    def _search(self) -> Search:
        return Search(self.experiment, self.derivatives.actions, self.near and self.near.subspace)

    @cached_property
    def _exact_search(self) -> Search:
        """One that no other point has a part in: what the priors precondition, they also bound."""
        return Search(self.experiment, self.derivatives.actions) if self.near else self._search

    def _spanned(self, search: Search, left: float, probes: Sequence[np.ndarray] = ()) -> Subspace:
        """Solve for what goes with changes of the laws, the gradient, and probes."""
        of, (H_mm, H_um) = self.experiment, self.blocks
        # Changes of the laws of unit curvature; where the images tell nothing, coefficients of size one stand for them.
        root = np.linalg.cholesky(H_mm + of.variance * np.eye(len(H_mm)))
        columns = np.linalg.solve(root, H_um.T).T
        search.solve([np.concatenate([np.zeros(of.laws.stop), each]) for each in columns.T], left, least=1.0)
        search.solve([self.derivatives.gradient, *probes], left, least=np.sqrt(of.variance))
        return search.subspace()
