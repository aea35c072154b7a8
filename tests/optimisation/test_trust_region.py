"""Trust region: the exact subproblem, and every way in which a minimisation goes."""

from dataclasses import dataclass

import numpy as np
import pytest

from fe_phaseinv.optimisation.exact import promise, solve_subproblem
from fe_phaseinv.optimisation.points import Outcome, State
from fe_phaseinv.optimisation.trust_region import iterate, start


@dataclass(eq=False)
class Point:
    x: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    sensitivity: float = np.inf
    fresh: bool = True
    misfit: float = 0.0

    @property
    def scale(self):
        return max(abs(self.value), self.misfit)


class LeastSquares:
    """Half the sum of the squared residuals, by the Gauss-Newton method, and inf where x[0] is above a limit."""

    def __init__(self, residuals, jacobian, limit=np.inf):
        self.residuals, self.jacobian, self.limit = residuals, jacobian, limit
        self.refused = 0

    def share(self, x, step):
        return 1.0

    def at(self, x, like=None, near=None):
        if x[0] > self.limit:
            self.refused += 1
            return Point(x, np.inf, np.nan * x, np.nan * np.outer(x, x))
        r, jacobian = self.residuals(x), self.jacobian(x)
        return Point(x, 0.5 * r @ r, jacobian.T @ r, jacobian.T @ jacobian)


def rosenbrock(offset=0.1, limit=np.inf):
    """The offset is what no x can fit."""
    return LeastSquares(
        lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0], offset]),
        lambda x: np.array([[-20 * x[0], 10.0], [-1.0, 0.0], [0.0, 0.0]]),
        limit,
    )


def run(objective, x, radius=1.0, tolerance=1e-10, most=200):
    return list(iterate(objective, start(objective, np.array(x, float), radius), tolerance, most))


def problem(seed, kind):
    random = np.random.default_rng(seed)
    n = random.integers(2, 8)
    vectors = np.linalg.qr(random.standard_normal((n, n)))[0]
    values = np.sort(random.uniform(-2, 3, n)) * 10.0 ** random.integers(-6, 7)
    if kind == "definite":
        values = np.abs(values)
    if kind in ("hard", "singular"):
        values -= values[0] + (abs(values[0]) if kind == "hard" else 0)
    gradient = random.standard_normal(n)
    if kind in ("hard", "singular"):
        gradient -= vectors[:, 0] * (vectors[:, 0] @ gradient)
    if kind == "no gradient":
        gradient[:] = 0
    return gradient, vectors @ np.diag(values) @ vectors.T, 10.0 ** random.integers(-3, 4)


@pytest.mark.parametrize("kind", ["definite", "indefinite", "hard", "singular", "no gradient"])
@pytest.mark.parametrize("seed", range(20))
def test_subproblem_is_optimal(seed, kind):
    """The conditions hold of a global minimiser and of nothing else."""
    gradient, hessian, radius = problem(seed, kind)
    step = solve_subproblem(gradient, hessian, radius)
    length, scale = np.linalg.norm(step), np.linalg.norm(hessian, 2)
    lowest = np.linalg.eigvalsh(hessian)[0]
    shift = max(0.0, -step @ (hessian @ step + gradient) / max(step @ step, 1e-300))
    allowed = 1e-7 * (scale * length + np.linalg.norm(gradient))
    precision = 1e-9
    np.testing.assert_allclose(hessian @ step + shift * step, -gradient, atol=allowed)
    assert lowest + shift >= -1e-7 * scale
    assert length <= radius * (1 + precision)
    assert shift <= 1e-7 * scale or length == pytest.approx(radius, rel=precision)


def test_along_what_costs_nothing_no_step_is_made():
    """Where rounding has made a small negative eigenvalue of zero, too."""
    for nothing in (0.0, -1e-14):
        hessian, gradient = np.diag([nothing, 1.0, 2.0]), np.array([0.0, 1.0, -1.0])
        np.testing.assert_allclose(solve_subproblem(gradient, hessian, 10.0), [0, -1, 0.5], atol=1e-12)
        assert promise(gradient, hessian) == pytest.approx(0.75)
    assert promise(gradient, np.diag([-1e-3, 1.0, 2.0])) == np.inf


