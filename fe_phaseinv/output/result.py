"""What an inversion found, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.bands import bands
from fe_phaseinv.inference.evidence import Evidence
from fe_phaseinv.inference.field_fit import FieldFit
from fe_phaseinv.inference.field_posterior import map_deviation
from fe_phaseinv.inference.fit import Fit
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.identifiability import Identifiability, identifiability
from fe_phaseinv.inference.outlines import moved
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.refinement import Refinement
from fe_phaseinv.inference.series import Series
from fe_phaseinv.inference.verdict import doubts, inflation, status
from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.models.declarations import WAVENUMBER
from fe_phaseinv.models.dimensions import named
from fe_phaseinv.models.interface import Model
from fe_phaseinv.output.fitted import Fitted, Held, Map, Tracked

FURTHEST = 4.0
"""Multiple of its wavenumber up to which a kernel is tabulated: short waves decay before they are seen."""
COUNTED = ("forward", "tangent", "adjoint", "second", "factorisations", "steps")
"""Work that a result names."""
POINTS, GRID = 201, 41
"""Number of points at which a curve is tabulated, and a law of two arguments along either."""


@dataclass(frozen=True, eq=False)
class Result:
    """What an inversion found, and how it went.

    Parameters
    ----------
    model : Model
        What the laws are declared by.
    status : str
        How the inversion ended.
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
    scalars : tuple of dict
        For each series, the numbers that are unknown at each time, by name.
    truth : dict or None
        Formulas and numbers of the true laws, by their names or the keys of `TRUTH_KEYS`.
    warnings : tuple of str
        What is doubtful about the data or the result, a sentence each.
    goodness : tuple of Goodness or None
        For each series, whether what is left of it is noise; None for one that is held out.
    units : tuple of str
        Names of the units of length and time; empty where the images are in units of their own.
    refinement : Refinement or None
        What a finer level tells of the laws, which are corrected for it.
    evidence : Evidence or None
        What the images say for the model.
    """

    model: Model
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
    scalars: tuple[dict[str, Tracked], ...] = ()
    truth: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    goodness: tuple[Goodness | None, ...] = ()
    units: tuple[str, str] = ("", "")
    refinement: Refinement | None = None
    evidence: Evidence | None = None

    def unit(self, name: str) -> str:
        """Return the unit of a law in the names of those of length and time, such as "um^2/h".

        Parameters
        ----------
        name : str
            Of the law.
        """
        return named(self.model.declared(name).unit, *self.units)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of all series."""
        return min(images.range[0] for images in self.images), max(images.range[1] for images in self.images)

    @property
    def validation(self) -> Held | None:
        """How the frames of all series that were not fitted are predicted, each in widths of its noise, on average."""
        held = [images.held_out for images in self.images if images.held_out]
        if not held:
            return None
        pixels, squares = sum(one.pixels for one in held), sum(one.squares for one in held)
        if not all(one.noise for one in held):
            return Held((), squares, pixels, 0.0)
        widths = sum(one.squares / one.noise**2 for one in held)
        return Held((), squares, pixels, float(np.sqrt(squares / widths)) if widths else held[0].noise)

    def argument_range(self, name: str, multiple: float = FURTHEST) -> tuple[float, float]:
        """Return the ends of the range of a law's argument: of the data, of wavenumbers, or where a basis is meant for.

        Parameters
        ----------
        name : str
            Of the law.
        multiple : float
            Of its wavenumber, where the range of a kernel ends.
        """
        relation = self.laws[name].relation
        if relation.argument == WAVENUMBER:
            return 0.0, multiple * relation.basis.scale
        return self._range_of(relation.argument, relation.basis.interval)

    def grid(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of either argument at which a law of two is tabulated.

        Parameters
        ----------
        name : str
            Of the law.
        """
        relation = self.laws[name].relation
        x, y = relation.argument.split(", ")
        bases = (x, relation.basis.first), (y, relation.basis.second)
        return tuple(np.linspace(*self._range_of(argument, basis.interval), GRID) for argument, basis in bases)

    def _range_of(self, argument: str, interval: tuple[float, float] | None) -> tuple[float, float]:
        """Return the range of an argument: that of the images where they show it, or else the interval of a basis."""
        return self.range if interval is None or argument == self.model.fields[0].name else interval

    def arguments(self, name: str) -> tuple[np.ndarray, ...]:
        """Return what a law is called with where it is tabulated, of shapes that go together.

        Parameters
        ----------
        name : str
            Of the law.
        """
        if self.laws[name].relation.basis.arguments == 1:
            return (self.points(name),)
        x, y = self.grid(name)
        return x[:, None], y

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
    fitted = [_fitted(*pair) for pair in zip(problem.series, point.fits, strict=True)]
    known = bands(problem, progress, [one.compared for one in fitted], uncertainty)
    laplace, goodness = known.posterior, known.goodness
    maps = _maps(problem, progress, laplace)
    outlines = moved(problem, progress, laplace and np.sqrt(inflation(goodness)) * laplace.deviation)
    own = zip(fitted, maps, outlines, strict=True)
    images = problem.ensemble.gather([replace(one, map=found, outline=outline) for one, found, outline in own])
    free = problem.coordinates.free
    own = zip(problem.series, point.fits, map(known.scalars, problem.ensemble.own), strict=True)
    tracked = [_tracked(*each, free, laplace) for each in own]
    return Result(
        model=problem.model,
        status=status(outcome, goodness),
        iterations=progress.state.iteration,
        cost=point.value,
        misfit_rms=point.misfit_rms,
        laws=problem.parameters.laws(laplace.coefficients if laplace else problem.coefficients(point.x)),
        posterior=laplace,
        identifiability=identifiability(laplace, problem.model) if laplace else None,
        images=tuple(images),
        history=progress.history,
        counts={name: getattr(work, name) for name in COUNTED},
        seconds={
            "total": progress.seconds,
            "forward": work.seconds_forward,
            "sensitivities": work.seconds_sensitivities,
        },
        ranks=problem.ensemble.comm.size,
        scalars=tuple(problem.ensemble.gather(tracked)),
        truth=truth,
        units=problem.ensemble.gather([(one.images.unit, one.images.time_unit) for one in problem.series])[0],
        warnings=(*warnings, *doubts(goodness, [one.source for one in images])),
        goodness=goodness,
        refinement=known.refinement,
        evidence=known.evidence,
    )


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


def _fitted(series: Series, fit: Fit | FieldFit) -> Fitted:
    pixels, images, frames = fit.channels.pixels, series.images, list(fit.frames)
    rows = [np.split(prediction, images.channels) for prediction in fit.predictions]
    predicted = np.array([[pixels.picture(part) for part in parts] for parts in rows])
    seen = predicted[:, 0] if images.noise else images.only(0).frames[sorted({series.first_frame, *frames})]
    predicted = predicted.reshape(images.frames[frames].shape)
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
        held_out=_held(series, images, fit.frames, predicted),
    )


def _held(series: Series, images: ImageSeries, frames: Sequence[int], predicted: np.ndarray) -> Held | None:
    """Compare the predictions of frames that were not fitted with these."""
    held = [frame for frame in frames if frame in series.held_out]
    differences = [images.frames[frame] - predicted[frames.index(frame)] for frame in held]
    seen = [each[np.isfinite(each)] for each in differences]
    count = sum(each.size for each in seen)
    return Held(tuple(held), float(sum(each @ each for each in seen)), count, images.noise) if count else None


def _tracked(
    series: Series,
    fit: Fit | FieldFit,
    corrections: Mapping[str, np.ndarray],
    free: np.ndarray,
    posterior: Laplace | None,
) -> dict[str, Tracked]:
    times = series.images.times[list(fit.frames)]
    deviations = {name: _deviation(fit.scalar_derivatives.get(name), free, posterior) for name in fit.scalars}
    return {
        name: Tracked(times, value + corrections.get(name, 0.0), deviations[name])
        for name, value in fit.scalars.items()
    }


def _deviation(derivative: np.ndarray | None, free: np.ndarray, posterior: Laplace | None) -> np.ndarray | None:
    """Return the standard deviations of numbers whose derivatives by the free coefficients are given."""
    if derivative is None or posterior is None:
        return None
    functionals = np.zeros((len(derivative), len(free)))
    functionals[:, free] = derivative
    return np.array([posterior.known(functional)[0] for functional in functionals])


def _maps(problem: Problem, progress: Progress, posterior: Laplace | None) -> list[Map | None]:
    """Return the maps of the series of this rank's group."""
    if problem.settings.heterogeneity is None or progress.stage in problem.preparations:
        return [None] * len(problem.series)
    found = []
    for share in progress.state.point.shares:
        of = share.experiment
        value = of.pixels.picture(of.pixels.average(of.field(share.x, "heterogeneity")))
        level = float(np.nanmean(value))
        learnt = Map(value - level, level)
        if posterior is not None:
            known = map_deviation(share, progress.state.point.hessian, posterior.deviation)
            learnt = replace(learnt, deviation=of.pixels.picture(known.pixels), level_deviation=known.level)
        found.append(learnt)
    return found
