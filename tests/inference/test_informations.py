"""What frames tell, against the posterior of the same problem, and experiments that differ from it."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.informations import candidates, told
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.variations import Variation, varied
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

START = {"chemical_potential": [0.0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3}
NOISE = 0.05


def posed(movie, comm=MPI.COMM_SELF, **settings):
    model, mesh = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2)), meshes.rectangle_mesh(movie, 6, comm)
    images = movie if movie.noise else replace(movie, noise=NOISE)
    given = {"degree": 2, "tolerances": Tolerances(rtol=3e-3, newton=1e-8), "regularisation": 1e-3}
    return pose(images, model, mesh, Settings(initial=START, **given | settings))


def posterior(problem):
    """That of an inversion which has reached the laws that it starts from."""
    weights = problem.first_regularisation
    objective = problem.objective("trajectory", weights)
    point = objective.at(objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start)))
    prior = problem.prior(weights)
    return Laplace.at(problem.parameters, problem.coordinates, prior=prior, point=point, noise=problem.noise)


def covariance(problem, plan, chosen):
    """That of the coefficients."""
    coordinates = problem.coordinates
    chain = coordinates.jacobian(coordinates.from_coefficients(coordinates.start))
    return chain @ plan.covariance(chosen) @ chain.T


def test_the_covariance_is_that_of_the_posterior(movie):
    problem = posed(movie, MPI.COMM_WORLD)
    plan = candidates(problem)
    np.testing.assert_allclose(covariance(problem, plan, (0, 1)), posterior(problem).covariance, rtol=1e-5, atol=1e-9)
    held_out = posterior(posed(movie, MPI.COMM_WORLD, validation=[1]))  # the same steps in time, but for nothing
    np.testing.assert_allclose(covariance(problem, plan, (1,)), held_out.covariance, rtol=1e-5, atol=1e-9)
    there = candidates(problem, [[1]])
    assert len(there) == 1 and there.gain((0,)) == pytest.approx(plan.gain((0, 1)) - plan.gain((0,)), abs=1e-6)


def test_the_covariance_of_several_series_is_that_of_their_posterior(movie):
    other = replace(movie, frames=0.95 - movie.frames[:, ::-1], noise=2 * NOISE)
    problem = joint([posed(movie), posed(other)])
    plan = candidates(problem)
    assert plan.places == ((0, 0), (0, 1), (1, 0), (1, 1))
    np.testing.assert_allclose(covariance(problem, plan, range(4)), posterior(problem).covariance, rtol=1e-5, atol=1e-9)


def test_laws_are_measured_by_their_size(movie):
    problem = posed(movie)
    plan = candidates(problem)
    mu, d, kappa = plan.aims
    assert (mu.slope, d.slope, kappa.slope) == (True, False, False)
    ends = mu.arguments[0][[0, -1]]
    assert movie.frames.min() - 0.05 < ends[0] < ends[1] < movie.frames.max() + 0.05
    found, bands = covariance(problem, plan, (0, 1)), posterior(problem)
    law, z = problem.parameters.laws(problem.coordinates.start)["diffusivity"], d.arguments[0]
    low, high = bands.band(law.relation, z)
    half = np.log(high / low) / 2 / 1.96
    np.testing.assert_allclose(d.deviations(plan.covariance((0, 1))), half, rtol=1e-3)
    assert kappa.deviation(plan.covariance((0, 1))) == pytest.approx(np.sqrt(found[-1, -1]))


def test_a_noise_is_needed(movie):
    problem = pose(movie, *_model_and_mesh(movie), Settings(initial=START, degree=2))
    with pytest.raises(ValueError, match="noise: found 0; accepted: a standard deviation"):
        told(problem, problem.series[0])


def _model_and_mesh(movie):
    return CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2)), meshes.rectangle_mesh(movie, 6, MPI.COMM_SELF)


def test_experiments_that_might_be_done(movie):
    problem = posed(movie, MPI.COMM_WORLD)
    own = told(problem, problem.series[0])
    known = candidates(problem)

    def gain(**change):
        found = varied(problem, 0, own, Variation(**change))
        return replace(known, experiments=(found.information,)).gain((0, 1)), found

    again, _ = gain()
    assert again == pytest.approx(known.gain((0, 1)), rel=0.1)
    assert gain(noise=NOISE / 2)[0] > again + 1
    finer, found = gain(pixels=48)
    assert found.experiment.pixels.images.shape == (48, 48) and finer > again + 1
    other, found = gain(mean=0.4)
    picture = found.experiment.pixels.images.picture(0)
    assert picture.mean() == pytest.approx(0.4) and np.ptp(picture) == pytest.approx(np.ptp(movie.picture(0)), rel=0.3)
    assert np.isfinite(other)
    later = gain(times=(0.01, 0.03))[1].information
    assert later.times.tolist() == [0.01, 0.03] and later.began == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"mean": 0.95}, "mean: found 0.95, with which the start goes from .* to .*; accepted: one with which it is"),
        ({"speed": 2.0}, "speed: found 2; accepted: none, for nothing drives cahn-hilliard in time"),
    ],
)
def test_experiments_that_cannot_be_done(movie, change, found):
    problem = posed(movie)
    with pytest.raises(ValueError, match=found):
        varied(problem, 0, told(problem, problem.series[0]), Variation(**change))
