"""The subproblem of a trust region for few unknowns that go with many others, one set of these beside the other.

Some unknowns m belong to all, and each set of the others u_k to itself: the Hessian is bordered, and a set is
eliminated by itself, whatever others there are. The sum of their Schur complements is as small as m is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import brentq

from fe_phaseinv.optimisation.points import State, Trial

Hessian = Literal["gauss-newton", "newton", "both"]
NEAR = 0.1
"""Share of the gradient before, below which a minimum is taken for near."""
SMALLEST_SHIFT = 1e-14
"""Relative to the Hessian; it stands for zero."""
BISECTIONS = 60
"""Of the interval in which the smallest shift lies that makes a Hessian positive definite."""


@dataclass(frozen=True, eq=False)
class Border:
    """A set of unknowns that is eliminated by itself, in coordinates in which its own Hessian is diagonal.

    Parameters
    ----------
    curvatures : numpy.ndarray, shape (r,)
        Its Hessian.
    mixed : numpy.ndarray, shape (n, r)
        Second derivatives by the common unknowns and these.
    gradient : numpy.ndarray, shape (r,)
    """

    curvatures: np.ndarray
    mixed: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True, eq=False)
class QuadraticModel:
    """A quadratic model g.s + s.H.s/2 with a bordered Hessian, in coordinates in which the region is a ball.

    Parameters
    ----------
    gradient : numpy.ndarray, shape (n,)
        By the common unknowns.
    hessian : numpy.ndarray, shape (n, n)
        By them alone, symmetric.
    borders : sequence of Border
        The other unknowns.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    borders: Sequence[Border] = ()

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of the gradient by all unknowns."""
        parts = [self.gradient, *(border.gradient for border in self.borders)]
        return float(np.sqrt(sum(part @ part for part in parts)))

    def schur(self, shift: float = 0.0) -> np.ndarray:
        """Return the Hessian by the common unknowns with the others eliminated, shape (n, n).

        Parameters
        ----------
        shift : float
            Added to the diagonal of the whole Hessian before.
        """
        found = self.hessian + shift * np.eye(len(self.gradient))
        return found - sum((b.mixed / (b.curvatures + shift)) @ b.mixed.T for b in self.borders)

    def step(self, shift: float) -> list[np.ndarray] | None:
        """Return the minimiser of the model with a shifted Hessian; None where this is not positive definite.

        Parameters
        ----------
        shift : float

        Returns
        -------
        list of numpy.ndarray or None
            The common unknowns, then each set of the others.
        """
        if any(np.any(b.curvatures + shift <= 0) for b in self.borders):
            return None
        try:
            factor = cho_factor(self.schur(shift))
        except LinAlgError:
            return None
        rest = self.gradient - sum(b.mixed @ (b.gradient / (b.curvatures + shift)) for b in self.borders)
        common = -cho_solve(factor, rest) if len(rest) else rest
        return [common, *(-(b.gradient + common @ b.mixed) / (b.curvatures + shift) for b in self.borders)]

    def slope(self, step: Sequence[np.ndarray]) -> float:
        """Return g.s.

        Parameters
        ----------
        step : sequence of numpy.ndarray
            As `step` gives it.
        """
        pairs = zip([self.gradient, *(b.gradient for b in self.borders)], step, strict=True)
        return float(sum(g @ s for g, s in pairs))

    def curvature(self, step: Sequence[np.ndarray]) -> float:
        """Return s.H.s.

        Parameters
        ----------
        step : sequence of numpy.ndarray
            As `step` gives it.
        """
        common, *others = step
        pairs = zip(self.borders, others, strict=True)
        own = sum(b.curvatures @ s**2 + 2 * (common @ b.mixed @ s) for b, s in pairs)
        return float(common @ self.hessian @ common + own)

    def minimise(self, radius: float) -> list[np.ndarray]:
        """Return the minimiser of the model for ``|s| <= radius``, as `step` gives it.

        Where the Hessian is not positive definite and the gradient has hardly a share in the direction of its lowest
        eigenvalue, it is not the global one but a step inside the region that lowers the model.

        Parameters
        ----------
        radius : float
        """
        low = self.least_shift
        step = self.step(low)
        if norm(step) <= radius:
            return step
        high = low + 2 * self.gradient_norm / radius
        chosen = brentq(lambda shift: norm(self.step(shift)) - radius, low, high, xtol=1e-300, rtol=1e-12)
        return self.step(chosen)

    @property
    def least_shift(self) -> float:
        """The least shift, more or less, with which the Hessian is positive definite."""
        sizes = [np.abs(self.hessian).sum(axis=1).max(initial=0)]
        sizes += [np.abs(b.curvatures).max(initial=0) + np.abs(b.mixed).sum() for b in self.borders]
        largest = max(sum(sizes), 1e-300)
        low, high = SMALLEST_SHIFT * largest, 2 * largest
        if self.step(low) is not None:
            return low
        for _ in range(BISECTIONS):
            middle = np.sqrt(low * high)
            low, high = (middle, high) if self.step(middle) is None else (low, middle)
        return high


def norm(step: Sequence[np.ndarray]) -> float:
    """Return the Euclidean norm of a step in parts.

    Parameters
    ----------
    step : sequence of numpy.ndarray
    """
    return float(np.sqrt(sum(part @ part for part in step)))


class Bordered(Protocol):
    """A point with a bordered model of the cost."""

    def model(self, full: bool) -> QuadraticModel:
        """Return the model, with the whole Hessian or its Gauss-Newton part, the same on all ranks. Collective.

        Parameters
        ----------
        full : bool
            Whether it is the whole Hessian.
        """

    def lifted(self, step: Sequence[np.ndarray], full: bool) -> np.ndarray:
        """Return a step of a model as a change of the unknowns.

        Parameters
        ----------
        step : sequence of numpy.ndarray
            As `QuadraticModel.step` gives it.
        full : bool
            Of which model.
        """


@dataclass(frozen=True)
class Elimination:
    """Minimises a bordered model exactly.

    Parameters
    ----------
    hessian : str
        "gauss-newton", "newton", or "both": Newton's once a step has lowered the gradient by much, near the minimum.

    Raises
    ------
    ValueError
        Where `hessian` is none of the three.
    """

    hessian: Hessian = "gauss-newton"

    def __post_init__(self):
        """Refuse what is not accepted."""
        if self.hessian not in get_args(Hessian):
            accepted = " or ".join(map(repr, get_args(Hessian)))
            raise ValueError(f"hessian: found {self.hessian!r}; accepted: {accepted}")

    def solve(self, point: Bordered, state: State) -> Trial:
        """Return a step in the region. Collective.

        Parameters
        ----------
        point : Bordered
            Where the step begins.
        state : State
            With the radius of the region, and the norm of the gradient before.
        """
        near = point.model(full=False).gradient_norm < NEAR * state.gradient_norm < np.inf
        full = self.hessian == "newton" or (self.hessian == "both" and near)
        model = point.model(full)
        step = model.minimise(state.radius)
        slope, curvature = model.slope(step), model.curvature(step)
        whole = model.step(SMALLEST_SHIFT * np.abs(model.hessian).max(initial=0))
        promise = np.inf if whole is None else -0.5 * model.slope(whole)
        return Trial(point.lifted(step, full), slope, curvature, norm(step), model.gradient_norm, promise)
