"""Several series of images that share laws: their cost and its derivatives, and groups of ranks side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data import meshes
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import verify
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.output.result import collect
from fe_phaseinv.solvers.direct import StepFailed

SELF, WORLD = MPI.COMM_SELF, MPI.COMM_WORLD
START = {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": [np.log(4e-3)]}
STRENGTHS = (1e-3,) * 3


@pytest.fixture
def movies(movie):
    """Three series: of other patterns, times, numbers of frames and pixels."""
    second = replace(movie, frames=0.95 - movie.frames[:, ::-1, :], times=1.5 * movie.times)
    return movie, second, replace(movie.select([0, 2]).downsample(2), frames=movie.frames[[0, 2], ::2, ::2] + 0.03)


def one(movie, comm, start=START, size=2, **options):
    relations = (
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation("diffusivity", Legendre(size), positive),
    )
    model, mesh = CahnHilliard(*relations), meshes.rectangle_mesh(movie, 6, comm)
    settings = Settings(initial=start, degree=2, tolerances=Tolerances(rtol=3e-3, newton=1e-8), **options)
    return pose(movie, model, mesh, settings)


def together(movies, comm=SELF, noises=(0.0,) * 3, **options):
    """All series on all ranks, one after the other."""
    return joint([one(replace(m, noise=n), comm, **options) for m, n in zip(movies, noises, strict=False)])


def side_by_side(movies, noises=(0.0,) * 3, **options):
    ensemble = SeriesEnsemble.side_by_side(WORLD, len(movies))
    return joint([one(replace(movies[i], noise=noises[i]), ensemble.within, **options) for i in ensemble.own], ensemble)


def unknowns(objective):
    x = objective.coordinates.from_coefficients(objective.coordinates.start)
    return np.concatenate([x, np.random.default_rng(3).uniform(-0.01, 0.01, len(objective) - len(x))])


# ------------------------------------------------------------------------------------------------------------ the cost


@pytest.mark.parametrize("noises", [pytest.param((0.0,) * 3, marks=pytest.mark.slow), (0.05, 0.1, 0.03)])
def test_checks_hold(movies, noises):
    objective = together(movies, noises=noises).objective("trajectory", STRENGTHS)
    laws, modes = len(objective.coordinates), [experiment.modes for experiment in objective.experiments]
    assert all(count > 3 for count in modes) == (noises[0] > 0)
    assert len(objective) == laws + sum(modes)
    checks = verify(objective, unknowns(objective))
    assert [check.name for check in checks if not check.holds] == []


def test_the_gradient_by_every_block_against_differences(movies):
    objective = together(movies[:2], noises=(0.05, 0.1)).objective("trajectory", STRENGTHS)
    base = objective.at(unknowns(objective))
    first, second = objective.ends[:2]
    for part in (slice(first), slice(first, second), slice(second, None)):
        direction = np.zeros(len(objective))
        direction[part] = np.random.default_rng(1).standard_normal(len(direction[part]))
        direction *= 1e-4 / np.linalg.norm(direction)
        ahead, behind = (objective.at(base.x + sign * direction, base) for sign in (1, -1))
        assert (ahead.value - behind.value) / 2 == pytest.approx(base.gradient @ direction, rel=1e-4)
    assert not base.hessian[first:second, second:].any() and base.hessian[:first, second:].any()


def test_one_series_given_twice_counts_twice(movie):
    single, twice = (together([movie] * n).objective("trajectory", STRENGTHS) for n in (1, 2))
    x = unknowns(single)
    a, b, prior = single.at(x), twice.at(x), single.prior_at(x)
    assert b.pixels == 2 * a.pixels and b.misfit_rms == pytest.approx(a.misfit_rms, rel=1e-12)
    for found, once, shared in zip(
        (b.value, b.gradient, b.hessian), (a.value, a.gradient, a.hessian), prior, strict=True
    ):
        np.testing.assert_allclose(found, 2 * once - shared, rtol=1e-9, atol=1e-12)


def test_noisier_series_count_less(movies):
    problem = together(movies[:2], noises=(0.05, 0.1))
    first, second = (experiment.weight for experiment in problem.objective("trajectory", STRENGTHS).experiments)
    assert first == pytest.approx(4 * second) and first + second == pytest.approx(2)
    assert first * 0.05**2 == pytest.approx(problem.noise**2)
    whole = problem.objective("intervals", STRENGTHS)
    singles = [one(replace(m, noise=n), SELF) for m, n in zip(movies, (0.05, 0.1), strict=False)]
    point, *points = (o.at(unknowns(o)) for o in (whole, *(s.objective("intervals", STRENGTHS) for s in singles)))
    assert point.misfit == pytest.approx(first * points[0].misfit + second * points[1].misfit, rel=1e-9)
    assert [fit.misfit_rms for fit in point.fits] == pytest.approx([p.misfit_rms for p in points], rel=1e-9)
    assert singles[1].noise == 0.1


def test_series_that_do_not_go_together_are_refused(movie):
    first = one(movie, SELF)
    with pytest.raises(InputError, match="noise: found 0.1 beside 0 of .*; accepted: noise of all the series, or of"):
        joint([first, one(replace(movie, noise=0.1), SELF)])
    with pytest.raises(InputError, match="unit and time_unit: found 'um' and ''; accepted: '' and '', those of"):
        joint([first, one(replace(movie, unit="um"), SELF)])
    for other in (one(movie, SELF, size=3), one(movie, SELF, START | {"diffusivity": [0.1]})):
        with pytest.raises(ValueError, match="accepted: the same model and laws, learnt from the same start$"):
            joint([first, other])
    with pytest.raises(ValueError, match="^heterogeneity: found Matern.* beside None; accepted: the same"):
        joint([first, one(movie, SELF, heterogeneity=Matern(0.3, 0.3))])


def test_an_inversion_goes_on_after_an_interrupt(movies):
    problem = together(movies[:2], noises=(0.05, 0.1))
    path = list(iterate(problem, max_iterations=6))
    for stage in ("intervals", "trajectory"):
        interrupted = next(p for p in path if p.stage == stage and p.state.iteration > 1)
        saved = json.loads(json.dumps(interrupted.to_dict()))
        assert len(saved["grids"]) == 2
        *_, last = iterate(problem, max_iterations=6, progress=resume(problem, saved))
        assert [e["cost"] for e in last.history] == [e["cost"] for e in path[-1].history]
    with pytest.raises(ValueError, match="unknowns and 1 series"):
        resume(problem, saved | {"grids": saved["grids"][:1]})


# ------------------------------------------------------------------------------------------------------- several ranks


@pytest.mark.parallel([1, 3])
def test_series_are_dealt_to_groups():
    for count in (1, 2, 3, 5):
        ensemble = SeriesEnsemble.side_by_side(WORLD, count)
        expected = 3 if WORLD.size == 3 and count >= 3 else 1
        assert ensemble.number == expected and ensemble.within.size * expected == WORLD.size
        assert list(ensemble.own) == list(range(count))[WORLD.rank % expected :: expected]
        assert ensemble.gather([10 * index for index in ensemble.own]) == [10 * index for index in range(count)]
        assert ensemble.build(lambda index: index) == list(ensemble.own)

        def refuse(index, last=count - 1):
            if index == last:
                raise InputError("case.toml", f"images[{index}]", 3, "text")

        with pytest.raises(InputError, match=rf"^case.toml: images\[{count - 1}\]: found 3"):
            ensemble.build(refuse)

        class Odd(Exception):
            """Of a local class, so that it cannot be pickled."""

        def fail(index, last=count - 1):
            if index == last:
                raise Odd("no memory")

        with pytest.raises((Odd, RuntimeError), match="no memory"):
            ensemble.build(fail)


class Failing(Experiment):
    def fit(self, m, q, grids=None, near=None):
        raise StepFailed("as it was told")


def failing(objective, ensemble):
    """Let the last series fail."""
    for place, index in enumerate(ensemble.own):
        if index == ensemble.count - 1:
            experiments, last = list(objective.experiments), objective.experiments[place]
            given = {"field": last.field, "weight": last.weight}
            experiments[place] = Failing(last.forward, last.pixels, last.segments, **given)
            objective.experiments = tuple(experiments)
    return objective


@pytest.mark.parallel(3)
@pytest.mark.parametrize(("count", "noises"), [pytest.param(2, (0.05, 0.1), marks=pytest.mark.slow), (3, (0.0,) * 3)])
def test_three_ranks_agree_with_one(movies, count, noises):
    alone, beside = together(movies[:count], SELF, noises), side_by_side(movies[:count], noises)
    assert beside.ensemble.number == (3 if count == 3 else 1) and beside.noise == alone.noise
    a, b = (problem.objective("trajectory", STRENGTHS) for problem in (alone, beside))
    x = unknowns(a)
    one, three = a.at(x), b.at(x)
    assert three.value == pytest.approx(one.value, rel=1e-9)
    np.testing.assert_allclose(three.gradient, one.gradient, rtol=1e-7, atol=1e-9 * np.abs(one.gradient).max())
    np.testing.assert_allclose(three.hessian, one.hessian, rtol=1e-7, atol=1e-9 * np.abs(one.hessian).max())
    found = WORLD.allgather((three.value, three.gradient.tobytes(), three.hessian.tobytes(), three.pixels))
    assert len(set(found)) == 1
    assert failing(b, beside.ensemble).at(x).value == np.inf


@pytest.mark.slow
@pytest.mark.parallel(3)
def test_three_ranks_learn_the_same(movies):
    alone, beside = together(movies, SELF), side_by_side(movies)
    *_, a = iterate(alone, max_iterations=6)
    *_, b = iterate(beside, max_iterations=6)
    assert b.state.point.x == pytest.approx(a.state.point.x, abs=1e-6)
    one, three = collect(alone, a), collect(beside, b)
    assert three.posterior.deviation == pytest.approx(one.posterior.deviation, rel=1e-5)
    assert (three.ranks, three.range) == (3, pytest.approx(one.range))
    for expected, found in zip(one.images, three.images, strict=True):
        assert (found.frames, found.times, found.extent) == (expected.frames, expected.times, expected.extent)
        assert found.misfit_rms == pytest.approx(expected.misfit_rms, rel=1e-5)
        np.testing.assert_allclose(found.predicted, expected.predicted, atol=1e-6)
    saved = json.loads(json.dumps(a.to_dict()))
    assert resume(beside, saved).state.point.value == pytest.approx(a.state.point.value, rel=1e-7)
    assert [len(grids) for grids in b.to_dict()["grids"]] == [len(grids) for grids in saved["grids"]]
