"""The length of patterns, told by their images."""

import numpy as np
import pytest

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.statistics import wavelength

RANDOM = np.random.default_rng(1)


def waves(length: float, unit: float = 1.0) -> ImageSeries:
    """Waves of all directions, on 96 x 64 pixels of a rectangle of 3 x 2 units."""
    x, y = np.meshgrid((np.arange(96) + 0.5) / 32, (np.arange(64) + 0.5) / 32)
    angles, phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 40))
    each = [
        np.cos(2 * np.pi / length * (x * np.cos(a) + y * np.sin(a)) + p) for a, p in zip(angles, phases, strict=True)
    ]
    frame = np.sum(each, axis=0)
    return ImageSeries(0.5 + 0.2 * frame[None] / frame.std(), [0.0], (3.0 * unit, 2.0 * unit))


def wavelength_of(images: ImageSeries) -> float:
    return wavelength(images.picture(0), images.pixel)


def noisy(images: ImageSeries, deviation: float) -> ImageSeries:
    """Return images with noise that they do not tell."""
    noise = RANDOM.normal(0, deviation, images.frames.shape)
    return ImageSeries(images.frames + noise, images.times, images.extent)


@pytest.mark.parametrize("length", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("deviation", [0.0, 0.2, 0.4])
def test_wavelength_in_any_unit_and_noise(length, deviation):
    assert wavelength_of(noisy(waves(length, unit=1e-5), deviation)) == pytest.approx(length * 1e-5, rel=0.1)


def test_wavelength_of_a_part():
    whole = waves(0.25)
    x, y = np.meshgrid(np.arange(96) - 50, np.arange(64) - 30)
    frames = np.where(x**2 + y**2 < 25**2, whole.frames, np.nan)
    assert wavelength_of(ImageSeries(frames, whole.times, whole.extent)) == pytest.approx(0.25, rel=0.1)


def test_no_pattern():
    assert np.isnan(wavelength_of(noisy(ImageSeries(np.zeros((1, 32, 32)), [0.0], (1, 1)), 1.0)))
