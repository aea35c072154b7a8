"""The length and the rate of patterns, told by their images."""

import numpy as np
import pytest

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.pattern import pattern_rate, pattern_wavelength

RANDOM = np.random.default_rng(1)


def waves(length: float, rate: float = 0.0, unit: float = 1.0) -> ImageSeries:
    """Four frames of waves of all directions, whose phases turn, on 96 x 64 pixels of a rectangle of 3 x 2 units."""
    x, y = np.meshgrid((np.arange(96) + 0.5) / 32, (np.arange(64) + 0.5) / 32)
    times = 2.0 * np.arange(4)
    angles, phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 40))
    each = [
        np.cos(2 * np.pi / length * (x * np.cos(a) + y * np.sin(a)) + p + rate * times[:, None, None])
        for a, p in zip(angles, phases, strict=True)
    ]
    frames = np.sum(each, axis=0)
    return ImageSeries(0.5 + 0.2 * frames / frames.std(), times, (3.0 * unit, 2.0 * unit))


def noisy(images: ImageSeries, deviation: float) -> ImageSeries:
    """Return images with noise that they do not tell."""
    noise = RANDOM.normal(0, deviation, images.frames.shape)
    return ImageSeries(images.frames + noise, images.times, images.extent)


@pytest.mark.parametrize("length", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("deviation", [0.0, 0.2, 0.4])
def test_wavelength_in_any_unit_and_noise(length, deviation):
    assert pattern_wavelength(noisy(waves(length, unit=1e-5), deviation)) == pytest.approx(length * 1e-5, rel=0.1)


def test_wavelength_of_a_part():
    whole = waves(0.25)
    x, y = np.meshgrid(np.arange(96) - 50, np.arange(64) - 30)
    frames = np.where(x**2 + y**2 < 25**2, whole.frames, np.nan)
    assert pattern_wavelength(ImageSeries(frames, whole.times, whole.extent)) == pytest.approx(0.25, rel=0.1)


def test_no_pattern():
    assert np.isnan(pattern_wavelength(noisy(ImageSeries(np.zeros((3, 32, 32)), range(3), (1, 1)), 1.0)))


@pytest.mark.parametrize("deviation", [0.0, 0.05])
def test_rate(deviation):
    rate = 0.1  # phases turn by 0.2 from frame to frame
    assert pattern_rate(noisy(waves(0.25, rate), deviation)) == pytest.approx(rate, rel=0.1)
    assert np.isnan(pattern_rate(waves(0.25).select([0])))
