"""What is known of the laws at the end of an inversion, every error counted that can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.evidence import Evidence
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.inversion import posterior
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.refinement import Refinement, refine
from fe_phaseinv.inference.verdict import held_against, inflation, judged, widened


@dataclass(frozen=True, eq=False)
class Bands:
    """What is known of the laws.

    Parameters
    ----------
    goodness : tuple of Goodness or None
        For each series, whether what is left of it is noise; None for one that is held out.
    posterior : Laplace or None
        None where it is not asked for, or the images leave the laws without bands.
    refinement : Refinement or None
        Errors of elements and steps, for which the laws are corrected.
    evidence : Evidence or None
        What the images say for the model.
    """

    goodness: tuple[Goodness | None, ...]
    posterior: Laplace | None = None
    refinement: Refinement | None = None
    evidence: Evidence | None = None

    def scalars(self, series: int) -> dict[str, np.ndarray]:
        """Return the corrections of the model's scalars in a series, by name; none where there are none.

        Parameters
        ----------
        series : int
            Its number among all.
        """
        return self.refinement.scalars[series] if self.refinement and self.posterior else {}


def bands(
    problem: Problem, progress: Progress, fits: Sequence[tuple[Sequence[int], np.ndarray]], uncertainty: bool = True
) -> Bands:
    """Find what is known of the laws at the point reached. Collective.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    fits : sequence of tuple
        What predictions are held against images with, as for `judged`.
    uncertainty : bool
        Whether to form the posterior.
    """
    independent = _posterior(problem, progress) if uncertainty else None
    goodness = judged(problem, progress.stage, fits, independent)
    if independent is None:
        return Bands(goodness)
    refinement, counted, left = refine(problem, progress), None, 1.0
    if refinement:
        unknowns, left = progress.state.point.x[: len(problem.coordinates)], 1 - refinement.explained
        known = independent.widened(inflation(goodness)) if refinement.told is None else independent
        counted = refinement.counted(known, problem.coordinates, unknowns)
    goodness = widened(goodness, independent, counted)
    evidence = Evidence.at(problem, progress, independent, share=left, inflation=inflation(goodness))
    return Bands(goodness, held_against(independent, goodness, counted), refinement, evidence)


def _posterior(problem: Problem, progress: Progress) -> Laplace | None:
    """Return the uncertainty of the laws; None, and a doubt, where they are not determined."""
    try:
        return posterior(problem, progress)
    except ValueError as error:  # linear algebra that fails, too, as where neither images nor prior know a law
        text = f"the laws have no bands, since images and prior do not determine them ({error})"
        warn(text, DataWarning, stacklevel=2)
        return None
