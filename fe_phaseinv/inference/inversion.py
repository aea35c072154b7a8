"""From images to laws: intervals between frames first, then the whole trajectory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress, Task
from fe_phaseinv.inference.series import COARSE, INTERVALS, SOME, beginning
from fe_phaseinv.optimisation.trust_region import Outcome, State, proposal, start
from fe_phaseinv.optimisation.trust_region import iterate as minimise

FIRST_RADIUS = 1.0
"""Least radius of the trust region at the start of a stage: coefficients of this size change a law by about as much as
kT."""
FINAL = (Outcome.NO_START, Outcome.INSENSITIVE, Outcome.MAX_ITERATIONS)
"""Outcomes after which no other stage follows."""
TOLERANCE = {SOME: 0.2, INTERVALS: 0.25, COARSE: 0.1, "search": 1e-2, "trajectory": 1e-6}
"""Promised reduction of the cost, relative to it, at which a stage ends. The search is for priors that follow from a
trajectory which fits well enough: the strength of that of clean images, the tilt where fields are unknown."""
CLEAN = {"search": 0.1, "trajectory": 5e-3}
"""The same where the misfit is no noise, but what elements and steps leave."""
NOISY = {INTERVALS: 0.05, COARSE: 1e-3, "search": 1e-3}
"""The same where most of it is noise."""
MOST_CORRECTIONS, KEPT = 8, 0.25
"""Trial points with derivatives of a coarser level after which those of the fine one take over, and the share of what
they promise that steps must keep for them not to."""
LED = 0.1
"""Those of the fine level also take over once a step has kept its promise up to this share of it."""
SLOW, CREEPING = 0.5, 0.3
"""Those of the fine level also take over where a step lowers a cost that is no noise by more than this share of what
the step before did, and by less than this share of it."""
CLOSER = 1e-3
"""The same of intervals after a rough fit of which no trajectory could be solved."""
BEGINNING_TOLERANCE, MOST_IN_BEGINNING = 0.5, 6
"""The same of the beginning of a trajectory, and the most trial points of one: what it leaves open would wander."""
SAME_REGULARISATION, MOST_CHOICES = 2.0, 8
"""The weights chosen are taken for converged once they change by less than this factor, and kept once they have been
chosen so often: they may go round in a circle."""
SAME_LAWS = 0.3
"""The same of the tilt, by how many standard deviations it moves the laws."""


def tolerance(stage: str) -> float | None:
    """Return the promised reduction of the cost at which a stage ends; None of what is no stage.

    Parameters
    ----------
    stage : str
    """
    return BEGINNING_TOLERANCE if beginning(stage) else TOLERANCE.get(stage)


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
        objective = progress.task.objective(problem)
    while True:
        task, most = progress.task, _most_iterations(progress, max_iterations)
        least, over = _tolerance(problem, task), _is_over(problem, progress)
        for state in () if over else minimise(objective, progress.state, least, most, objective.subproblem):
            progress = run.record(task, state, progress)
            if state.outcome is None:
                yield progress
            if _is_over(problem, progress):
                break
        following = _next_task(problem, progress, max_iterations)
        if following is None:
            yield progress
            return
        objective, progress = run.next(objective, following, progress)
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
        task = Task(_stages(problem)[0], problem.first_regularisation)
        objective = task.objective(problem)
        x = problem.coordinates.from_coefficients(problem.coordinates.start)
        progress = self._begin(objective, task, x, FIRST_RADIUS)
        state = progress.state
        if task.stage in problem.preparations and state.outcome is None:
            state = replace(state, radius=min(state.radius, _reach(state.point)))
        return objective, replace(progress, state=state)

    def next(
        self, objective: Objective | FieldObjective, task: Task, before: Progress
    ) -> tuple[Objective | FieldObjective, Progress]:
        """Return the objective of a further stage, and the progress at the point that the one before it has reached."""
        radius, point = max(before.state.radius, FIRST_RADIUS), before.state.point
        if task.exact and not before.task.exact and not _is_misled(self.problem, before):
            return self._ahead(objective, task, before)
        if {before.stage, task.stage} & {*self.problem.preparations} or task.exact != before.task.exact:
            following = task.objective(self.problem)
            return following, self._begin(following, task, point.x, radius, before)
        following = objective.with_prior(task.prior(self.problem), self.problem.variance(task.regularisation))
        point = following.carried(point)
        state = State(point, following.radius(point, radius), before.state.iteration)
        progress = self.record(task, state, before, new_stage=True)
        return following, replace(progress, choices=before.choices + 1)

    def _ahead(
        self, objective: Objective | FieldObjective, task: Task, before: Progress
    ) -> tuple[Objective | FieldObjective, Progress]:
        """Begin where the next step of the stage before leads, or where that ended if it is better there."""
        following, radius = task.objective(self.problem), max(before.state.radius, FIRST_RADIUS)
        progress = self._begin(following, task, proposal(objective, before.state), radius, before)
        if progress.state.point.misfit < before.state.point.misfit:
            return following, progress
        return following, self._begin(following, task, before.state.point.x, radius, before)

    def _begin(
        self,
        objective: Objective | FieldObjective,
        task: Task,
        x: np.ndarray,
        radius: float,
        before: Progress | None = None,
    ) -> Progress:
        state = start(objective, objective.begin(x), radius)
        state = replace(state, radius=objective.radius(state.point, radius))
        if before:
            state = replace(state, iteration=before.state.iteration)
        return self.record(task, state, before, new_stage=True)

    def record(self, task: Task, state: State, before: Progress | None, new_stage: bool = False) -> Progress:
        """Return the progress at a state, with one more entry of the history where there is a new point."""
        seconds, counts = time.perf_counter() - self.began, self.problem.counts
        if self.resumed:
            seconds, counts = seconds + self.resumed.seconds, counts + self.resumed.counts
        history = before.history if before else ()
        if new_stage or state.iteration > before.state.iteration:
            history = (*history, _entry(task.stage, state, seconds))
        return Progress(
            ensemble=self.problem.ensemble,
            task=task,
            state=state,
            history=history,
            seconds=seconds,
            counts=counts,
            choices=before.choices if before else 0,
        )


def _reach(point: Linearisation) -> float:
    """Return how far along its gradient the cost vanishes, were its residuals linear."""
    return 2 * point.value / max(point.gradient_norm(), 1e-300)


def posterior(problem: Problem, progress: Progress) -> Laplace:
    """Return the uncertainty of the laws at the point that an inversion has reached. Collective.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    """
    prior, point = progress.task.prior(problem), progress.state.point
    return Laplace.at(problem.parameters, problem.coordinates, prior=prior, point=point, noise=problem.noise)


def _most_iterations(progress: Progress, max_iterations: int) -> int:
    """Return the iteration at which a stage ends at the latest."""
    if not beginning(progress.stage) and progress.stage != COARSE:
        return max_iterations
    began = _since_start(progress)[0]["iteration"]
    return min(max_iterations, began + MOST_IN_BEGINNING)


def _next_task(problem: Problem, progress: Progress, max_iterations: int) -> Task | None:
    """Return what is minimised next; None where an inversion has ended."""
    state = progress.state
    if state.outcome is Outcome.NO_START and INTERVALS in _before(problem, progress) and not progress.task.closer:
        return replace(progress.task, stage=INTERVALS, closer=True)
    if state.outcome in FINAL and not (state.outcome is Outcome.MAX_ITERATIONS and state.iteration < max_iterations):
        return None
    if progress.stage in problem.preparations:
        stages = _stages(problem)
        rough = progress.stage == SOME or beginning(progress.stage)
        task = progress.task if rough else _chosen(problem, progress)
        return replace(task, stage=stages[stages.index(progress.stage) + 1])
    if _is_misled(problem, progress):
        return replace(progress.task, exact=True)
    following = _chosen(problem, progress)
    if progress.stage == "trajectory" and (_same(following, progress, problem) or _gives_up(progress)):
        return None
    return replace(following, stage="trajectory", exact=following.exact or problem.ends_exactly)


def _is_over(problem: Problem, progress: Progress) -> bool:
    """Whether derivatives of a coarser level have done what they can."""
    return _is_misled(problem, progress) or _is_led(problem, progress)


def _is_led(problem: Problem, progress: Progress) -> bool:
    """Whether derivatives of a coarser level have led so near that the next step may have those of the fine one."""
    state = progress.state
    if not (_is_levelled(problem, progress.task) and problem.ends_exactly):
        return False
    return len(_since_start(progress)) > 1 and state.accepted and abs(state.kept - 1) < LED


def _stages(problem: Problem) -> tuple[str, ...]:
    """Return the stages up to the first one of a trajectory on the fine level."""
    return (*problem.preparations, _first_trajectory(problem))


def _before(problem: Problem, progress: Progress) -> tuple[str, ...]:
    """Return the stages that came before the last one."""
    return tuple(takewhile(lambda stage: stage != progress.stage, _stages(problem)))


def _is_levelled(problem: Problem, task: Task) -> bool:
    """Whether a stage takes derivatives from the coarse discretisation, and predictions from the fine one."""
    return problem.levelled and not task.exact and task.stage not in problem.preparations


def _tolerance(problem: Problem, task: Task) -> float:
    """Return the promised reduction of the cost at which a stage ends."""
    if task.closer and task.stage == INTERVALS:
        return CLOSER
    if problem.noise:
        return NOISY.get(task.stage, tolerance(task.stage))
    return CLEAN.get(task.stage, tolerance(task.stage))


def _is_misled(problem: Problem, progress: Progress) -> bool:
    """Whether derivatives of a coarser level lead no further: a step has not kept its promise, or there were many."""
    state = progress.state
    if not _is_levelled(problem, progress.task) or state.outcome is Outcome.CONVERGED:
        return False
    if state.outcome is Outcome.COLLAPSED or state.kept < KEPT or len(_since_start(progress)) > MOST_CORRECTIONS:
        return True
    return not problem.noise and _creeps([entry["cost"] for entry in _since_start(progress)])


def _creeps(costs: list[float]) -> bool:
    """Whether the cost falls a little and hardly less than before, where corrections should become ever smaller."""
    before, last = (-np.diff(costs))[-2:] if len(costs) > 2 else (0.0, 0.0)
    return SLOW * before < last < CREEPING * costs[-2] and before > 0


def _since_start(progress: Progress) -> list[dict]:
    """Return the entries of the history since its task began, the first one that of the point where it did."""
    history, began = progress.history, len(progress.history) - 1
    while began and history[began - 1]["iteration"] < history[began]["iteration"]:
        began -= 1
    return list(history[began:])


def _chosen(problem: Problem, progress: Progress) -> Task:
    """Choose the priors of the laws anew."""
    weights, tilt = progress.regularisation, progress.task.tilt
    if problem.settings.regularisation == "auto":
        weights = _better_regularisation(problem, progress)
    if problem.eliminates_fields and progress.stage not in problem.preparations:
        tilt = tuple(progress.state.point.tilt().tolist())
    return replace(progress.task, regularisation=weights, tilt=tilt)


def _same(chosen: Task, before: Progress, problem: Problem) -> bool:
    """Whether the priors have hardly changed."""
    pairs = zip(chosen.regularisation, before.regularisation, strict=True)
    if not all(new == old or abs(np.log(new / old)) < np.log(SAME_REGULARISATION) for new, old in pairs):
        return False
    if not chosen.tilt:
        return True
    turned = np.subtract(chosen.tilt, before.task.tilt or 0.0)
    return posterior(problem, before).moved(turned) < SAME_LAWS


def _gives_up(progress: Progress) -> bool:
    """Whether the priors have been chosen often enough; says so."""
    if progress.choices < MOST_CHOICES:
        return False
    text = f"the priors of the laws still change after {MOST_CHOICES} choices; the last ones are kept"
    warnings.warn(text, DataWarning, stacklevel=2)
    return True


def _first_trajectory(problem: Problem) -> str:
    """Name the stage after the preparations: the priors are chosen for a trajectory that fits well enough."""
    searched = problem.settings.regularisation == "auto" and not problem.noise
    return "search" if searched or problem.eliminates_fields or problem.levelled else "trajectory"


def _better_regularisation(problem: Problem, progress: Progress) -> tuple[float, ...]:
    """Choose the regularisation of the priors anew; the misfit of clean images is no noise and tells but its size."""
    found = posterior(problem, progress)
    if problem.noise and progress.stage != INTERVALS:
        return found.better_regularisation(progress.task.prior(problem), progress.regularisation)
    point = progress.state.point
    return (found.deviation**2 * point.expected_misfit / point.misfit,) * len(progress.regularisation)


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
