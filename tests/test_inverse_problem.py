"""The script that a user writes, and what comes of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from firedrake import Function, assemble, dx
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv import (
    CahnHilliard,
    InverseProblem,
    Legendre,
    Matern,
    Progress,
    Tolerances,
    ideal_entropy,
    rectangle_mesh,
)

INITIAL = {"chemical_potential": [0, -2.5, 0.1], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3}
SETTINGS = {"initial": INITIAL, "degree": 2, "tolerances": Tolerances(rtol=3e-3, newton=1e-8), "regularisation": 1e-4}


def posed(movie, comm=COMM_SELF, **settings):
    model = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))
    return InverseProblem(movie, model, rectangle_mesh(movie, 6, comm), **(SETTINGS | settings))


@pytest.mark.parallel([1, 3])
def test_the_script(movie, tmp_path):
    problem = posed(movie, COMM_WORLD)
    solution = problem.solve(max_iterations=1)
    folder = COMM_WORLD.bcast(tmp_path)
    files = solution.write(folder)
    assert {path.name for path in files} >= {"result.json", "curves.csv", "laws.png", "frames.pdf", "history.png"}
    written = json.loads((folder / "result.json").read_text())["laws"]
    assert float(solution.laws["gradient_energy"]) == written["gradient_energy"]["value"]
    assert solution.laws["diffusivity"](0.5) > 0
    with pytest.raises(TypeError, match="diffusivity is a function of c"):
        float(solution.laws["diffusivity"])
    lower, upper = solution.band("diffusivity")
    np.testing.assert_allclose([lower, upper], [written["diffusivity"][end] for end in ("lower", "upper")])
    lower, upper = solution.band("gradient_energy", 0.0)
    assert lower < float(solution.laws["gradient_energy"]) < upper
    states = solution.states()
    assert len(states) == 2 and all(isinstance(state, Function) for state in states)
    observed = movie.frames[1:] - np.array([assemble(state * dx) for state in states])[:, None, None]
    assert np.abs(observed.mean(axis=(1, 2))).max() < 0.01


def test_an_unknown_setting_and_an_unknown_law_are_refused(movie):
    with pytest.raises(TypeError, match="boundry"):
        posed(movie, boundry="no-flux")
    problem = posed(movie)
    *_, last = problem.iterate(max_iterations=1)
    assert isinstance(last, Progress)
    solution = problem.solution(last, uncertainty=False)
    with pytest.raises(ValueError, match="law: found 'D'; accepted: chemical_potential, diffusivity, gradient_energy"):
        solution.band("D")
    with pytest.raises(ValueError, match="without uncertainty"):
        solution.band("diffusivity")


def test_joint_problems_compare_their_laws(movie):
    second = replace(movie, frames=0.95 - movie.frames[:, ::-1, :])
    problem = InverseProblem.joint([posed(movie), posed(second)])
    assert len(problem.problem.series) == 2
    other = InverseProblem(
        movie, CahnHilliard(Legendre(3), Legendre(2)), rectangle_mesh(movie, 6, COMM_SELF), **SETTINGS
    )
    with pytest.raises(ValueError, match="chemical_potential: found .*'known': None.*beside.*'ideal_entropy'"):
        InverseProblem.joint([posed(movie), other])


def test_derivatives_are_proven(movie):
    checks = posed(movie).verify()
    assert [check.name for check in checks if not check.holds] == []


def fourth_power(states):
    """A functional of one's own: large where the pattern is, at the end and at the start."""
    return assemble(30.0 * (states[-1] ** 4 + states[0] * states[1]) * dx)


@pytest.mark.parallel([1, 3])
def test_a_functional_of_ones_own_is_part_of_the_cost(movie):
    problem, plain = (posed(movie, COMM_WORLD, **settings).problem for settings in ({"term": fourth_power}, {}))
    costs = [each.objective("trajectory", each.first_regularisation) for each in (problem, plain)]
    x = problem.coordinates.from_coefficients(problem.coordinates.start)
    point, other = (cost.at(x) for cost in costs)
    (fit,), segment = point.fits, costs[0].experiments[0].segments[0]
    states = [Function(costs[0].experiments[0].forward.space) for _ in range(3)]
    for state, values in zip(states, (segment.start, *(values[::2] for values in fit.states)), strict=True):
        state.dat.data_wo[:] = values
    assert point.value - other.value == pytest.approx(float(fourth_power(states)), rel=1e-9)
    step = 1e-4 * np.random.default_rng(3).standard_normal(len(x))
    ahead, behind = (costs[0].at(x + sign * step, like=point) for sign in (1, -1))
    assert point.gradient @ step == pytest.approx((ahead.value - behind.value) / 2, rel=1e-5)
    assert abs((point.gradient - other.gradient) @ step) > 1e-2 * abs(other.gradient @ step)


def test_derivatives_of_a_functional_of_ones_own_with_unknown_fields(movie):
    problem = posed(movie, term=fourth_power, hessian="newton", start_prior=Matern(0.05, 0.3))
    assert [check.name for check in problem.verify() if not check.holds] == []


def test_a_functional_that_is_not_on_the_tape_is_refused(movie):
    problem = posed(movie, term=lambda states: 1.0).problem
    with pytest.raises(ValueError, match="term: found 1.0; accepted: a number on the tape"):
        problem.objective("trajectory", problem.first_regularisation)
