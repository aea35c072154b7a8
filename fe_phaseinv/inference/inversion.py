"""From images to laws: intervals between frames first, then the whole trajectory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.model import Counts
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem, beginning
from fe_phaseinv.optimisation.trust_region import Outcome, State, start
from fe_phaseinv.optimisation.trust_region import iterate as minimise

FIRST_RADIUS = 1.0
"""Least radius of the trust region at the start of a stage: coefficients of this size change a law by about as much as
kT."""
FINAL = (Outcome.NO_START, Outcome.INSENSITIVE, Outcome.MAX_ITERATIONS)
"""Outcomes after which no other stage follows."""
TOLERANCE = {"intervals": 0.2, "search": 1e-2, "trajectory": 1e-6}
"""Promised reduction of the cost, relative to it, at which a stage ends. The search is for the strength of the prior
of clean images, which follows from a trajectory that fits well enough."""
BEGINNING_TOLERANCE, MOST_IN_BEGINNING = 0.5, 6
"""The same of the beginning of a trajectory, and the most trial points of one: what it leaves open would wander."""
SAME_REGULARISATION, MOST_CHOICES = 2.0, 8
"""The weights chosen are taken for converged once they change by less than this factor, and kept once they have been
chosen so often: they may go round in a circle."""
SAME_COST = 1e-6
"""Relative difference from the recorded cost up to which a resumed point is the recorded one."""


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
    choices : int
        How often the weights of the priors have been chosen on the trajectory.
    """

    ensemble: SeriesEnsemble
    stage: str
    regularisation: tuple[float, ...]
    state: State
    history: tuple[dict, ...]
    seconds: float
    counts: Counts
    choices: int = 0

    def to_dict(self) -> dict:
        """Return plain values from which `resume` goes on. Collective."""
        point, state = self.state.point, self.state
        grids = [[{"times": grid.times, "orders": grid.orders} for grid in series] for series in point.grids]
        return {
            "stage": self.stage,
            "regularisation": self.regularisation,
            "seconds": self.seconds,
            "counts": asdict(self.counts),
            "cost": point.value,
            "choices": self.choices,
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


def tolerance(stage: str) -> float | None:
    """Return the promised reduction of the cost at which a stage ends; None of what is no stage.

    Parameters
    ----------
    stage : str
    """
    return BEGINNING_TOLERANCE if beginning(stage) else TOLERANCE.get(stage)


def resume(problem: Problem, saved: dict) -> Progress:
    """Rebuild the progress that `Progress.to_dict` recorded. Collective.

    Parameters
    ----------
    problem : Problem
        That of the inversion that recorded it.
    saved : dict
        What was recorded.

    Raises
    ------
    ValueError
        Where the numbers of unknowns or series are others, or the cost at the recorded point is.
    """
    regularisation = tuple(saved["regularisation"])
    objective = problem.objective(saved["stage"], regularisation)
    x = objective.local(np.array(saved["x"]))
    grids = [tuple(TimeGrid(tuple(g["times"]), tuple(g["orders"])) for g in series) for series in saved["grids"]]
    if len(x) != len(objective) or len(grids) != problem.ensemble.count:
        raise ValueError(f"{len(x)} unknowns and {len(grids)} series of images")
    own = tuple(grids[index] for index in problem.ensemble.own)
    point = objective.at(x, Linearisation.on_grids(x, own) if saved["replayed"] else None)
    if not abs(point.value - saved["cost"]) <= SAME_COST * point.scale:
        raise ValueError(f"a cost of {point.value:.9g} where {saved['cost']:.9g} is recorded")
    norm = np.inf if saved["gradient_norm"] is None else saved["gradient_norm"]
    state = State(point, saved["radius"], saved["iteration"], saved["settled"], saved["stalls"], norm)
    return Progress(
        ensemble=problem.ensemble,
        stage=saved["stage"],
        regularisation=regularisation,
        state=state,
        history=tuple(saved["history"]),
        seconds=saved["seconds"],
        counts=Counts(**saved["counts"]),
        choices=saved["choices"],
    )


def iterate(problem: Problem, *, max_iterations: int = 50, progress: Progress | None = None) -> Iterator[Progress]:
    """Learn the laws; give the progress after every trial point, the last one with an outcome. Collective.

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
        objective, progress = run.first()
        yield progress
    else:
        objective = problem.objective(progress.stage, progress.regularisation)
    while True:
        stage, most = progress.stage, _most_iterations(progress, max_iterations)
        for state in minimise(objective, progress.state, tolerance(stage), most, objective.subproblem):
            progress = run.record(stage, progress.regularisation, state, progress)
            if state.outcome is None:
                yield progress
        following = _next_stage(problem, progress, max_iterations)
        if following is None:
            yield progress
            return
        objective, progress = run.next(objective, *following, progress)
        yield progress


@dataclass(frozen=True, eq=False)
class _Run:
    """Keeps the books of an inversion that began, or went on from some progress, at a time."""

    problem: Problem
    began: float
    resumed: Progress | None

    def first(self) -> tuple[Objective | FieldObjective, Progress]:
        """Return the objective of the first stage and the progress at the laws to start from."""
        problem = self.problem
        stage = (*problem.preparations, _first_trajectory(problem))[0]
        objective = problem.objective(stage, problem.first_regularisation)
        x = problem.coordinates.from_coefficients(problem.coordinates.start)
        return objective, self._begin(objective, stage, problem.first_regularisation, x, FIRST_RADIUS)

    def next(
        self,
        objective: Objective | FieldObjective,
        stage: str,
        regularisation: tuple[float, ...],
        before: Progress,
    ) -> tuple[Objective | FieldObjective, Progress]:
        """Return the objective of a further stage, and the progress at the point that the one before it has reached."""
        radius, point = max(before.state.radius, FIRST_RADIUS), before.state.point
        if before.stage in self.problem.preparations:
            following = self.problem.objective(stage, regularisation)
            return following, self._begin(following, stage, regularisation, point.x, radius, before)
        following = objective.with_prior(self.problem.prior(regularisation), self.problem.variance(regularisation))
        point = following.carried(point, objective)
        state = State(point, following.radius(point, radius), before.state.iteration)
        progress = self.record(stage, regularisation, state, before, new_stage=True)
        return following, replace(progress, choices=before.choices + 1)

    def _begin(
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
        """Return the progress at a state, with one more entry of the history where there is a new point."""
        seconds, counts = time.perf_counter() - self.began, self.problem.counts
        if self.resumed:
            seconds, counts = seconds + self.resumed.seconds, counts + self.resumed.counts
        history = before.history if before else ()
        if new_stage or state.iteration > before.state.iteration:
            history = (*history, _entry(stage, state, seconds))
        return Progress(
            ensemble=self.problem.ensemble,
            stage=stage,
            regularisation=regularisation,
            state=state,
            history=history,
            seconds=seconds,
            counts=counts,
            choices=before.choices if before else 0,
        )


def posterior(problem: Problem, progress: Progress) -> Laplace:
    """Return the uncertainty of the laws at the point that an inversion has reached. Collective.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    """
    prior, point = problem.prior(progress.regularisation), progress.state.point
    return Laplace.at(problem.parameters, problem.coordinates, prior=prior, point=point, noise=problem.noise)


def _most_iterations(progress: Progress, max_iterations: int) -> int:
    """Return the iteration at which a stage ends at the latest."""
    if not beginning(progress.stage):
        return max_iterations
    began = next(entry["iteration"] for entry in progress.history if entry["stage"] == progress.stage)
    return min(max_iterations, began + MOST_IN_BEGINNING)


def _next_stage(problem: Problem, progress: Progress, max_iterations: int) -> tuple[str, tuple[float, ...]] | None:
    """Return the stage that follows, with the weights of its priors; None where an inversion has ended."""
    state = progress.state
    if state.outcome in FINAL and not (state.outcome is Outcome.MAX_ITERATIONS and state.iteration < max_iterations):
        return None
    if beginning(progress.stage):
        stages = (*problem.preparations, _first_trajectory(problem))
        return stages[stages.index(progress.stage) + 1], progress.regularisation
    chosen = progress.regularisation
    if problem.settings.regularisation == "auto":
        chosen = _better_regularisation(problem, progress)
    if progress.stage == "intervals":
        return _first_trajectory(problem), chosen
    if progress.stage == "trajectory" and (_same(chosen, progress.regularisation) or _gives_up(progress)):
        return None
    return "trajectory", chosen


def _same(chosen: Sequence[float], before: Sequence[float]) -> bool:
    """Whether weights of the priors have hardly changed."""
    pairs = zip(chosen, before, strict=True)
    return all(new == old or abs(np.log(new / old)) < np.log(SAME_REGULARISATION) for new, old in pairs)


def _gives_up(progress: Progress) -> bool:
    """Whether the weights have been chosen often enough; says so."""
    if progress.choices < MOST_CHOICES:
        return False
    text = f"the weights of the priors still change after {MOST_CHOICES} choices; the last ones are kept"
    warnings.warn(text, DataWarning, stacklevel=2)
    return True


def _first_trajectory(problem: Problem) -> str:
    """Name the stage after the intervals: evidence wants a trajectory that fits as well as it can."""
    return "search" if problem.settings.regularisation == "auto" and not problem.noise else "trajectory"


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
