"""What an inversion found, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from warnings import warn

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.experiment import Fit
from fe_phaseinv.inference.field_point import FieldPoint
from fe_phaseinv.inference.identifiability import Identifiability, identifiability
from fe_phaseinv.inference.inversion import Progress, posterior
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem, Series
from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.optimisation.trust_region import Outcome

KERNEL = "direct_correlation"
FURTHEST = 4.0
"""Multiple of its wavenumber up to which a kernel is tabulated: short waves decay before they are seen."""
POINTS = 201
"""Number of points at which a curve is tabulated."""


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
        Smallest and largest pixel value of the data used; of the predictions where the data are noisy.
    frames, times : tuple
        Indices and times of the frames compared with.
    observed, predicted : numpy.ndarray, shape (n, ny, nx) or (n, nz, ny, nx)
        Their pixels, NaN where there is no data.
    extent, origin : tuple of float
        Size of the images and position of their lower left corner.
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


@dataclass(frozen=True, eq=False)
class Result:
    """What an inversion found, and how it went.

    Parameters
    ----------
    model, status : str
        Name of the model, and how the inversion ended.
    iterations, ranks : int
        Numbers of trial points and of processes.
    cost, misfit_rms : float
        At the end.
    laws : dict of Law
        By name.
    posterior : Laplace or None
        Without it there are no bands.
    identifiability : Identifiability or None
        What the images say of the laws, and what they leave open.
    images : tuple of Fitted
        The series of images beside their predictions.
    history : tuple of dict
        An entry for each trial point and each start of a stage: iteration, stage, accepted, cost, misfit_rms, ...
    counts, seconds : dict
        Solves and wall time by kind.
    heterogeneity : numpy.ndarray or None, shape (ny, nx) or (nz, ny, nx)
        Map h of the kinetics, averaged over pixels, where one was learnt.
    truth : dict or None
        Formulas and numbers of the true laws, with the keys of `TRUTH_KEYS`.
    warnings : tuple of str
        What is doubtful about the data or the result, a sentence each.
    """

    model: str
    status: str
    iterations: int
    cost: float
    misfit_rms: float
    laws: dict[str, Law]
    posterior: Laplace | None
    identifiability: Identifiability | None
    images: tuple[Fitted, ...]
    history: tuple[dict[str, Any], ...]
    counts: dict[str, int]
    seconds: dict[str, float]
    ranks: int
    heterogeneity: np.ndarray | None = None
    truth: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of all series."""
        return min(images.range[0] for images in self.images), max(images.range[1] for images in self.images)

    def argument_range(self, name: str, multiple: float = FURTHEST) -> tuple[float, float]:
        """Return the ends of the range of a law's argument: those of the data, or of wavenumbers.

        Parameters
        ----------
        name : str
            Of the law.
        multiple : float
            Of its wavenumber, where the range of a kernel ends.
        """
        return (0.0, multiple * self.laws[name].relation.basis.scale) if name == KERNEL else self.range

    def points(self, name: str) -> np.ndarray:
        """Return the arguments at which a law is tabulated, one for a law that is a number.

        Parameters
        ----------
        name : str
            Of the law.
        """
        if isinstance(self.laws[name].relation.basis, ConstantBasis):
            return np.zeros(1)
        return np.linspace(*self.argument_range(name), POINTS)


def collect(
    problem: Problem,
    progress: Progress,
    uncertainty: bool = True,
    truth: dict[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Result:
    """Gather what an inversion has reached, the same on all ranks. Collective.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    uncertainty : bool
        Whether to form the Laplace posterior.
    truth : dict, optional
        Formulas of the true laws, to be drawn beside those learnt.
    warnings : sequence of str
        Doubts to be recorded with the result.

    Raises
    ------
    ValueError
        Where the model could not be solved at the laws reached.
    """
    if not np.isfinite(progress.state.point.value):
        raise ValueError(f"the model could not be solved at the laws reached (stage {progress.stage!r})")
    point, outcome, work = progress.state.point, progress.state.outcome, progress.counts
    fitted = [_fitted(*pair, progress.stage) for pair in zip(problem.series, point.fits, strict=True)]
    laplace = _posterior(problem, progress) if uncertainty else None
    return Result(
        model=problem.model.name,
        status="converged" if outcome is Outcome.CONVERGED else outcome.value if outcome else "unfinished",
        iterations=progress.state.iteration,
        cost=point.value,
        misfit_rms=point.misfit_rms,
        laws=problem.parameters.laws(problem.coordinates.coefficients(point.x[: len(problem.coordinates)])),
        posterior=laplace,
        identifiability=identifiability(laplace, problem.model) if laplace else None,
        images=tuple(problem.ensemble.gather(fitted)),
        history=progress.history,
        counts={
            "forward": work.forward,
            "tangent": work.tangent,
            "adjoint": work.adjoint,
            "second": work.second,
            "factorisations": work.factorisations,
            "steps": work.steps,
        },
        seconds={
            "total": progress.seconds,
            "forward": work.seconds_forward,
            "sensitivities": work.seconds_sensitivities,
        },
        ranks=problem.ensemble.comm.size,
        heterogeneity=_heterogeneity(problem, progress),
        truth=truth,
        warnings=tuple(warnings),
    )


def _posterior(problem: Problem, progress: Progress) -> Laplace | None:
    """Return the uncertainty of the laws; None, and a doubt, where they are not determined."""
    try:
        return posterior(problem, progress)
    except ValueError as error:  # linear algebra that fails, too, as where neither images nor prior know a law
        warn(
            f"the laws have no bands, since images and prior do not determine them ({error})", DataWarning, stacklevel=2
        )
        return None


def numbered(name: str, items: Sequence[Any]) -> dict[str, Any]:
    """Name what belongs to each of several series of images: by the name alone for one, else name-1, name-2, ...

    Parameters
    ----------
    name : str
    items : sequence

    Returns
    -------
    dict
        The items by their names.
    """
    names = [name] if len(items) == 1 else [f"{name}-{number}" for number in range(1, len(items) + 1)]
    return dict(zip(names, items, strict=True))


def _fitted(series: Series, fit: Fit | FieldPoint, stage: str) -> Fitted:
    pixels, images, frames = series.discretisation(stage).pixels, series.images, list(fit.frames)
    predicted = np.array([pixels.picture(prediction) for prediction in fit.predictions])
    seen = predicted if images.noise else images.frames[sorted({series.first_frame, *frames})]
    return Fitted(
        source=str(images.source),
        misfit_rms=fit.misfit_rms,
        range=(float(np.nanmin(seen)), float(np.nanmax(seen))),
        frames=fit.frames,
        times=tuple(images.times[frames]),
        observed=np.where(np.isfinite(predicted), images.frames[frames], np.nan),
        predicted=predicted,
        extent=images.extent,
        origin=images.origin,
    )


def _heterogeneity(problem: Problem, progress: Progress) -> np.ndarray | None:
    point, pixels = progress.state.point, problem.series[0].fine.pixels
    if problem.settings.heterogeneity is None or progress.stage == "intervals":
        return None
    return pixels.picture(pixels.average(point.objective.field(point.x, "heterogeneity")))
