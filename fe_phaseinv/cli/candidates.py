"""The frames from which `fe-phaseinv design` chooses, and the experiments that it compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.images import at_times, load_series, read_images
from fe_phaseinv.cli.reading import item_names
from fe_phaseinv.cli.schema import Experiment, Validation
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.variations import Variation

COUNT = 25
"""Number of times where nothing tells them."""
SAME = 1e-9
"""Share of the whole time by which times of one frame may differ."""


class Planned(NamedTuple):
    """A series with the frames that are there and those that may be taken.

    Parameters
    ----------
    images : ImageSeries
    frames : tuple of int
        After the initial one, of both kinds.
    taken : tuple of int
        Those that are there.
    """

    images: ImageSeries
    frames: tuple[int, ...]
    taken: tuple[int, ...]


def planned(source: Path, case: Case) -> Case:
    """Return a case as its design sees it: no frame is held out, and only the Gauss-Newton Hessian matters.

    Parameters
    ----------
    source : pathlib.Path
        Of the case, for errors.
    case : Case

    Raises
    ------
    InputError
        Where it asks for what no design can tell.
    """
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", "none, of a case whose frames are to be chosen")
    if case.prior.strength == 0:
        raise InputError(
            source, "prior.strength", 0, '"auto", or a number > 0: something must be expected of every law'
        )
    return replace(case, validation=Validation(), optimizer=replace(case.optimizer, hessian="gauss-newton"))


def variations(source: Path, case: Case) -> list[tuple[str, Variation]]:
    """Return the experiments to compare, with their keys.

    Parameters
    ----------
    source : pathlib.Path
        Of the case, for errors.
    case : Case

    Raises
    ------
    InputError
        Where two have the same name, or times do not increase.
    """
    asked = case.design.experiments
    keys = [f"design.{name}" for name in item_names("experiments", asked)]
    expected = case.design.noise
    found = [(key, _variation(source, key, one, expected)) for key, one in zip(keys, asked, strict=True)]
    labels = [variation.label for _, variation in found]
    for key, variation in found:
        if labels.count(variation.label) > 1:
            raise InputError(source, f"{key}.name", variation.label, "names of which each is another one")
    return found


def load_candidates(case: Case) -> list[Planned]:
    """Read and check all series of images of a case, with the frames that may be taken. Those of a result are taken.

    Parameters
    ----------
    case : Case
        As `planned` gives it.

    Raises
    ------
    InputError
        Where file, frames, values or times are not what the case says, or no noise is known or expected.
    """
    return [_noisy(case, index, _load(case, index)) for index in range(len(case.images))]


def _variation(source: Path, key: str, one: Experiment, expected: float | None) -> Variation:
    if np.any(np.diff(one.times) <= 0):
        raise InputError(source, f"{key}.times", list(one.times), "times that increase")
    variation = Variation(**vars(one))
    return replace(variation, name=variation.label, noise=variation.noise or expected)


def _load(case: Case, index: int) -> Planned:
    """Read a series: its frames, or at times that the case gives, or frames that a result has left out."""
    asked, initial = case.design, case.images[index].initial
    given = any(value is not None for value in (asked.times, asked.count, asked.last))
    if case.start is None and not given:
        return Planned(*load_series(case, index), ())
    images, taken = (read_images(case, index), ()) if case.start is None else load_series(case, index)
    others = tuple(frame for frame in range(initial + 1, len(images.times)) if frame not in taken)
    if not given and others:
        return Planned(images, tuple(range(initial + 1, len(images.times))), taken)
    times, key = _times(case, index, images)
    before = images.times[[initial, *taken]]
    apart = [time for time in times if np.abs(before - time).min() > SAME * np.ptp([*before, *times])]
    if not apart:
        raise InputError(images.source, key, times, "times of frames that are not there yet")
    whole, frames = at_times(case, index, images, apart if taken else times, key, taken)
    there = set(images.times[list(taken)].tolist())
    return Planned(whole, frames, tuple(frame for frame in frames if whole.times[frame] in there))


def _times(case: Case, index: int, images: ImageSeries) -> tuple[Sequence[float], str]:
    """Return the times that a case gives, and their key: a list, or as many apart from each other."""
    asked = case.design
    if asked.times is not None:
        return list(asked.times), "design.times"
    first, last = images.times[case.images[index].initial], images.times[-1] if asked.last is None else asked.last
    if not last > first:
        found = "nothing" if asked.last is None else f"{last:g}"
        raise InputError(images.source, "design.last", found, f"a time after {first:g}, the initial")
    return np.linspace(first, last, (asked.count or COUNT) + 1)[1:].tolist(), "design.last"


def _noisy(case: Case, index: int, plan: Planned) -> Planned:
    """Return a series with the noise that is expected of frames, and that of those that are there."""
    images, expected = plan.images, case.design.noise
    if expected is None:
        if not images.noise:
            accepted = "a standard deviation of the noise that is expected, where the images have none"
            raise InputError(images.source, "design.noise", "nothing", accepted)
        return plan
    if not (plan.taken and images.noise):
        return plan._replace(images=replace(images, weights=None).with_sigma(expected))
    there = [case.images[index].initial, *plan.taken]
    precision = np.ones(images.frames.shape) if images.weights is None else images.weights
    with np.errstate(divide="ignore"):
        sigma = images.noise / np.sqrt(precision)
    sigma[[frame for frame in range(len(sigma)) if frame not in there]] = expected
    return plan._replace(images=replace(images, weights=None).with_sigma(sigma))
