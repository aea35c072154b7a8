"""Backward differentiation formulas: exactness, error estimates and the control of steps."""

import numpy as np
import pytest

from fe_phaseinv.forward.bdf import (
    MAX_GROWTH,
    derivative_weights,
    error_weights,
    interpolation_weights,
    landing_step,
    next_step,
    retry_step,
)

ORDERS = [1, 2, 3, 4, 5]
RANDOM = np.random.default_rng(4)
orders = pytest.mark.parametrize("order", ORDERS)


def random_nodes(count):
    """Give times of irregular steps, newest first."""
    return 1.0 + np.cumsum(RANDOM.uniform(0.1, 0.3, count))[::-1]


@orders
def test_weights_are_exact_on_polynomials(order):
    nodes = random_nodes(order + 1)
    u = np.polynomial.Polynomial(RANDOM.standard_normal(order + 1))
    assert derivative_weights(nodes) @ u(nodes) == pytest.approx(u.deriv()(nodes[0]), rel=1e-10)
    t = nodes[0] + 0.2
    assert interpolation_weights(nodes, t) @ u(nodes) == pytest.approx(u(t), rel=1e-10)


def test_known_formulas():
    np.testing.assert_allclose(derivative_weights(np.array([2.0, 1.0, 0.0])), [1.5, -2, 0.5])
    np.testing.assert_allclose(derivative_weights(np.array([3.0, 2.0, 1.0, 0.0])), [11 / 6, -3, 1.5, -1 / 3])


@orders
def test_error_estimate_is_the_local_error(order):
    """Of one step on u' = f(t) from exact values, u = t^(order+1)."""
    nodes = random_nodes(order + 2)
    past = nodes[1 : order + 1]
    weights = derivative_weights(nodes[: order + 1])
    new = ((order + 1) * nodes[0] ** order - weights[1:] @ past ** (order + 1)) / weights[0]
    error = new - nodes[0] ** (order + 1)
    assert abs(error) > 1e-6
    assert error_weights(nodes, order) @ nodes ** (order + 1) == pytest.approx(error, rel=1e-8)


@orders
def test_no_error_is_estimated_where_there_is_none(order):
    nodes = random_nodes(order + 3)
    u = np.polynomial.Polynomial(RANDOM.standard_normal(order + 1))
    weights = error_weights(nodes, order)
    assert len(weights) == order + 2
    assert abs(weights @ u(nodes[: order + 2])) < 1e-10


def test_next_step_stays_within_bounds():
    for most, run in RANDOM.integers(1, [6, 9], (2000, 2)):
        order = RANDOM.integers(1, most + 1)
        known = range(max(order - 1, 1), order + 2)
        errors = {q: 10.0 ** RANDOM.uniform(-14, 0) for q in known}
        step, chosen = next_step(0.1, order, errors, run, most)
        assert 1 <= chosen <= most and abs(chosen - order) <= 1
        assert 0.05 <= step <= 0.1 * MAX_GROWTH[chosen] * (1 + 1e-12)
        if run < order:
            assert step <= 0.1 and chosen == order


def test_next_step_follows_the_smallest_error():
    assert next_step(1.0, 2, {1: 1e-1, 2: 1e-6, 3: 1.0}, run=2, max_order=3) == (MAX_GROWTH[2], 2)
    assert next_step(1.0, 2, {1: 0.9, 2: 0.9, 3: 1e-9}, run=2, max_order=3) == (MAX_GROWTH[3], 3)
    assert next_step(1.0, 2, {1: 0.9, 2: 0.9, 3: 1e-9}, run=2, max_order=2)[1] == 2
    assert next_step(1.0, 3, {2: 1e-6, 3: 0.9, 4: 1.0}, run=3, max_order=5) == (MAX_GROWTH[2], 2)
    step, order = next_step(1.0, 1, {1: 0.9}, run=1, max_order=3)
    assert order == 1 and 0.8 < step < 0.9


def test_small_changes_are_not_worth_a_new_factor():
    assert next_step(1.0, 2, {2: 0.8**3 / 1.1**3}, run=2, max_order=3) == (1.0, 2)


@orders
@pytest.mark.parametrize("error", [1.0 + 1e-12, 1.5, 10.0, 1e3, 1e12])
def test_retry_step(order, error):
    step = retry_step(0.1, order, error)
    assert 0.0199 < step < 0.0801
    # The local error goes with step^(order+1), so that the step tried again is within the tolerance if it can be.
    assert step < 0.0201 or error * (step / 0.1) ** (order + 1) < 1


def test_landing_step():
    for remaining, wanted in 10.0 ** RANDOM.uniform(-3, 3, (500, 2)):
        step = landing_step(remaining, wanted)
        count = remaining / step
        assert step <= wanted * (1 + 1e-8)
        assert count == pytest.approx(round(count), rel=1e-12)
        assert step > wanted / 2 or step == remaining
    assert landing_step(1.0, 0.1) == pytest.approx(0.1)
    assert landing_step(0.3, 0.1) == pytest.approx(0.1)
    assert landing_step(1.0, 1e9) == 1.0
