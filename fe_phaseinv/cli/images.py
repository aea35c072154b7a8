"""The images that a case names, read and checked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.schema import Domain, Images
from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.background import without_background
from fe_phaseinv.data.checks import doubts_of, frames_examined, seam
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.place import Place

FEWEST_PIXELS = 2
"""In each direction; fewer show no pattern."""

READING = ("key", "axes", "channel", "grey", "mask", "sigma", *Place.keys())
"""Keys of a section that say how its file is read."""

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
    return [load_series(case, index) for index in range(len(case.images))]


class Used(NamedTuple):
    """The frames of a series that matter.

    Parameters
    ----------
    images : ImageSeries
        From the initial frame on.
    indices : sequence of int
        Their numbers in the file.
    closed, periodic : bool
        Whether the whole picture conserves its mean, and whether it repeats.
    """

    images: ImageSeries
    indices: Sequence[int]
    closed: bool
    periodic: bool

    def doubt(self) -> list[str]:
        """Warn of what is doubtful about them; gives it in words."""
        found = doubts_of(self.images, self.closed, self.periodic)
        for text in found:
            warnings.warn(text, DataWarning, stacklevel=2)
        return found


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
    indices = frames_examined(images, first, frames, window)
    closed = case.model_class.conserved and not window and domain.mesh in ("rectangle", "box")
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
        used_images(case, loaded, index).doubt()


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


def load_starts(case: Case) -> list[Loaded]:
    """Read and check the images that start a forward run, at its own times where the case gives such.

    Parameters
    ----------
    case : Case

    Returns
    -------
    list of tuple
        As from `load_images`; where there are times of its own, the initial frame stands for those at these times.

    Raises
    ------
    InputError
        Where file, frames, values or times are not what the case says, or something is to be taken from frames that
        there are not.
    """
    times = case.simulate.times
    if times is None:
        return load_images(case)
    every = range(len(case.images))
    return [at_times(case, index, read_images(case, index), times, "simulate.times") for index in every]


def load_series(case: Case, index: int) -> Loaded:
    """Read and check one series of images, as `load_images` does.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.

    Raises
    ------
    InputError
        Where file, frames or values are not what the case says.
    """
    section, key = case.images[index], case.names[index]
    images = read_images(case, index)
    count = len(images.times)
    chosen = range(count) if section.frames is None else section.frames
    _require_frames(images, f"{key}.frames", chosen)
    _require_frames(images, f"{key}.initial", [section.initial])
    held_out = case.validation.frames
    for frame in held_out:
        if not section.initial < frame < count:
            accepted = f"indices of its {count} frames after the initial {section.initial}"
            raise InputError(section.file, "validation.frames", frame, accepted)
    frames = tuple(sorted({frame for frame in chosen if frame > section.initial} - {*held_out}))
    if not frames:
        accepted = (
            f"at least one frame after the initial {section.initial}; simulate can do with times under [simulate]"
        )
        raise InputError(section.file, f"{key}.frames", list(chosen), accepted)
    _check(case, index, images, images.select([section.initial, *sorted({*frames, *held_out})]))
    return images, frames


def at_times(
    case: Case, index: int, images: ImageSeries, times: Sequence[float], key: str, taken: Sequence[int] = ()
) -> Loaded:
    """Return a series at times of its own: the initial frame stands for those there, but for some that are taken.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.
    images : ImageSeries
        All frames of its file.
    times : sequence of float
    key : str
        Of the times, for errors.
    taken : sequence of int
        Frames that stay, after the initial one.

    Raises
    ------
    InputError
        Where the times do not increase after the initial one, or something is to be taken from frames that there are
        not.
    """
    initial = case.images[index].initial
    _require_frames(images, f"{case.names[index]}.initial", [initial])
    before = images.times[initial]
    if not len(times) or times[0] <= before or np.any(np.diff(times) <= 0):
        raise InputError(images.source, key, list(times), f"increasing times after {before:g}, the initial")
    where, domain = domain_of(case, index)
    if domain.boundary == "from-images":
        accepted = f'"no-flux" or "periodic", where {key} are given'
        raise InputError(images.source, f"{where}.boundary", '"from-images"', accepted)
    where, drive = case.drive_of(index)
    if drive is not None and drive.rate is None and isinstance(drive.mean, str):
        accepted = f"[[time, mean], ...] or a rate, where {key} are given"
        raise InputError(images.source, f"{where}.mean", '"from-images"', accepted)
    every = sorted({*times, *images.times[list(taken)].tolist()})
    kept = images.select([*range(initial + 1), *taken])
    images = kept.at([*images.times[: initial + 1], *every], initial)
    frames = tuple(range(initial + 1, len(images.times)))
    _check(case, index, images, images.select([initial, *frames]))
    return images, frames


def read_images(case: Case, index: int) -> ImageSeries:
    """Read a series as its section says: what of the file, which window, and how noisy it is.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.

    Raises
    ------
    InputError
        Where file or values are not what the section says.
    """
    section, key = case.images[index], case.names[index]
    images = ImageSeries.load(section.file, **{name: getattr(section, name) for name in READING})
    if section.crop is not None:
        images = _cropped(images, f"{key}.crop", section.crop)
    domain = domain_of(case, index)[1]
    if domain.mesh == "outline":
        images = without_background(images)
    images = _with_noise(images, section, key)
    if section.register:
        _require_frames(images, f"{key}.initial", [section.initial])
        periodic, crop = (domain.boundary == kind for kind in ("periodic", "from-images"))
        images = images.registered(reference=section.initial, periodic=periodic, crop=crop)
    images = images.downsample(section.downsample)
    if min(images.shape) < FEWEST_PIXELS:
        found = f"{' x '.join(map(str, images.shape))} pixels"
        raise InputError(section.file, "images", found, f"at least {FEWEST_PIXELS} pixels in each direction")
    return images


def _cropped(images: ImageSeries, key: str, corners: tuple[float, ...]) -> ImageSeries:
    if len(corners) != 2 * images.dimension:
        accepted = f"{2 * images.dimension} numbers, the lower and the upper corner"
        raise InputError(images.source, key, list(corners), accepted)
    return images.crop(*zip(corners[: images.dimension], corners[images.dimension :], strict=True))


def _require_frames(images: ImageSeries, key: str, indices: Sequence[int]) -> None:
    """Refuse indices that are no frame's."""
    count = len(images.times)
    for frame in indices:
        if not 0 <= frame < count:
            raise InputError(images.source, key, frame, f"indices of its {count} frames, from 0")


