"""How differences count: the losses and their derivatives, and weights."""

import numpy as np
import pytest

from fe_phaseinv.observation.losses import HUBER, LOSSES, Differences

losses = pytest.mark.parametrize("loss", LOSSES)
RNG = np.random.default_rng(0)
NOISE = 0.02


def compared(predicted, loss):
    """Compare with an image, part of which is far off and part of which is missing."""
    rng = np.random.default_rng(1)
    image = 0.5 + NOISE * rng.standard_normal(200)
    image[:20] += 0.4
    image[20:30] = np.nan
    return Differences.of(predicted, image, rng.uniform(0.2, 3, 200), loss, NOISE)


@losses
def test_derivatives_of_a_loss(loss):
    z, h = np.r_[0.0, 0.3, 1.7, 1.9, 30.0, 4e4], 1e-4
    value, slope, bend = LOSSES[loss](z)
    ahead, behind = LOSSES[loss](z + h), LOSSES[loss](z - h)
    np.testing.assert_allclose(slope, (ahead[0] - behind[0]) / (2 * h), rtol=1e-4)
    np.testing.assert_allclose(bend, (ahead[1] - behind[1]) / (2 * h), rtol=1e-4, atol=1e-9)
    assert value[0] == 0 and np.all(np.diff(value) > 0)


@losses
def test_derivatives_of_what_the_cost_counts(loss):
    """Force and curvature are derivatives of the value; the weights make a quadratic that lies above it."""
    predicted, change = 0.5 + 0.01 * RNG.standard_normal(200), RNG.standard_normal(200)
    base = compared(predicted, loss)
    ahead, behind = (compared(predicted + sign * 1e-5 * change, loss) for sign in (1, -1))
    assert base.force @ change == pytest.approx((ahead.value - behind.value) / 2e-5, rel=1e-6)
    curvature = change @ (base.curvature * change)
    assert curvature == pytest.approx(change @ (ahead.force - behind.force) / 2e-5, rel=1e-2)
    assert not np.any(base.force[20:30]) and not np.any(base.weight[20:30]) and base.used.sum() == 190
    far = compared(predicted + 0.1 * change, loss)
    assert far.value <= base.value + 0.1 * base.force @ change + 0.005 * change @ (base.weight * change) + 1e-15


def test_small_differences_count_as_squares():
    near = 0.5 * HUBER * NOISE * RNG.uniform(-1, 1, 50)
    squares, huber = (Differences.of(near, np.zeros(50), np.ones(50), loss, NOISE) for loss in ("squares", "huber"))
    assert huber.value == pytest.approx(squares.value)
    np.testing.assert_allclose(huber.force, squares.force)


@pytest.mark.parametrize(("loss", "pull"), [("huber", HUBER * NOISE), ("student", 5 * NOISE / 1000)])
def test_a_pixel_far_off_pulls_little(loss, pull):
    far = Differences.of(np.array([1000 * NOISE]), np.zeros(1), np.ones(1), loss, NOISE)
    assert far.force[0] == pytest.approx(pull, rel=1e-3)
