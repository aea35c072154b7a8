"""Why a misfit is no noise: the likeliest cause, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_erosion

from fe_phaseinv.inference.residuals import SMALLEST, Residuals

MOST, PART = 0.5, 0.1
"""Share of the squares that a cause explains alone, and that which speaks for a shift: laws take up the rest of one."""
SHIFTED = 0.1
"""Pixels by which frames differ in their place."""
WHITE = 0.1
"""Correlation of neighbours below which what is left is noise, if larger than that given."""
FEWEST = 3
"""Frames among which one can stand out."""
EDGE, STEEP = 3, 3.0
"""Pixels from where a domain ends that are near its boundary, and how much larger squares there are where this is why:
what passes a boundary goes unseen for such a length before elements and laws have made up for it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What tells one cause from another.

    Parameters
    ----------
    residuals : Residuals
        Of the frames after the first one.
    predicted, sigma : numpy.ndarray
        Predictions for them, and the standard deviation of each pixel, of the shape of the residuals.
    frames : tuple of int
        Their indices.
    noise : float
        Standard deviation of a pixel.
    robust : bool
        Whether outliers do not count.
    spacing : float
        Distance of the nodes of the elements, in pixels.
    """

    residuals: Residuals
    predicted: np.ndarray
    sigma: np.ndarray
    frames: tuple[int, ...]
    noise: float
    robust: bool
    spacing: float

    def likeliest(self) -> str:
        """Return the likeliest cause, and what can be done."""
        return next(self._causes())

    def _causes(self) -> Iterator[str]:
        """Give what there is evidence for, the most telling first."""
        if not self.robust and self._held_by_outliers > MOST:
            share = 100 * self.residuals.outliers.sum() / self.residuals.counts.sum()
            yield (
                f"outliers, for {share:.2g} % of the pixels, each unlike its neighbours, hold "
                f'{100 * self._held_by_outliers:.0f} % of it: they count less with loss = "huber"'
            )
        shares = self._clean.squares / self._clean.squares.sum()
        worst = int(np.argmax(shares))
        if len(shares) >= FEWEST and shares[worst] > MOST and worst < len(shares) - 1:
            why = "its time, or what it shows" if worst else "the frame that starts the run"
            yield f"{why}, for frame {self.frames[worst]} alone holds {100 * shares[worst]:.0f} % of it"
        axis = int(np.argmax(np.ptp(self._moves[0], axis=0)))
        moves = self._moves[0][:, axis]
        if self._explained(self._moves) > PART and np.ptp(moves) > SHIFTED:
            yield (
                f"a drift, for the images shift against the predictions by {moves.min():.2f} to {moves.max():.2f} "
                f"pixels along {'xyz'[axis]}: register = true takes it out"
            )
        if self._explained(self._scales) > MOST:
            yield "grey values, or a mean, that change in time, for this is a gain and an offset of each frame"
        if np.abs(self._clean.covariance).sum() < WHITE * self._clean.squares.sum():
            found = self.noise * np.sqrt(self._clean.variance)
            yield f"a noise of {found:.3g} rather than {self.noise:.3g}, for neighbours differ independently"
        if self._at_the_edge > STEEP:
            yield (
                f"what passes the boundary, or where that lies, for within {EDGE} pixels of it the differences are "
                f'{np.sqrt(self._at_the_edge):.2g} times as large as inside: boundary = "from-images", all along it, '
                "takes from the pixels what passes"
            )
        if self._length < self.spacing:
            yield "elements, which are too large for it: use more cells"
        yield "an equation, or laws of a form, that do not hold for these images; or else elements that are too large"

    @cached_property
    def _clean(self) -> Residuals:
        return self.residuals.without(self.residuals.outliers)

    @property
    def _held_by_outliers(self) -> float:
        squares = np.nan_to_num(self.residuals.values) ** 2
        return float(squares[self.residuals.outliers].sum() / max(squares.sum(), SMALLEST))

    @property
    def _length(self) -> float:
        """Length in pixels of what is left besides noise, as if its correlation were a Gaussian."""
        shared = self._clean.covariance.sum()
        correlation = shared / max(shared, np.sum(self._clean.squares - 1), SMALLEST)
        return np.inf if correlation >= 1 else float((-2 * np.log(max(correlation, SMALLEST))) ** -0.5)

    @property
    def _at_the_edge(self) -> float:
        """Mean square near the boundary of the domain, over that elsewhere."""
        places = tuple(range(self.predicted.ndim - self.residuals.dimension))
        inside = np.isfinite(self.predicted).any(axis=places)
        middle = binary_erosion(inside, iterations=EDGE)
        squares = self._clean.values**2
        if not middle.any():
            return 1.0
        return float(np.nanmean(squares[..., inside & ~middle]) / max(np.nanmean(squares[..., middle]), SMALLEST))

    @cached_property
    def _moves(self) -> tuple[np.ndarray, np.ndarray]:
        """Shift of each frame in pixels along x, y and z, and the squares that it explains."""
        axes = self.residuals.axes[::-1]
        return self._fitted(np.array([-np.gradient(self.predicted, axis=axis) for axis in axes]))

    @cached_property
    def _scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Gain and offset of each frame, and the squares that they explain."""
        return self._fitted(np.array([self.predicted, np.ones_like(self.predicted)]))

    def _fitted(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by frame the coefficients of fields that explain most of what is left, and the squares explained."""
        found, explained = [], []
        for number, values in enumerate(self._clean.values):
            used = np.isfinite(values) & np.isfinite(columns[:, number]).all(axis=0)
            rows, left = (columns[:, number] / self.sigma[number])[:, used].T, values[used]
            solution = np.linalg.lstsq(rows, left, rcond=None)[0]
            found.append(solution)
            explained.append(left @ left - np.sum((left - rows @ solution) ** 2))
        return np.array(found), np.array(explained)

    def _explained(self, fitted: tuple[np.ndarray, np.ndarray]) -> float:
        """Return the share of the squares that a fit explains."""
        return float(fitted[1].sum() / max(np.nansum(self._clean.values**2), SMALLEST))
