"""Whether what is left of the images is noise: the verdict on a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.statistics import noise_deviation
from fe_phaseinv.inference.causes import Evidence
from fe_phaseinv.inference.residuals import SIGMAS, SMALLEST, Residuals

DISCRETE = 0.03
"""Share of the change since the first frame that steps, elements and pixels may leave: of clean images of the models in
the package they leave 0.03 to 1.8 %."""
EXCESS = 2.0
"""Reduced chi-square above which the noise is not what it is said to be."""
HOPELESS = 0.5
"""Share of the squared change since the first frame above which what is left of it leaves the laws without bands."""
SLIGHT = 1.05
"""Factor of the variances that is not worth a word."""
LEAST_FREEDOM = 1e-3
"""Least share of the pixels that is left for the noise to be told by."""
QUIETEST = 1e-9
"""Least noise, as a share of the deviation of the pixels."""


@dataclass(frozen=True, eq=False)
class Goodness:
    """How well predictions explain a series of images, held against the noise of their pixels.

    Arrays are by frame compared with. The first frame tells of the start as much as of the noise, and so counts in none
    of the numbers.

    Parameters
    ----------
    noise : float
        Standard deviation of a pixel.
    estimated : bool
        Whether it was not given, but estimated from the images.
    frames : tuple of int
        Indices of the frames.
    chi_square : numpy.ndarray, shape (n,)
        Mean squared difference in units of the variance of the noise; without outliers where these do not count.
    reduced : float
        The same of all frames but the first, for each degree of freedom.
    correlation : numpy.ndarray, shape (n,)
        Of the differences of neighbouring pixels.
    outliers : numpy.ndarray, shape (n,)
        Share of the pixels whose difference is far from that of their neighbours.
    unexplained : float
        Share of the squared change since the first frame that the predictions leave, noise not counted.
    inflation : float
        Factor of the variances of the laws: what residuals tell of the changes from frame to frame has a variance that
        is larger by it than that of independent noise.
    cause : str
        The likeliest cause of what is no noise; empty where nothing speaks against noise.
    """

    noise: float
    estimated: bool
    frames: tuple[int, ...]
    chi_square: np.ndarray
    reduced: float
    correlation: np.ndarray
    outliers: np.ndarray
    unexplained: float
    inflation: float
    cause: str

    @classmethod
    def of(
        cls,
        images: ImageSeries,
        first: int,
        frames: Sequence[int],
        predicted: np.ndarray,
        *,
        robust: bool = False,
        parameters: float = 0.0,
        spacing: float = 1.0,
    ) -> Goodness:
        """Hold predictions against images.

        Parameters
        ----------
        images : ImageSeries
        first : int
            Frame that starts the run.
        frames : sequence of int
            Frames compared with.
        predicted : numpy.ndarray
            Predictions for them, as the images have their frames; NaN where they do not count.
        robust : bool
            Whether outliers do not count.
        parameters : float
            Number of unknowns that the images determine.
        spacing : float
            Distance of the nodes of the elements, in pixels.
        """
        frames, start = list(frames), int(frames[0] == first)
        noise = images.noise or _estimated(images)
        sigma = _deviations(images, [first, *frames], noise)
        observed = images.frames[[first, *frames]].reshape(sigma.shape) / sigma
        shown = np.reshape(predicted, sigma[1:].shape)
        predicted = shown / sigma[1:]
        whole = Residuals(observed[1:] - predicted, images.dimension)
        counted = whole.without(whole.outliers) if robust else whole
        after = counted.after(start)
        steps = np.diff(predicted if start else np.concatenate([observed[:1], predicted]), axis=0)
        changes = np.maximum([np.nanmean((frame - observed[0]) ** 2) - 2 for frame in observed[1 + start :]], 0.0)
        freedom = max(1 - parameters / after.counts.sum(), LEAST_FREEDOM)
        inflation = after.variance if after.white else after.inflation(steps)
        evidence = Evidence(
            residuals=whole.after(start),
            predicted=shown[start:],
            sigma=sigma[1 + start :],
            frames=tuple(frames[start:]),
            noise=noise,
            robust=robust,
            spacing=spacing,
        )
        return cls(
            noise=noise,
            estimated=not images.noise,
            frames=tuple(frames),
            chi_square=counted.squares,
            reduced=after.variance / freedom,
            correlation=counted.covariance / np.maximum(counted.squares, SMALLEST),
            outliers=whole.outliers.reshape(len(frames), -1).sum(axis=1) / whole.counts,
            unexplained=float(np.maximum(after.squares - 1, 0.0).sum() / max(changes.sum(), SMALLEST)),
            inflation=max(1.0, inflation / (freedom if images.noise else max(after.variance, SMALLEST))),
            cause=evidence.likeliest() if _cannot_be_noise(after, DISCRETE**2 * changes) else "",
        )

    @property
    def hopeless(self) -> bool:
        """Whether so much is left unexplained that the laws can have no bands."""
        return bool(self.cause) and self.unexplained > HOPELESS

    def sentence(self) -> str:
        """Return the verdict in words."""
        noise = f"{'estimated ' if self.estimated else ''}noise of {self.noise:.3g}"
        found = (
            f"{np.sqrt(self.reduced):.3g} times the {noise} (reduced chi-square {self.reduced:.3g}, neighbours "
            f"correlated by up to {self.correlation.max():.2f})"
        )
        wider = np.sqrt(self.inflation)
        if not self.cause:
            words = f"; the bands are {wider:.2g} times as wide as those of independent pixels"
            if self.reduced > EXCESS:
                share = f"{100 * np.sqrt(self.unexplained):.2g} % of the change since the first frame"
                found = f"{share}, which elements and steps may leave, and {found}"
            return f"The misfit is {found}{words if self.inflation > SLIGHT else ''}."
        bands = "withheld" if self.hopeless else f"{wider:.2g} times as wide for it"
        return f"the misfit is no noise, but {found}; the bands are {bands}; likeliest cause: {self.cause}"


def _cannot_be_noise(residuals: Residuals, allowed: np.ndarray) -> bool:
    """Whether squares, or what neighbours share of them, exceed noise and what may be left in the same units."""
    error = SIGMAS * residuals.squares / np.sqrt(residuals.counts)
    return bool(np.any((residuals.covariance > np.maximum(allowed, error)) | (residuals.squares > EXCESS + allowed)))


def _estimated(images: ImageSeries) -> float:
    """Return the noise of images, or the least there may be."""
    found = noise_deviation(images.frames.reshape(-1, *images.shape))
    return float(np.nanmax([found, QUIETEST * np.nanstd(images.frames), SMALLEST]))


def _deviations(images: ImageSeries, frames: Sequence[int], noise: float) -> np.ndarray:
    """Return the standard deviation of each pixel, NaN where it tells nothing."""
    precision = np.array([[images.precision(frame, c) for c in range(images.channels)] for frame in frames])
    return noise / np.sqrt(np.where(precision > 0, precision, np.nan))
