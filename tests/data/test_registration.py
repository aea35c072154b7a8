"""Shifts from frame to frame are found apart from what evolves, and taken out."""

import numpy as np
import pytest
from scipy import ndimage

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.registration import Shifts, measure_shifts, moved

RANDOM = np.random.default_rng(3)


def evolving(count=4, size=64, seed=0):
    """A pattern that coarsens by itself: smoothed and sharpened in turn, so that it moves nowhere as a whole."""
    frame = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 2.5, mode="wrap")
    frames = []
    for _ in range(count):
        frame = np.tanh(1.5 * frame / frame.std())
        frames.append(0.5 + 0.4 * frame)
        frame = ndimage.gaussian_filter(frame, 1.5, mode="wrap")
    return np.array(frames)


def drifting(frames, steps, mode="grid-wrap"):
    """Shift each frame by the sum of the steps before it, along (x, y)."""
    offsets = np.pad(np.cumsum(steps, axis=0), ((1, 0), (0, 0)))
    pairs = zip(frames, offsets, strict=True)
    return np.array([ndimage.shift(frame, offset[::-1], order=5, mode=mode) for frame, offset in pairs])


@pytest.mark.parametrize("step", [(0.5, 0.0), (0.0, -0.25), (2.0, 1.0)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("mode", ["nearest", "grid-wrap"])
def test_drift(step, noise, mode):
    frames = drifting(evolving(), [step] * 3, mode) + RANDOM.normal(0, noise, (4, 64, 64))
    found = measure_shifts(frames)
    assert found.found
    assert np.abs(found.steps - step).max() < (0.15 if noise else 0.08)


def test_jitter():
    steps = np.array([[0.6, -0.3], [-0.9, 0.5], [0.4, 0.7]])
    found = measure_shifts(drifting(evolving(), steps))
    assert np.abs(found.steps - steps).max() < 0.15


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_what_evolves_does_not_drift(noise):
    assert not measure_shifts(evolving() + RANDOM.normal(0, noise, (4, 64, 64))).found


def test_fronts_and_what_grows_do_not_drift():
    y, x = np.mgrid[:64, :64]
    front = np.array([np.tanh((x + 3 * np.sin(y / 6) - 20 - 2 * time) / 3) for time in range(4)])
    nuclei = np.array([np.tanh((10 + 2 * time - np.hypot(x - 25, y - 30)) / 3) for time in range(4)])
    for frames in (front, nuclei):
        assert not measure_shifts(frames + RANDOM.normal(0, 0.01, frames.shape)).found


def test_an_outline_tells_its_shift():
    y, x = np.mgrid[:48, :48]
    steps = np.array([[1.0, 0.0], [1.0, -1.0]])
    offsets = np.pad(np.cumsum(steps, axis=0), ((1, 0), (0, 0)))
    frames = [np.where((x - 22 - a) ** 2 / 200 + (y - 25 - b) ** 2 / 100 < 1, 0.5, np.nan) for a, b in offsets]
    found = measure_shifts(np.array(frames))
    assert np.abs(found.steps - steps).max() < 0.1
    noisy = np.where(RANDOM.random((3, 48, 48)) < 0.01, np.nan, evolving(3, 48))
    assert not measure_shifts(noisy).found


def test_registered():
    frames = evolving()
    series = ImageSeries(drifting(frames, [(0.5, 0.0)] * 3, "nearest"), range(4), (2.0, 1.0), noise=0.1)
    whole = series.with_sigma(np.full((64, 64), 0.1) + 0.01 * np.eye(64)).registered(
        Shifts(np.tile([0.5, 0.0], (3, 1)))
    )
    known = np.isfinite(whole.frames)
    assert np.abs(whole.frames - frames)[:, :, 6:58].max() < 0.02
    assert np.abs(whole.frames - frames)[known].max() < 0.1  # the edge of the picture was repeated beyond it
    assert known[0].all() and known[3, :, :62].all() and not known[3, :, 62:].any()
    assert not whole.weights[~known].any() and whole.weights[known].all()
    assert series.registered().noise == 0.1

    cropped = series.registered(Shifts(np.tile([0.5, 0.0], (3, 1))), crop=True)
    assert cropped.mask.all() and cropped.shape == (64, 62) and cropped.extent == pytest.approx((2 * 62 / 64, 1.0))

    periodic = ImageSeries(drifting(frames, [(0.5, 0.0)] * 3), range(4), (2.0, 1.0)).registered(periodic=True)
    assert periodic.mask.all() and np.abs(periodic.frames - frames).max() < 0.1
    still = ImageSeries(frames, range(4), (2.0, 1.0))
    assert still.registered() is still


def test_moved_keeps_what_it_can():
    x = np.arange(40.0)
    picture = np.cos(x / 5) + np.sin(x[:, None] / 7)
    expected = np.cos((x + 0.3) / 5) + np.sin((x[:, None] - 2) / 7)
    there = moved(picture, (0.3, -2.0))
    assert np.isnan(there[:2]).all() and np.isnan(there[:, -1]).all()
    assert np.abs(there - expected)[2:, :-1].max() < 1e-6
    stack = moved(np.tile(picture, (4, 1, 1)), (0.3, -2.0, 0.0))
    assert np.array_equal(stack[1], there, equal_nan=True)


@pytest.mark.parametrize("shape", [(2, 2), (6, 40), (7, 7, 7)])
def test_little_tells_nothing(shape):
    for frames in (np.full((3, *shape), 0.5), RANDOM.normal(size=(3, *shape))):
        assert not measure_shifts(frames).found
