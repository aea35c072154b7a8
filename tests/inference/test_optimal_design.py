"""Choices among frames, against brute force over all sets of a few."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import block_diag

from fe_phaseinv.inference.optimal_design import Aim, Candidates, Information

LAWS, START, COUNT = 4, 5, 9


def information(rng, count=COUNT):
    """What frames tell that show laws more and more, and the start less and less."""
    fade = np.exp(-np.arange(count) / 3)
    laws = rng.standard_normal((count, 30, LAWS)) * (1 - fade[:, None, None]) * rng.uniform(0.2, 3, (count, 1, LAWS))
    rows = np.concatenate([laws, rng.standard_normal((count, 30, START)) * fade[:, None, None]], axis=2)
    base = block_diag(np.zeros((LAWS, LAWS)), 3 * np.eye(START))
    frames = np.einsum("fri,frj->fij", rows, rows)
    return Information(laws=LAWS, base=base, frames=frames, times=np.arange(1.0, count + 1))


def candidates(seed, experiments=1):
    rng = np.random.default_rng(seed)
    aims = (
        Aim(name="a", arguments=(np.zeros(3),), rows=np.eye(LAWS)[:3]),
        Aim(name="b", arguments=(np.zeros(2),), rows=rng.standard_normal((2, LAWS))),
    )
    every = tuple(information(rng) for _ in range(experiments))
    return Candidates(prior=1e-2 * np.eye(LAWS), experiments=every, aims=aims)


def by_hand(plan, chosen):
    """Precision of the laws from the covariance of all unknowns together."""
    starts = len(plan.experiments)
    whole = block_diag(plan.prior, np.zeros((starts * START,) * 2))
    for number, one in enumerate(plan.experiments):
        own = [f for e, f in (plan.places[c] for c in chosen) if e == number]
        these = np.r_[:LAWS, LAWS + number * START : LAWS + (number + 1) * START]
        whole[np.ix_(these, these)] += one.base + one.frames[own].sum(axis=0)
    return np.linalg.inv(np.linalg.inv(whole)[:LAWS, :LAWS])


@pytest.mark.parametrize("experiments", [1, 2])
def test_the_gain_is_that_of_all_unknowns_together(experiments):
    plan = candidates(0, experiments)
    for chosen in [(), (3,), (0, 4, 8), tuple(range(len(plan)))]:
        exact = by_hand(plan, chosen)
        np.testing.assert_allclose(plan.precision(chosen), exact, rtol=1e-8, atol=1e-10)
        log_det = np.log(np.linalg.det(exact) / np.linalg.det(plan.prior))
        assert plan.gain(chosen) == pytest.approx(log_det / 2, abs=1e-9)
    covariance = np.linalg.inv(by_hand(plan, (1, 2)))
    variances = [np.mean(np.sum(aim.rows @ covariance * aim.rows, axis=1)) for aim in plan.aims]
    assert plan.deviation((1, 2)) == pytest.approx(np.sqrt(np.mean(variances)))
    assert list(plan.deviations((1, 2)).values()) == pytest.approx(np.sqrt(variances))


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_choices_are_the_best_of_all_sets(seed, count):
    plan = candidates(seed)
    sets = list(combinations(range(len(plan)), count))
    most, least = max(map(plan.gain, sets)), min(map(plan.deviation, sets))
    by_gain, by_variance = plan.choice(count), plan.choice(count, "A")
    assert by_gain.value == pytest.approx(plan.gain(by_gain.chosen))
    assert by_gain.value == pytest.approx(most, abs=1e-9)
    assert by_variance.value == pytest.approx(least, rel=1e-9)
    assert np.median([plan.gain(s) for s in sets]) < most - 0.1


def test_an_exchange_mends_what_greed_has_done():
    """The frame that tells most by itself is not among the best two, which tell of one unknown each."""
    rows = np.array([[1.2, 1.2], [1.5, 0.0], [0.0, 1.5]])
    frames = rows[:, :, None] * rows[:, None, :]
    only = Information(laws=2, base=np.zeros((2, 2)), frames=frames, times=np.arange(3.0))
    aims = (Aim(name="a", arguments=(np.zeros(2),), rows=np.eye(2)),)
    plan = Candidates(prior=1e-2 * np.eye(2), experiments=(only,), aims=aims)
    for criterion in ("D", "A"):
        assert plan.choice(1, criterion).chosen == (0,)
        best = plan.choice(2, criterion, beyond=3)
        assert best.order[0] == 0 and best.chosen == (1, 2)
        assert len(best.order) == len(best.values) == 3


def test_each_next_frame_is_the_one_that_adds_most():
    plan = candidates(5, experiments=2)
    choice = plan.choice(3, beyond=6)
    for count in range(6):
        before = choice.order[:count]
        gains = {number: plan.gain((*before, number)) for number in range(len(plan)) if number not in before}
        assert choice.values[count] == pytest.approx(max(gains.values()))
        assert gains[choice.order[count]] == pytest.approx(choice.values[count])


def test_frames_that_are_there_leave_less_to_be_told():
    plan = candidates(1)
    (one,) = plan.experiments
    there = replace(one, base=one.base + one.frames[2], frames=one.frames[3:], times=one.times[3:])
    after = replace(plan, experiments=(there,))
    assert after.gain((0, 5)) == pytest.approx(plan.gain((2, 3, 8)) - plan.gain((2,)))


def test_how_long_a_movie_must_be():
    plan = candidates(2)
    deviations = [plan.deviations(range(count + 1))["a"] for count in range(len(plan))]
    within = 0.999 * deviations[3]
    first, second = plan.lengths(within, 2)
    assert first.whole == 1 + np.flatnonzero(np.array(deviations) <= within)[0] > 4
    assert first.few is None or first.few >= first.whole
    assert plan.lengths(1e-9, 2)[1] == replace(second, whole=None, few=None)
    easy = plan.lengths(100.0, 2)[0]
    assert easy.whole == easy.few == 1


def test_evenly_spaced_frames():
    plan = candidates(3)
    assert plan.evenly(3) == (2, 5, 8) and plan.evenly(2) == (4, 8) and plan.evenly(20) == tuple(range(9))
    assert plan.evenly(2, among=(1, 2, 3, 4)) == (2, 4)


def test_modes_that_no_pixel_shows_change_nothing():
    plan = candidates(4)
    (one,) = plan.experiments
    unseen = replace(one, base=np.pad(one.base, (0, 2)), frames=np.pad(one.frames, ((0, 0), (0, 2), (0, 2))))
    np.testing.assert_allclose(unseen.of_laws((1, 2)), one.of_laws((1, 2)), rtol=1e-8)


def test_what_cannot_be_chosen_is_refused():
    plan = candidates(0)
    with pytest.raises(ValueError, match="choice: found criterion 'E' and 2 frames; accepted: "):
        plan.choice(2, "E")
    with pytest.raises(ValueError, match="choice: found criterion 'D' and 0 frames"):
        plan.choice(0)
    with pytest.raises(ValueError, match="prior: found one that leaves laws open"):
        replace(plan, prior=np.diag([1.0, 1.0, 0.0, 1.0]))
