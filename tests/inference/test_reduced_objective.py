"""The cost as pyadjoint sees it: Taylor orders, and the same minimum by other people's optimisers."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake.adjoint import MinimizationProblem, TAOSolver, taylor_to_dict
from mpi4py import MPI
from scipy.optimize import minimize
from test_fields import build, change, predicted, unknowns

from fe_phaseinv.inference.reduced_objective import ReducedObjective
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.optimisation.trust_region import iterate, start

KEPT = [0, 1, 2, 5]
TAO = {
    "tao_type": "ntr",
    "tao_ntr_ksp_type": "stcg",
    "tao_ntr_pc_type": "python",
    "tao_ntr_pc_python_type": "pyadjoint.optimization.tao_solver.RieszMapPC",
    "tao_gatol": 1e-4,
    "tao_grtol": 1e-7,
    "tao_max_it": 60,
}


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("kind", [CahnHilliard, pytest.param(AllenCahn, marks=pytest.mark.slow)])
def test_taylor_orders(movie, kind):
    objective, x = build(kind, MPI.COMM_WORLD, movie)
    reduced = ReducedObjective(objective, x)
    direction = reduced.functions(change(objective, [0.5, -0.4, 0.6, 0.4, 0.4, 0.2], 0.1, 1.0))
    found = taylor_to_dict(reduced, reduced.functions(x), direction)
    for order in (0, 1, 2):
        assert found[f"R{order}"]["Rate"][-1] == pytest.approx(order + 1, abs=0.1)


def test_actions(movie):
    objective, x = build(AllenCahn, MPI.COMM_SELF, movie)
    reduced = ReducedObjective(objective, x)
    v = change(objective, [0.5, -0.4, 0.6, 0.4, 0.4, 0.2], 0.1, 1.0)
    along, point = reduced.functions(v), objective.at(x, reduced.first)
    np.testing.assert_allclose(reduced.array(reduced.gauss_newton(along)), point.action(v), rtol=1e-8, atol=1e-9)
    assert reduced.tlm(along) == pytest.approx(point.dot(point.gradient, v))
    gradient = reduced.derivative(apply_riesz=True)
    experiment, _, field = objective.parts[-1]
    expected = experiment.fields["heterogeneity"].covariance(point.gradient[field])
    np.testing.assert_allclose(gradient[-1].dat.data_ro, expected, rtol=1e-8)


def test_a_point_without_a_solution(movie):
    objective, x = build(AllenCahn, MPI.COMM_SELF, movie)
    beta = np.arange(len(x)) == len(objective.coordinates) - 1
    with pytest.raises(ValueError, match="^the model cannot be solved at the unknowns"):
        ReducedObjective(objective, np.where(beta, -1.0, x))


@pytest.mark.slow
def test_the_same_minimum_as_tao_and_scipy(movie):
    images = predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.01)
    objective, _ = build(AllenCahn, MPI.COMM_SELF, images, fixed=KEPT, start_unknown=False, hessian="both")
    x = unknowns(objective, np.zeros(6), 0, 0)
    reduced = ReducedObjective(objective, x)
    frozen = Frozen(objective, reduced.first)
    *_, ours = iterate(frozen, start(frozen, x, 10.0), 1e-10, 30, objective.subproblem)
    expected = ours.point.value
    found = TAOSolver(MinimizationProblem(reduced), TAO, comm=MPI.COMM_SELF).solve()
    assert objective.at(reduced.array(found), reduced.first).value == pytest.approx(expected, rel=1e-5)
    # SciPy has no preconditioner, so that it begins nearer, with unknowns in which the metric is one.
    near = ours.point.x + 0.1 * (x - ours.point.x)
    whiten = np.linalg.cholesky(metric(objective))

    def at(z):
        return frozen.at(near + whiten @ z)

    theirs = minimize(
        lambda z: at(z).value,
        np.zeros(len(x)),
        jac=lambda z: whiten.T @ at(z).gradient,
        hessp=lambda z, v: whiten.T @ at(z).action(whiten @ v, full=True),
        method="trust-krylov",
        options={"gtol": 1e-4, "maxiter": 60},
    )
    assert theirs.fun == pytest.approx(expected, rel=1e-5)


class Frozen:
    """An objective on the time grid of a point."""

    def __init__(self, objective, point):
        self.objective, self.point = objective, point

    def share(self, x, step):
        return self.objective.share(x, step)

    def at(self, x, like=None, near=None):
        return self.objective.at(x, self.point)


def metric(objective):
    columns = np.stack([objective.raised(unit) for unit in np.eye(len(objective))], axis=1)
    return 0.5 * (columns + columns.T)
