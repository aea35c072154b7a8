"""What an inversion predicts, beside what was seen, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fe_phaseinv.inference.outlines import Moved
from fe_phaseinv.inference.posterior import QUANTILE


@dataclass(frozen=True)
class Held:
    """How well frames are predicted that were not fitted.

    Parameters
    ----------
    frames : tuple of int
        Their indices.
    squares : float
        Sum of the squared differences.
    pixels : int
        Number of differences.
    noise : float
        Standard deviation of a pixel; zero where it is not known.
    """

    frames: tuple[int, ...]
    squares: float
    pixels: int
    noise: float

    @property
    def rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(self.squares / self.pixels))

    @property
    def standardised(self) -> float | None:
        """The same in standard deviations of the noise; None where this is not known."""
        return self.rms / self.noise if self.noise else None


@dataclass(frozen=True, eq=False)
class Map:
    """A map h about its mean, the level: the kinetics are multiplied by exp(level + h).

    The level is all but a factor of the law of the kinetics, which the map is measured against.

    Parameters
    ----------
    value : numpy.ndarray, shape (ny, nx) or (nz, ny, nx)
        Averages of h over pixels; NaN outside the domain.
    level : float
    deviation : numpy.ndarray or None, of the shape of the value
        Its standard deviations, those of the laws and the start counted; None where the result has no posterior.
    level_deviation : float or None
        Standard deviation of the level.
    """

    value: np.ndarray
    level: float
    deviation: np.ndarray | None = None
    level_deviation: float | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A series of images beside its prediction.

    Parameters
    ----------
    source : str
        Where the images come from.
    misfit_rms : float
        Root mean square difference.
    range : tuple of float
        Smallest and largest pixel value of the data used, of the first channel; of the predictions where the data are
        noisy.
    frames, times : tuple
        Indices and times of the frames predicted.
    observed, predicted : numpy.ndarray, shape (n, ny, nx) or (n, nz, ny, nx)
        Their pixels, NaN where there is no data; with an axis of channels, where there are several, after the first.
    extent, origin : tuple of float
        Size of the images and position of their lower left corner.
    held_out : Held or None
        How the frames that were not fitted are predicted; None where there are none.
    map : Map or None
        Of the kinetics; None where none was learnt.
    outline : Moved or None
        Where the boundary was found; None where it was known.
    """

    source: str
    misfit_rms: float
    range: tuple[float, float]
    frames: tuple[int, ...]
    times: tuple[float, ...]
    observed: np.ndarray
    predicted: np.ndarray
    extent: tuple[float, ...]
    origin: tuple[float, ...]
    held_out: Held | None = None
    map: Map | None = None
    outline: Moved | None = None

    @property
    def compared(self) -> tuple[tuple[int, ...], np.ndarray]:
        """The frames that were fitted, and the predictions of them."""
        left = self.held_out.frames if self.held_out else ()
        kept = [place for place, frame in enumerate(self.frames) if frame not in left]
        return tuple(self.frames[place] for place in kept), self.predicted[kept]

    @property
    def channels(self) -> list[Fitted]:
        """The same for each channel alone."""
        if self.observed.ndim == len(self.extent) + 1:
            return [self]
        pairs = zip(np.moveaxis(self.observed, 1, 0), np.moveaxis(self.predicted, 1, 0), strict=True)
        return [
            replace(self, observed=seen, predicted=told, range=(float(np.nanmin(told)), float(np.nanmax(told))))
            for seen, told in pairs
        ]


@dataclass(frozen=True, eq=False)
class Tracked:
    """A number that is unknown at each time, at the frames of a series.

    Parameters
    ----------
    times, value : numpy.ndarray, shape (n,)
    deviation : numpy.ndarray or None, shape (n,)
        None where the result has no posterior, or the derivatives by the laws are not known.
    """

    times: np.ndarray
    value: np.ndarray
    deviation: np.ndarray | None

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The times and values, and the ends of the 95 % band where there is one, by the names of files."""
        known = {"times": self.times, "value": self.value}
        if self.deviation is None:
            return known
        width = QUANTILE * self.deviation
        return known | {"lower": self.value - width, "upper": self.value + width}


def plane(image: np.ndarray) -> np.ndarray:
    """Return an image, or the middle one of a stack.

    Parameters
    ----------
    image : numpy.ndarray, shape (ny, nx) or (nz, ny, nx)
    """
    return image if image.ndim == 2 else image[len(image) // 2]
