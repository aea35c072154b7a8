"""How laws and unknown fields explain a series of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe_phaseinv.core.parallel import any_rank, total
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.losses import Differences
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class FieldFit:
    """Predictions and their differences from the images.

    Parameters
    ----------
    channels : Channels
        What the images show of the states.
    frames : tuple of int
        Frames compared with.
    states : list of numpy.ndarray, shape (size,)
        Those for them, as `StateLayout` has them.
    predictions : list of numpy.ndarray
        Local pixels predicted.
    differences : list of Differences
        Of the predictions from the images.
    misfit : float
        Half the weighted sum of the squared differences, or of another loss.
    misfit_rms : float
        Root mean square difference between prediction and images, without weight.
    pixels : int
        Number of differences.
    scalars : dict of numpy.ndarray, shape (frames,)
        By name, the model's scalars in these states.
    scalar_derivatives : dict of numpy.ndarray
        None: they are known where sensitivities alone are carried.
    """

    channels: Channels
    frames: tuple[int, ...]
    states: list[np.ndarray]
    predictions: list[np.ndarray]
    differences: list[Differences]
    misfit: float
    misfit_rms: float
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
        differences = [channels.compare(*pair) for pair in zip(frames, predictions, strict=True)]
        misfit, squares, count = total(
            channels.comm,
            np.sum([(seen.value, seen.residual @ seen.residual, seen.used.sum()) for seen in differences], axis=0),
        )
        layout = channels.layout
        scalars = {name: np.array([state[layout.place(name)] for state in states]) for name in layout.scalars}
        return cls(
            channels=channels,
            frames=frames,
            states=list(states),
            predictions=predictions,
            differences=differences,
            misfit=float(misfit),
            misfit_rms=float(np.sqrt(squares / max(count, 1))),
            pixels=int(count),
            scalars=scalars,
            scalar_derivatives={},
        )
