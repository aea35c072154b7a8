"""The images that a case names, read and checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.schema import Domain
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries

SEAM = 2.0
"""Pixels on either side of the edges of a periodic picture may differ by this factor more than any other neighbours."""
FEWEST_PIXELS = 2
"""In each direction; fewer show no pattern."""

Loaded = tuple[ImageSeries, tuple[int, ...]]
"""All frames of a file, and the indices of those after the initial one, to compare with or to predict."""


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
    held_out = case.validation.frames
    for frame in held_out:
        if not section.initial < frame < count:
            accepted = f"indices of its {count} frames after the initial {section.initial}"
            raise InputError(section.file, "validation.frames", frame, accepted)
    frames = tuple(sorted({frame for frame in chosen if frame > section.initial} - {*held_out}))
    if not frames:
        accepted = f"at least one frame after the initial {section.initial}"
        raise InputError(section.file, f"{key}.frames", list(chosen), accepted)
    used = images.select([section.initial, *sorted({*frames, *held_out})])
    where, domain = domain_of(case, index)
    if case.model_class.fields[0].bounds == (0, 1):
        (images if domain.boundary == "from-images" else used).require_concentration()
    if domain.boundary == "periodic":
        _require_repetition(used, f"{where}.boundary")
    if np.nanmin(used.frames) == np.nanmax(used.frames):
        raise InputError(section.file, "images", "the same value in every pixel", "frames that show a pattern")
    (where, drive), bounds = case.drive_of(index), case.model_class.fields[0].bounds
    listed = {name: values for name, values in case.listed.items() if name.startswith(("data.", f"{where}."))}
    for name, values in listed.items():
        _require_covered(used, name, [time for time, _ in values])
    if drive is not None and drive.rate is not None:
        _require_within(used, f"{where}.rate", drive.rate, bounds)
    return images, frames


def _require_covered(used: ImageSeries, key: str, times: list[float]) -> None:
    """Refuse numbers given in time that end before the frames do."""
    first, last = used.times[[0, -1]]
    if times[0] > first or times[-1] < last:
        accepted = f"times that cover those of the frames, {first:g} to {last:g}"
        raise InputError(used.source, key, f"times from {times[0]:g} to {times[-1]:g}", accepted)


def _require_within(used: ImageSeries, key: str, rate: float, bounds: tuple[float, float]) -> None:
    """Refuse a rate with which the mean of the first frame leaves the bounds of its field."""
    first = np.nanmean(used.picture(0))
    last = first + rate * (used.times[-1] - used.times[0])
    if not bounds[0] < last < bounds[1]:
        found = f"{rate:g}, with which the mean goes from {first:.4g} to {last:.4g}"
        raise InputError(used.source, key, found, f"a mean between {bounds[0]:g} and {bounds[1]:g}")


def _require_repetition(images: ImageSeries, key: str) -> None:
    """Refuse pictures whose opposite edges do not fit together."""
    for axis, name in zip(range(-1, -images.dimension - 1, -1), "xyz", strict=False):
        steps = np.diff(images.frames, axis=axis, append=np.take(images.frames, [0], axis=axis))
        sizes = np.sqrt(np.nanmean(np.moveaxis(steps, axis, -1) ** 2, axis=tuple(range(steps.ndim - 1))))
        if sizes[-1] > SEAM * sizes[:-1].max():
            found = (
                f"pixels at the two ends of {name} that differ by {sizes[-1]:.3g}, neighbours by {sizes[:-1].max():.3g}"
            )
            raise InputError(images.source, key, found, "a picture that repeats, for a periodic domain")
