"""How laws and unknown fields explain a series of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe_phaseinv.core.parallel import any_rank, total
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class FieldFit:
    """Predictions and their differences from the images.

    Parameters
    ----------
    frames : tuple of int
        Frames compared with.
    states : list of numpy.ndarray, shape (size,)
        Those for them, as `StateLayout` has them.
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
    scalars : dict of numpy.ndarray, shape (frames,)
        By name, the model's scalars in these states.
    scalar_derivatives : dict of numpy.ndarray
        None: they are known where sensitivities alone are carried.
    """

    frames: tuple[int, ...]
    states: list[np.ndarray]
    predictions: list[np.ndarray]
    used: list[np.ndarray]
    differences: list[np.ndarray]
    misfit: float
    pixels: int
    scalars: dict[str, np.ndarray]
    scalar_derivatives: dict[str, np.ndarray]

    @classmethod
    def of(cls, channels: Channels, frames: tuple[int, ...], states: Sequence[np.ndarray]) -> FieldFit:
        """Compare states with the images. Collective.

        Parameters
        ----------
        channels : Channels
        frames : tuple of int
            Frames to compare with.
        states : sequence of numpy.ndarray, shape (size,)
            Those for them, as `StateLayout` has them.

        Raises
        ------
        StepFailed
            On all ranks, where a prediction is not finite on any: that is a failed run, and no missing pixel.
        """
        predictions = [channels.average(state) for state in states]
        if any_rank(channels.comm, not all(np.isfinite(predicted).all() for predicted in predictions)):
            raise StepFailed("a prediction is not finite")
        images = [channels.frame(frame) for frame in frames]
        used = [np.isfinite(image) for image in images]
        differences = [
            np.where(seen, predicted - image, 0.0)
            for seen, predicted, image in zip(used, predictions, images, strict=True)
        ]
        squares, count = total(channels.comm, [sum(r @ r for r in differences), sum(seen.sum() for seen in used)])
        layout = channels.layout
        scalars = {name: np.array([state[layout.place(name)] for state in states]) for name in layout.scalars}
        return cls(frames, list(states), predictions, used, differences, 0.5 * float(squares), int(count), scalars, {})

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(2 * self.misfit / self.pixels))
