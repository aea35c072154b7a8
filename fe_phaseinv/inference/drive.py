"""Numbers that a model is given in time: a mean as the images have it, a rate, or a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.interpolate import CubicSpline, make_smoothing_spline

from fe_phaseinv.core.parallel import total
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.given import DataInTime
from fe_phaseinv.forward.norms import LumpedNorm
from fe_phaseinv.models.declarations import MEAN
from fe_phaseinv.observation.smoothing import Smoother

FROM_IMAGES = "from-images"
FEWEST = 5
"""Frames with which a smoothing spline can be made; the means of fewer are joined as they are."""
PENALTIES = np.geomspace(1e-6, 1e2, 25)
"""Between which a cubic through all values becomes a line, in units of the weight of a value and the whole time."""


def data_in_time(
    images: ImageSeries, model, smoother: Smoother, frames: Sequence[int], given: Mapping[str, object]
) -> DataInTime | None:
    """Return the numbers that a model is given in time. Collective.

    Parameters
    ----------
    images : ImageSeries
        The images.
    model : Model
        Its `data` are wanted.
    smoother : Smoother
        Fits fields to frames.
    frames : sequence of int
        The frame at the start, then those to compare with.
    given : mapping
        As for `Settings.data`.

    Raises
    ------
    ValueError
        Where a number is not given, or one that the model has not is, or a mean leaves the bounds of the first field.
    """
    for name in given:
        if name not in model.data:
            raise ValueError(f"data: found {name!r}; accepted: {', '.join(model.data) or 'none'} of {model.name}")
    if not model.data:
        return None
    times = [float(images.times[frame]) for frame in frames]
    knots = {name: _knots(name, given.get(name, FROM_IMAGES), smoother, frames, times) for name in model.data}
    if MEAN in knots:
        _require_within(model, knots[MEAN])
    together = sorted({time for pairs in knots.values() for time, _ in pairs})
    columns = [CubicSpline(*zip(*pairs, strict=True))(together) for pairs in knots.values()]
    return DataInTime(tuple(together), np.column_stack(columns))


def mean_at(images: ImageSeries, model, data: DataInTime | None) -> Callable[[int], float] | None:
    """Return, by the number of a frame, the mean that is prescribed; None where none is.

    Parameters
    ----------
    images : ImageSeries
        The images.
    model : Model
        Its `data` may have a mean.
    data : DataInTime, optional
        What the model is given.
    """
    if data is None or MEAN not in model.data:
        return None
    column = model.data.index(MEAN)
    return lambda frame: float(data(float(images.times[frame]))[column])


def _knots(name: str, given, smoother: Smoother, frames: Sequence[int], times: Sequence[float]) -> list:
    """Return pairs of times and values."""
    if isinstance(given, str):
        if name != MEAN or given != FROM_IMAGES:
            raise ValueError(f"data: {name}: found {given!r}; accepted: pairs of times and values, or a rate")
        return list(zip(times, _means(smoother, frames, times).tolist(), strict=True))
    if np.ndim(given) == 0:
        (first,) = _means_of(smoother, frames[:1]) if name == MEAN else (0.0,)
        return [(times[0], first), (times[-1], first + float(given) * (times[-1] - times[0]))]
    pairs = sorted((float(time), float(value)) for time, value in given)
    if pairs[0][0] > times[0] or pairs[-1][0] < times[-1]:
        found = f"times from {pairs[0][0]:g} to {pairs[-1][0]:g}"
        raise ValueError(f"data: {name}: found {found}; accepted: those of the frames, {times[0]:g} to {times[-1]:g}")
    return pairs


def _means(smoother: Smoother, frames: Sequence[int], times: Sequence[float]) -> np.ndarray:
    """Return the means of the frames, smooth in time as far as their noise allows. Collective."""
    means, noise = _means_of(smoother, frames), smoother.pixels.images.noise
    if not noise or len(frames) < FEWEST:
        return means
    precision = [total(smoother.pixels.comm, smoother.pixels.precision(frame).sum()) for frame in frames]
    return smoothed(np.array(times), means, noise / np.sqrt(precision))


def smoothed(times: np.ndarray, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Return values of a smoothing spline, of the smoothness with the smallest predicted risk.

    The risk is Mallows' Cp: the sum of the squared differences, in units of the noise, plus twice the effective number
    of parameters (Craven and Wahba, Numer. Math. 31, 377 (1979)).

    Parameters
    ----------
    times : numpy.ndarray, shape (n,)
        At least `FEWEST`, increasing.
    values : numpy.ndarray, shape (n,)
        With noise.
    deviations : numpy.ndarray, shape (n,)
        Standard deviations of the noise.
    """
    places, weights = (times - times[0]) / np.ptp(times), deviations**-2.0
    best, least = values, np.inf
    for penalty in PENALTIES * weights.mean():
        smoother = np.array(
            [make_smoothing_spline(places, unit, weights, penalty)(places) for unit in np.eye(len(times))]
        )
        found = values @ smoother
        risk = np.sum(weights * (found - values) ** 2) + 2 * np.trace(smoother)
        if risk < least:
            best, least = found, risk
    return best


def _means_of(smoother: Smoother, frames: Sequence[int]) -> np.ndarray:
    """Return the means over the domain of the fields fitted to frames. Collective."""
    space = smoother.pixels.space
    norm = LumpedNorm(space, 2 * space.ufl_element().embedded_superdegree)
    return np.array([norm.mean(smoother.fit(frame)) for frame in frames])


def _require_within(model, pairs: list) -> None:
    low, high = model.bounds
    for time, value in pairs:
        if not low < value < high:
            raise ValueError(f"data: mean: found {value:g} at time {time:g}; accepted: between {low:g} and {high:g}")
