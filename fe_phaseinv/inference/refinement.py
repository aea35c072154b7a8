"""How errors of elements and steps move the laws, and what is left of the images without them.

The changes of the predictions with finer elements, and with smaller steps, are seen through the inverse of the
Gauss-Newton Hessian as a bias of the laws: they are corrected for it, and a share of the correction widens their bands.
What neither explains is taken for an error of the images or the equations that is correlated as it is seen to be: the
covariance of the laws is that of misspecified least squares, inverse Hessian times covariance of the gradient times
inverse Hessian (White, Econometrica 50, 1 (1982)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from warnings import warn

import numpy as np
from firedrake import assemble, interpolate
from scipy.linalg import pinvh

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.inference.discretisation import Discretisation
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.fit import Fit
from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.residuals import SMALLEST, Residuals
from fe_phaseinv.inference.segments import trajectory
from fe_phaseinv.inference.series import Series
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.solvers.direct import StepFailed

NONE = np.zeros(0)
"""Shares of the modes of a start that is given."""
PARTS = 4
"""Of each step, where errors of steps are measured: those of the second order shrink to a sixteenth."""
CHOICES = (True, True), (True, False), (False, True), (False, False)
"""Whether images show the errors of elements, and those of steps: both, unless they clearly do not."""
CLEAR = 9.0
"""Increase of the squared misfit, in units of that of a pixel, with which errors are not what images show."""
REMAINS, ALIKE = 0.07, 1.5
"""Standard deviation of each correction, as a share of it, and factor of the variance by what is left, as that follows
the pattern where shifts of it do not: both of 24 truths of tests/benchmarks/coverage.py."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """What finer elements and steps tell of the laws.

    Parameters
    ----------
    degree : int
        Of the finer elements.
    shown : tuple of bool
        Whether the images show the errors of elements, and those of steps: as those of a simulation with the same
        elements do not.
    shifts : numpy.ndarray, shape (3, n)
        By how much the unknowns of the laws change with the elements, and with the steps, zero where they do not; and
        the Gauss-Newton step that is left, for an inversion ends at a promise that is small beside these errors.
    explained : float
        Share of the squared misfit that this takes away.
    told : numpy.ndarray, shape (n, n), or None
        Covariance of the unknowns of the laws by what is left then; None where that is white.
    by_prior : numpy.ndarray, shape (n, n)
        That by the priors, in units of the variance of a pixel.
    scalars : tuple of dict of numpy.ndarray, shape (frames,)
        For each series, by how much the model's scalars change, by name.
    """

    degree: int
    shown: tuple[bool, bool]
    shifts: np.ndarray
    explained: float
    told: np.ndarray | None
    by_prior: np.ndarray
    scalars: tuple[dict[str, np.ndarray], ...]

    def counted(self, posterior: Laplace, coordinates: Coordinates, x: np.ndarray) -> Laplace:
        """Return a posterior around the corrected laws, with what remains of the errors in the covariance.

        Parameters
        ----------
        posterior : Laplace
            That of independent noise, at the laws reached.
        coordinates : Coordinates
        x : numpy.ndarray, shape (n,)
            The unknowns there.
        """
        chain, covariance, shift = coordinates.jacobian(x), posterior.covariance, self.shifts.sum(axis=0)
        if self.told is not None:
            covariance = chain @ (ALIKE * self.told + posterior.deviation**2 * self.by_prior) @ chain.T
        errors = REMAINS * self.shifts @ chain.T
        moved = coordinates.coefficients(x + coordinates.allowed(x, shift) * shift)
        return replace(posterior, coefficients=moved, covariance=covariance + errors.T @ errors)

    def sentence(self) -> str:
        """Return it in words."""
        names = [name for name, shown in zip(("elements", "steps"), self.shown, strict=True) if shown]
        if not names:
            return (
                "The images show no errors of elements and steps, as if simulated with the same ones; the laws are not "
                "corrected for them."
            )
        return (
            f"Errors of {' and '.join(names)}, measured with degree {self.degree} and a quarter of the steps, explain "
            f"{100 * self.explained:.0f} % of the squared misfit; the laws are corrected for them."
        )


def refine(problem: Problem, progress: Progress) -> Refinement | None:
    """Measure the errors of elements and steps at the laws reached. Collective.

    Parameters
    ----------
    problem : Problem
    progress : Progress

    Returns
    -------
    Refinement or None
        None where the inversion has not converged, has unknown fields or boundaries, or keeps no derivatives of the
        predictions; and, with a `DataWarning`, where the model cannot be solved there.
    """
    point = progress.state.point
    if progress.state.outcome is not Outcome.CONVERGED or not isinstance(point, Linearisation):
        return None
    objective = progress.task.objective(problem)
    parts = list(zip(problem.ensemble.own, problem.series, objective.experiments, point.fits, strict=True))
    if not all(problem.ensemble.gather([bool(series.probes and fit.derivatives) for _, series, _, fit in parts])):
        return None
    compared = [_Compared.of(problem, point, *part) for part in parts]
    if None in problem.ensemble.gather([one and one.degree for one in compared]):
        text = "the model cannot be solved with other elements and steps at the laws reached"
        warn(f"{text}; their errors are not in the bands", DataWarning, stacklevel=2)
        return None
    _, _, of_priors = objective.prior_at(point.x)
    return _refinement(problem, point, of_priors, compared)


def _refinement(problem: Problem, point: Linearisation, of_priors: np.ndarray, compared: list[_Compared]) -> Refinement:
    gather, laws = problem.ensemble.gather, slice(len(problem.coordinates))
    inverse = pinvh(point.hessian)
    shifts = -np.vstack([sum(gather([one.forces() for one in compared])), point.gradient]) @ inverse
    every = {shown: [one.left(shown, shifts) for one in compared] for shown in CHOICES}
    squares = {shown: _squares(problem, left) for shown, left in every.items()}
    enough = min(squares.values()) + CLEAR * 2 * point.misfit / point.pixels
    shown = next(shown for shown in CHOICES if squares[shown] <= enough)
    left = every[shown]
    white, pairs = all(gather([one.white for one in left])), zip(compared, left, strict=True)
    told = None if white else sum(gather([one.told(residuals, inverse[:, laws]) for one, residuals in pairs]))
    return Refinement(
        degree=gather([one.degree for one in compared])[0],
        shown=shown,
        shifts=(np.array([*shown, True])[:, None] * shifts)[:, laws],
        explained=1 - squares[shown] / max(2 * point.misfit, SMALLEST),
        told=told,
        by_prior=inverse[laws] @ of_priors @ inverse[:, laws],
        scalars=tuple(gather([one.of_scalars(shown, shifts) for one in compared])),
    )


def _squares(problem: Problem, left: list[Residuals]) -> float:
    """Return the sum of the squares of residuals of all series. Collective."""
    return float(sum(problem.ensemble.gather([float(np.nansum(one.values**2)) for one in left])))


@dataclass(frozen=True, eq=False)
class _Compared:
    """A series with its predictions, and how they change with the elements, and with the steps.

    Parameters
    ----------
    experiment : Experiment
    fit : Fit
    into : numpy.ndarray, shape (columns, n)
        From all unknowns to those by which the derivatives of the fit are.
    degree : int
        Of the finer elements.
    changes : numpy.ndarray, shape (2, frames, rows)
        Of the local pixels.
    scalars : numpy.ndarray, shape (2, scalars, frames)
        Of the model's scalars.
    """

    experiment: Experiment
    fit: Fit
    into: np.ndarray
    degree: int
    changes: np.ndarray
    scalars: np.ndarray

    @classmethod
    def of(
        cls, problem: Problem, point: Linearisation, index: int, series: Series, experiment: Experiment, fit: Fit
    ) -> _Compared | None:
        """Solve with other elements and steps; None where this fails. Collective."""
        laws, *starts = np.split(point.x, point.ends[:-1])
        m, start, grid = problem.coordinates.coefficients(laws), starts[index], fit.grids[0]
        probes = series.probes(series.levelled)
        other, shown = series.as_smooth(probes.steps), zip(fit.predictions, *fit.scalars.values(), strict=True)
        own = np.array([np.append(seen, scalars) for seen, *scalars in shown])
        try:
            by_elements = _seen(_with(probes.elements, series, experiment, start), m, NONE, grid)
            by_steps = _seen(other, m, start, grid.refined(PARTS)) - _seen(other, m, start, grid)
        except StepFailed:
            return None
        known = len(own) - len(by_elements)  # the start is that of the fit
        by_elements = np.pad(by_elements - own[known:], ((known, 0), (0, 0)))
        both = np.array([by_elements, by_steps])
        chain = problem.coordinates.jacobian(laws)[problem.coordinates.free]
        into = np.zeros((len(chain) + len(start), len(point.x)))
        into[: len(chain), : len(laws)] = chain
        into[len(chain) :, point.ends[index] : point.ends[index + 1]] = np.eye(len(start))
        rows = len(fit.predictions[0])
        return cls(
            experiment=experiment,
            fit=fit,
            into=into,
            degree=probes.elements.forward.degree,
            changes=both[..., :rows],
            scalars=np.swapaxes(both[..., rows:], 1, 2),
        )

    def forces(self) -> np.ndarray:
        """Return how either change of the predictions changes the gradient of the cost, shape (2, n). Collective."""
        fit, comm = self.fit, self.experiment.pixels.comm
        parts = zip(fit.derivatives, fit.weights, np.swapaxes(self.changes, 0, 1), strict=True)
        return self.experiment.weight * total(comm, sum((w * both) @ rows for rows, w, both in parts)) @ self.into

    def left(self, shown: tuple[bool, bool], shifts: np.ndarray) -> Residuals:
        """Return what is left of the images once predictions have changed, and the unknowns with them. Collective."""
        channels, columns, found = self.fit.channels, self.into @ ((*shown, True) @ shifts), []
        changes = np.tensordot(shown, self.changes, 1)
        parts = zip(self.fit.frames, self.fit.predictions, changes, self.fit.derivatives, strict=True)
        for frame, predicted, change, rows in parts:
            seen = channels.compare(frame, predicted + change + rows @ columns)
            weighted = np.sqrt(self.experiment.weight * seen.weight) * seen.residual
            found.append(self._pictures(np.where(seen.weight > 0, weighted, np.nan)))
        return Residuals(np.array(found), channels.images.dimension)

    def told(self, left: Residuals, influence: np.ndarray) -> np.ndarray:
        """Return the covariance of what is left times how it moves unknowns, shape (n, k), of the laws. Collective."""
        columns, pairs = self.into @ influence, zip(self.fit.derivatives, self.fit.weights, strict=True)
        parts = [np.sqrt(self.experiment.weight * w)[:, None] * (rows @ columns) for rows, w in pairs]
        moved = [[self._pictures(column) for column in np.ascontiguousarray(part.T)] for part in parts]
        return left.covariance_of(np.swapaxes(moved, 0, 1))

    def of_scalars(self, shown: tuple[bool, bool], shifts: np.ndarray) -> dict[str, np.ndarray]:
        """Return by how much scalars change, with elements and steps and with the laws."""
        columns, by = self.into @ ((*shown, True) @ shifts), self.fit.scalar_derivatives
        pairs = zip(self.fit.scalars, np.tensordot(shown, self.scalars, 1), strict=True)
        return {name: change + by[name] @ columns[: by[name].shape[1]] for name, change in pairs}

    def _pictures(self, rows: np.ndarray) -> np.ndarray:
        """Return the pictures of all channels, shape (channels, y, x). Collective."""
        images = self.fit.channels.images
        return self.fit.channels.picture(rows).reshape(images.channels, *images.shape)


def _with(finer: Discretisation, series: Series, experiment: Experiment, start: np.ndarray) -> Experiment:
    """Return the comparison with a finer discretisation, from the same start where that is unknown. Collective."""
    (segment,) = experiment.segments
    if experiment.field is None:
        segment = trajectory(finer.smoother, series.first_frame, series.followed, limits=series.limits)
    else:
        parts = np.split(experiment.field.at(start), len(experiment.forward.layout.rated))
        on_mesh = [assemble(interpolate(experiment.forward.function(part), finer.forward.space)) for part in parts]
        segment = replace(segment, start=np.concatenate([part.dat.data_ro for part in on_mesh]))
    return Experiment(finer.forward, finer.pixels, [segment], beside=series.beside)


def _seen(experiment: Experiment, m: np.ndarray, start: np.ndarray, grid: TimeGrid) -> np.ndarray:
    """Return the local pixels, then the scalars, that a run on a grid predicts, by frame. Collective."""
    (run,) = experiment.solve(m, start, [grid], sensitivities=False)
    layout = experiment.forward.layout
    scalars = [[state[layout.place(name)] for name in layout.scalars] for state in run.states]
    return np.array(
        [np.append(experiment.channels.average(s), own) for s, own in zip(run.states, scalars, strict=True)]
    )
