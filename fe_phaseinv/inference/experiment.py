"""One series of images with its forward model, and how well laws explain it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property, partial

import numpy as np
from mpi4py import MPI

from fe_phaseinv.core.parallel import any_rank, dealt, total
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.given import Given
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances, Trajectory
from fe_phaseinv.inference.fit import Fit, Squares
from fe_phaseinv.inference.segments import Segment
from fe_phaseinv.inference.term import TapedTerm, TermShare
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.unknown_field import UnknownField
from fe_phaseinv.solvers.direct import StepFailed

MOST_STEPS, USUAL = 120, 3e-3
"""Trial laws with which more steps must be tried between two frames, at this relative tolerance, are taken for
failed."""
MOST_KEPT = 5e8
"""Bytes of derivatives of pixels on each rank up to which they are kept for points nearby."""


def most_steps(tolerances: Tolerances) -> float:
    """Return the number of steps tried between two frames beyond which trial laws are taken for failed.

    Parameters
    ----------
    tolerances : Tolerances
        By the usual order, steps grow as the cube root of the relative one.
    """
    return MOST_STEPS * (USUAL / tolerances.rtol) ** (1 / 3)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A series of images with its forward model.

    Parameters
    ----------
    forward : ForwardModel
    pixels : Pixels
    segments : sequence of Segment
        `trajectory` or `intervals`.
    field : UnknownField, optional
        In place of the start of the only segment, whose frames then begin with the one at the start.
    weight : float
        Of the squared differences, and of the prior of an unknown start, in the cost.
    term : TapedTerm, optional
        A functional of the only segment that is added to the cost, with a weight of one.
    changes : numpy.ndarray, shape (rated * nodes, k), optional
        Of the start, by displacements of the mesh.
    beside : mpi4py.MPI.Comm, optional
        Ranks with the same experiment on meshes of their own, which share its runs.
    """

    forward: ForwardModel
    pixels: Pixels
    segments: Sequence[Segment]
    _: KW_ONLY
    field: UnknownField | None = None
    weight: float = 1.0
    term: TapedTerm | None = None
    changes: np.ndarray | None = None
    beside: MPI.Comm | None = None

    @cached_property
    def channels(self) -> Channels:
        """What the images show of states."""
        return Channels(self.pixels, self.forward)

    @property
    def modes(self) -> int:
        """Number of the modes of an unknown start."""
        return self.field.modes.shape[1] if self.field else 0

    def prior_at(self, q: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return value, gradient and Hessian of the share of an unknown start's prior in the cost.

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        """
        if self.field is None:
            return 0.0, np.zeros(0), np.zeros((0, 0))
        return (
            self.weight * self.field.value(q),
            self.weight * self.field.gradient(q),
            self.weight * self.field.precision,
        )

    def with_variance(self, variance: float) -> Experiment:
        """Return the same: no prior here is weighted by the variance of a pixel.

        Parameters
        ----------
        variance : float
        """
        return self

    @property
    def reuses(self) -> bool:
        """Whether a fit takes derivatives from one nearby, which is to keep them: where they are not too many."""
        frames = sum(len(segment.frames) for segment in self.segments)
        columns = self.forward.step.forms.columns + self.modes
        kept = 8 * np.prod(self.pixels.images.shape) * self.pixels.images.channels * frames * columns
        return self.term is None and kept <= MOST_KEPT * self.pixels.comm.size

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
            Steps to take in each segment; chosen where not given.
        near : Fit, optional
            Of a point nearby, whose derivatives will do.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved, or predictions are not finite: what is missing in them
            is no missing pixel.
        """
        runs = self.solve(m, q, grids, sensitivities=near is None)
        if near:
            return self.compared(runs, near.derivatives, near.scalar_derivatives)
        return self.compared(runs, self.derivatives(runs), self.scalar_derivatives(runs))

    def misfit(self, m: np.ndarray, q: np.ndarray, grids: Sequence[TimeGrid] | None = None) -> float:
        """Return what the differences of predictions from the images, and the term, add to the cost. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        grids : sequence of TimeGrid, optional
            As for `fit`.

        Raises
        ------
        StepFailed
            On all ranks, as `fit` does.
        """
        if self.term is not None:
            squares = self.fit(m, q, grids).squares
            return squares.misfit + squares.term.value
        runs = self.solve(m, q, grids and grids[: len(self.segments)], sensitivities=False)
        none = np.zeros((len(self.pixels.inside) * self.pixels.images.channels, 0))
        return self.compared(runs, [none for run in runs for _ in run.states], {}).squares.misfit

    def solve(
        self,
        m: np.ndarray,
        q: np.ndarray,
        grids: Sequence[TimeGrid] | None = None,
        *,
        sensitivities: bool = True,
        of_start: bool = True,
    ) -> list[Trajectory]:
        """Solve all segments; the states of an unknown start are its own and those after it. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.
        q : numpy.ndarray, shape (k,)
            Shares of the modes of an unknown start.
        grids : sequence of TimeGrid, optional
            Steps to take in each segment; chosen where not given.
        sensitivities : bool
            Whether to carry derivatives by the unknowns along.
        of_start : bool
            Whether to carry those by the unknowns of a start along, too.

        Raises
        ------
        StepFailed
            On all ranks, where the equations cannot be solved.
        """
        how = {"sensitivities": sensitivities, "of_start": of_start}
        pairs = zip(self.segments, grids or [None] * len(self.segments), strict=True)
        return dealt(self.beside, [partial(self._run, m, q, segment, grid, **how) for segment, grid in pairs])

    def _run(
        self,
        m: np.ndarray,
        q: np.ndarray,
        segment: Segment,
        grid: TimeGrid | None,
        *,
        sensitivities: bool,
        of_start: bool,
    ) -> Trajectory:
        start, modes = self._start(q, segment)
        modes = modes if sensitivities and of_start else None
        run = self.forward.run(
            m,
            start,
            segment.times,
            grid=grid,
            sensitivities=sensitivities,
            modes=modes,
            max_steps=most_steps(self.forward.integrator.tolerances),
        )
        run = replace(run, given=Given())  # it may hold what cannot be sent to other ranks
        first = [self.forward.tangent(modes)] if sensitivities else []
        if self.field is not None:  # whose own frame comes first
            run = replace(run, states=[run.start, *run.states], sensitivities=[*first, *run.sensitivities])
        return run

    def derivatives(self, runs: Sequence[Trajectory]) -> Iterator[np.ndarray]:
        """Give the derivatives of the local pixels, shape (rows, k), one frame after the other. Collective.

        Parameters
        ----------
        runs : sequence of Trajectory
            With sensitivities.
        """
        for run in runs:
            for state, derivative in zip(run.states, run.sensitivities, strict=True):
                rows = self.channels.derivatives(derivative)
                if self.forward.displaced is not None:
                    rows[:, -len(self.forward.displaced) :] += self.channels.carried(state)
                yield rows

    def scalar_derivatives(self, runs: Sequence[Trajectory]) -> dict[str, np.ndarray]:
        """Return the derivatives of the model's scalars by the coefficients, by name, shape (frames, columns).

        Parameters
        ----------
        runs : sequence of Trajectory
            With sensitivities.
        """
        layout, columns = self.forward.layout, self.forward.step.forms.columns
        # From the end: there are fewer carried derivatives than values of a state.
        return {
            name: np.array([by[layout.place(name) - layout.size, :columns] for run in runs for by in run.sensitivities])
            for name in layout.scalars
        }

    def compared(
        self, runs: Sequence[Trajectory], derivatives: Iterable[np.ndarray], of_scalars: Mapping[str, np.ndarray]
    ) -> Fit:
        """Compare the predictions of runs with the images. Collective.

        Parameters
        ----------
        runs : sequence of Trajectory
        derivatives : iterable of numpy.ndarray, shape (rows, k)
            Of the local pixels, one frame after the other; kept where the experiment reuses them.
        of_scalars : mapping of numpy.ndarray, shape (frames, columns)
            By name, those of the model's scalars.

        Raises
        ------
        StepFailed
            On all ranks, where predictions or derivatives are not finite.
        """
        derivatives = tuple(derivatives) if self.reuses else derivatives
        states = [state for run in runs for state in run.states]
        frames = tuple(frame for segment in self.segments for frame in segment.frames)
        predictions, differences, gradient, hessian = [], [], 0.0, 0.0
        for frame, state, rows in zip(frames, states, derivatives, strict=True):
            predictions.append(self.channels.average(state))
            seen = self.channels.compare(frame, predictions[-1])
            differences.append(seen)
            gradient += rows.T @ seen.force
            rows = rows * np.sqrt(seen.weight)[:, None]
            hessian += rows.T @ rows
        comm, weight = self.pixels.comm, self.weight
        if any_rank(comm, not all(np.isfinite(each).all() for each in (*predictions, gradient, hessian))):
            raise StepFailed("a prediction or its derivative is not finite")
        misfit, squares, count = total(
            comm, np.sum([(seen.value, seen.residual @ seen.residual, seen.used.sum()) for seen in differences], axis=0)
        )
        return Fit(
            Squares(
                misfit=weight * float(misfit),
                pixels=int(count),
                gradient=weight * total(comm, gradient),
                hessian=weight * total(comm, hessian),
                term=self._of_term(runs),
            ),
            misfit_rms=float(np.sqrt(squares / max(count, 1))),
            grids=tuple(run.grid for run in runs),
            channels=self.channels,
            frames=frames,
            states=states,
            predictions=predictions,
            weights=[seen.weight for seen in differences],
            derivatives=derivatives if self.reuses else (),
            scalars=self._scalars(states),
            scalar_derivatives=dict(of_scalars),
        )

    def squared(self, changes: Sequence[np.ndarray], fit: Fit) -> float:
        """Return the sum of the squares of changes of the pixels compared with, weighted as in a fit. Collective.

        Parameters
        ----------
        changes : sequence of numpy.ndarray
            Local changes, one array for each frame.
        fit : Fit
        """
        pairs = zip(changes, fit.weights, strict=True)
        return self.weight * float(total(self.pixels.comm, sum(weight @ change**2 for change, weight in pairs)))

    def _start(self, q: np.ndarray, segment: Segment) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the start of a segment, and the fields whose shares in it are unknown."""
        start, modes = (self.field.at(q), self.field.modes) if self.field else (segment.start, None)
        if self.changes is not None:
            modes = self.changes if modes is None else np.hstack([modes, self.changes])
        return start, modes

    def _scalars(self, states: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        layout = self.forward.layout
        return {name: np.array([state[layout.place(name)] for state in states]) for name in layout.scalars}

    def _of_term(self, runs: Sequence[Trajectory]) -> TermShare | None:
        if self.term is None:
            return None
        (run,), layout = runs, self.forward.layout
        states, derivatives = run.states, run.sensitivities
        if self.field is None:
            states, derivatives = [run.start, *states], [self.forward.tangent(None), *derivatives]
        return self.term.share(
            [layout.component(state, 0) for state in states], [layout.carried_component(by, 0) for by in derivatives]
        )