def _check(case: Case, index: int, images: ImageSeries, used: ImageSeries) -> None:
    """Check the frames that are used, of all images, for what the case asks of them."""
    where, domain = domain_of(case, index)
    if case.model_class.fields[0].bounds == (0, 1):
        (images if domain.boundary == "from-images" else used).require_concentration()
    if domain.boundary == "periodic":
        _require_repetition(used, f"{where}.boundary")
    if np.nanmin(used.frames) == np.nanmax(used.frames):
        raise InputError(images.source, "images", "the same value in every pixel", "frames that show a pattern")
    (where, drive), bounds = case.drive_of(index), case.model_class.fields[0].bounds
    listed = {name: values for name, values in case.listed.items() if name.startswith(("data.", f"{where}."))}
    for name, values in listed.items():
        _require_covered(used, name, [time for time, _ in values])
    if drive is not None and drive.rate is not None:
        _require_within(used, f"{where}.rate", drive.rate, bounds)


def _with_noise(images: ImageSeries, section: Images, key: str) -> ImageSeries:
    """Return the series with the noise that its section gives."""
    noise, count = section.noise, len(images.times)
    if isinstance(noise, tuple) and (len(noise) != count or min(noise) == 0):
        raise InputError(section.file, f"{key}.noise", list(noise), f"{count} positive numbers, one for each frame")
    if section.sigma is None:
        images = images.with_sigma(images.estimate_noise() if noise == "estimate" else noise)
    if section.loss != "squares" and images.noise == 0:
        accepted = f'{key}.noise = "estimate", or a number, in units of which differences are large'
        raise InputError(section.file, f"{key}.loss", f'"{section.loss}" without a noise', accepted)
    return images


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
    if apart := seam(images):
        name, ends, neighbours = apart
        found = f"pixels at the two ends of {name} that differ by {ends:.3g}, neighbours by {neighbours:.3g}"
        raise InputError(images.source, key, found, "a picture that repeats, for a periodic domain")
