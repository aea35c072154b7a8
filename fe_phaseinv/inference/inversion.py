"""From images to laws: intervals between frames first, then the whole trajectory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.model import Counts
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.optimisation.trust_region import Outcome, State, iterate, start

FIRST_RADIUS = 1.0
"""Least radius of the trust region at the start of a stage: coefficients of this size change a law by about as much as
kT."""
TOLERANCE = {"intervals": 0.2, "search": 1e-2, "trajectory": 1e-6}
"""Promised reduction of the cost, relative to it, at which a stage ends. The search is for the strength of the prior
of clean images, which follows from a trajectory that fits well enough."""
SAME_REGULARISATION = 2.0
"""The weights chosen are taken for converged once they change by less than this factor."""


@dataclass(frozen=True, eq=False)
class Progress:
    """Where an inversion stands: what decides the rest of it, and its history.

    Parameters
    ----------
    ensemble : SeriesEnsemble
        That the series of images are dealt to.
    stage : str
    regularisation : tuple of float
        Of the priors of the laws.
    state : State
    history : tuple of dict
        One entry for every trial point and for the first point of every stage.
    seconds : float
        Spent so far.
    counts : Counts
        Work done so far.
    """

    ensemble: SeriesEnsemble
    stage: str
    regularisation: tuple[float, ...]
    state: State
    history: tuple[dict, ...]
    seconds: float
    counts: Counts

    def to_dict(self) -> dict:
        """Plain values from which `resume` goes on; collective."""
        point, state = self.state.point, self.state
        grids = [[{"times": grid.times, "orders": grid.orders} for grid in series] for series in point.grids]
        return {
            "stage": self.stage,
            "regularisation": self.regularisation,
            "seconds": self.seconds,
            "counts": asdict(self.counts),
            "x": point.whole.tolist(),
            "replayed": point.replayed,
            "grids": self.ensemble.gather(grids),
            "radius": state.radius,
            "iteration": state.iteration,
            "settled": state.settled,
            "stalls": state.stalls,
            "gradient_norm": state.gradient_norm if np.isfinite(state.gradient_norm) else None,
            "history": list(self.history),
        }


def resume(problem: Problem, saved: dict) -> Progress:
    """Rebuild the progress that `Progress.to_dict` recorded."""
    regularisation = tuple(saved["regularisation"])
    objective = problem.objective(saved["stage"], regularisation)
    x = objective.local(np.array(saved["x"]))
    grids = [tuple(TimeGrid(tuple(g["times"]), tuple(g["orders"])) for g in series) for series in saved["grids"]]
    if len(x) != len(objective) or len(grids) != problem.ensemble.count:
        raise ValueError(f"{len(x)} unknowns and {len(grids)} series of images")
    own = tuple(grids[index] for index in problem.ensemble.own)
    point = objective.at(x, Linearisation.on_grids(x, own) if saved["replayed"] else None)
    norm = np.inf if saved["gradient_norm"] is None else saved["gradient_norm"]
    state = State(point, saved["radius"], saved["iteration"], saved["settled"], saved["stalls"], norm)
    counts = Counts(**saved["counts"])
    return Progress(
        problem.ensemble, saved["stage"], regularisation, state, tuple(saved["history"]), saved["seconds"], counts
    )


def invert(problem: Problem, max_iterations: int = 50, progress: Progress | None = None) -> Iterator[Progress]:
    """Learn the laws; gives the progress after every trial point, the last one with an outcome.

    Parameters
    ----------
    problem : Problem
    max_iterations : int
        Largest number of trial points in all stages together.
    progress : Progress, optional
        Where to go on.
    """
    run = _Run(problem, time.perf_counter(), progress)
    if progress is None:
        regularisation = problem.first_regularisation
        stage = "intervals" if problem.by_multiple_shooting else _first_trajectory(problem)
        x = problem.coordinates.from_coefficients(problem.coordinates.start)
        objective = problem.objective(stage, regularisation)
        progress = run.begin(objective, stage, regularisation, x, FIRST_RADIUS)
        yield progress
    else:
        objective = problem.objective(progress.stage, progress.regularisation)
    while True:
        stage, regularisation = progress.stage, progress.regularisation
        for state in iterate(objective, progress.state, TOLERANCE[stage], max_iterations, objective.subproblem):
            progress = run.record(stage, regularisation, state, progress)
            if state.outcome is None:
                yield progress
        following = _next_stage(problem, progress)
        if following is None:
            yield progress
            return
        radius = max(progress.state.radius, FIRST_RADIUS)
        if progress.stage == "intervals":
            objective = problem.objective(*following)
            progress = run.begin(objective, *following, progress.state.point.x, radius, progress)
        else:
            before, objective = objective, objective.with_prior(problem.prior(following[1]))
            point = objective.carried(progress.state.point, before)
            state = State(point, objective.radius(point, radius), progress.state.iteration)
            progress = run.record(*following, state, progress, new_stage=True)
        yield progress


@dataclass(frozen=True, eq=False)
class _Run:
    """Keeps the books of an inversion that began, or went on from some progress, at a time."""

    problem: Problem
    began: float
    resumed: Progress | None

    def begin(
        self,
        objective: Objective | FieldObjective,
        stage: str,
        regularisation: tuple[float, ...],
        x: np.ndarray,
        radius: float,
        before: Progress | None = None,
    ) -> Progress:
        state = start(objective, objective.begin(x), radius)
        state = replace(state, radius=objective.radius(state.point, radius))
        if before:
            state = replace(state, iteration=before.state.iteration)
        return self.record(stage, regularisation, state, before, new_stage=True)

    def record(
        self,
        stage: str,
        regularisation: tuple[float, ...],
        state: State,
        before: Progress | None,
        new_stage: bool = False,
    ) -> Progress:
        seconds, counts = time.perf_counter() - self.began, self.problem.counts
        if self.resumed:
            seconds, counts = seconds + self.resumed.seconds, counts + self.resumed.counts
        history = before.history if before else ()
        if new_stage or state.iteration > before.state.iteration:
            history = (*history, _entry(stage, state, seconds))
        return Progress(self.problem.ensemble, stage, regularisation, state, history, seconds, counts)


def posterior(problem: Problem, progress: Progress) -> Laplace:
    """Uncertainty of the laws at the point that an inversion has reached."""
    prior, point = problem.prior(progress.regularisation), progress.state.point
    return Laplace.at(problem.parameters, problem.coordinates, prior, point, problem.noise)


def _next_stage(problem: Problem, progress: Progress) -> tuple[str, tuple[float, ...]] | None:
    if progress.state.outcome in (Outcome.NO_START, Outcome.MAX_ITERATIONS):
        return None
    regularisation = (
        _better_regularisation(problem, progress) if problem.regularisation == "auto" else progress.regularisation
    )
    if progress.stage == "intervals":
        return _first_trajectory(problem), regularisation
    same = all(
        new == old or abs(np.log(new / old)) < np.log(SAME_REGULARISATION)
        for new, old in zip(regularisation, progress.regularisation, strict=True)
    )
    return None if same and progress.stage == "trajectory" else ("trajectory", regularisation)


def _first_trajectory(problem: Problem) -> str:
    """Name the stage after the intervals: evidence wants a trajectory that fits as well as it can."""
    return "search" if problem.regularisation == "auto" and not problem.noise else "trajectory"


def _better_regularisation(problem: Problem, progress: Progress) -> tuple[float, ...]:
    """Choose the regularisation of the priors anew; the misfit of clean images is no noise and tells but its size."""
    found = posterior(problem, progress)
    if problem.noise and progress.stage != "intervals":
        return found.better_regularisation(problem.prior(progress.regularisation), progress.regularisation)
    return (found.deviation**2,) * len(progress.regularisation)


def _entry(stage: str, state: State, seconds: float) -> dict:
    point = state.point
    return {
        "iteration": state.iteration,
        "stage": stage,
        "cost": point.value,
        "misfit_rms": point.misfit_rms,
        "gradient_norm": point.gradient_norm(),
        "radius": state.radius,
        "accepted": state.accepted,
        "seconds": seconds,
    }
