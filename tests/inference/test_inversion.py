"""Stages of an inversion, and where it ends or goes on."""

import json
from dataclasses import replace

import pytest
from mpi4py.MPI import COMM_SELF

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.meshes import rectangle_mesh
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.progress import Task, resume
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.optimisation.trust_region import Outcome

INITIAL = {"chemical_potential": [0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3}


@pytest.fixture
def problem(movie):
    model = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))
    settings = Settings(initial=INITIAL, degree=2, tolerances=Tolerances(rtol=3e-3, newton=1e-8))
    return pose(movie, model, rectangle_mesh(movie, 6, COMM_SELF), settings)


def test_weights_of_the_priors_are_not_chosen_without_end(problem, monkeypatch):
    """A choice that goes round in a circle ends, and says so."""
    *_, last = inversion.iterate(problem, max_iterations=0)
    ended = replace(
        last, task=replace(last.task, stage="trajectory"), state=replace(last.state, outcome=Outcome.CONVERGED)
    )
    other = tuple(100 * weight for weight in ended.regularisation)
    monkeypatch.setattr(inversion, "_better_regularisation", lambda problem, progress: other)
    before = replace(ended, choices=inversion.MOST_CHOICES - 1)
    assert inversion._next_task(problem, before, 50) == Task("trajectory", other)
    with pytest.warns(DataWarning, match=f"still change after {inversion.MOST_CHOICES} choices"):
        assert inversion._next_task(problem, replace(ended, choices=inversion.MOST_CHOICES), 50) is None


def test_a_point_that_costs_something_else_is_not_resumed(problem):
    *_, last = inversion.iterate(problem, max_iterations=1)
    saved = json.loads(json.dumps(last.to_dict()))
    assert resume(problem, saved).state.point.value == pytest.approx(last.state.point.value, rel=1e-9)
    with pytest.raises(ValueError, match="a cost of .* where .* is recorded"):
        resume(problem, saved | {"cost": 1.01 * saved["cost"]})
