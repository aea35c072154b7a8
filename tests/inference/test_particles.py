"""Several series with fields of their own that share laws: derivatives, elimination, groups of ranks, what is kept."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from scipy.linalg import eigh
from test_fields import posed, predicted

from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_posterior import map_deviation, prior_variances
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.posing import joint
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.verification import verify_fields
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.optimisation.points import State
from fe_phaseinv.output.result import collect

SELF, WORLD = MPI.COMM_SELF, MPI.COMM_WORLD
ASKED = {"heterogeneity": Matern(0.5, 0.3), "regularisation": 1e-4}


@pytest.fixture
def particles(movie):
    """Noisy movies of three particles, of different noise."""
    first = predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.01)
    second = replace(first, frames=1 - first.frames[:, ::-1], noise=0.02)
    return first, second, replace(first, frames=first.frames[:, :, ::-1], times=1.5 * first.times)


def together(particles, **options):
    return joint([posed(images, SELF, **ASKED | options) for images in particles])


def evaluated(problem):
    objective = problem.objective("trajectory", problem.first_regularisation)
    return objective, objective.at(objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start)))


@pytest.mark.slow
def test_the_cost_and_its_elimination_are_those_of_the_dense_system(particles):
    """Taylor orders; Schur complement and step; no field of one particle pulls one of the other."""
    objective, point = evaluated(together(particles[:2]))
    checks = verify_fields(objective, point.x)
    assert [check.name for check in checks if not check.holds] == []
    dense = np.stack([point.action(unit) for unit in np.eye(len(objective))], axis=1)
    laws, fields = objective.laws, slice(objective.laws.stop, None)
    first, second = (slice(*ends) for ends in zip(objective.ends[:-1], objective.ends[1:], strict=True))
    assert not dense[first, second].any() and dense[first, laws].any() and dense[second, laws].any()
    schur = dense[laws, laws] - dense[laws, fields] @ np.linalg.solve(dense[fields, fields], dense[fields, laws])
    shares = eigh(point.hessian, schur, eigvals_only=True)
    assert 0.999 < shares.min() and shares.max() < 1.02
    trial = objective.subproblem.solve(point, State(point, 1e6))
    wanted = -np.linalg.solve(dense, point.gradient)
    error = trial.step - wanted
    assert error @ dense @ error < 2e-2 * wanted @ dense @ wanted
    assert trial.slope == pytest.approx(point.gradient @ trial.step)
    assert trial.curvature == pytest.approx(trial.step @ dense @ trial.step)


@pytest.mark.slow
def test_whole_hessians(particles):
    """What they say of a step; it lowers the cost."""
    objective, point = evaluated(together(particles[:2], hessian="newton"))
    trial = objective.subproblem.solve(point, State(point, 0.1))
    assert trial.length == pytest.approx(0.1)
    assert trial.slope == pytest.approx(point.gradient @ trial.step)
    assert trial.curvature == pytest.approx(trial.step @ point.action(trial.step, full=True), rel=1e-6)
    after = objective.at(point.x + trial.step, point)
    assert point.value - after.value == pytest.approx(trial.decrease, rel=0.05)


def test_one_particle_given_twice_counts_twice(particles):
    """Maps that are the same cost twice, and so do laws, but for their prior."""
    (one, a), (two, b) = (evaluated(together(particles[:1] * n)) for n in (1, 2))
    prior = one.prior.value(problem_coefficients(a))
    assert b.value == pytest.approx(2 * a.value - prior) and b.pixels == 2 * a.pixels
    first, second = two.split(b.gradient)
    np.testing.assert_allclose(first[one.laws.stop :], a.gradient[one.laws.stop :])
    np.testing.assert_allclose(second[one.laws.stop :], a.gradient[one.laws.stop :])
    assert b.misfit_rms == pytest.approx(a.misfit_rms)


def problem_coefficients(point):
    return point.objective.coordinates.coefficients(point.x[point.objective.laws])


def test_a_noisier_particle_counts_less(particles):
    objective, point = evaluated(together(particles[:2]))
    first, second = objective.experiments
    assert first.weight == pytest.approx(4 * second.weight) and first.variance == second.variance
    misfits = [fit.misfit for fit in point.fits]
    assert point.misfit == pytest.approx(first.weight * misfits[0] + second.weight * misfits[1])


@pytest.mark.slow
def test_the_tilt_is_the_slope_of_the_volume_of_the_fields(particles):
    """Against differences of the log of the determinant of the dense Hessian, the fields going with the laws."""
    objective, point = evaluated(together(particles[:1]))
    laws, fields = objective.laws, slice(objective.laws.stop, None)

    def dense(at):
        return np.stack([at.action(unit) for unit in np.eye(len(objective))], axis=1)

    def volume(at):
        return 0.5 * np.linalg.slogdet(dense(at)[fields, fields])[1]

    first, tilt = dense(point), point.tilt()
    for d in np.eye(laws.stop):
        step = 1e-3 * np.concatenate([d, -np.linalg.solve(first[fields, fields], first[fields, laws] @ d)])
        slope = (volume(objective.at(point.x + step, point)) - volume(objective.at(point.x - step, point))) / 2e-3
        along = objective.coordinates.jacobian(point.x[laws]) @ d
        assert tilt @ along == pytest.approx(objective.experiments[0].variance * slope, rel=0.15)


@pytest.mark.slow
def test_how_well_a_map_is_known_is_the_inverse_of_the_dense_hessian(particles):
    objective, point = evaluated(together(particles[:1]))
    (share,) = point.shares
    of, place = share.experiment, objective.parts[-1][2]
    dense = np.stack([point.action(unit) for unit in np.eye(len(objective))], axis=1)
    averages = np.array([of.pixels.average(unit) for unit in np.eye(of.forward.layout.nodes)]).T
    covariance = averages @ np.linalg.inv(dense)[place, place] @ averages.T
    found, mean = map_deviation(share, point.hessian, 0.01), np.full(len(averages), 1 / len(averages))
    about = np.eye(len(averages)) - mean
    shares = found.pixels / (0.01 * np.sqrt(np.diag(about @ covariance @ about.T)))
    assert 0.995 < shares.min() and shares.max() < 1.15 and shares.mean() < 1.03
    assert found.level == pytest.approx(0.01 * np.sqrt(mean @ covariance @ mean), rel=0.05)
    by_prior = averages @ np.array([of.fields["heterogeneity"].covariance(row) for row in averages]).T
    np.testing.assert_allclose(prior_variances(share), np.diag(by_prior), rtol=1e-6)


@pytest.mark.parallel(3)
def test_groups_of_ranks_agree_with_one(particles):
    ensemble = SeriesEnsemble.side_by_side(WORLD, 3)
    beside = joint([posed(particles[index], ensemble.within, **ASKED) for index in ensemble.own], ensemble)
    found = []
    for problem in (beside, together(particles)):
        objective, point = evaluated(problem)
        trial = objective.subproblem.solve(point, State(point, 2.0))
        whole = objective.at(objective.local(point.whole) + trial.step).whole
        found.append([point.value, point.gradient_norm(), trial.slope, *trial.step[objective.laws], *whole])
        assert (
            len(objective) == objective.laws.stop + len(problem.series) * 2 * problem.series[0].fine.forward.space.dim()
        )
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_an_inversion_goes_on_after_an_interrupt(particles):
    """Every particle has its map, with its deviation."""
    problem = together(particles[:2])
    steps = list(inversion.iterate(problem, max_iterations=4))
    middle = [step for step in steps if step.stage != "intervals"][1]
    again = resume(problem, json.loads(json.dumps(middle.to_dict())))
    *_, last = inversion.iterate(problem, max_iterations=4, progress=again)
    assert last.state.point.value == pytest.approx(steps[-1].state.point.value, rel=1e-6)
    result = collect(problem, last)
    assert len(result.images) == 2
    for images, particle in zip(result.images, particles, strict=False):
        assert images.map.value.shape == images.map.deviation.shape == particle.shape
    with pytest.raises(ValueError, match="unknowns"):
        resume(problem, middle.to_dict() | {"x": middle.to_dict()["x"][:-1]})
