"""Parts of the time axis that one trajectory covers, with the fields that they start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fe_phaseinv.observation.smoothing import Smoother
from fe_phaseinv.observation.unknown_field import UnknownField


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


def trajectory(
    smoother: Smoother,
    initial: int,
    frames: Sequence[int],
    *,
    limits: tuple[float, float] | None = None,
    uncertain: bool = False,
) -> Segment:
    """Return the segment from the initial frame through all others. Collective.

    Parameters
    ----------
    smoother : Smoother
        Fits a field to the initial frame.
    initial : int
        Frame that starts the run.
    frames : sequence of int
        Frames to compare with; those that are not after the initial one are left out.
    limits : tuple of float, optional
        Between which the values of the fitted field are kept.
    uncertain : bool
        Whether the initial frame is compared with, too.
    """
    chain, times = _chain(smoother, initial, frames)
    return Segment(smoother.fit(initial, limits), times, chain if uncertain else chain[1:])


def uncertain_trajectory(
    smoother: Smoother, initial: int, frames: Sequence[int], *, limits: tuple[float, float] | None = None
) -> tuple[Segment, UnknownField]:
    """Return the segment of `trajectory` with its own start among the frames, and that start. Collective.

    Parameters
    ----------
    smoother : Smoother
        Fits a field to the initial frame.
    initial : int
        Frame that starts the run.
    frames : sequence of int
        Frames to compare with; those that are not after the initial one are left out.
    limits : tuple of float, optional
        Between which the values of the fitted field are kept.

    Returns
    -------
    segment : Segment
    field : UnknownField
        The start, as an unknown.
    """
    chain, times = _chain(smoother, initial, frames)
    field = smoother.unknown(initial, limits)
    return Segment(field.base, times, chain), field


def multiple_shooting(
    smoother: Smoother, initial: int, frames: Sequence[int], *, limits: tuple[float, float] | None = None
) -> list[Segment]:
    """Return a segment from every frame to the next. Collective.

    Parameters
    ----------
    smoother : Smoother
        Fits a field to every frame but the last.
    initial : int
        First frame.
    frames : sequence of int
        Frames to compare with; those that are not after the initial one are left out.
    limits : tuple of float, optional
        Between which the values of the fitted fields are kept.
    """
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
