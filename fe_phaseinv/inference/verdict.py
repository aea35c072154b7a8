"""What the goodness of fits means for the bands of the laws, for the status and for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from warnings import warn

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.optimisation.trust_region import Outcome

NO_NOISE = "the misfit is no noise"
"""What the status says where it cannot be."""


def judged(
    problem: Problem,
    stage: str,
    fits: Sequence[tuple[Sequence[int], np.ndarray]],
    posterior: Laplace | None,
) -> tuple[Goodness | None, ...]:
    """Hold what a trajectory predicts against all series of images; what only leads to one is no fit yet. Collective.

    A series that is held out as a whole is no fit, either: there is None in its place.

    Parameters
    ----------
    problem : Problem
    stage : str
    fits : sequence of tuple
        For each series of this rank's group, the frames compared with and the predictions, as the images have theirs;
        NaN where they do not count.
    posterior : Laplace, optional
        Which tells how many unknowns the images determine.
    """
    if stage in problem.preparations:
        return ()
    known = float(np.sum(1 - posterior.shares)) if posterior else 0.0
    own = [_judged(series, *fit, known) for series, fit in zip(problem.series, fits, strict=True)]
    return tuple(problem.ensemble.gather(own))


def _judged(series: Series, frames: Sequence[int], predicted: np.ndarray, known: float) -> Goodness | None:
    if series.only_predicted:
        return None
    how, images = series.fine, series.images
    seen = np.isfinite(predicted[0]).sum() / images.channels
    return Goodness.of(
        images,
        series.first_frame,
        frames,
        predicted,
        robust=how.pixels.loss != "squares",
        parameters=known,
        spacing=float((seen / how.forward.space.dim()) ** (1 / images.dimension)),
    )


def held_against(
    posterior: Laplace | None, goodness: Sequence[Goodness | None], counted: Laplace | None = None
) -> Laplace | None:
    """Widen a posterior by how far misfits are from independent noise; None where they leave too much unexplained.

    Parameters
    ----------
    posterior : Laplace, optional
    goodness : sequence of Goodness or None
        Of all series.
    counted : Laplace, optional
        The same with errors of elements and correlated residuals counted, to be taken in its place.
    """
    if posterior is None or not goodness:
        return posterior
    if any(one and one.hopeless for one in goodness):
        return None
    return counted or posterior.widened(inflation(goodness))


def widened(
    goodness: Sequence[Goodness | None], posterior: Laplace | None, counted: Laplace | None
) -> tuple[Goodness | None, ...]:
    """Return verdicts that know how much wider bands are where errors of elements and correlations are counted.

    Parameters
    ----------
    goodness : sequence of Goodness or None
        Of all series.
    posterior : Laplace, optional
        Of independent noise.
    counted : Laplace, optional
        The same with these errors counted.
    """
    if posterior is None or counted is None:
        return tuple(goodness)
    before, after = (np.diag(one.covariance) for one in (posterior, counted))
    factor = max(1.0, float(np.median(after[before > 0] / before[before > 0])))
    return tuple(one and replace(one, inflation=factor) for one in goodness)


def inflation(goodness: Sequence[Goodness | None]) -> float:
    """Return the factor of the variances of all that is learnt, one where no misfit is held against its noise.

    Parameters
    ----------
    goodness : sequence of Goodness or None
        Of all series.
    """
    return float(np.mean([one.inflation for one in goodness if one] or [1.0]))


def status(outcome: Outcome | None, goodness: Sequence[Goodness | None]) -> str:
    """Say how an inversion ended, and where what it leaves of the images is no noise.

    Parameters
    ----------
    outcome : Outcome, optional
        None of one that goes on.
    goodness : sequence of Goodness or None
        Of all series.
    """
    ended = outcome.value if outcome else "unfinished"
    return f"{ended}, but {NO_NOISE}" if any(one and one.cause for one in goodness) else ended


def doubts(goodness: Sequence[Goodness | None], sources: Sequence[str]) -> tuple[str, ...]:
    """Return the verdicts on series that are left with more than noise, each also a `DataWarning`.

    Parameters
    ----------
    goodness : sequence of Goodness or None
        Of all series, or of none.
    sources : sequence of str
        Where their images come from.
    """
    found = [f"{source}: {one.sentence()}" for one, source in zip(goodness, sources, strict=False) if one and one.cause]
    for text in found:
        warn(text, DataWarning, stacklevel=3)
    return tuple(found)
