"""Experiments that might be done in place of one: with another mean, drive, pixels, noise or times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from firedrake import FunctionSpace

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.informations import Told, told
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.models.declarations import MEAN
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.pixels import Pixels


@dataclass(frozen=True, kw_only=True)
class Variation:
    """An experiment that is like another one, but for what is given here.

    Parameters
    ----------
    name : str
        What it is called; what differs, in words, where it is empty.
    times : tuple of float
        Times of the frames that may be taken; those of the other experiment where there are none.
    mean : float, optional
        Of the first field at the start, whose pattern stays.
    speed : float, optional
        How many times as fast is what is given in time; the frames are sooner by as much.
    pixels : int, optional
        Along the longer side of the picture. The noise of each stays as it is.
    noise : float, optional
        Standard deviation of a pixel.
    """

    name: str = ""
    times: tuple[float, ...] = ()
    mean: float | None = None
    speed: float | None = None
    pixels: int | None = None
    noise: float | None = None

    @property
    def label(self) -> str:
        """Its name, or what differs in words."""
        parts = {"mean": self.mean, "speed": self.speed, "pixels": self.pixels, "noise": self.noise}
        return self.name or ", ".join(f"{key} {value:g}" for key, value in parts.items() if value) or "the same again"


def varied(problem: Problem, number: int, like: Told, variation: Variation) -> Told:
    """Run the laws that a problem starts from through an experiment that might be done. Collective.

    Its first frame shows what the start of the other one is fitted to be, and leaves it as unknown as its own noise and
    pixels do. The mesh is the same.

    Parameters
    ----------
    problem : Problem
    number : int
        Of the series that it is like.
    like : Told
        What that tells.
    variation : Variation

    Raises
    ------
    StepFailed
        On all ranks, where the equations cannot be solved with these laws.
    ValueError
        Where the experiment cannot be varied so.
    """
    require_variable(problem, variation)
    series, start = problem.series[number], _shown(like, variation)
    times = _times(series, variation)
    frames = np.repeat(start[None], len(times), axis=0)
    of = series.images
    images = ImageSeries(
        frames,
        np.array(times),
        of.extent,
        of.origin,
        noise=variation.noise or of.noise,
        unit=of.unit,
        time_unit=of.time_unit,
        source=variation.label,
    )
    settings = replace(
        problem.settings,
        frames=None,
        first_frame=0,
        validation=(),
        held_out=False,
        displacement=None,
        data=_data(series, variation),
    )
    posed = pose(images, problem.model, series.fine.forward.mesh, settings)
    return told(problem, posed.series[0])


def require_variable(problem: Problem, variation: Variation) -> None:
    """Refuse what cannot be different.

    Parameters
    ----------
    problem : Problem
    variation : Variation

    Raises
    ------
    ValueError
        Where images tell what is on the boundary, there is nothing in time that could be faster, or no mean at the
        start alone.
    """
    model = problem.model
    if problem.settings.boundary == "from-images":
        raise ValueError("experiments: found boundary data from images; accepted: none, which nothing else tells")
    if variation.speed is not None and not model.data:
        raise ValueError(f"speed: found {variation.speed:g}; accepted: none, for nothing drives {model.name} in time")
    if variation.mean is not None and MEAN in model.data:
        accepted = f"none, for {model.name} is given its mean at all times"
        raise ValueError(f"mean: found {variation.mean:g}; accepted: {accepted}")


def _shown(like: Told, variation: Variation) -> np.ndarray:
    """Return the first frame, as its pixels show the start. Collective."""
    of, channels = like.experiment.pixels, like.experiment.channels
    if variation.pixels is not None:
        there = of.images.resampled(variation.pixels)
        channels = Channels(
            Pixels(there, FunctionSpace(of.space.mesh(), of.space.ufl_element()), of.loss), channels.forward
        )
    picture = channels.picture(channels.average(like.start))
    picture = np.where(np.isfinite(channels.images.frames[0]), picture, np.nan)
    if variation.mean is None:
        return picture
    first = picture if channels.images.channels == 1 else picture[0]
    first += variation.mean - np.nanmean(first)
    low, high = channels.forward.model.bounds
    if not (low < np.nanmin(first) and np.nanmax(first) < high):
        found = f"{variation.mean:g}, with which the start goes from {np.nanmin(first):.4g} to {np.nanmax(first):.4g}"
        raise ValueError(f"mean: found {found}; accepted: one with which it is between {low:g} and {high:g}")
    return picture


def _times(series: Series, variation: Variation) -> Sequence[float]:
    """Return the times of the start and of the frames that may be taken."""
    images = series.images
    began = float(images.times[series.first_frame])
    if variation.times:
        return began, *variation.times
    return began, *(began + (images.times[frame] - began) / (variation.speed or 1.0) for frame in series.frames)


def _data(series: Series, variation: Variation) -> dict[str, list[tuple[float, float]]]:
    """Return what is given in time, as `Settings` takes it."""
    forward, began = series.fine.forward, float(series.images.times[series.first_frame])
    if forward.data is None:
        return {}
    times = [began + (time - began) / (variation.speed or 1.0) for time in forward.data.times]
    return {
        name: list(zip(times, values.tolist(), strict=True))
        for name, values in zip(forward.model.data, forward.data.values.T, strict=True)
    }
