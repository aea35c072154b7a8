"""Bordered models: against the dense problem, SciPy, and what happens where the model curves down."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess

from fe_phaseinv.optimisation.bordered import Border, Elimination, QuadraticModel, norm
from fe_phaseinv.optimisation.exact import solve_subproblem
from fe_phaseinv.optimisation.points import Outcome
from fe_phaseinv.optimisation.trust_region import iterate, start


def bordered(seed, lowest=0.1, sizes=(4, 0, 3), n=3):
    """Return a model with borders, and its dense Hessian, whose lowest eigenvalue is given."""
    random = np.random.default_rng(seed)
    mixed = [random.standard_normal((n, size)) for size in sizes]
    curvatures = [random.uniform(1, 5, size) for size in sizes]
    root = random.standard_normal((n, n))
    dense = block_diag(root @ root.T, *map(np.diag, curvatures))
    dense[:n, n:] = np.hstack(mixed)
    dense[n:, :n] = dense[:n, n:].T
    shift = lowest - np.linalg.eigvalsh(dense)[0]
    dense += shift * np.eye(len(dense))
    borders = [Border(c + shift, m, random.standard_normal(len(c))) for c, m in zip(curvatures, mixed, strict=True)]
    return QuadraticModel(random.standard_normal(n), dense[:n, :n], borders), dense


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lowest", [0.1, -1.0])
@pytest.mark.parametrize("radius", [0.1, 1.0, 1e3])
def test_steps_are_those_of_the_dense_problem(seed, lowest, radius):
    model, dense = bordered(seed, lowest)
    gradient = np.concatenate([model.gradient, *(border.gradient for border in model.borders)])
    step = model.minimise(radius)
    expected = solve_subproblem(gradient, dense, radius)
    np.testing.assert_allclose(np.concatenate(step), expected, atol=1e-6 * np.linalg.norm(expected))
    assert norm(step) == pytest.approx(np.linalg.norm(expected)) and norm(step) <= radius * (1 + 1e-9)
    assert model.slope(step) == pytest.approx(gradient @ expected)
    assert model.curvature(step) == pytest.approx(expected @ dense @ expected)
    assert model.gradient_norm == pytest.approx(np.linalg.norm(gradient))


def test_the_schur_complement_is_that_of_the_dense_matrix():
    model, dense = bordered(1)
    np.testing.assert_allclose(model.schur(), np.linalg.inv(np.linalg.inv(dense)[:3, :3]), rtol=1e-9)


def test_a_gradient_across_the_direction_that_curves_down_leaves_a_step_inside():
    """The hard case: a step that lowers the model, and no longer than the region."""
    model = QuadraticModel(np.array([1.0, 0.0]), np.diag([2.0, -1.0]))
    step = model.minimise(5.0)
    assert norm(step) <= 5.0 and model.slope(step) + 0.5 * model.curvature(step) < 0


def test_nothing_in_common_or_nothing_else():
    alone = QuadraticModel(np.zeros(0), np.zeros((0, 0)), [Border(np.array([2.0, 4.0]), np.zeros((0, 2)), np.ones(2))])
    np.testing.assert_allclose(np.concatenate(alone.minimise(9.0)), [-0.5, -0.25])
    np.testing.assert_allclose(QuadraticModel(np.ones(2), np.diag([2.0, 4.0])).minimise(9.0)[0], [-0.5, -0.25])
    assert not np.any(QuadraticModel(np.zeros(2), np.eye(2)).minimise(1.0)[0])


def test_hessians_of_other_names_are_refused():
    with pytest.raises(ValueError, match="^hessian: found 'Newton'; accepted: 'gauss-newton' or 'newton' or 'both'$"):
        Elimination("Newton")


@dataclass(eq=False)
class Point:
    x: np.ndarray
    sensitivity: float = np.inf
    fresh: bool = True

    @property
    def value(self):
        return rosen(self.x) + 1e-3

    scale = value

    def model(self, full):
        """Return the first two unknowns with the others as one border."""
        hessian, gradient = rosen_hess(self.x), rosen_der(self.x)
        curvatures, turn = np.linalg.eigh(hessian[2:, 2:])
        return QuadraticModel(
            gradient[:2], hessian[:2, :2], [Border(curvatures, hessian[:2, 2:] @ turn, gradient[2:] @ turn)]
        )

    def lifted(self, step, full):
        return np.concatenate([step[0], np.linalg.eigh(rosen_hess(self.x)[2:, 2:])[1] @ step[1]])


class Rosenbrock:
    evaluations = 0

    def share(self, x, step):
        return 1.0

    def at(self, x, like=None, near=None):
        self.evaluations += 1
        return Point(x)


@pytest.mark.parametrize("hessian", ["newton", "both"])
def test_against_scipy(hessian):
    """The same minimum as SciPy's trust-krylov, in no more than one and a half times the evaluations."""
    first = np.linspace(0.2, 1.6, 8)
    objective = Rosenbrock()
    *_, last = iterate(objective, start(objective, first, 1.0), 1e-12, 300, Elimination(hessian))
    theirs = minimize(rosen, first, jac=rosen_der, hess=rosen_hess, method="trust-krylov", options={"gtol": 1e-8})
    assert last.outcome is Outcome.CONVERGED
    np.testing.assert_allclose(last.point.x, theirs.x, atol=1e-4)
    assert objective.evaluations <= 1.5 * theirs.nfev
