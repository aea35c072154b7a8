"""The cost of unknowns: squared pixelwise misfit plus prior, with its derivatives, at explicit points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.linalg import block_diag

from fe_phaseinv.coordinates import Coordinates
from fe_phaseinv.forward import Forward
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parallel import total
from fe_phaseinv.priors import Prior
from fe_phaseinv.smoothing import Smoother, UnknownField
from fe_phaseinv.stepping.bdf import TimeGrid
from fe_phaseinv.stepping.step import StepFailed
from fe_phaseinv.stepping.trajectory import Tolerances, Trajectory
from fe_phaseinv.trust_region import EXACT

MOST_STEPS = 120
"""Trial laws with which more steps are needed between two frames, at the usual tolerance, are taken for failed ones."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of the time axis that one trajectory covers.

    Parameters
    ----------
    start : numpy.ndarray
        Local nodal values at times[0].
    times : tuple of float
        Start, then the times of the frames to compare with.
    frames : tuple of int
        Their indices in the image series.
    """

    start: np.ndarray
    times: tuple[float, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The cost at a point, linearised; value is inf where the forward model failed.

    Parameters
    ----------
    x : numpy.ndarray, shape (n,)
        Unknowns.
    value : float
        Cost: misfit + prior.
    misfit : float
        Half the sum of the squared differences.
    pixels : int
        Number of differences.
    gradient : numpy.ndarray, shape (n,)
    hessian : numpy.ndarray, shape (n, n)
        Gauss-Newton Hessian, prior included.
    grids : tuple of TimeGrid
        One for each segment.
    replayed : bool
        Whether the grids were given rather than chosen.
    frames : tuple of int
        Frames compared with.
    states, predictions : list of numpy.ndarray
        Local nodal values and local pixels predicted for them.
    """

    x: np.ndarray
    value: float
    misfit: float
    pixels: int
    gradient: np.ndarray
    hessian: np.ndarray
    grids: tuple[TimeGrid, ...] = ()
    replayed: bool = False
    frames: tuple[int, ...] = ()
    states: list[np.ndarray] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def on_grids(cls, x: np.ndarray, grids: tuple[TimeGrid, ...] = ()) -> Linearisation:
        """Return a point that is not evaluated: it could not be, or only its grids matter."""
        n = len(x)
        return cls(x, np.inf, np.inf, 1, np.full(n, np.nan), np.full((n, n), np.nan), grids)

    @property
    def whole(self) -> np.ndarray:
        """Unknowns as they are kept: an array that is the same on any number of ranks."""
        return self.x

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of the gradient."""
        return float(np.linalg.norm(self.gradient))

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(2 * self.misfit / self.pixels))


class Objective:
    """Half the squared difference between predicted and given pixels, plus the prior.

    The unknowns are those of the laws (`Coordinates`), then the shares of the modes of an unknown start: few enough for
    all derivatives to be carried along, and for the exact subproblem of a trust region.

    Parameters
    ----------
    forward : Forward
    pixels : Pixels
    coordinates : Coordinates
    prior : Prior
        Of the laws.
    segments : sequence of Segment
        `trajectory` or `intervals`.
    field : UnknownField, optional
        In place of the start of the only segment, whose frames then begin with the one at the start.
    """

    subproblem = EXACT

    def __init__(
        self,
        forward: Forward,
        pixels: Pixels,
        coordinates: Coordinates,
        prior: Prior,
        segments: Sequence[Segment],
        field: UnknownField | None = None,
    ):
        self.forward, self.pixels, self.coordinates, self.prior = forward, pixels, coordinates, prior
        self.segments, self.field = tuple(segments), field

    def __len__(self) -> int:
        """Return the number of unknowns."""
        return len(self.coordinates) + (self.field.modes.shape[1] if self.field else 0)

    def begin(self, laws: np.ndarray) -> np.ndarray:
        """Return the unknowns with those of the laws as given, and a start as it is expected."""
        return np.pad(laws, (0, len(self) - len(laws)))

    def local(self, whole: np.ndarray) -> np.ndarray:
        """Return the unknowns that a point gives as `whole`."""
        return whole

    def radius(self, point: Linearisation, least: float) -> float:
        """Return the radius of the trust region to begin with at a point."""
        return least

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Share of a step from x that the unknowns allow."""
        laws = slice(len(self.coordinates))
        return self.coordinates.allowed(x[laws], step[laws])

    def prior_at(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and Gauss-Newton Hessian of the priors' share in the cost."""
        count = len(self.coordinates)
        m, chain = self.coordinates.natural(x[:count]), self.coordinates.jacobian(x[:count])
        value, gradient = self.prior.value(m), chain.T @ self.prior.gradient(m)
        hessian = chain.T @ self.prior.hessian(m) @ chain
        if self.field is None:
            return value, gradient, hessian
        q = x[count:]
        gradient = np.concatenate([gradient, self.field.gradient(q)])
        return value + self.field.value(q), gradient, block_diag(hessian, self.field.precision)

    def at(self, x: np.ndarray, like: Linearisation | None = None) -> Linearisation:
        """Evaluate cost, gradient and Gauss-Newton Hessian.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        like : Linearisation, optional
            A point whose time grids are to be used.
        """
        laws, q = np.split(x, [len(self.coordinates)])
        if not self.coordinates.admissible(laws):
            return Linearisation.on_grids(x)
        m = self.coordinates.natural(laws)
        if not self.prior.admits(m):
            return Linearisation.on_grids(x)
        try:
            runs = [
                self._run(m, q, segment, like.grids[index] if like else None)
                for index, segment in enumerate(self.segments)
            ]
        except StepFailed:
            return Linearisation.on_grids(x)
        misfit, count, predictions = 0.0, 0, []
        gradient, hessian = 0.0, 0.0
        for frame, state, derivative in self._compared(runs):
            predicted = self.pixels.average(state)
            difference = predicted - self.pixels.frame(frame)
            used = np.isfinite(difference)
            rows = self.pixels.average(derivative)[used]
            misfit += 0.5 * float(difference[used] @ difference[used])
            count += int(used.sum())
            gradient += rows.T @ difference[used]
            hessian += rows.T @ rows
            predictions.append(predicted)
        comm = self.pixels.comm
        misfit, count = total(comm, misfit), int(total(comm, count))
        into = block_diag(self.coordinates.jacobian(laws)[self.forward.unknown], np.eye(len(q)))
        value, prior_gradient, prior_hessian = self.prior_at(x)
        return Linearisation(
            x=x,
            value=misfit + value,
            misfit=misfit,
            pixels=count,
            gradient=into.T @ total(comm, gradient) + prior_gradient,
            hessian=into.T @ total(comm, hessian) @ into + prior_hessian,
            grids=tuple(run.grid for run in runs),
            replayed=like is not None,
            frames=tuple(frame for segment in self.segments for frame in segment.frames),
            states=[state for run in runs for state in run.states],
            predictions=predictions,
        )

    def with_prior(self, prior: Prior) -> Objective:
        """Return the objective with another prior."""
        return Objective(self.forward, self.pixels, self.coordinates, prior, self.segments, self.field)

    def carried(self, point: Linearisation, before: Objective) -> Linearisation:
        """Return a point that an objective which differs in its prior alone has evaluated."""
        value, gradient, hessian = (
            new - old for new, old in zip(self.prior_at(point.x), before.prior_at(point.x), strict=True)
        )
        return replace(
            point,
            value=point.value + value,
            gradient=point.gradient + gradient,
            hessian=point.hessian + hessian,
        )

    def _run(self, m: np.ndarray, q: np.ndarray, segment: Segment, grid: TimeGrid | None) -> Trajectory:
        """Solve a segment; where the start is unknown, its own frame comes first."""
        start, modes = (self.field.at(q), self.field.modes) if self.field else (segment.start, None)
        most = self._most_steps
        run = self.forward.run(m, start, segment.times, grid, sensitivities=True, modes=modes, max_steps=most)
        if self.field is None:
            return run
        derivatives = [self.forward.tangent(modes), *run.sensitivities]
        return replace(run, states=[start, *run.states], sensitivities=derivatives)

    @property
    def _most_steps(self) -> float:
        """More of them, which grow as the cube root of the tolerance by the usual order, show a bad trial law."""
        return MOST_STEPS * max(1.0, Tolerances.rtol / self.forward.integrator.tolerances.rtol) ** (1 / 3)

    def _compared(self, runs: Sequence[Trajectory]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for segment, run in zip(self.segments, runs, strict=True):
            yield from zip(segment.frames, run.states, run.sensitivities, strict=True)


def trajectory(
    smoother: Smoother, initial: int, frames: Sequence[int], limits, uncertain: bool = False
) -> list[Segment]:
    """One segment from the initial frame, which is compared with where it is uncertain, through all others."""
    chain, times = _chain(smoother, initial, frames)
    return [Segment(smoother.fit(initial, limits), times, chain if uncertain else chain[1:])]


def uncertain_trajectory(
    smoother: Smoother, initial: int, frames: Sequence[int], limits
) -> tuple[Segment, UnknownField]:
    """Return the segment of `trajectory` with its own start among the frames, and that start as an unknown."""
    chain, times = _chain(smoother, initial, frames)
    field = smoother.unknown(initial, limits)
    return Segment(field.base, times, chain), field


def intervals(smoother: Smoother, initial: int, frames: Sequence[int], limits) -> list[Segment]:
    """Return a segment from every frame to the next."""
    chain, times = _chain(smoother, initial, frames)
    return [
        Segment(smoother.fit(frame, limits), between, (following,))
        for frame, following, between in zip(chain, chain[1:], pairwise(times), strict=False)
    ]


def _chain(smoother: Smoother, initial: int, frames: Sequence[int]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the initial frame and those after it, with their times."""
    times = smoother.pixels.images.times
    chain = (initial, *(frame for frame in frames if times[frame] > times[initial]))
    return chain, tuple(float(times[frame]) for frame in chain)
