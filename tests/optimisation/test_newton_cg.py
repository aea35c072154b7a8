"""Conjugate gradients in a trust region: against the exact subproblem, SciPy, and textbook behaviour."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess

from fe_phaseinv.optimisation.exact import solve_subproblem
from fe_phaseinv.optimisation.newton_cg import Ending, NewtonCG, forcing, steihaug
from fe_phaseinv.optimisation.points import Outcome
from fe_phaseinv.optimisation.trust_region import iterate, start


def quadratic(seed, n=12, lowest=0.1):
    random = np.random.default_rng(seed)
    vectors = np.linalg.qr(random.standard_normal((n, n)))[0]
    hessian = vectors @ np.diag(np.linspace(lowest, 5, n)) @ vectors.T
    root = random.standard_normal((n, n)) + 3 * np.eye(n)
    return random.standard_normal(n), hessian, root @ root.T


def solve(gradient, hessian, metric, radius, share=1e-12, most=200):
    inverse = np.linalg.inv(metric)
    allowed = share * np.sqrt(gradient @ inverse @ gradient)
    return steihaug(
        gradient,
        action=hessian.dot,
        precondition=inverse.dot,
        dot=np.dot,
        radius=radius,
        allowed=allowed,
        most=most,
    )


@pytest.mark.parametrize("seed", range(5))
def test_inside_it_is_newtons_step(seed):
    gradient, hessian, metric = quadratic(seed)
    found = solve(gradient, hessian, metric, 1e3)
    trial = found.trial
    expected = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(trial.step, expected, atol=1e-7)
    assert found.ending is Ending.CONVERGED and found.iterations <= 2 * len(gradient)
    assert trial.length == pytest.approx(np.sqrt(expected @ metric @ expected))
    assert trial.decrease == pytest.approx(trial.promise) == pytest.approx(-0.5 * gradient @ expected)
    assert trial.gradient_norm == pytest.approx(np.sqrt(gradient @ np.linalg.solve(metric, gradient)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lowest", [0.1, -1.0])
def test_at_the_boundary_it_is_half_as_good_as_the_exact_step(seed, lowest):
    """Steihaug's step has at least half the decrease where the model is convex, and is on the boundary where not."""
    gradient, hessian, metric = quadratic(seed, lowest=lowest)
    root = np.linalg.inv(np.linalg.cholesky(metric))
    for radius in (0.1, 1.0):
        found = solve(gradient, hessian, metric, radius)
        trial = found.trial
        whole = solve_subproblem(root @ gradient, root @ hessian @ root.T, radius)
        best = -((root @ gradient) @ whole + 0.5 * whole @ root @ hessian @ root.T @ whole)
        assert np.sqrt(trial.step @ metric @ trial.step) == pytest.approx(trial.length) == pytest.approx(radius)
        assert best >= trial.decrease >= (0.5 if lowest > 0 else 0.1) * best
        assert trial.slope == pytest.approx(gradient @ trial.step)
        assert trial.curvature == pytest.approx(trial.step @ hessian @ trial.step)
        assert trial.promise == np.inf and found.ending in (Ending.BOUNDED, Ending.CURVED_DOWN)


def test_downward_curvature_without_a_bound():
    """The first direction already curves down, so that it is followed to the boundary."""
    found = solve(np.array([1.0, 0.0]), -np.eye(2), np.eye(2), 7.0)
    np.testing.assert_allclose(found.trial.step, [-7.0, 0.0])
    assert found.iterations == 1 and found.ending is Ending.CURVED_DOWN
    endless = solve(np.array([1.0, 1.0]), np.diag([2.0, -1.0]), np.eye(2), np.inf)
    assert np.isfinite(endless.trial.step).all() and endless.ending is Ending.CURVED_DOWN


def test_a_vanishing_gradient():
    found = solve(np.zeros(3), np.eye(3), np.eye(3), 1.0)
    assert found.iterations == 0 and not found.trial.step.any() and found.trial.decrease == 0
    assert found.ending is Ending.CONVERGED


def test_iterations_that_do_not_suffice_are_told():
    found = solve(*quadratic(0), 1e3, most=3)
    assert found.ending is Ending.EXHAUSTED and found.iterations == 3 and found.trial.promise == np.inf


def test_hessians_of_other_names_are_refused():
    with pytest.raises(ValueError, match="^hessian: found 'Newton'; accepted: 'gauss-newton' or 'newton' or 'both'$"):
        NewtonCG("Newton")


def test_forcing_terms():
    assert forcing(1.0, np.inf) == 0.01
    assert forcing(0.1, 1.0) == pytest.approx(0.009)
    assert forcing(1.0, 1.1) == 0.01
    assert forcing(1e-9, 1.0) == 1e-4


@dataclass(eq=False)
class Point:
    x: np.ndarray
    metric: float = 1.0
    sensitivity: float = np.inf

    @property
    def value(self):
        return rosen(self.x) + 1e-3

    @property
    def scale(self):
        return self.value

    @property
    def gradient(self):
        return rosen_der(self.x)

    def action(self, v, full):
        return rosen_hess(self.x) @ v

    def precondition(self, g):
        return g / self.metric

    def dot(self, a, b):
        return float(a @ b)


class Rosenbrock:
    def __init__(self):
        self.evaluations = 0

    def share(self, x, step):
        return 1.0

    def at(self, x, like=None):
        self.evaluations += 1
        return Point(x)


@pytest.mark.parametrize("hessian", ["newton", "both"])
def test_against_scipy(hessian):
    """The same minimum as SciPy's trust-krylov, in no more than one and a half times the evaluations."""
    first = np.linspace(0.2, 1.6, 8)
    objective, subproblem = Rosenbrock(), NewtonCG(hessian)
    *_, last = iterate(objective, start(objective, first, 1.0), 1e-12, 300, subproblem)
    theirs = minimize(rosen, first, jac=rosen_der, hess=rosen_hess, method="trust-krylov", options={"gtol": 1e-8})
    assert last.outcome is Outcome.CONVERGED
    np.testing.assert_allclose(last.point.x, theirs.x, atol=1e-4)
    assert objective.evaluations <= 1.5 * theirs.nfev
    assert len(subproblem.iterations) >= last.iteration
