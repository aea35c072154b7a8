"""How laws and unknown fields explain a series of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe_phaseinv.core.parallel import any_rank, total
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class FieldFit:
    """Predictions and their differences from the images.

    Parameters
    ----------
    frames : tuple of int
        Frames compared with.
    states : list of numpy.ndarray
        Local nodal values for them.
    predictions : list of numpy.ndarray
        Local pixels predicted.
    used : list of numpy.ndarray of bool
        Which local pixels have data.
    differences : list of numpy.ndarray
        Predictions less images; zero where there is no data.
    misfit : float
        Half the sum of the squared differences.
    pixels : int
        Number of differences.
    """

    frames: tuple[int, ...]
    states: list[np.ndarray]
    predictions: list[np.ndarray]
    used: list[np.ndarray]
    differences: list[np.ndarray]
    misfit: float
    pixels: int

    @classmethod
    def of(cls, pixels: Pixels, frames: tuple[int, ...], states: Sequence[np.ndarray]) -> FieldFit:
        """Compare states with the images. Collective.

        Parameters
        ----------
        pixels : Pixels
        frames : tuple of int
            Frames to compare with.
        states : sequence of numpy.ndarray
            Local nodal values for them.

        Raises
        ------
        StepFailed
            On all ranks, where a prediction is not finite on any: that is a failed run, and no missing pixel.
        """
        predictions = [pixels.average(state) for state in states]
        if any_rank(pixels.comm, not all(np.isfinite(predicted).all() for predicted in predictions)):
            raise StepFailed("a prediction is not finite")
        images = [pixels.frame(frame) for frame in frames]
        used = [np.isfinite(image) for image in images]
        differences = [
            np.where(seen, predicted - image, 0.0)
            for seen, predicted, image in zip(used, predictions, images, strict=True)
        ]
        squares, count = total(pixels.comm, [sum(r @ r for r in differences), sum(seen.sum() for seen in used)])
        return cls(frames, list(states), predictions, used, differences, 0.5 * float(squares), int(count))

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(2 * self.misfit / self.pixels))
