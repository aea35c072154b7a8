"""Which model images speak for, and what cannot be compared."""

import json

import numpy as np
import pytest

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.output.model_comparison import as_text, compare_models

VARIANCE = 0.01


def result(misfit, size, variance=VARIANCE, **more):
    """A result of a model with so many coefficients, each of which the images determine a hundred times as well."""
    evidence = {
        "misfit": misfit,
        "pixels": 1000,
        "variance": variance,
        "gradient": [0.0] * size,
        "information": (1e4 * VARIANCE * np.eye(size)).tolist(),
        "precision": np.eye(size).tolist(),
        "distance": [0.0] * size,
    }
    images = [{"source": "a.npz", "frames": [1, 2], "misfit_rms": 0.1}]
    known = {"model": "cahn-hilliard", "status": "converged", "misfit_rms": 0.1, "images": images}
    return json.loads(json.dumps(known | {"evidence": evidence} | more))


def test_a_law_that_explains_nothing_costs_its_prior():
    small, large = compare_models([result(5.0, 3), result(5.0, 4)], ["small", "large"])
    assert (small.name, large.name) == ("small", "large") and small.evidence == 0
    assert large.evidence == pytest.approx(-0.5 * np.log(1 + 1e4)) and large.fit == 0


def test_a_law_that_explains_much_is_worth_it():
    """The models are held against what the better one leaves, whatever the other takes for noise."""
    names = ["small", "large"]
    large, small = compare_models([result(50.0, 3, variance=0.1, status="stopped"), result(5.0, 4)], names)
    assert small.fit == pytest.approx(-45 / VARIANCE) and large.unknowns == 4
    text = as_text([large, small])
    assert "For large against small: a Bayes factor of exp(4495), very strong: it explains the images better" in text
    assert "and the other leaves more of its prior open" in text and text.endswith("small: stopped")


def test_weak_preferences_are_said_to_be_weak():
    text = as_text(compare_models([result(5.0, 3), result(5.002, 3)], ["a", "b"]))
    assert "exp(0.2), not worth more than a bare mention" in text


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            result(5.0, 3, evidence=None),
            "b: evidence: found null; accepted: the result.json of an inversion with bands",
        ),
        (result(5.0, 3, evidence={"misfit": 1}), "b: evidence: found "),
        (result(5.0, 3, images=[{"source": "b.npz", "frames": [1]}]), "b: images: found "),
    ],
)
def test_what_cannot_be_compared_is_refused(other, words):
    with pytest.raises(InputError) as caught:
        compare_models([result(5.0, 3), other], ["a", "b"])
    assert str(caught.value).startswith(words)
