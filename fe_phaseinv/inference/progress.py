"""Where an inversion stands, and how it goes on from what was recorded of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.model import Counts
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.field_point import FieldPoint
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.optimisation.trust_region import State

UNBOUNDED = ("gradient_norm", "promised")
"""Numbers of a state that may be infinite."""
SAME_COST = 1e-6
"""Relative difference from the recorded cost up to which a resumed point is the recorded one."""


@dataclass(frozen=True)
class Task:
    """What a stage minimises.

    Parameters
    ----------
    stage : str
    regularisation : tuple of float
        Of the priors of the laws.
    tilt : tuple of float
        Of them; empty for none.
    exact : bool
        Whether a trajectory has derivatives of its own, where it could have those of the coarse discretisation.
    closer : bool
        Whether the intervals are fitted closely: a trajectory could not be solved with laws of a rough fit.
    """

    stage: str
    regularisation: tuple[float, ...]
    tilt: tuple[float, ...] = ()
    exact: bool = False
    closer: bool = False

    def objective(self, problem: Problem) -> Objective | FieldObjective:
        """Return the cost. Collective.

        Parameters
        ----------
        problem : Problem
        """
        return problem.objective(self.stage, self.regularisation, self.tilt, self.exact)

    def prior(self, problem: Problem) -> Prior:
        """Return the prior of all laws.

        Parameters
        ----------
        problem : Problem
        """
        return problem.prior(self.regularisation, self.tilt)


@dataclass(frozen=True, eq=False)
class Progress:
    """Where an inversion stands: what decides the rest of it, and its history.

    Parameters
    ----------
    ensemble : SeriesEnsemble
        That the series of images are dealt to.
    task : Task
        What is minimised.
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
    task: Task
    state: State
    history: tuple[dict, ...]
    seconds: float
    counts: Counts
    choices: int = 0

    @property
    def stage(self) -> str:
        """What the stage is called."""
        return self.task.stage

    @property
    def regularisation(self) -> tuple[float, ...]:
        """Weights of the priors of the laws."""
        return self.task.regularisation

    def to_dict(self) -> dict:
        """Return plain values from which `resume` goes on. Collective."""
        point, state = self.state.point, self.state
        return {
            **asdict(self.task),
            "seconds": self.seconds,
            "counts": asdict(self.counts),
            "cost": point.value,
            "choices": self.choices,
            **self._recorded(point),
            "base": None if point.fresh else self._recorded(point.base),
            "radius": state.radius,
            "iteration": state.iteration,
            "settled": state.settled,
            "stalls": state.stalls,
            "kept": state.kept,
            **{name: _finite(getattr(state, name)) for name in UNBOUNDED},
            "history": list(self.history),
        }

    def _recorded(self, point: Linearisation | FieldPoint) -> dict:
        """Return plain values that tell where a point is, and how it was evaluated. Collective."""
        grids = [[{"times": grid.times, "orders": grid.orders} for grid in series] for series in point.grids]
        return {"x": point.whole.tolist(), "replayed": point.replayed, "grids": self.ensemble.gather(grids)}


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
    task = Task(saved["stage"], tuple(saved["regularisation"]), tuple(saved["tilt"]), saved["exact"], saved["closer"])
    objective = task.objective(problem)
    base = saved["base"] and _evaluated(problem, objective, saved["base"])
    point = _evaluated(problem, objective, saved, base)
    if not abs(point.value - saved["cost"]) <= SAME_COST * point.scale:
        raise ValueError(f"a cost of {point.value:.9g} where {saved['cost']:.9g} is recorded")
    numbers = {key: saved[key] for key in ("radius", "iteration", "settled", "stalls", "kept")}
    numbers |= {key: np.inf if saved[key] is None else saved[key] for key in UNBOUNDED}
    state = State(point, **numbers)
    return Progress(
        ensemble=problem.ensemble,
        task=task,
        state=state,
        history=tuple(saved["history"]),
        seconds=saved["seconds"],
        counts=Counts(**saved["counts"]),
        choices=saved["choices"],
    )


def _evaluated(
    problem: Problem,
    objective: Objective | FieldObjective,
    saved: dict,
    base: Linearisation | FieldPoint | None = None,
) -> Linearisation | FieldPoint:
    """Evaluate a point as it was, with the derivatives of another one where they were. Collective."""
    x = objective.local(np.array(saved["x"]))
    grids = [tuple(TimeGrid(tuple(g["times"]), tuple(g["orders"])) for g in series) for series in saved["grids"]]
    if len(x) != len(objective) or len(grids) != problem.ensemble.count:
        raise ValueError(f"{len(x)} unknowns and {len(grids)} series of images")
    own = tuple(grids[index] for index in problem.ensemble.own)
    return objective.at(x, Linearisation.on_grids(x, own) if saved["replayed"] else None, base)


def _finite(number: float) -> float | None:
    """Return a number as JSON has it; None of one that is infinite."""
    return number if np.isfinite(number) else None
