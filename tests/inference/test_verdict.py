"""What a misfit that is no noise does to a result: status, doubts, bands."""

import numpy as np
import pytest
from mpi4py import MPI
from test_goodness import hot, judged, noise, pattern
from test_joint import together
from test_posterior import TRUTH, posterior

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.verdict import doubts, held_against, status
from fe_phaseinv.optimisation.points import Outcome
from fe_phaseinv.output.result import collect
from fe_phaseinv.output.summary import summary

GOOD = judged(pattern() + noise(), pattern())
BAD = judged(hot(pattern()) + noise(), pattern())
HOPELESS = judged(pattern() + noise(), np.array([pattern()[0]] * 5))


def test_the_status_says_so():
    assert status(Outcome.CONVERGED, [GOOD, GOOD]) == "converged"
    assert status(Outcome.CONVERGED, [GOOD, BAD]) == "converged, but the misfit is no noise"
    assert status(Outcome.MAX_ITERATIONS, [BAD]) == f"{Outcome.MAX_ITERATIONS.value}, but the misfit is no noise"
    assert status(None, ()) == "unfinished"


def test_a_doubt_names_the_images_and_the_cause():
    with pytest.warns(DataWarning, match="^b.npz: the misfit is no noise, but 1.9.* likeliest cause: outliers, for"):
        (doubt,) = doubts([GOOD, BAD], ["a.npz", "b.npz"])
    assert 'loss = "huber"' in doubt


def test_bands_are_widened_or_withheld():
    found, _ = posterior(TRUTH)
    wider = held_against(found, [GOOD, BAD])
    expected = found.widened(0.5 * (GOOD.inflation + BAD.inflation)).covariance
    np.testing.assert_allclose(wider.covariance, expected)
    assert held_against(found, [GOOD, HOPELESS]) is None and held_against(None, [GOOD]) is None
    assert held_against(found, ()) is found


@pytest.mark.parallel([1, 3])
def test_images_of_no_such_equation(movie):
    """Two series, which no solver has made: each has its verdict, on all ranks."""
    problem = together([movie, movie], MPI.COMM_WORLD, multiple_shooting=False)
    *_, last = iterate(problem, max_iterations=1)
    with pytest.warns(DataWarning, match="the misfit is no noise, but"):
        result = collect(problem, last)
    assert result.status.endswith(", but the misfit is no noise") and len(result.warnings) == 2
    assert [one.cause != "" for one in result.goodness] == [True, True]
    first, second = summary(result)["goodness"]
    assert (
        first["chi_square"] == pytest.approx(second["chi_square"], rel=1e-9)
        and first["frames"] == [1, 2]
        and first["estimated"]
    )
    rms = result.images[0].misfit_rms / first["noise"]
    assert np.mean(first["chi_square"]) == pytest.approx(rms**2, rel=1e-6)
