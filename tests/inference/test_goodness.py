"""The verdict on a fit: noise is taken for noise, and what is none is told apart."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.residuals import Residuals

COUNT, SIDE, NOISE = 4, 48, 0.02


def pattern():
    """Predictions of four frames whose pattern grows, and one from which they start."""
    field = gaussian_filter(np.random.default_rng(3).standard_normal((SIDE, SIDE)), 4, mode="wrap")
    return np.array([0.5 + 0.35 * np.tanh(growth * field / field.std()) for growth in (0.2, 0.6, 1.0, 1.4, 1.6)])


def noise(sigma=NOISE, seed=0):
    return sigma * np.random.default_rng(seed).standard_normal((COUNT + 1, SIDE, SIDE))


def judged(frames, predicted, given=NOISE, **options):
    """Return the verdict on predictions of all frames but the first."""
    images = ImageSeries(frames, np.arange(COUNT + 1.0), (1.0, 1.0)).with_sigma(given)
    return Goodness.of(images, 0, (1, 2, 3, 4), predicted[1:], **options)


def test_noise_is_noise():
    found = judged(pattern() + noise(), pattern(), parameters=10)
    assert found.cause == "" and found.sentence().startswith("The misfit is ")
    assert found.reduced == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(found.chi_square, 1, atol=0.15)
    np.testing.assert_allclose(found.correlation, 0, atol=0.1)
    assert 1 <= found.inflation < 1.06 and not found.hopeless


def test_noise_of_each_pixel():
    """Where one half is noisier than the other, chi-square is one if this is known."""
    sigma = np.where(np.arange(SIDE) < SIDE // 2, 0.5, 2.0) * NOISE * np.ones((SIDE, 1))
    found = judged(pattern() + noise() * sigma / NOISE, pattern(), sigma)
    np.testing.assert_allclose(found.chi_square, 1, atol=0.15)
    assert found.cause == ""


def test_a_good_fit_of_clean_images():
    """What elements leave is no noise, correlated, and small: it widens the bands, and is no cause for alarm."""
    left = 1e-3 * gaussian_filter(np.random.default_rng(5).standard_normal((COUNT + 1, SIDE, SIDE)), (0, 2, 2)) / 0.14
    found = judged(pattern() + left, pattern(), 0.0)
    assert found.estimated and found.cause == ""
    assert 15 < found.inflation < 100


def moved(frames, pixels):
    return np.array([shift(frame, (0, pixels * number), mode="wrap") for number, frame in enumerate(frames)])


def hot(frames):
    frames = frames.copy()
    frames[:, np.random.default_rng(2).random((SIDE, SIDE)) < 0.005] = 0.999
    return frames


def fading(frames):
    return frames * (1 - 0.04 * np.arange(COUNT + 1))[:, None, None]


def one_off(frames):
    frames = frames.copy()
    frames[2] = np.roll(pattern()[2], 17, axis=(0, 1))
    return frames


def passing(frames):
    """What comes in from the left, here and there, and decays over two pixels."""
    along = np.sin(6 * np.arange(SIDE)[:, None] / SIDE) * np.exp(-np.arange(SIDE) / 2)
    return frames - 0.1 * along * np.arange(COUNT + 1)[:, None, None]


def wrong(frames):
    return frames - 0.4 * (frames - 0.5) * (frames - 0.15) * (frames - 0.85) * np.arange(COUNT + 1)[:, None, None]


@pytest.mark.parametrize("level", [NOISE, 0.0])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frames: moved(frames, 0.5), "a drift, for the images shift against the predictions by "),
        (hot, "outliers, for 0.5"),
        (fading, "grey values, or a mean, that change in time"),
        (one_off, "its time, or what it shows, for frame 2 alone holds "),
        (passing, "what passes the boundary, or where that lies, for within 3 pixels of it"),
        (wrong, "an equation, or laws of a form, that do not hold"),
    ],
)
def test_what_is_no_noise_is_named(spoil, words, level):
    found = judged(spoil(pattern()) + noise(level), pattern(), level)
    assert words in found.cause
    assert found.sentence().startswith("the misfit is no noise, but ") and found.inflation > 3.6


def test_a_drift_is_measured():
    found = judged(moved(pattern(), 0.5) + noise(), pattern())
    assert "by 0.55 to 1.84 pixels along x" in found.cause


def test_noise_that_is_larger_than_given():
    found = judged(pattern() + noise(0.06), pattern())
    assert found.cause == "a noise of 0.0599 rather than 0.02, for neighbours differ independently"
    assert found.inflation == pytest.approx(9, rel=0.1)


def test_outliers_do_not_count_where_they_do_not_in_the_fit():
    found = judged(hot(pattern()) + noise(), pattern(), robust=True)
    assert found.cause == ""
    np.testing.assert_allclose(found.outliers, 0.005, atol=0.003)
    assert found.reduced == pytest.approx(1, abs=0.05)


def test_inflation_is_the_variance_of_what_residuals_tell():
    """Of correlated residuals that hardly change from frame to frame, over many draws."""
    rng, changes = np.random.default_rng(4), np.diff(pattern(), axis=0)[:, None]

    def draw():
        lasting, new = rng.standard_normal((1, SIDE, SIDE)), rng.standard_normal((COUNT, SIDE, SIDE))
        return Residuals(6 * gaussian_filter(lasting + 0.3 * new, (0, 2, 2), mode="wrap")[:, None], 2)

    draws = [draw() for _ in range(400)]
    told = np.var([np.sum(one.values * changes) for one in draws]) / np.sum(changes**2)
    assert np.mean([one.inflation(changes) for one in draws]) == pytest.approx(told, rel=0.15)
    assert told > 20 and not any(one.white for one in draws[:20])


def test_what_explains_nothing_is_hopeless():
    found = judged(pattern() + noise(), np.array([pattern()[0]] * (COUNT + 1)))
    assert found.hopeless and "the bands are withheld" in found.sentence()


def test_what_is_finer_than_the_elements():
    stripes = 0.1 * np.cos(0.5 * np.pi * np.arange(SIDE)) * np.ones((COUNT + 1, SIDE, 1))
    assert judged(pattern() + stripes + noise(), pattern(), spacing=3.0).cause.startswith(
        "elements, which are too large"
    )


def test_missing_pixels_channels_and_stacks():
    """Pixels outside of the mesh do not count, channels count together, and stacks as images do."""
    frames = pattern() + noise()
    predicted = np.where(np.hypot(*np.mgrid[-1:1:48j, -1:1:48j]) < 0.9, pattern(), np.nan)
    assert judged(frames, predicted).reduced == pytest.approx(1, abs=0.07)
    images = ImageSeries(np.stack([frames, frames], 1), np.arange(5.0), (1.0, 1.0), noise=NOISE)
    found = Goodness.of(images, 0, (0, 1, 2, 3, 4), np.stack([pattern()] * 2, 1))
    assert found.chi_square.shape == (5,) and found.cause == ""
    stack = np.tile(pattern()[:, None, :12, :12], (1, 12, 1, 1))
    draw = NOISE * np.random.default_rng(8).standard_normal(stack.shape)
    images = ImageSeries(stack + draw, np.arange(5.0), (1.0, 1.0, 1.0), noise=NOISE)
    found = Goodness.of(images, 0, (1, 2, 3, 4), stack[1:])
    assert found.cause == "" and found.reduced == pytest.approx(1, abs=0.07)
