"""The cost of unknowns: squared pixelwise misfit plus prior, with its derivatives, at explicit points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fe_phaseinv.coordinates import Coordinates
from fe_phaseinv.forward import Forward
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parallel import total
from fe_phaseinv.priors import Prior
from fe_phaseinv.stepping.bdf import TimeGrid
from fe_phaseinv.stepping.trajectory import StepFailed


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
    states, predictions : list of numpy.ndarray
        Local nodal values and local pixels of the frames compared with.
    """

    x: np.ndarray
    value: float
    misfit: float
    pixels: int
    gradient: np.ndarray
    hessian: np.ndarray
    grids: tuple[TimeGrid, ...] = ()
    replayed: bool = False
    states: list[np.ndarray] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def on_grids(cls, x: np.ndarray, grids: tuple[TimeGrid, ...] = ()) -> Linearisation:
        """Return a point that is not evaluated: it could not be, or only its grids matter."""
        n = len(x)
        return cls(x, np.inf, np.inf, 1, np.full(n, np.nan), np.full((n, n), np.nan), grids)

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(2 * self.misfit / self.pixels))


class Objective:
    """Half the squared difference between predicted and given pixels, plus the prior.

    Parameters
    ----------
    forward : Forward
    pixels : Pixels
    coordinates : Coordinates
    prior : Prior
    segments : sequence of Segment
        `trajectory` or `intervals`.
    """

    def __init__(self, forward: Forward, pixels: Pixels, coordinates: Coordinates, prior: Prior, segments):
        self.forward, self.pixels, self.coordinates, self.prior = forward, pixels, coordinates, prior
        self.segments = tuple(segments)

    def shorten(self, x: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Cut a step from x to what the unknowns allow."""
        return self.coordinates.shorten(x, step)

    def at(self, x: np.ndarray, like: Linearisation | None = None) -> Linearisation:
        """Evaluate cost, gradient and Gauss-Newton Hessian.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        like : Linearisation, optional
            A point whose time grids are to be used.
        """
        columns = int(self.forward.unknown.sum())
        misfit, count, gradient, hessian = 0.0, 0, np.zeros(columns), np.zeros((columns, columns))
        grids, states, predictions = [], [], []
        if not self.coordinates.admissible(x):
            return Linearisation.on_grids(x)
        m = self.coordinates.natural(x)
        for index, segment in enumerate(self.segments):
            grid = like.grids[index] if like else None
            try:
                trajectory = self.forward.run(m, segment.start, segment.times, grid, sensitivities=True)
            except StepFailed:
                return Linearisation.on_grids(x)
            grids.append(trajectory.grid)
            for frame, state, derivative in zip(
                segment.frames, trajectory.states, trajectory.sensitivities, strict=True
            ):
                predicted = self.pixels.average(state)
                difference = predicted - self.pixels.frame(frame)
                used = np.isfinite(difference)
                rows = self.pixels.average(derivative)[used]
                misfit += 0.5 * float(difference[used] @ difference[used])
                count += int(used.sum())
                gradient += rows.T @ difference[used]
                hessian += rows.T @ rows
                predictions.append(predicted)
                states.append(state)
        comm = self.pixels.comm
        misfit, count = total(comm, misfit), int(total(comm, count))
        chain = self.coordinates.jacobian(x)
        into = chain[self.forward.unknown]
        return Linearisation(
            x=x,
            value=misfit + self.prior.value(m),
            misfit=misfit,
            pixels=count,
            gradient=into.T @ total(comm, gradient) + chain.T @ self.prior.gradient(m),
            hessian=into.T @ total(comm, hessian) @ into + chain.T @ self.prior.hessian @ chain,
            grids=tuple(grids),
            replayed=like is not None,
            states=states,
            predictions=predictions,
        )


def trajectory(pixels: Pixels, initial: int, frames: Sequence[int], limits) -> list[Segment]:
    """One segment from the initial frame through all others."""
    times = pixels.images.times
    after = tuple(frame for frame in frames if times[frame] > times[initial])
    return [Segment(pixels.fit(initial, limits), tuple(float(times[i]) for i in (initial, *after)), after)]


def intervals(pixels: Pixels, initial: int, frames: Sequence[int], limits) -> list[Segment]:
    """Return a segment from every frame to the next."""
    times = pixels.images.times
    chain = [initial, *(frame for frame in frames if times[frame] > times[initial])]
    return [
        Segment(pixels.fit(a, limits), (float(times[a]), float(times[b])), (b,))
        for a, b in zip(chain, chain[1:], strict=False)
    ]
