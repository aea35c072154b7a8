"""Losses other than squares, and weights, in the cost of the laws: its derivatives, and what is refused."""

import numpy as np
import pytest
from mpi4py import MPI
from test_joint import STRENGTHS, one, unknowns

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import verify

WORLD = MPI.COMM_WORLD


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(
    "loss", [pytest.param("squares", marks=pytest.mark.slow), pytest.param("huber", marks=pytest.mark.slow), "student"]
)
def test_derivatives_of_the_cost(movie, loss):
    """Taylor remainders of first and second order on a frozen grid; the sensitivities, weighted, are differences."""
    sigma = np.random.default_rng(4).uniform(0.02, 0.2, movie.frames.shape)
    problem = one(movie.with_sigma(sigma), WORLD, loss=loss)
    objective = problem.objective("trajectory", STRENGTHS)
    x = unknowns(objective)
    checks = verify(objective, x)
    assert [check.name for check in checks if not check.holds] == []
    (experiment,), (fit,) = objective.experiments, objective.at(x).fits
    assert experiment.field is not None  # the start is unknown, and its own frame is compared with
    weights = np.concatenate(fit.weights)
    assert WORLD.allreduce(weights.max(), MPI.MAX) > 2 * WORLD.allreduce(weights.min(), MPI.MIN)


def test_a_loss_needs_the_noise(movie):
    with pytest.raises(
        InputError, match="loss: found 'huber' without a noise; accepted: with a noise that is known or"
    ):
        one(movie, MPI.COMM_SELF, loss="huber")
    with pytest.raises(ValueError, match="^loss: found 'cubes'; accepted: 'squares' or 'huber' or 'student'"):
        Settings(loss="cubes")
