"""Proofs of the derivatives on a user's own problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe_phaseinv.core.parallel import extremes
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.objective import Linearisation, Objective
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import INTERVALS

STEPS = (1.0, 0.5, 0.25, 0.125)


@dataclass(frozen=True)
class Check:
    """One figure with what it should be.

    Parameters
    ----------
    name : str
    found, expected, allowed : float
        The check holds where found differs from expected by at most allowed.
    """

    name: str
    found: float
    expected: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the figure is what it should be."""
        return bool(abs(self.found - self.expected) <= self.allowed)


def verify(objective: Objective, x: np.ndarray, *, size: float = 2e-3, seed: int = 0) -> list[Check]:
    """Check the cost and its gradient by Taylor remainders, and the sensitivities by central differences. Collective.

    All is done on the frozen time grid of the point.

    Parameters
    ----------
    objective : Objective
        With tight tolerances of the nonlinear solves.
    x : numpy.ndarray, shape (n,)
        Unknowns.
    size : float
        Length of the longest step, relative to x.
    seed : int
        Of the random part of the direction.

    Returns
    -------
    list of Check
    """
    base = objective.at(x)
    if not np.isfinite(base.value):
        return [Check("the model can be solved at the starting laws", 0.0, 1.0, 0.0)]
    direction = np.random.default_rng(seed).standard_normal(len(x))
    # With a share of the gradient in it: across the gradient the first order would vanish.
    direction = direction / np.linalg.norm(direction) + base.gradient / np.linalg.norm(base.gradient)
    direction *= size * max(np.linalg.norm(x), 1.0) / np.linalg.norm(direction)
    ratio = _difference_ratio(objective, base, direction)
    return [
        *_taylor(objective, base, direction, base.gradient @ direction),
        Check("sensitivities against central differences, ratio", ratio, 1.0, 1e-3),
    ]


def verify_fields(objective: FieldObjective, x: np.ndarray, *, size: float = 1e-2, seed: int = 0) -> list[Check]:
    """Check the cost and its gradient by Taylor remainders, and its Hessian by central differences. Collective.

    All is done on the frozen time grid of the point.

    Parameters
    ----------
    objective : FieldObjective
        With tight tolerances of the nonlinear solves.
    x : numpy.ndarray, shape (size,)
        Unknowns.
    size : float
        Length of the longest step of the laws, relative to theirs, and largest value of that of a field.
    seed : int
        Of the direction of the laws; that of the fields is of steepest descent.

    Returns
    -------
    list of Check
    """
    base = objective.at(x)
    if not np.isfinite(base.value):
        return [Check("fields: the model can be solved at the starting laws", 0.0, 1.0, 0.0)]
    direction, laws = objective.raised(base.gradient), objective.laws
    for experiment, _, field in objective.parts:
        direction[field] *= size / max(extremes(experiment.pixels.comm, np.abs(direction[field]))[1], 1e-300)
    direction[laws] = np.random.default_rng(seed).standard_normal(laws.stop)
    direction[laws] *= size * max(np.linalg.norm(x[laws]), 1.0) / np.linalg.norm(direction[laws])
    # Before the other points are looked at, for only the latest one keeps its factors.
    curvature = base.dot(base.action(direction, full=True), direction)
    ahead, behind = (objective.at(x + sign * 1e-2 * direction, like=base).gradient for sign in (1, -1))
    ratio = curvature / (base.dot(ahead - behind, direction) / 2e-2)
    return [
        *_taylor(objective, base, direction, base.dot(base.gradient, direction), "fields: "),
        Check("fields: Hessian against central differences, ratio", ratio, 1.0, 1e-3),
    ]


def verify_problem(problem: Problem) -> list[Check]:
    """Prove the derivatives of a problem at the laws to start from, those by unknown fields, too. Collective.

    Parameters
    ----------
    problem : Problem
        With tight tolerances of the nonlinear solves.
    """
    x = problem.coordinates.from_coefficients(problem.coordinates.start)
    stage = (*problem.preparations, INTERVALS)[0]
    checks = verify(problem.objective(stage, problem.first_regularisation), x)
    if problem.by_fields:
        objective = problem.objective("trajectory", problem.first_regularisation)
        checks += verify_fields(objective, objective.begin(x))
    return checks


def _taylor(objective: Objective | FieldObjective, base, direction: np.ndarray, slope: float, prefix="") -> list[Check]:
    """Orders of the remainders in a direction, along which the cost has a slope."""
    changes = np.array([objective.at(base.x + h * direction, like=base).value for h in STEPS]) - base.value
    return [
        Check(f"{prefix}Taylor remainder R0, order", _order(np.abs(changes)), 1.0, 0.1),
        Check(f"{prefix}Taylor remainder R1, order", _order(np.abs(changes - np.array(STEPS) * slope)), 2.0, 0.1),
    ]


def _order(remainders: np.ndarray) -> float:
    """Observed order between the two shortest steps."""
    return float(np.log(remainders[-2] / remainders[-1]) / np.log(STEPS[-2] / STEPS[-1]))


def _difference_ratio(objective: Objective, base: Linearisation, direction: np.ndarray) -> float:
    """Length of the change of the pixels by the sensitivities over that by differences."""
    step = 1e-2 * direction
    ahead, behind = (objective.at(base.x + sign * step, like=base) for sign in (1, -1))
    by_difference = objective.ensemble.gather(
        [
            experiment.squared([0.5 * (a - b) for a, b in zip(one.predictions, other.predictions, strict=True)], fit)
            for experiment, fit, one, other in zip(
                objective.experiments, base.fits, ahead.fits, behind.fits, strict=True
            )
        ]
    )
    by_sensitivity = step @ (base.hessian - objective.prior_at(base.x)[2]) @ step
    return float(np.sqrt(by_sensitivity / sum(by_difference)))
