"""Shifts from frame to frame: measured, and taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.interpolate import make_interp_spline
from scipy.stats import t as student
from skimage.measure import block_reduce
from skimage.registration import phase_cross_correlation

from fe_phaseinv.data.filters import blurred, completed, undetermined
from fe_phaseinv.data.statistics import wavelength

LENGTHS, POWERS = (0.25, 0.5, 1.0, 2.0), (1, 2, 3)
"""Lengths over which a frame is averaged, in units of the inverse wavenumber of its pattern, and powers of these
averages: what does not move but evolves is nearly a sum of them, whatever its laws."""
BLOCKS = (3, 8)
"""Fewest and most blocks along a side by whose differences the error of a shift is known; they are a wave wide."""
ITERATIONS, CLOSE, FARTHEST = 8, 5e-3, 1.5
"""Of a shift, which has converged when it changes by fewer pixels than these; the most by which it changes at once."""
MOST_PIXELS, FEWEST_OF_WAVE = 2**15, 10.0
"""Larger pictures are averaged over blocks first, as long as waves keep this many pixels."""
CHANCE, ONE_SIDED, LEAST = 1e-4, 2e-3, 0.04
"""A shift is believed where it would arise by chance with a lower probability than the first, on either side alone than
the second, and is as large as the third, in pixels."""
SIDE = 0.05
"""Share of the squared slopes without which a side of what moves tells nothing: a front that advances has but one."""
FAR, BETTER = 0.25, 0.7
"""Shifts of whole pixels up to this share of the picture are tried, and taken where they leave this share of what is
left without."""
SMALLEST = 6
"""Fewest pixels along a side of pictures that tell a shift."""
MATCH = 0.5
"""A moving outline is one that a shift brings to agree with the one before but for this share of what differed."""
SMOOTH, ROUNDING, COLLINEAR = 5, 1e-6, 1e-12
"""Degree of splines through pixels; what a share of a pixel may lack; relative size of eigenvalues taken for zero."""


@dataclass(frozen=True, eq=False)
class Shifts:
    """By how many pixels the pictures move from each frame to the next, along x, y and z.

    Parameters
    ----------
    steps : numpy.ndarray, shape (time - 1, dimension)
        Shifts, all zero where none is believed. Those that could be the same from any frame to the next are.
    """

    steps: np.ndarray

    @property
    def found(self) -> bool:
        """Whether there are any."""
        return bool(self.steps.any())

    def offsets(self, reference: int) -> np.ndarray:
        """Return where the content of a frame is in the others, shape (time, dimension).

        Parameters
        ----------
        reference : int
            Number of the frame.
        """
        places = np.pad(np.cumsum(self.steps, axis=0), ((1, 0), (0, 0)))
        return places - places[reference]


@undetermined()
def measure_shifts(frames: np.ndarray) -> Shifts:
    """Measure by how much pictures move from frame to frame.

    A frame is fitted by what could have become of the one before without moving, and by its gradient, whose factor is
    the shift. What evolves by itself moves no less, but elsewhere in other directions, and the two sides of what grows
    move apart: a shift is believed where it is the same in all parts of the picture, and on both sides. An outline that
    moves as a whole tells the shift alone.

    Parameters
    ----------
    frames : numpy.ndarray, shape (time, y, x) or (time, z, y, x)
        Pixels, NaN where there is no data.
    """
    dimension, known = frames.ndim - 1, np.isfinite(frames)
    still = Shifts(np.zeros((len(frames) - 1, dimension)))
    if len(frames) < 2 or min(frames.shape[1:]) < SMALLEST:
        return still
    if (known != known[0]).any():
        steps = np.array([_outline_step(*pair) for pair in pairwise(known)])
        if steps.any():
            return Shifts(steps)
    lengths = [wavelength(frame, (1.0,) * dimension) for frame in frames]
    length = min(np.nanmedian(lengths) if np.isfinite(lengths).any() else np.inf, min(frames.shape[1:]) / 2)
    coarse = (np.prod(frames.shape[1:]) / MOST_PIXELS) ** (1 / dimension)
    factor = max(1, int(min(np.ceil(coarse), length / FEWEST_OF_WAVE)))
    frames = _averaged(frames, factor) if factor > 1 else frames
    pairs = [_Pair(*pair, length / factor).measure() for pair in pairwise(frames)]
    pooled, sides = (Measured(*map(np.array, zip(*each, strict=True))) for each in zip(*pairs, strict=True))
    steps = np.transpose(
        [_shrunk(*column) for column in zip(pooled.shift[:, 0].T, pooled.cautious[:, 0].T, strict=True)]
    )
    believed = ((_chance(pooled) < CHANCE) & (_chance(sides) < ONE_SIDED)).any(axis=(0, 1))
    large = (np.abs(steps) > LEAST / factor).any(axis=0)
    return Shifts(np.where(large, steps, 0.0)[:, ::-1] * factor) if (believed & large).any() else still


def moved(picture: np.ndarray, offset: Sequence[float], periodic: bool = False) -> np.ndarray:
    """Return what a picture shows at other places: at each pixel what was seen farther on by an offset.

    Parameters
    ----------
    picture : numpy.ndarray, shape (y, x) or (z, y, x)
        Pixels, NaN where there is no data.
    offset : sequence of float
        In pixels along x, y and z.
    periodic : bool
        Whether the picture repeats.

    Returns
    -------
    numpy.ndarray
        Between pixels, values of a spline of degree 5; NaN where one of the pixels beside has no data.
    """
    complete, known = completed(picture), np.isfinite(picture)
    for axis, distance in enumerate(offset[::-1]):
        if distance:
            complete, known = _along(complete, known, axis, distance, periodic)
    return np.where(known, complete, np.nan)


def _along(
    picture: np.ndarray, known: np.ndarray, axis: int, distance: float, periodic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Move a picture without gaps, and where it is known, along one axis."""
    count = picture.shape[axis]
    places = np.arange(count) + distance
    beside = np.array([np.floor(places), np.ceil(places)], int)
    inside = np.ones(count, bool) if periodic else (beside[0] >= 0) & (beside[1] < count)
    beside = beside % count if periodic else np.clip(beside, 0, count - 1)
    known = np.take(known, beside[0], axis) & np.take(known, beside[1], axis)
    known &= np.expand_dims(inside, tuple(range(1, picture.ndim - axis)))
    if not distance % 1:
        return np.take(picture, beside[0], axis), known
    if periodic:
        steps = [-distance if other == axis else 0.0 for other in range(picture.ndim)]
        return ndimage.shift(picture, steps, order=SMOOTH, mode="grid-wrap"), known
    spline = make_interp_spline(np.arange(count), picture, min(SMOOTH, count - 1), axis=axis)
    return spline(np.clip(places, 0, count - 1)), known