def test_subproblem_inside_is_newton():
    gradient, hessian = np.array([1.0, -2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(solve_subproblem(gradient, hessian, 100.0), -np.linalg.solve(hessian, gradient))


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize("x", [[-1.2, 1.0], [3.0, -5.0]])
def test_rosenbrock(x, offset):
    states = run(rosenbrock(offset), x)
    assert states[-1].outcome is Outcome.CONVERGED
    assert all(state.outcome is None for state in states[:-1])
    np.testing.assert_allclose(states[-1].point.x, [1, 1], atol=1e-4)
    values = [state.point.value for state in states]
    assert values == sorted(values, reverse=True)
    assert [state.iteration for state in states[:-1]] == list(range(1, len(states)))


def test_steps_into_the_infinite_are_shortened():
    """From x = -3 the first Newton step to exp(x) = 2 ends near x = 36."""
    residuals, jacobian = lambda x: np.array([np.exp(x[0]) - 2, 0.1]), lambda x: np.array([[np.exp(x[0])], [0.0]])
    objective = LeastSquares(residuals, jacobian, limit=5.0)
    states = run(objective, [-3.0], radius=100.0)
    assert objective.refused > 1
    assert not states[0].accepted and states[0].radius < 10 and not states[0].settled
    assert states[-1].outcome is Outcome.CONVERGED
    assert states[-1].point.x[0] == pytest.approx(np.log(2), rel=1e-5)


def test_a_minimum_at_the_edge_of_the_infinite_is_approached():
    states = run(rosenbrock(limit=0.5), [-1.2, 1.0])
    assert all(np.isfinite(state.point.value) for state in states)
    assert states[-1].outcome is Outcome.COLLAPSED
    np.testing.assert_allclose(states[-1].point.x, [0.5, 0.25], atol=1e-2)


def test_infinite_at_the_start():
    objective = rosenbrock(limit=0.0)
    state = start(objective, np.array([1.0, 1.0]), 1.0)
    assert state.outcome is Outcome.NO_START
    assert list(iterate(objective, state, 1e-6, 10)) == []


def test_iterations_are_counted_in_all():
    objective = rosenbrock()
    states = run(objective, [-1.2, 1.0], most=3)
    assert [state.outcome for state in states] == [None, None, None, Outcome.MAX_ITERATIONS]
    assert states[-1].iteration == 3
    again = list(iterate(objective, State(states[-1].point, states[-1].radius, 3), 1e-6, 4))
    assert [state.iteration for state in again] == [4, 4]


def test_interrupted_and_whole_run_agree():
    objective = rosenbrock()
    whole = run(objective, [-1.2, 1.0])
    *_, rest = iterate(objective, whole[4], 1e-10, 200)
    np.testing.assert_array_equal(rest.point.x, whole[-1].point.x)
    assert rest.iteration == whole[-1].iteration


def test_wrong_derivatives_collapse():
    uphill = LeastSquares(lambda x: 1 + x, lambda x: -np.eye(1))
    assert run(uphill, [0.0])[-1].outcome is Outcome.COLLAPSED


class Noisy:
    """A parabola whose value jumps by noise wherever the discretisation is chosen anew."""

    def __init__(self, noise):
        self.noise, self.frozen = noise, []

    def share(self, x, step):
        return 1.0

    def at(self, x, like=None, near=None):
        self.frozen.append(like)
        jump = self.noise if like is None and len(self.frozen) > 1 else 0.0
        return Point(x, 1 + 0.5 * float(x @ x) + jump, x.copy(), np.eye(len(x)))


def test_a_doubtful_rejection_freezes_before_it_shrinks():
    objective = Noisy(0.5)
    first = start(objective, np.array([0.9]), 0.8)
    states = list(iterate(objective, first, 1e-6, 10))
    doubtful, confirmed = states[:2]
    assert (doubtful.accepted, doubtful.settled, doubtful.radius) == (False, True, 0.8)
    assert doubtful.point is first.point
    assert objective.frozen[:3] == [None, None, first.point]
    assert confirmed.accepted and confirmed.point.value < first.point.value
    assert states[-1].outcome is Outcome.CONVERGED


@pytest.mark.parametrize("noise", [0.9, 5.0])
def test_a_clear_rejection_shrinks_at_once(noise):
    """By much, or of a step that promised much."""
    objective = Noisy(noise)
    first = start(objective, np.array([1.3]), 1.0)
    refused = next(iterate(objective, first, 1e-6, 10))
    assert (refused.accepted, refused.settled, refused.radius) == (False, False, pytest.approx(0.25))


def test_small_promises_freeze():
    """A step that promises little of the cost is taken on the discretisation of the point."""
    objective = Noisy(0.9)
    first = start(objective, np.array([0.3]), 1.0)
    state = next(iterate(objective, first, 1e-6, 10))
    assert objective.frozen == [None, first.point]
    assert state.accepted and state.settled


class Lazy(LeastSquares):
    """Takes the derivatives of a point nearby where it may; counts its own."""

    own = 0

    def at(self, x, like=None, near=None):
        point = super().at(x, like)
        self.own += near is None
        if near:
            jacobian = near.jacobian
            point = Point(x, point.value, jacobian.T @ self.residuals(x), jacobian.T @ jacobian, fresh=False)
        point.jacobian = near.jacobian if near else self.jacobian(x)
        return point


def test_derivatives_serve_as_long_as_promises_are_kept():
    mild = Lazy(lambda x: x + 0.05 * x**2, lambda x: np.diag(1 + 0.1 * x))
    states = run(mild, [0.5, -0.3], radius=10.0)
    assert states[-1].outcome is Outcome.CONVERGED and mild.own == 1 < len(states) - 1
    assert states[-1].point.x == pytest.approx([0, 0], abs=1e-5) and not states[-1].point.fresh
    curved, plain = (kind(rosenbrock().residuals, rosenbrock().jacobian) for kind in (Lazy, LeastSquares))
    ends = [run(objective, [-1.2, 1.0])[-1] for objective in (curved, plain)]
    assert all(end.point.x == pytest.approx([1, 1], abs=1e-4) for end in ends)
    assert curved.own > 2 and curved.own <= ends[1].iteration + 1


class Rough(LeastSquares):
    """A cost whose value, but not its derivatives, carries noise, as from iterative solves."""

    def at(self, x, like=None, near=None):
        point = super().at(x, like)
        point.value *= 1 + 1e-7 * np.sin(1e9 * x[0])
        return point


def test_noise_of_the_cost_is_taken_for_convergence():
    clean = rosenbrock()
    states = run(Rough(clean.residuals, clean.jacobian), [-1.0, 1.0], tolerance=1e-12)
    assert states[-1].outcome is Outcome.CONVERGED
    assert states[-1].point.x == pytest.approx([1, 1], abs=1e-3)


class Cut(LeastSquares):
    """Unknowns of which a step may do no more than halve the first one."""

    def share(self, x, step):
        return 1.0 if x[0] + step[0] >= 0.5 * x[0] else -0.5 * x[0] / step[0]


def test_a_step_that_was_cut_is_no_convergence():
    objective = Cut(lambda x: np.array([1e-3 * (x[0] - 1e-3), 1.0]), lambda x: np.array([[1e-3], [0.0]]))
    first, *_, last = run(objective, [1.0], radius=10.0, tolerance=5e-7, most=3)
    assert first.accepted and first.outcome is None
    assert first.point.x == pytest.approx([0.5])
    assert last.point.x[0] < 0.3


class Promising:
    """A cost that falls by a share of what its derivatives promise."""

    def __init__(self, kept, hessian):
        self.kept, self.hessian = kept, hessian

    def share(self, x, step):
        return 1.0

    def at(self, x, like=None, near=None):
        return Point(x, 1 - self.kept * 0.02 * x[0], np.array([-0.02]), np.array([[self.hessian]]))


def test_promises_that_are_not_kept_three_times_are_convergence():
    states = list(iterate(Promising(0.01, 0.04), start(Promising(0.01, 0.04), np.zeros(1), 1.0), 1e-6, 10))
    assert [state.stalls for state in states] == [1, 2, 3]
    assert [state.outcome for state in states] == [None, None, Outcome.CONVERGED]


def test_short_steps_that_keep_their_promise_are_no_convergence():
    objective = Promising(1.0, 1e-2)
    first = State(objective.at(np.zeros(1)), 1e-3, settled=True)
    states = list(iterate(objective, first, 1e-6, 6))
    assert [state.radius for state in states[:6]] == pytest.approx([1e-3 * 2**n for n in range(1, 7)])
    assert all(state.stalls == 0 for state in states)


class Negative(LeastSquares):
    """A cost that a logarithm brings below zero, next to squares that matter."""

    def at(self, x, like=None, near=None):
        point = super().at(x, like)
        return Point(x, point.value - 0.5 * self.below, point.gradient, point.hessian, misfit=point.value)


@pytest.mark.parametrize("below", [0.01, 0.015, 3.0])
def test_costs_of_any_sign_converge(below):
    """The minimum of the squares is 0.005, so that the cost there is zero, or negative."""
    clean = rosenbrock()
    objective = Negative(clean.residuals, clean.jacobian)
    objective.below = below
    states = run(objective, [-1.2, 1.0], tolerance=1e-8)
    assert states[-1].outcome is Outcome.CONVERGED and len(states) < 40
    assert states[-1].point.x == pytest.approx([1, 1], abs=1e-3)


class Blind(LeastSquares):
    """Residuals with sensitivities that are known, and smaller by some factor, plus a weak prior."""

    def at(self, x, like=None, near=None):
        r, jacobian = self.residuals(x), self.jacobian(x)
        gradient, hessian = jacobian.T @ r + 1e-6 * x, jacobian.T @ jacobian + 1e-6 * np.eye(len(x))
        return Point(x, 0.5 * r @ r + 0.5e-6 * x @ x, gradient, hessian, np.sum(jacobian**2))


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "CONVERGED"), (1e-12, "INSENSITIVE"), (0.0, "INSENSITIVE")])
def test_a_cost_that_depends_on_nothing_has_no_minimum(factor, outcome):
    objective = Blind(lambda x: np.append(1.0, factor * (x - 1)), lambda x: np.vstack([0 * x, factor * np.eye(len(x))]))
    assert run(objective, [0.0, 0.0], tolerance=1e-8)[-1].outcome is Outcome[outcome]


def test_a_minimum_to_begin_with_is_convergence():
    """As where laws are learnt already."""
    objective = Blind(lambda x: np.append(1.0, x), lambda x: np.vstack([0 * x, np.eye(len(x))]))
    (only,) = run(objective, [0.0, 0.0], tolerance=1e-8)
    assert only.outcome is Outcome.CONVERGED and only.iteration == 0
