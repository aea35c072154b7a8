"""Noise of a frame or a pixel: one number and weights, kept by whatever is done with the series."""

import numpy as np
import pytest

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries

SHAPE = (3, 4, 6)
RNG = np.random.default_rng(5)
MAP = RNG.uniform(0.01, 0.1, SHAPE[1:])


def series(shape=SHAPE, **changes):
    """Return images in which one pixel has no data."""
    frames = np.full(shape, 0.5)
    frames[0, ..., 1, 2] = np.nan
    return ImageSeries(frames, np.arange(shape[0]), (1.5, 1.0), **changes)


def sigma_of(images):
    """Return the deviation of each pixel that has data, or NaN."""
    weights = np.ones(images.frames.shape) if images.weights is None else images.weights
    return np.where(np.isfinite(images.frames), images.noise / np.sqrt(np.where(weights > 0, weights, np.nan)), np.nan)


@pytest.mark.parametrize(
    "sigma", [[0.01, 0.02, 0.05], MAP, np.array([[MAP]] * 3)[:, 0], np.where(MAP > 0.08, np.inf, MAP)]
)
def test_sigma_becomes_a_number_and_weights(sigma):
    """The number is the root of the harmonic mean of the variances, the weights of what has data are one on average."""
    images = series().with_sigma(sigma)
    given = np.asarray(sigma).reshape(-1, 1, 1) if np.ndim(sigma) == 1 else np.asarray(sigma)
    expected = np.where(np.isnan(series().frames) | np.isinf(given), np.nan, given)
    np.testing.assert_allclose(sigma_of(images), expected)
    seen = np.isfinite(images.frames)
    np.testing.assert_array_equal(seen, np.isfinite(expected))
    assert images.weights[seen].mean() == pytest.approx(1) and not images.weights[~seen].any()
    assert images.noise == pytest.approx(np.nanmean(expected**-2) ** -0.5)


def test_one_number_needs_no_weights():
    assert (series().with_sigma(0.02).noise, series().with_sigma(0.02).weights) == (0.02, None)
    assert series().with_sigma([0.02] * 3).weights is None
    assert series().with_sigma(MAP).with_sigma(0.02).weights is None
    np.testing.assert_array_equal(series().precision(1), np.ones(SHAPE[1:]))


def test_weights_go_with_their_pixels():
    """Whatever a series is cut to, each pixel keeps its deviation; that of an average is that of the mean."""
    sigma = RNG.uniform(0.01, 0.1, SHAPE)
    images = series().with_sigma(sigma)
    np.testing.assert_allclose(sigma_of(images.select([0, 2])), sigma_of(images)[[0, 2]])
    np.testing.assert_allclose(sigma_of(images.crop((0.25, 1.0), (0.5, 1.0))), sigma_of(images)[:, 2:, 1:4])
    pairs = sigma.reshape(3, 2, 2, 3, 2)
    expected = np.sqrt((pairs**2).sum(axis=(2, 4))) / 4
    found = sigma_of(images.downsample(2))
    np.testing.assert_allclose(found, np.where(np.isnan(found), np.nan, expected))
    assert np.isnan(found).sum() == 1


def test_channels_have_noise_of_their_own():
    sigma = RNG.uniform(0.01, 0.1, (3, 2, 4, 6))
    images = series((3, 2, 4, 6)).with_sigma(sigma)
    np.testing.assert_allclose(sigma_of(images.only(1)), sigma_of(images)[:, 1])
    np.testing.assert_array_equal(images.precision(2, 1), images.weights[2, 1])


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (-1.0, "noise: found -1.0; accepted: a finite standard deviation >= 0"),
        ([0.1, 0.0, 0.1], "sigma: found 24 pixels with a deviation of zero or less; accepted: positive standard"),
        (np.zeros((4, 6)), "sigma: found 71 pixels with a deviation of zero or less; accepted: positive standard"),
        ([0.1, np.inf, 0.1], r"sigma\[1\]: found no finite value; accepted: a frame with a pixel that counts"),
        ([0.1, 0.1], r"sigma: found an array of shape \(2,\); accepted: a number, 3 of them by frame, or an array"),
        ("some", "sigma: found <U4 values"),
    ],
)
def test_what_is_no_deviation_is_refused(sigma, message):
    with pytest.raises(InputError, match=message):
        series().with_sigma(sigma)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"weights: found shape \(4, 6\); accepted: \(3, 4, 6\), that of the images"):
        series(weights=np.ones((4, 6)))
