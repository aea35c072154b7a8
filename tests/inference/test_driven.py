"""Driven reactions: a prescribed mean out of the images, a list or a rate, and derivatives with maps and starts."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.informations import told
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.variations import Variation, varied
from fe_phaseinv.inference.verification import verify, verify_fields
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.driven_reaction import DrivenReaction

BASES = Legendre(3) + ideal_entropy, Legendre(2)
LAWS = {"chemical_potential": [0.0, -2.0], "exchange_current": [2.0, -0.3], "gradient_energy": 4e-3}


@pytest.fixture
def filling(movie):
    """The movie with a mean that grows."""
    frames = movie.frames + np.array([-0.05, 0.0, 0.08])[:, None, None]
    return replace(movie, frames=np.clip(frames, 0.02, 0.98))


def posed(images, comm=MPI.COMM_SELF, model=None, tolerances=None, **settings):
    mesh = meshes.rectangle_mesh(images, 5, comm, tetrahedra="heterogeneity" in settings)
    settings = {"tolerances": tolerances or Tolerances(3e-2, newton=1e-9), "degree": 2, "initial": LAWS} | settings
    return pose(images, model or DrivenReaction(*BASES), mesh, Settings(**settings))


def means(problem, frames=(0, 1, 2)):
    series = problem.series[0]
    return [float(series.fine.forward.data(series.images.times[frame])[0]) for frame in frames]


def test_the_mean_is_that_of_the_images_and_starts_have_it(filling):
    problem = posed(filling)
    assert means(problem) == pytest.approx(filling.frames.mean(axis=(1, 2)), abs=2e-3)
    series = problem.series[0]
    for frame in (0, 1):
        start = series.fine.smoother.fit(frame, series.limits)
        assert series.fine.forward.step.norm.mean(start) == pytest.approx(means(problem)[frame], abs=1e-12)


def test_the_mean_of_noisy_images_is_smooth_in_time(filling):
    times, rng = np.linspace(0.0, 0.02, 7), np.random.default_rng(5)
    line = 0.4 + 10 * times
    frames = line[:, None, None] + 0.1 * rng.standard_normal((7, *filling.shape))
    problem = posed(replace(filling, frames=frames, times=times, noise=0.1))
    found = means(problem, range(7))
    assert np.diff(found, 2) == pytest.approx(np.zeros(5), abs=1e-3)
    raw = frames.mean(axis=(1, 2))
    assert np.linalg.norm(found - line) < 0.8 * np.linalg.norm(raw - line)
    assert np.abs(np.diff(raw, 2)).max() > 3e-3


def test_a_list_or_a_rate_in_place_of_the_images(filling):
    assert means(posed(filling, data={"mean": [(0.0, 0.4), (0.02, 0.6)]})) == pytest.approx([0.4, 0.5, 0.6])
    first = means(posed(filling))[0]
    assert means(posed(filling, data={"mean": 3.0})) == pytest.approx([first, first + 0.03, first + 0.06], abs=1e-3)


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (DrivenReaction, {"mean": [(0.0, 0.4), (0.02, 1.2)]}, "^data: mean: found 1.2 at time 0.02; accepted: between"),
        (DrivenReaction, {"mean": [(0.0, 0.4), (0.01, 0.5)]}, "^data: mean: found times from 0 to 0.01; accepted: "),
        (DrivenReaction, {"flux": 1.0}, "^data: found 'flux'; accepted: mean of driven-reaction$"),
        (CahnHilliard, {"mean": 1.0}, "^data: found 'mean'; accepted: none of cahn-hilliard$"),
    ],
)
def test_what_is_no_drive_is_refused(filling, model, data, message):
    initial = {"gradient_energy": 4e-3}
    with pytest.raises(ValueError, match=message):
        posed(filling, model=model(*BASES), data=data, initial=initial)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("stage", [pytest.param("intervals", marks=pytest.mark.slow), "trajectory"])
def test_derivatives_by_laws_and_an_unknown_start(filling, stage):
    problem = posed(replace(filling, noise=0.05), MPI.COMM_WORLD)
    objective = problem.objective(stage, problem.first_regularisation)
    x = objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start))
    checks = verify(objective, x)
    assert [check.name for check in checks if not check.holds] == []
    (fit,) = objective.at(x).fits
    assert fit.scalar_derivatives["v"].shape == (len(fit.scalars["v"]), problem.coordinates.free.sum())


def test_a_faster_drive_reaches_the_same_mean_sooner(filling):
    problem = posed(replace(filling, noise=0.05))
    own = told(problem, problem.series[0])
    faster = varied(problem, 0, own, Variation(speed=2.0))
    assert faster.information.times == pytest.approx([0.005, 0.01])
    ends = [one.experiment.forward.data(time)[0] for one, time in ((own, 0.02), (faster, 0.01))]
    assert ends[0] == pytest.approx(ends[1])
    shift = Variation(mean=0.4)
    with pytest.raises(ValueError, match="mean: found 0.4; accepted: none, for driven-reaction is given its mean"):
        varied(problem, 0, own, shift)


@pytest.mark.slow
@pytest.mark.parallel([1, 3])
def test_derivatives_with_a_map_a_start_and_whole_hessians(filling):
    problem = posed(replace(filling, noise=0.05), MPI.COMM_WORLD, heterogeneity=Matern(0.4, 0.3), hessian="newton")
    objective = problem.objective("trajectory", problem.first_regularisation)
    x = objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start))
    assert [name for _, name, _ in objective.parts] == ["start", "heterogeneity"]
    checks = verify_fields(objective, x)
    assert [check.name for check in checks if not check.holds] == []


def test_an_unknown_start_keeps_the_mean_that_is_given(filling):
    """Another one would have to jump to it in the first step."""
    problem = posed(replace(filling, noise=0.05), heterogeneity=Matern(0.4, 0.3))
    objective = problem.objective("trajectory", problem.first_regularisation)
    x = objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start))
    (experiment, name, place), *_ = objective.parts
    assert name == "start"
    x[place] += 0.02
    assert abs(experiment.forward.step.norm.mean(experiment.start(x))) < 1e-12
    assert np.isfinite(objective.at(x).value)
