"""What is doubtful about images, told by the images alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fe_phaseinv.data.filters import undetermined
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.pixel_faults import FEWEST, faulty, outlying
from fe_phaseinv.data.registration import measure_shifts
from fe_phaseinv.data.statistics import median_interface_width, noise_deviation

WIDTHS, MEAN_FLOOR = 5.0, 1e-3
"""The mean drifts where it differs by so many standard errors; these are at least this share of the contrast."""
FADING, ALIKE = 0.03, 0.3
"""Intensities fall where this share is lost, and what the phases lose differs by no more than this share of it."""
SAME, SAME_NOISE = 1e-6, 0.3
"""Frames are one where nothing but this share of their contrast, or of their noise, differs after a scaling."""
FEW_VALUES, AT_END, PEAK = 16, 0.01, 3.0
"""Pictures with fewer different values are segmented; they are saturated where this share of the pixels is at an end of
their range, and so many times those at the next value."""
WHITE, CORRELATED, LOUDER = 0.2, 0.5, 2.0
"""Correlations of neighbouring pixels in white noise and in a pattern; white noise that is not that of the pixels is as
many times louder than in the next frame."""
MIDDLE = (2, 98)
"""Percentiles to which pixels are brought for a correlation, so that faulty ones do not matter."""
THIN = 1.5
"""Pixels across an interface below which its width is a guess."""
SEAM = 2.0
"""Pixels on either side of the edges of a periodic picture may differ by this factor more than any other neighbours."""


@dataclass(frozen=True)
class Finding:
    """Something doubtful.

    Parameters
    ----------
    kind : str
        Such as "shift" or "hot pixels".
    sentence : str
        What was found, with its figures.
    advice : str
        What to do.
    """

    kind: str
    sentence: str
    advice: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.sentence}; {self.advice}"


def frames_examined(images: ImageSeries, first: int, frames: Sequence[int], window: bool) -> Sequence[int]:
    """Return the numbers of the frames that matter to an inversion.

    Parameters
    ----------
    images : ImageSeries
        All frames.
    first : int
        Frame that starts the run.
    frames : sequence of int
        Those compared with.
    window : bool
        Whether the images give what is on the boundary, for which all later frames count.
    """
    return range(first, len(images.times)) if window else [first, *frames]


def doubts_of(images: ImageSeries, closed: bool = False, periodic: bool = False) -> list[str]:
    """Return all findings as lines that name the images.

    Parameters
    ----------
    images : ImageSeries
    closed, periodic : bool
        As for `examine`.
    """
    return [f"{images.source}: {finding}" for finding in examine(images, closed=closed, periodic=periodic)]


@undetermined()
def examine(images: ImageSeries, *, closed: bool = False, periodic: bool = False) -> list[Finding]:
    """Look for what is doubtful about images before anything is fitted to them.

    Parameters
    ----------
    images : ImageSeries
        The frames that are used, from the initial one on.
    closed : bool
        Whether the mean of what they show is conserved: the model's, and nothing passes the boundary.
    periodic : bool
        Whether the picture is said to repeat.
    """
    first = images.only(0)
    checks = (_noise, _shift, _twins, _grey, _pixels, _white_start, _thin)
    found = [finding for check in checks for finding in check(first)]
    found += [finding for finding in _mean(first)] if closed else _fading(first)
    return found + list(_seam(images)) if periodic else found


def _noise(images: ImageSeries) -> Iterator[Finding]:
    largest = max(np.nanstd(frame) for frame in images.frames)
    if images.noise > largest:
        yield Finding(
            "noise",
            f"the noise that is given, {images.noise:.3g}, is larger than the deviation of the pixels, {largest:.3g}",
            'give it in units of the pixels as they are after grey = ..., or noise = "estimate"',
        )


def _shift(images: ImageSeries) -> Iterator[Finding]:
    shifts = measure_shifts(images.frames)
    if shifts.found:
        sizes = np.linalg.norm(shifts.steps, axis=1)
        total = np.linalg.norm(shifts.offsets(0), axis=1).max()
        means = zip("xyz", shifts.steps.mean(axis=0), strict=False)
        mean = ", ".join(f"{step:+.2f} along {name}" for name, step in means)
        yield Finding(
            "shift",
            f"the pictures move by {sizes.mean():.2g} pixels from frame to frame ({mean}), by {total:.2g} in all",
            "the laws would be wrong; register = true under [images], or ImageSeries.registered, takes it out",
        )


def _deviation(images: ImageSeries, index: slice = slice(None)) -> float:
    """Return the standard deviation of the noise of a pixel; that of clean images is small, not zero."""
    return images.noise or float(np.nan_to_num(noise_deviation(images.frames[index])))


def _mean(images: ImageSeries) -> Iterator[Finding]:
    """Hold the mean of what is conserved against its error."""
    if not images.mask.all():
        yield from _fading(images)
        return
    means = np.array([frame.mean() for frame in images.frames])
    errors = (
        np.hypot(_deviation(images) / np.sqrt(images.mask.size), MEAN_FLOOR * images.frames[-1].std())
        + np.finfo(float).tiny
    )
    widths = np.abs(means - means.mean()) / errors
    if widths.max(initial=0) > WIDTHS:
        fading = list(_fading(images, of_all=False))
        yield from fading
        if not fading:
            yield Finding(
                "mean",
                f"the mean, which should be conserved, lies between {means.min():.4g} and {means.max():.4g}, up to "
                f"{widths.max():.0f} widths of its error from its average",
                "look for light or a scale of grey that changes, or a mask that moves; or take boundary = "
                '"from-images" where something passes the edges',
            )


def _fading(images: ImageSeries, of_all: bool = True) -> Iterator[Finding]:
    """Find intensities that fall: the mean and the bright phase lose the same share, and of all the dark one, too."""
    late = images.frames[len(images.frames) // 2 :]
    if len(late) < 2:
        return
    levels = np.array([[np.nanpercentile(frame, 5), np.nanmean(frame), np.nanpercentile(frame, 95)] for frame in late])
    if levels.min() <= 0:
        return
    lost = -np.diff(np.log(levels[:, 0 if of_all else 1 :]), axis=0)
    total = lost.sum(axis=0)
    if (lost > 0).all() and total[-2] > FADING and np.ptp(total) < ALIKE * total[-2]:
        yield Finding(
            "fading",
            f"bright pixels and the mean alike lose {1 - np.exp(-total[-2]):.0%} of their values in {len(late)} frames",
            "intensities that fall are no concentration: correct for bleaching first",
        )


def _twins(images: ImageSeries) -> Iterator[Finding]:
    """Find neighbouring frames that are the same picture, as it is or scaled."""
    twins = []
    for index in range(len(images.frames) - 1):
        first, second = images.frames[index : index + 2].reshape(2, -1)
        both = np.isfinite(first) & np.isfinite(second)
        first, second = first[both] - first[both].mean(), second[both] - second[both].mean()
        size = max(first @ first, np.finfo(float).tiny)
        left = np.std(second - first * (first @ second) / size)
        if left <= max(SAME * np.std(second), SAME_NOISE * images.noise):
            twins.append(index)
    if twins:
        which = " and ".join(f"{index} and {index + 1}" for index in twins[:3]) + (" ..." if len(twins) > 3 else "")
        yield Finding("duplicate", f"frames {which} are the same picture", "leave one of them out with frames = [...]")


def _grey(images: ImageSeries) -> Iterator[Finding]:
    """Find few different values, or many pixels at an end of their range."""
    values, counts = np.unique(images.frames[np.isfinite(images.frames)], return_counts=True)
    if len(values) < FEW_VALUES:
        yield Finding(
            "segmented", f"the pixels have {len(values)} different values", "take the grey values, not a segmentation"
        )
        return
    for name, end, beside in (("lowest", 0, 1), ("highest", -1, -2)):
        share = counts[end] / counts.sum()
        if share > AT_END and counts[end] > PEAK * counts[beside]:
            yield Finding(
                "saturated",
                f"{share:.1%} of all pixels have the {name} value, {values[end]:.4g}",
                "mask what is outside of the sample or saturated, or expose less",
            )


def _pixels(images: ImageSeries) -> Iterator[Finding]:
    """Find pixels that are wrong in most frames, and in single ones."""
    noise = _deviation(images)
    always = faulty(images.frames, noise)
    if count := np.count_nonzero(always):
        place = ", ".join(map(str, np.argwhere(always)[0][::-1]))
        yield Finding(
            "hot or dead pixels",
            f"{count} pixels ({count / always.size:.2%}), such as {place} from the lower left, stand out of their "
            "neighbours in most frames, or never change",
            'a mask leaves them out, loss = "huber" makes little of them',
        )
    once = outlying(images.frames, noise) & ~always
    if (count := np.count_nonzero(once)) >= FEWEST:
        yield Finding(
            "outliers",
            f"{count} pixels ({count / once.size:.2%}) stand out of their neighbours in single frames",
            'loss = "huber" makes little of them',
        )


def _correlation(frame: np.ndarray) -> float:
    """Return the largest correlation of pixels with their neighbours, over the axes."""
    frame = np.clip(frame, *np.nanpercentile(frame, MIDDLE))
    deviation = frame - np.nanmean(frame)
    variance = np.nanmean(deviation**2)
    size = frame.shape
    pairs = [
        np.nanmean(deviation.take(range(1, count), axis) * deviation.take(range(count - 1), axis))
        for axis, count in enumerate(size)
    ]
    return max(pairs) / variance if variance else 1.0


def _white_start(images: ImageSeries) -> Iterator[Finding]:
    """Find a first frame that is noise from pixel to pixel, louder than that of the next one."""
    if len(images.frames) < 2 or _correlation(images.frames[0]) > WHITE:
        return
    louder = np.nanstd(images.frames[0]) > LOUDER * _deviation(images, slice(1, 2))
    if louder and _correlation(images.frames[1]) > CORRELATED:
        yield Finding(
            "white start",
            "the initial frame is white noise, different from pixel to pixel, which elements cannot resolve",
            "let the run start with the next frame: initial = ... under [images], or first_frame=...",
        )


def _thin(images: ImageSeries) -> Iterator[Finding]:
    width = median_interface_width(images.frames)
    if width < THIN:
        yield Finding(
            "thin interfaces",
            f"interfaces are {width:.1f} pixels wide",
            "finer pixels would tell more of kappa and of the laws between the phases",
        )


def seam(images: ImageSeries) -> tuple[str, float, float] | None:
    """Return where opposite edges of a picture that should repeat do not fit together.

    Parameters
    ----------
    images : ImageSeries

    Returns
    -------
    tuple, optional
        Name of the axis, root mean square difference of the pixels at its two ends, and the largest one of neighbours.
    """
    for axis, name in zip(range(-1, -images.dimension - 1, -1), "xyz", strict=False):
        steps = np.diff(images.frames, axis=axis, append=np.take(images.frames, [0], axis=axis))
        sizes = np.sqrt(np.nanmean(np.moveaxis(steps, axis, -1) ** 2, axis=tuple(range(steps.ndim - 1))))
        if sizes[-1] > SEAM * sizes[:-1].max():
            return name, float(sizes[-1]), float(sizes[:-1].max())
    return None


def _seam(images: ImageSeries) -> Iterator[Finding]:
    if apart := seam(images):
        yield Finding(
            "not periodic",
            f"pixels at the two ends of {apart[0]} differ by {apart[1]:.3g}, neighbours by {apart[2]:.3g}",
            "the picture does not repeat: take another boundary",
        )
