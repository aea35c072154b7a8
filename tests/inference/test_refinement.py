"""Errors of elements and steps, seen through the inverse Hessian, and what is left of the images without them."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import rectangle_mesh
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import refinement
from fe_phaseinv.inference.bands import bands
from fe_phaseinv.inference.inversion import iterate, posterior
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.residuals import Residuals
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output.result import collect
from fe_phaseinv.solvers.direct import StepFailed

MODEL = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))
LAWS = {"chemical_potential": [0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 8e-3}
"""Wide interfaces: three elements for each."""


def posed(images, comm=COMM_WORLD, degree=2, rtol=3e-3, **settings):
    settings = Settings(initial=LAWS, degree=degree, tolerances=Tolerances(rtol, 1e-6), **settings)
    return pose(images, MODEL, rectangle_mesh(images, 6, comm), settings)


def simulated(movie, comm=COMM_WORLD):
    """Frames of known laws, with elements of a degree more than they are fitted with, and small steps."""
    problem = posed(movie, comm, degree=3, rtol=1e-5)
    (series,), m = problem.series, problem.coordinates.start
    fine = series.experiment(1.0, 1.0, True)
    (run,) = fine.solve(m, np.zeros(0), sensitivities=False)
    pictures = [fine.channels.picture(fine.channels.average(state)) for state in (run.start, *run.states)]
    return ImageSeries(np.array(pictures), movie.times, movie.extent)


@pytest.fixture
def fitted(movie):
    """Problem and end of an inversion on all ranks, and the true coefficients."""
    problem = posed(simulated(movie), multiple_shooting=False)
    *_, last = iterate(problem, max_iterations=20)
    return problem, last, problem.coordinates.start


@pytest.mark.parallel([1, 3])
def test_laws_are_corrected_for_elements_and_steps(fitted):
    """The finer elements are those of the images: what is left are differences of the second order."""
    problem, last, true = fitted
    assert last.state.outcome is Outcome.CONVERGED
    result = collect(problem, last)
    found = problem.coordinates.coefficients(last.state.point.x)
    before, after = (np.linalg.norm(each - true) for each in (found, result.posterior.coefficients))
    assert before > 1e-3 and after < 0.25 * before
    np.testing.assert_array_equal(result.laws["diffusivity"].coefficients, result.posterior.coefficients[3:5])
    assert result.refinement.degree == 3 and result.refinement.explained > 0.8
    apart = np.abs(result.posterior.coefficients - true)
    assert np.all(apart <= 3 * np.sqrt(np.diag(result.posterior.covariance)))
    independent = posterior(problem, last)
    assert np.any(np.abs(found - true) > 3 * np.sqrt(np.diag(independent.covariance)))


def test_what_is_solved_nowhere_else_is_said(fitted, monkeypatch):
    problem, last, _ = fitted

    def fails(*_, **__):
        raise StepFailed("no")

    monkeypatch.setattr(refinement, "_seen", fails)
    with pytest.warns(DataWarning, match="cannot be solved with other elements and steps"):
        found = bands(problem, last, [fit_of(problem, last)])
    assert found.refinement is None and found.posterior is not None
    unfinished = replace(last, state=replace(last.state, outcome=Outcome.MAX_ITERATIONS))
    assert refinement.refine(problem, unfinished) is None


def fit_of(problem, progress):
    (fit,) = progress.state.point.fits
    return fit.frames, np.array([fit.channels.picture(part) for part in fit.predictions])


def test_a_start_that_is_unknown_stays(movie):
    """Modes of the start keep their shares with other elements."""
    problem = posed(replace(movie, noise=0.05), multiple_shooting=False)
    *_, last = iterate(problem, max_iterations=0)
    found = refinement.refine(problem, replace(last, state=replace(last.state, outcome=Outcome.CONVERGED)))
    assert found.shifts.shape == (3, len(problem.coordinates)) and np.isfinite(found.shifts).all()


def test_every_step_is_divided():
    """The order grows at once: the start of an adaptive grid is of the first order."""
    grid = TimeGrid((0.0, 1.0, 3.0, 4.0), (1, 1, 3))
    assert grid.refined(2) == TimeGrid((0.0, 0.5, 1.0, 2.0, 3.0, 3.5, 4.0), (1, 2, 3, 3, 3, 3))


def test_what_white_noise_tells():
    """The sums of its products with influences have the products of these for covariance, on average over draws."""
    rng = np.random.default_rng(0)
    influences = rng.standard_normal((3, 2, 1, 12, 10))
    draws = [Residuals(rng.standard_normal((2, 1, 12, 10)), 2).covariance_of(influences) for _ in range(400)]
    expected = np.tensordot(influences.reshape(3, -1), influences.reshape(3, -1), (1, 1))
    np.testing.assert_allclose(np.mean(draws, axis=0), expected, atol=0.1 * expected.max())


def test_correlations_of_residuals():
    values = np.tile(np.array([1.0, -1.0]), (3, 1, 4, 3))
    values[0, 0, 0, 0] = np.nan
    residuals = Residuals(values, 2)
    assert residuals.correlation(-1, 1) == pytest.approx(-1) and residuals.correlation(-2, 1) == pytest.approx(1)
    assert residuals.correlation(0, 1) == pytest.approx(1) and residuals.correlation(-2, 4) == 0
