"""The subproblem of a trust region by preconditioned conjugate gradients, for any number of unknowns.

Steihaug, SIAM J. Numer. Anal. 20, 626 (1983); Conn, Gould and Toint, Trust-Region Methods (2000), algorithm 7.5.1;
forcing terms of Eisenstat and Walker, SIAM J. Sci. Comput. 17, 16 (1996), choice 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, get_args

import numpy as np

from fe_phaseinv.optimisation.points import State, Trial

Hessian = Literal["gauss-newton", "newton", "both"]
LOOSEST, TIGHTEST = 1e-2, 1e-4
"""Bounds of the share of the gradient that a solve leaves. With a loose one the laws make up for what is not yet solved
of the fields, and go astray."""
NEAR = 0.1
"""Share of the gradient before, below which a minimum is taken for near."""
GAMMA, ALPHA = 0.9, 2.0
"""Of the forcing terms."""


class Curved(Protocol):
    """A point with actions in place of matrices; arrays may be the local parts of distributed vectors."""

    gradient: np.ndarray

    def action(self, v: np.ndarray, full: bool) -> np.ndarray:
        """Return the Hessian, or its Gauss-Newton part, times a vector. Collective.

        Parameters
        ----------
        v : numpy.ndarray, shape (n,)
        full : bool
            Whether it is the whole Hessian.
        """

    def precondition(self, g: np.ndarray) -> np.ndarray:
        """Return the inverse of the operator whose norm is that of the region, times a vector. Collective.

        Parameters
        ----------
        g : numpy.ndarray, shape (n,)
        """

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the sum of the products over all ranks. Collective.

        Parameters
        ----------
        a, b : numpy.ndarray, shape (n,)
        """


@dataclass(frozen=True)
class NewtonCG:
    """Steihaug's method: leaves the region where the model curves down, and stops early far from the minimum.

    Parameters
    ----------
    hessian : str
        "gauss-newton", "newton", or "both": Newton's once a step has lowered the gradient by much, near the minimum.
    most : int
        Largest number of iterations for a step.
    iterations : list of int
        Numbers that the steps took so far.

    Raises
    ------
    ValueError
        Where `hessian` is none of the three.
    """

    hessian: Hessian = "gauss-newton"
    most: int = 200
    iterations: list[int] = field(default_factory=list, compare=False)

    def __post_init__(self):
        """Refuse what is not accepted."""
        if self.hessian not in get_args(Hessian):
            accepted = " or ".join(map(repr, get_args(Hessian)))
            raise ValueError(f"hessian: found {self.hessian!r}; accepted: {accepted}")

    def solve(self, point: Curved, state: State) -> Trial:
        """Return a step in the region. Collective.

        Parameters
        ----------
        point : Curved
            Where the step begins.
        state : State
            With the radius of the region, and the norm of the gradient before.
        """
        gradient, before = point.gradient, state.gradient_norm
        norm = np.sqrt(point.dot(gradient, point.precondition(gradient)))
        full = self.hessian == "newton" or (self.hessian == "both" and norm < NEAR * before < np.inf)
        solve = steihaug(
            gradient,
            action=lambda v: point.action(v, full),
            precondition=point.precondition,
            dot=point.dot,
            radius=state.radius,
            allowed=norm * forcing(norm, before),
            most=self.most,
        )
        self.iterations.append(solve.iterations)
        return solve.trial


def forcing(norm: float, before: float) -> float:
    """Return the share of a gradient that a solve may leave.

    Parameters
    ----------
    norm, before : float
        Norm of the gradient now and at the point before; infinite where there was none.

    Notes
    -----
    Eisenstat and Walker, choice 2.
    """
    return float(np.clip(GAMMA * (norm / before) ** ALPHA, TIGHTEST, LOOSEST)) if np.isfinite(before) else LOOSEST


class Ending(Enum):
    """How conjugate gradients ended."""

    CONVERGED = "the residual is as small as was asked for"
    BOUNDED = "the region bounds the step"
    CURVED_DOWN = "the model curves down: the step goes to the boundary of the region, or stops where there is none"
    EXHAUSTED = "the iterations allowed are used up"


@dataclass(frozen=True, eq=False)
class Solve:
    """What conjugate gradients found, and how they ended.

    Parameters
    ----------
    trial : Trial
    ending : Ending
    iterations : int
    """

    trial: Trial
    ending: Ending
    iterations: int


def steihaug(
    gradient: np.ndarray,
    *,
    action: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    dot: Callable[[np.ndarray, np.ndarray], float],
    radius: float,
    allowed: float,
    most: int,
) -> Solve:
    """Minimise g.s + s.H.s/2 for ``|s|_M <= radius`` approximately.

    Each direction is made conjugate to all before it and not to the last one alone, which is the same but for rounding:
    without this, rounding that differs with the number of ranks grows to the fourth digit of a step.

    Parameters
    ----------
    gradient : numpy.ndarray, shape (n,)
        g.
    action : callable
        H times a vector.
    precondition : callable
        The inverse of M times a vector; M is symmetric and positive definite.
    dot : callable
        Sum of the products of two arrays.
    radius : float
        Of the region; infinite where there is none.
    allowed : float
        Norm, dual to that of M, of a residual that is small enough.
    most : int
        Largest number of iterations.
    """
    residual, step, image = gradient, np.zeros_like(gradient), np.zeros_like(gradient)
    direction = -precondition(residual)
    squared = dot(residual, -direction)
    norm = np.sqrt(squared)
    along = within = 0.0  # s.M.p and s.M.s; that of p.M.p follows
    across, taken, promise = squared, 0, np.inf
    ending = Ending.EXHAUSTED if norm > 0 else Ending.CONVERGED
    earlier: list[tuple[np.ndarray, np.ndarray]] = []  # directions, and H times them over their curvature
    while norm > 0 and taken < most:
        taken += 1
        curved = action(direction)
        curvature = dot(direction, curved)
        share = squared / curvature if curvature > 0 else np.inf
        outside = not within + 2 * share * along + share**2 * across < radius**2
        if outside and np.isinf(radius):  # there is no boundary to go to
            ending = Ending.CURVED_DOWN
            break
        if outside:
            share = (-along + np.sqrt(along**2 + across * (radius**2 - within))) / across
        step, image = step + share * direction, image + share * curved
        within += 2 * share * along + share**2 * across
        if outside:
            ending = Ending.BOUNDED if curvature > 0 else Ending.CURVED_DOWN
            break
        residual = residual + share * curved
        found = precondition(residual)
        before, squared = squared, dot(residual, found)
        if squared <= allowed**2:
            promise, ending = -0.5 * dot(gradient, step), Ending.CONVERGED
            break
        ratio = squared / before
        along, across = ratio * (along + share * across), squared + ratio**2 * across
        earlier.append((direction, curved / curvature))
        direction = sum((dot(found, image_of) * each for each, image_of in earlier), -found)
    trial = Trial(step, dot(gradient, step), dot(step, image), float(np.sqrt(within)), float(norm), promise)
    return Solve(trial, ending, taken)
