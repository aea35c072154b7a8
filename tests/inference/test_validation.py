"""Frames that are predicted and scored, but not fitted."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from test_joint import STRENGTHS, one, unknowns

from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.posing import joint
from fe_phaseinv.output.result import collect
from fe_phaseinv.output.summary import summary

SELF = MPI.COMM_SELF


def changed(movie):
    """The movie with another middle frame of the same mean."""
    frames = movie.frames.copy()
    frames[1] = frames[1, ::-1]
    return replace(movie, frames=frames)


@pytest.mark.parametrize("noise", [0.0, pytest.param(0.05, marks=pytest.mark.slow)])
def test_a_frame_held_out_is_predicted_and_counts_for_nothing(movie, noise):
    found = []
    for images in (movie, changed(movie)):
        problem = one(replace(images, noise=noise), SELF, validation=[1])
        assert (problem.series[0].frames, problem.series[0].followed) == ((2,), (1, 2))
        objective = problem.objective("trajectory", STRENGTHS)
        found.append(objective.at(unknowns(objective)))
    assert found[0].value == found[1].value and found[0].pixels == found[1].pixels == (2 if noise else 1) * 24**2
    np.testing.assert_array_equal(found[0].gradient, found[1].gradient)
    assert 1 in found[0].fits[0].frames


def test_the_score_is_that_of_the_held_out_frames(movie):
    problem = one(replace(movie, noise=0.05), SELF, validation=[1])
    *_, last = iterate(problem, max_iterations=3)
    result = collect(problem, last, uncertainty=False)
    (images,) = result.images
    place = images.frames.index(1)
    rms = np.sqrt(np.mean((images.predicted[place] - movie.frames[1]) ** 2))
    assert (images.held_out.frames, images.held_out.pixels) == ((1,), 24**2)
    written = summary(result)
    assert written["validation"]["rms"] == pytest.approx(rms) == written["images"][0]["validation"]["rms"]
    assert written["validation"]["standardised"] == pytest.approx(rms / 0.05)
    assert "validation" not in summary(replace(result, images=(replace(images, held_out=None),)))


def test_a_series_held_out_is_predicted_and_counts_for_nothing(movie):
    """Two series, of which one tells nothing of the laws, are the other one; it is scored with all its frames."""
    asked = {"multiple_shooting": False}
    alone, other = one(movie, SELF, **asked), one(changed(movie), SELF, held_out=True, **asked)
    both = joint([alone, other])
    found = []
    for problem in (alone, both):
        objective = problem.objective("trajectory", STRENGTHS)
        found.append(objective.at(unknowns(objective)))
    assert found[0].value == found[1].value and found[0].pixels == found[1].pixels
    *_, last = iterate(both, max_iterations=3)
    result = collect(both, last)
    fitted, scored = result.images
    assert fitted.held_out is None and scored.held_out.frames == (1, 2) and scored.held_out.pixels == 2 * 24**2
    assert result.goodness[0] is not None and result.goodness[1] is None
    written = summary(result)
    assert written["goodness"][1] is None and written["images"][1]["misfit_rms"] == 0
    assert written["validation"]["rms"] == pytest.approx(scored.held_out.rms)
    with pytest.raises(ValueError, match="^held_out: found all series of images; accepted: some of them$"):
        joint([other])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": [3]}, r"^validation: found \[3\]; accepted: indices after the first_frame 0, below the 3"),
        ({"validation": [0]}, r"^validation: found \[0\]; accepted: indices after the first_frame 0"),
        ({"validation": [1, 2]}, r"^frames: found \[1, 2\] but for the validation \[1, 2\]; accepted: indices after"),
        ({"validation": [2, 1]}, r"^validation: found \[2, 1\]; accepted: increasing indices of frames"),
    ],
)
def test_frames_that_cannot_be_held_out_are_refused(movie, settings, message):
    with pytest.raises(ValueError, match=message):
        one(movie, SELF, **settings)
