"""Points: what they tell on one rank, and runs that failed or that depend on nothing."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from test_fields import build
from test_joint import STRENGTHS, together
from test_joint import unknowns as of_laws

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import field_subspace
from fe_phaseinv.inference.experiment import Experiment, most_steps
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.optimisation.points import Outcome
from fe_phaseinv.optimisation.trust_region import iterate, start

WORLD = MPI.COMM_WORLD
ranks = pytest.mark.parallel([1, 3])


def of_fields(movie, **options):
    """An objective with an unknown map and a known start."""
    return build(AllenCahn, WORLD, movie, start_unknown=False, **options)


def dense(movie):
    objective = together([movie], WORLD).objective("trajectory", STRENGTHS)
    return objective, of_laws(objective)


kinds = pytest.mark.parametrize("kind", [of_fields, dense])


class Changed:
    """A forward model whose runs are changed, and the options it was called with."""

    def __init__(self, forward, change):
        self.forward, self.change, self.options = forward, change, {}

    def __getattr__(self, name):
        return getattr(self.forward, name)

    def run(self, *args, **options):
        self.options = options
        return self.change(self.forward.run(*args, **options))


def with_runs(objective, change):
    """Let the runs of an objective be changed."""
    (experiment,) = objective.experiments
    changed = Changed(experiment.forward, change)
    if isinstance(experiment, Experiment):
        objective.experiments = (replace(experiment, forward=changed),)
    else:
        experiment.forward = changed
    return changed


@ranks
@kinds
def test_a_prediction_that_is_not_finite_is_a_failed_run(movie, kind):
    """It is on all ranks, where the field of the last rank is not a number."""
    objective, x = kind(movie)

    def spoil(run):
        if WORLD.rank == WORLD.size - 1:
            run.states[-1][::2] = np.nan
        return run

    with_runs(objective, spoil)
    assert objective.at(x).value == np.inf


@ranks
@kinds
def test_the_numbers_of_a_point_are_read_on_any_rank(movie, kind):
    objective, x = kind(movie)
    point = objective.at(x)
    names = ("value", "misfit", "pixels", "misfit_rms", "scale", "sensitivity")
    numbers = [getattr(point, name) for name in names] if WORLD.rank == 0 else []
    assert all(np.isfinite(numbers))
    assert point.gradient_norm() > 0


@pytest.mark.parametrize(("kind", "extent", "kinetics"), [(dense, 1e12, -0.4), (dense, 1, -800), (of_fields, 1, -800)])
def test_images_that_show_nothing_of_the_laws(movie, kind, extent, kinetics):
    """Nothing moves between frames where the pattern has a million million units, or the kinetics stand still."""
    objective, x = kind(replace(movie, extent=(extent, extent)))
    laws = objective.coordinates.start.copy()
    laws[3] = kinetics
    x[: len(objective.coordinates)] = objective.coordinates.from_coefficients(laws)
    first = start(objective, x, 1.0)
    first = replace(first, radius=objective.radius(first.point, 1.0))
    *_, last = iterate(objective, first, 1e-2, 20, objective.subproblem)
    assert last.outcome is Outcome.INSENSITIVE
    assert objective.at(x).sensitivity < 1e-12


@kinds
def test_one_limit_of_steps(movie, kind):
    objective, x = kind(movie)
    changed = with_runs(objective, lambda run: run)
    objective.at(x)
    assert changed.options["max_steps"] == most_steps(changed.integrator.tolerances)
    assert most_steps(Tolerances(rtol=3e-4)) == pytest.approx(258.5, abs=0.1)
    assert most_steps(Tolerances(rtol=3e-3)) == 120
    assert most_steps(Tolerances(rtol=3e-2)) == pytest.approx(55.7, abs=0.1)


def test_an_elimination_that_does_not_end_is_told(movie, monkeypatch):
    objective, x = of_fields(replace(movie, noise=0.01), fixed=[0, 1, 2, 5])
    monkeypatch.setattr(field_subspace, "MOST_DIRECTIONS", 1)
    with pytest.warns(DataWarning, match="^the bands of the laws may be too narrow: conjugate gradients did not find"):
        assert objective.at(x).hessian.shape == (2, 2)
