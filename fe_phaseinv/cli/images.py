"""The images that a case names, read and checked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.schema import Domain
from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.checks import doubts_of, seam
from fe_phaseinv.data.images import ImageSeries

FEWEST_PIXELS = 2
"""In each direction; fewer show no pattern."""

Loaded = tuple[ImageSeries, tuple[int, ...]]
"""All frames of a file, and the indices of those after the initial one, to compare with."""


def load_images(case: Case) -> list[Loaded]:
    """Read and check all series of images of a case.

    Parameters
    ----------
    case : Case

    Returns
    -------
    list of tuple
        For each series its `ImageSeries`, with all frames of the file, and the indices of those after the initial one.

    Raises
    ------
    InputError
        Where file, frames or values are not what the case says.
    """
    return [_load_series(case, index) for index in range(len(case.images))]


class Used(NamedTuple):
    """The frames of a series that matter.

    Parameters
    ----------
    images : ImageSeries
        From the initial frame on.
    indices : sequence of int
        Their numbers in the file.
    closed, periodic : bool
        Whether they conserve their mean, and whether they repeat.
    """

    images: ImageSeries
    indices: Sequence[int]
    closed: bool
    periodic: bool

    def doubts(self) -> list[str]:
        """Return what is doubtful about them."""
        return doubts_of(self.images, self.closed, self.periodic)


def used_images(case: Case, loaded: Sequence[Loaded], index: int) -> Used:
    """Return the frames of a series that matter.

    Parameters
    ----------
    case : Case
    loaded : sequence of tuple
        From `load_images`.
    index : int
        Of the series.
    """
    (images, frames), (_, domain), first = loaded[index], domain_of(case, index), case.images[index].initial
    window = domain.boundary == "from-images"
    indices = range(first, len(images.times)) if window else [first, *frames]
    closed = case.model_class.conserved and not window and not isinstance(domain.mesh, Path)
    return Used(images.select(indices), indices, closed, domain.boundary == "periodic")


def warn_of_images(case: Case, loaded: Sequence[Loaded]) -> None:
    """Warn of what is doubtful about the images of a case.

    Parameters
    ----------
    case : Case
    loaded : sequence of tuple
        From `load_images`.
    """
    for index in range(len(loaded)):
        for doubt in used_images(case, loaded, index).doubts():
            warnings.warn(doubt, DataWarning, stacklevel=2)


def domain_of(case: Case, index: int) -> tuple[str, Domain]:
    """Return the key and the section of the domain of a series of images.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.
    """
    own = case.images[index].domain
    return ("domain", case.domain) if own is None else (f"{case.names[index]}.domain", own)


def _load_series(case: Case, index: int) -> Loaded:
    section, key = case.images[index], case.names[index]
    images = ImageSeries.load(section.file)
    noise = images.estimate_noise() if section.noise == "estimate" else section.noise
    images = replace(images, noise=noise)
    if min(images.shape) < FEWEST_PIXELS:
        found = f"{' x '.join(map(str, images.shape))} pixels"
        raise InputError(section.file, "images", found, f"at least {FEWEST_PIXELS} pixels in each direction")
    count = len(images.times)
    chosen = range(count) if section.frames is None else section.frames
    for name, indices in (("frames", chosen), ("initial", [section.initial])):
        for frame in indices:
            if not 0 <= frame < count:
                raise InputError(section.file, f"{key}.{name}", frame, f"indices of its {count} frames, from 0")
    frames = tuple(sorted({frame for frame in chosen if frame > section.initial}))
    if not frames:
        accepted = f"at least one frame after the initial {section.initial}"
        raise InputError(section.file, f"{key}.frames", list(chosen), accepted)
    where, domain = domain_of(case, index)
    if section.register:
        periodic, crop = (domain.boundary == kind for kind in ("periodic", "from-images"))
        images = images.registered(reference=section.initial, periodic=periodic, crop=crop)
    used = images.select([section.initial, *frames])
    if case.model_class.fields[0].bounds == (0, 1):
        (images if domain.boundary == "from-images" else used).require_concentration()
    if domain.boundary == "periodic":
        _require_repetition(used, f"{where}.boundary")
    if np.nanmin(used.frames) == np.nanmax(used.frames):
        raise InputError(section.file, "images", "the same value in every pixel", "frames that show a pattern")
    for name, values in case.listed.items():
        _require_covered(used, name, [time for time, _ in values])
    if case.drive is not None and case.drive.rate is not None:
        _require_within(used, case.drive.rate, case.model_class.fields[0].bounds)
    return images, frames


def _require_covered(used: ImageSeries, key: str, times: list[float]) -> None:
    """Refuse numbers given in time that end before the frames do."""
    first, last = used.times[[0, -1]]
    if times[0] > first or times[-1] < last:
        accepted = f"times that cover those of the frames, {first:g} to {last:g}"
        raise InputError(used.source, key, f"times from {times[0]:g} to {times[-1]:g}", accepted)


def _require_within(used: ImageSeries, rate: float, bounds: tuple[float, float]) -> None:
    """Refuse a rate with which the mean of the first frame leaves the bounds of its field."""
    first = np.nanmean(used.picture(0))
    last = first + rate * (used.times[-1] - used.times[0])
    if not bounds[0] < last < bounds[1]:
        found = f"{rate:g}, with which the mean goes from {first:.4g} to {last:.4g}"
        raise InputError(used.source, "drive.rate", found, f"a mean between {bounds[0]:g} and {bounds[1]:g}")


def _require_repetition(images: ImageSeries, key: str) -> None:
    """Refuse pictures whose opposite edges do not fit together."""
    if apart := seam(images):
        name, ends, neighbours = apart
        found = f"pixels at the two ends of {name} that differ by {ends:.3g}, neighbours by {neighbours:.3g}"
        raise InputError(images.source, key, found, "a picture that repeats, for a periodic domain")
