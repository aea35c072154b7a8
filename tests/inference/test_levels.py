"""Predictions of a fine discretisation with derivatives of a coarse one."""

import json
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv.data.meshes import periodic_mesh, rectangle_mesh
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.levels import LevelledExperiment
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Hermite, Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.solvers.direct import StepFailed

INITIAL = {"chemical_potential": [0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3}
STRENGTHS = (1e-4,) * 3


def posed(movie, comm=COMM_SELF, **settings):
    model = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))
    settings = Settings(initial=INITIAL, tolerances=Tolerances(rtol=3e-3, newton=1e-8), **settings)
    return pose(movie, model, rectangle_mesh(movie, 6, comm), settings)


def points(problem):
    """The cost on two levels and with exact derivatives, at the same point and on the same grid of the fine level."""
    levelled, exact = (problem.objective("trajectory", STRENGTHS, exact=each) for each in (False, True))
    laws = problem.coordinates.from_coefficients(problem.coordinates.start)
    x = levelled.begin(laws)
    x[len(laws) :] = np.random.default_rng(3).uniform(-0.01, 0.01, len(x) - len(laws))
    found = levelled.at(x)
    fine = tuple(grids[:1] for grids in found.grids)
    return levelled, found, exact.at(x, replace(found, grids=fine))


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("cells", [None, 5])
def test_predictions_are_fine_and_derivatives_coarse(movie, cells):
    problem = posed(movie, COMM_WORLD, coarse_mesh=cells and rectangle_mesh(movie, cells, COMM_WORLD))
    assert problem.series[0].coarse.forward.space.dim() == (2 * (cells or 6) + 1) ** 2
    levelled, found, exact = points(problem)
    assert found.misfit == pytest.approx(exact.misfit, rel=1e-6)
    series = problem.series[0]
    coarse, x = series.preparation("coarse", 1.0), found.x
    (run,) = coarse.solve(problem.coordinates.coefficients(x), x[:0], found.grids[0][1:])
    gradient, into = 0.0, problem.coordinates.jacobian(x)[problem.coordinates.free]
    (fit,) = found.fits
    for frame, rows, predicted in zip(fit.frames, coarse.derivatives([run]), fit.predictions, strict=True):
        gradient += rows.T @ fit.channels.compare(frame, predicted).force
    expected = into.T @ COMM_WORLD.allreduce(gradient) + levelled.prior_at(x)[1]
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-9, atol=1e-12)
    change = found.hessian - exact.hessian
    assert 1e-6 < np.linalg.norm(change) / np.linalg.norm(exact.hessian) < 0.1


def test_the_laws_of_noisy_images_have_exact_derivatives(movie):
    problem = posed(replace(movie, noise=0.05))
    levelled, found, exact = points(problem)
    laws = slice(len(problem.coordinates))
    assert len(levelled) > laws.stop
    np.testing.assert_allclose(found.gradient[laws], exact.gradient[laws], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.hessian[laws, laws], exact.hessian[laws, laws], rtol=1e-6, atol=1e-9)
    difference = np.linalg.norm(found.hessian - exact.hessian)
    assert 1e-6 < difference / np.linalg.norm(exact.hessian) < 0.1
    assert list(found.fits[0].scalar_derivatives) == list(exact.fits[0].scalar_derivatives)


@pytest.mark.parallel([1, 3])
def test_both_lead_to_the_same_laws(movie):
    problem = posed(movie, COMM_WORLD, regularisation=1e-5)
    path = list(inversion.iterate(problem, max_iterations=30))
    assert path[-1].state.outcome is Outcome.CONVERGED
    stages = dict.fromkeys((p.stage, p.task.exact) for p in path)
    assert list(stages) == [("intervals", False), ("coarse", False), ("search", False), ("trajectory", True)]
    point = path[-1].task.objective(problem).at(path[-1].state.point.x)
    step = np.linalg.solve(point.hessian, -point.gradient)
    spread = np.sqrt(2 * point.misfit / point.pixels * np.diag(np.linalg.inv(point.hessian)))
    assert np.all(np.abs(step) < spread)


@pytest.mark.parallel([1, 3])
def test_derivatives_of_a_point_nearby_serve(movie):
    problem = posed(replace(movie, noise=0.05), COMM_WORLD)
    for exact in (False, True):
        objective = problem.objective("trajectory", STRENGTHS, exact=exact)
        base = objective.at(objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start)))
        x, runs = base.x + 1e-3, problem.counts
        own, near = objective.at(x), objective.at(x, None, base)
        again = objective.at(x, None, near)
        assert base.fresh and own.fresh and near.base is base and again.base is base
        assert (problem.counts.tangent - runs.tangent, problem.counts.forward - runs.forward) == (2 - exact, 2)
        assert near.misfit == pytest.approx(own.misfit, rel=1e-4)
        seen = [part.hessian for part in (base.squares[0], near.squares[0], own.squares[0])]
        np.testing.assert_allclose(seen[1], seen[0], rtol=1e-12)
        assert 1e-6 < np.linalg.norm(seen[2] - seen[0]) / np.linalg.norm(seen[0]) < 1e-2
        assert np.linalg.norm(near.gradient - own.gradient) < 1e-2 * np.linalg.norm(own.gradient)