class Measured(NamedTuple):
    """Shifts, the standard deviations of their errors, and the degrees of freedom of these."""

    shift: np.ndarray
    deviation: np.ndarray
    freedom: np.ndarray

    @property
    def cautious(self) -> np.ndarray:
        """Standard deviations of Student's distributions, in place of normal ones."""
        return self.deviation * np.sqrt(1 + 2 / np.maximum(self.freedom - 2, 0.2))


class _Pair:
    """Two frames, the second of which is compared with what could have become of the first."""

    def __init__(self, first: np.ndarray, second: np.ndarray, length: float):
        self.first, self.second, self.dimension = first, second, first.ndim
        deviation = first - np.nanmean(first)
        averages = [blurred(deviation, factor * length / (2 * np.pi)) for factor in LENGTHS]
        still = [np.ones_like(first), *(average**power for average in averages for power in POWERS)]
        self.still = np.stack(still, axis=-1)
        counts = [int(np.clip(round(count / length), *BLOCKS)) for count in first.shape]
        places = [np.arange(count) * number // count for count, number in zip(first.shape, counts, strict=True)]
        self.blocks = np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), counts)

    def measure(self) -> tuple[Measured, Measured]:
        """Return the shift along each axis, shape (1, dimension), and those of both sides, shape (2, dimension)."""
        found, left = self._converged(np.zeros(self.dimension))
        far, left_far = self._converged(self._far())
        if left_far < BETTER * left:
            found = far
        gradient, image, known = self._linearised(found.shift)
        both = np.concatenate([np.maximum(gradient, 0), np.minimum(gradient, 0)], axis=-1)
        slopes = np.sum(both[known] ** 2, axis=0).reshape(2, -1)
        sides = Measured(*(each.reshape(2, -1) for each in self._solve(both, image, known)[0]))
        told = slopes > SIDE * slopes.sum(axis=0)
        sides = sides._replace(shift=found.shift + sides.shift, deviation=np.where(told, sides.deviation, np.inf))
        return Measured(*(each[None] for each in found)), sides

    def _far(self) -> np.ndarray:
        """Return the shift by whole pixels with which the frames correlate best; zero where it is too far."""
        first, second = (np.nan_to_num(frame - np.nanmean(frame)) for frame in (self.first, self.second))
        if not (first.any() and second.any()):
            return np.zeros(self.dimension)
        shift = -phase_cross_correlation(first, second, normalization=None)[0]
        return shift if np.all(np.abs(shift) <= FAR * np.array(first.shape)) else np.zeros(self.dimension)

    def _converged(self, shift: np.ndarray) -> tuple[Measured, float]:
        """Return the shift near another one, and the share of the second frame that is left."""
        for _ in range(ITERATIONS):
            found, left = self._solve(*self._linearised(shift))
            shift = shift + np.clip(found.shift, -FARTHEST, FARTHEST)
            if np.abs(found.shift).max() < CLOSE:
                break
        return found._replace(shift=shift), left

    def _linearised(self, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the slopes of what the first frame becomes, the second one moved back, and where both are known."""
        image = ndimage.shift(completed(self.second), -shift, order=3, mode="nearest")
        there = ndimage.shift(np.isfinite(self.second).astype(float), -shift, order=1, mode="constant")
        known = np.isfinite(self.first) & (there > 1 - ROUNDING)
        shares, *_ = np.linalg.lstsq(self.still[known], image[known], rcond=None)
        return -np.stack(np.gradient(self.still @ shares), axis=-1), image, known

    def _solve(self, columns: np.ndarray, image: np.ndarray, known: np.ndarray) -> tuple[Measured, float]:
        """Fit an image by columns and what does not move; the differences between blocks tell the errors."""
        rows, wanted, blocks = np.concatenate([columns, self.still], axis=-1)[known], image[known], self.blocks[known]
        count = columns.shape[-1]
        if len(rows) <= rows.shape[1] or np.ptp(wanted) == 0:
            return Measured(np.zeros(count), np.full(count, np.inf), np.full(count, 0.5)), 1.0
        sizes = np.sqrt(np.mean(rows**2, axis=0)) + np.finfo(float).tiny
        rows = rows / sizes
        inverse = np.linalg.pinv(rows.T @ rows, rcond=COLLINEAR, hermitian=True) @ rows.T
        factors = inverse @ wanted
        left = wanted - rows @ factors
        errors = np.array([np.bincount(blocks, row * left) for row in inverse[:count]])
        weights = np.array([np.bincount(blocks, row**2) for row in inverse[:count]])
        freedom = np.maximum(np.sum(weights, axis=1) ** 2 / np.sum(weights**2, axis=1) - 1, 0.5)
        deviation = np.sqrt(np.sum(errors**2, axis=1) * (1 + 1 / freedom))
        found = Measured(factors[:count] / sizes[:count], deviation / sizes[:count], freedom)
        return found, float(np.mean(left**2) / np.var(wanted))


def _chance(found: Measured) -> np.ndarray:
    """Return how likely shifts as large arise by chance, shape (pairs + 1, 2, dimension).

    The last row is for their mean over the pairs; either sign is for itself. Of several sides the least convincing
    counts.

    Parameters
    ----------
    found : Measured
        Shapes (pairs, sides, dimension).
    """
    weights = found.deviation**-2
    total = weights.sum(axis=0)
    mean = np.sum(weights * found.shift, axis=0) / total
    ratios = np.concatenate([found.shift / found.deviation, (mean * np.sqrt(total))[None]])
    freedom = np.concatenate([found.freedom, found.freedom.sum(axis=0)[None]])
    tries = np.array([len(found.shift)] * len(found.shift) + [1])[:, None, None]
    return tries * np.stack([student.sf(sign * ratios, freedom).max(axis=1) for sign in (1, -1)], axis=1)


def _outline_step(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the shift, along x, y and z, that brings an outline to agree with the one before; zero where none does."""
    differed = np.count_nonzero(before != after)
    steps = -phase_cross_correlation(before.astype(float), after.astype(float), upsample_factor=20, normalization=None)[
        0
    ]
    back = ndimage.shift(after.astype(float), -steps, order=1) > 0.5
    return steps[::-1] if np.count_nonzero(before != back) < MATCH * differed else np.zeros(before.ndim)


def _shrunk(values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Draw values towards their mean, as far as their errors explain their differences.

    Notes
    -----
    The variance of the true values is that of DerSimonian and Laird, Control. Clin. Trials 7, 177 (1986).
    """
    weights = deviations**-2
    excess = weights @ (values - weights @ values / weights.sum()) ** 2 - (len(values) - 1)
    variance = max(0.0, excess / (weights.sum() - weights @ weights / weights.sum())) if len(values) > 1 else np.inf
    if not np.isfinite(variance):
        return values
    share = variance / (variance + deviations**2)
    weights = 1 / (variance + deviations**2)
    return share * values + (1 - share) * (weights @ values) / weights.sum()


def _averaged(frames: np.ndarray, factor: int) -> np.ndarray:
    """Return averages over blocks of pixels, without what is left over at the ends."""
    whole = tuple(slice(count // factor * factor) for count in frames.shape[1:])
    return block_reduce(frames[:, *whole], (1,) + (factor,) * (frames.ndim - 1), np.mean)
