"""What the goodness of fits means for the bands of the laws, for the status and for the user."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import warn

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Series
from fe_phaseinv.optimisation.trust_region import Outcome

NO_NOISE = "the misfit is no noise"
"""What the status says where it cannot be."""


def judged(series: Series, stage: str, frames: Sequence[int], predicted: np.ndarray, posterior: Laplace | None):
    """Hold predictions of a stage against the images of a series.

    Parameters
    ----------
    series : Series
    stage : str
    frames : sequence of int
        Frames compared with.
    predicted : numpy.ndarray
        As the images have their frames; NaN where they do not count.
    posterior : Laplace, optional
        Which tells how many unknowns the images determine.

    Returns
    -------
    Goodness
    """
    how, images = series.discretisation(stage), series.images
    seen = np.isfinite(predicted[0]).sum() / images.channels
    return Goodness.of(
        images,
        series.first_frame,
        frames,
        predicted,
        robust=how.pixels.loss != "squares",
        parameters=float(np.sum(1 - posterior.shares)) if posterior else 0.0,
        spacing=float((seen / how.forward.space.dim()) ** (1 / images.dimension)),
    )


def held_against(posterior: Laplace | None, goodness: Sequence[Goodness]) -> Laplace | None:
    """Widen a posterior by how far misfits are from independent noise; None where they leave too much unexplained.

    Parameters
    ----------
    posterior : Laplace, optional
    goodness : sequence of Goodness
        Of all series.
    """
    if posterior is None or any(one.hopeless for one in goodness):
        return None
    return posterior.widened(float(np.mean([one.inflation for one in goodness])))


def status(outcome: Outcome | None, goodness: Sequence[Goodness]) -> str:
    """Say how an inversion ended, and where what it leaves of the images is no noise.

    Parameters
    ----------
    outcome : Outcome, optional
        None of one that goes on.
    goodness : sequence of Goodness
        Of all series.
    """
    ended = outcome.value if outcome else "unfinished"
    return f"{ended}, but {NO_NOISE}" if any(one.cause for one in goodness) else ended


def doubts(goodness: Sequence[Goodness], sources: Sequence[str]) -> tuple[str, ...]:
    """Return the verdicts on series that are left with more than noise, each also a `DataWarning`.

    Parameters
    ----------
    goodness : sequence of Goodness
        Of all series.
    sources : sequence of str
        Where their images come from.
    """
    found = [f"{source}: {one.sentence()}" for one, source in zip(goodness, sources, strict=True) if one.cause]
    for text in found:
        warn(text, DataWarning, stacklevel=3)
    return tuple(found)