def test_an_inversion_goes_on_amid_the_levels(movie):
    problem = posed(movie)
    path = list(inversion.iterate(problem, max_iterations=12))
    for stage in ("coarse", "search", "trajectory"):
        amid = next(p for p in path if p.stage == stage)
        saved = json.loads(json.dumps(amid.to_dict()))
        *_, last = inversion.iterate(problem, max_iterations=12, progress=resume(problem, saved))
        costs, expected = ([entry["cost"] for entry in p.history] for p in (last, path[-1]))
        np.testing.assert_allclose(costs, expected, rtol=1e-9)


def test_an_inversion_goes_on_with_derivatives_of_a_point_nearby(movie):
    problem = posed(replace(movie, noise=0.02))
    amid = [p for p in inversion.iterate(problem, max_iterations=12) if not p.state.point.fresh][-1]
    resumed = resume(problem, json.loads(json.dumps(amid.to_dict())))
    assert not resumed.state.point.fresh and resumed.state.promised == amid.state.promised
    np.testing.assert_array_equal(resumed.state.point.hessian, amid.state.point.hessian)


def test_steps_that_keep_little_of_their_promise_are_followed_by_exact_ones(movie):
    problem = posed(movie)
    progress = next(p for p in inversion.iterate(problem, max_iterations=12) if p.stage == "search")
    broken = replace(progress, state=replace(progress.state, kept=0.1))
    following = next(inversion.iterate(problem, max_iterations=12, progress=broken))
    assert following.task == replace(progress.task, exact=True)
    (experiment,) = following.task.objective(problem).experiments
    assert not isinstance(experiment, LevelledExperiment)
    kept = next(inversion.iterate(problem, max_iterations=12, progress=progress))
    assert kept.task.exact == (kept.stage == "trajectory")


@pytest.mark.parallel([1, 3])
def test_ranks_that_share_runs_find_the_same(movie):
    noisy = replace(movie, noise=0.02)
    ensemble = SeriesEnsemble.one_by_one(COMM_WORLD, 1)
    shared = joint([posed(noisy, ensemble.within)], ensemble)
    assert ensemble.first == (COMM_WORLD.rank == 0) and list(ensemble.own) == [0]
    *_, found = inversion.iterate(shared, max_iterations=8)
    *_, alone = inversion.iterate(posed(noisy), max_iterations=8)
    np.testing.assert_allclose(found.state.point.x, alone.state.point.x, rtol=1e-7, atol=1e-9)
    assert [entry["stage"] for entry in found.history] == [entry["stage"] for entry in alone.history]
    assert found.counts.tangent == alone.counts.tangent


@pytest.mark.parametrize(
    ("costs", "creeping"),
    [((9, 2, 1.6, 1.3), True), ((9, 2, 1.6, 1.5), False), ((9, 2, 2, 1.7), False), ((9, 6, 3), False), ((9, 8), False)],
)
def test_corrections_that_do_not_contract_are_followed_by_exact_ones(movie, costs, creeping):
    problem = posed(movie)
    progress = next(p for p in inversion.iterate(problem, max_iterations=12) if p.stage == "search")
    entries = [progress.history[-1] | {"cost": cost, "iteration": 20 + k} for k, cost in enumerate(costs)]
    slow = replace(progress, history=(*progress.history[:-1], *entries))
    following = next(inversion.iterate(problem, max_iterations=40, progress=slow))
    assert (following.stage == "search" and following.task.exact) == creeping


def test_a_few_of_many_intervals_come_first(movie):
    longer = replace(movie, frames=movie.frames[[0, 1, 2, 1, 2, 1, 2, 1, 2]], times=0.01 * np.arange(9))
    problem = posed(longer)
    assert problem.preparations == ("some intervals", "intervals", "coarse")
    assert posed(movie).preparations == ("intervals", "coarse")
    (series,) = problem.series
    for stage, frames in ("some intervals", (1, 5, 8)), ("intervals", range(1, 9)):
        assert [segment.frames for segment in series.preparation(stage, 1.0).segments] == [(frame,) for frame in frames]


def test_intervals_are_fitted_closely_where_no_trajectory_can_be_solved(movie, monkeypatch):
    problem = posed(movie)
    last = [p for p in inversion.iterate(problem, max_iterations=12) if p.stage == "intervals"][-1]
    solve, failures = Experiment.solve, []

    def fail_once(self, *arguments, **options):
        if len(self.segments) == 1 and not failures:
            failures.append(self)
            raise StepFailed("too many steps")
        return solve(self, *arguments, **options)

    monkeypatch.setattr(Experiment, "solve", fail_once)
    path = list(inversion.iterate(problem, max_iterations=20, progress=replace(last, state=last.state)))
    assert len(failures) == 1 and path[-1].state.outcome is Outcome.CONVERGED
    stages = [stage for stage, _ in groupby(p.stage for p in path)]
    assert stages == ["coarse", "intervals", "coarse", "search", "trajectory"]
    closest = [p for p in path if p.task.closer and p.stage == "intervals"][-1]
    assert closest.state.point.value < last.state.point.value


def test_what_one_level_must_do(movie):
    assert posed(movie).levelled
    assert not posed(movie, degree=2).levelled
    assert not posed(movie, hessian="both").levelled
    crystal = PhaseFieldCrystal(Legendre(3), Hermite(5, 10.0))
    assert not pose(movie, crystal, periodic_mesh(movie, 4, COMM_SELF), Settings(boundary="periodic")).levelled
