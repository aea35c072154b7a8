"""The cost of laws together with unknown fields of several series at a point."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.inference.field_experiment import FieldShare, WholePart
from fe_phaseinv.inference.field_fit import FieldFit
from fe_phaseinv.inference.field_posterior import volume_slope
from fe_phaseinv.inference.field_subspace import Subspace
from fe_phaseinv.inference.joint_unknowns import JointUnknowns
from fe_phaseinv.optimisation.bordered import Border, QuadraticModel


@dataclass(frozen=True, eq=False)
class NoPoint:
    """A point at which the model could not be solved.

    Parameters
    ----------
    x : numpy.ndarray, shape (size,)
        Unknowns.
    """

    x: np.ndarray
    value: float = np.inf
    scale: float = np.inf
    sensitivity: float = np.inf
    misfit_rms: float = np.inf
    fresh: bool = True

    def gradient_norm(self) -> float:
        """Return that there is no gradient: NaN."""
        return np.nan


@dataclass(frozen=True, eq=False)
class FieldPoint:
    """The cost at a point, with its derivatives as actions.

    Its numbers are known once it is made; what takes sweeps (gradient, Hessians) is computed when it is asked for
    first, on all ranks together. The blocks of its Hessian are named as those of `FieldDerivatives`.

    Parameters
    ----------
    objective : JointUnknowns
    x : numpy.ndarray, shape (size,)
        Unknowns.
    shares : tuple of FieldShare
        Of the series of this rank's group.
    value : float
        Cost: misfit + priors + what the user adds.
    misfit : float
        Half the sum of the squared differences, weighted.
    pixels : int
        Number of differences.
    sensitivity : float
        Sum of the squares of the derivatives of the pixels by the unknowns of the laws, weighted.
    replayed : bool
        Whether the time grids were given rather than chosen.
    """

    objective: JointUnknowns
    x: np.ndarray
    shares: tuple[FieldShare, ...]
    value: float
    misfit: float
    pixels: int
    sensitivity: float
    replayed: bool = False

    @property
    def whole(self) -> np.ndarray:
        """Unknowns as they are kept: the same on any number of ranks, with nodes by position. Collective."""
        of = self.objective
        own = [share.experiment.gathered(share.x) for share in self.shares]
        return np.concatenate([self.x[of.laws], *of.ensemble.gather(own)])

    @property
    def grids(self) -> tuple[tuple[TimeGrid, ...], ...]:
        """For each series of this rank's group, the time grid of its only segment."""
        return tuple((share.run.grid,) for share in self.shares)

    @property
    def fits(self) -> tuple[FieldFit, ...]:
        """How the laws explain the series of this rank's group."""
        return tuple(share.fit for share in self.shares)

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images, weighted."""
        return float(np.sqrt(2 * self.misfit / self.pixels))

    @property
    def expected_misfit(self) -> float:
        """The misfit: what a model of the cost expects takes sweeps."""
        return self.misfit

    @property
    def fresh(self) -> bool:
        """Whether the derivatives are its own: they are."""
        return True

    @property
    def scale(self) -> float:
        """What a change of the cost is compared with: priors may bring the cost below the misfit, even below zero."""
        return max(abs(self.value), self.misfit)

    @cached_property
    def gradient(self) -> np.ndarray:
        """Derivative of the cost, shape (size,): numbers, and local integrals for the fields. Collective."""
        if len(self.shares) > 1:
            self._prepare()
        chain = self.objective.coordinates.jacobian(self._laws)
        return self._joined([share.derivatives.gradient for share in self.shares], chain.T @ self._gradient_of_prior)

    def gradient_norm(self) -> float:
        """Return the norm of the gradient, dual to that of the region of `model`. Collective."""
        of = self.objective
        return float(np.sqrt(of.dot(self.gradient, of.raised(self.gradient))))

    def action(self, v: np.ndarray, full: bool = False) -> np.ndarray:
        """Return the Hessian of the cost, or its Gauss-Newton part, times a vector. Collective.

        Parameters
        ----------
        v : numpy.ndarray, shape (size,)
            A change of the unknowns.
        full : bool
            Whether to count second derivatives of the forward model, too.
        """
        parts = zip(self.shares, self.objective.split(v), strict=True)
        found = [share.derivatives.action(part, full) for share, part in parts]
        return self._joined(found, self._hessian_of_prior(full) @ v[self.objective.laws])

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the sum of the products, over all ranks. Collective.

        Parameters
        ----------
        a, b : numpy.ndarray, shape (size,)
        """
        return self.objective.dot(a, b)

    def model(self, full: bool = False) -> QuadraticModel:
        """Return the quadratic model of the cost, with the fields as borders, the same on all ranks. Collective.

        The region is a ball in the unknowns of the laws and, for each series, the fields over what is expected of them,
        these divided by the root of the number of series: steps with many series are as long as those with one.

        Parameters
        ----------
        full : bool
            Whether the Hessian is the whole one, or its Gauss-Newton part.
        """
        return self._whole_model if full else self._model

    def lifted(self, step: Sequence[np.ndarray], full: bool = False) -> np.ndarray:
        """Return a step of the model as a change of the unknowns.

        Parameters
        ----------
        step : sequence of numpy.ndarray
            As `QuadraticModel.step` gives it.
        full : bool
            Of which model.
        """
        of, (laws, *others) = self.objective, step
        shares = [self._root * others[index] for index in of.ensemble.own]
        if full:
            shares = [whole.rotation @ share for whole, share in zip(self._whole_parts, shares, strict=True)]
        return np.concatenate([laws, *(one.subspace.lifted(y) for one, y in zip(self.shares, shares, strict=True))])

    @cached_property
    def hessian(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknowns of the laws, with the fields eliminated, shape (k, k). Collective."""
        fine = [self._freed(share, lambda share=share: share.fine_subspace) for share in self.shares]
        if any(self.objective.ensemble.gather([subspace.unsolved > 0 for subspace in fine])):
            text = (
                "the bands of the laws may be too narrow: conjugate gradients did not find the changes of the fields "
                "that go with some changes of the laws"
            )
            warnings.warn(text, DataWarning, stacklevel=2)
        return self._gauss_newton(fine).schur()

    def tilt(self) -> np.ndarray:
        """Return the derivative by all coefficients of what the fields leave to the laws, shape (m,). Collective.

        The density of the laws is that of laws and fields together, summed over all fields that there may be: besides
        the minimum over the fields, the volume around it counts (Laplace's method: Tierney and Kadane, J. Am. Stat.
        Assoc. 81, 82 (1986)). Where laws let the images say less of the fields, that volume is larger; without it,
        such laws come out too rarely.
        """
        slopes = [self._freed(share, lambda share=share: volume_slope(share)) for share in self.shares]
        into = self.objective.coordinates.jacobian(self._laws)
        return np.linalg.lstsq(into.T, sum(self.objective.ensemble.gather(slopes)), rcond=None)[0]

    @cached_property
    def _model(self) -> QuadraticModel:
        self._prepare()
        return self._gauss_newton([share.subspace for share in self.shares])

    def _gauss_newton(self, subspaces: Sequence[Subspace]) -> QuadraticModel:
        borders = [share.border(subspace) for share, subspace in zip(self.shares, subspaces, strict=True)]
        return self._assembled([share.blocks[0] for share in self.shares], borders, full=False)

    @cached_property
    def _whole_model(self) -> QuadraticModel:
        parts = self._whole_parts
        return self._assembled([part.hessian for part in parts], [part.border for part in parts], full=True)

    @cached_property
    def _whole_parts(self) -> list[WholePart]:
        return [self._freed(share, share.whole_part) for share in self.shares]

    def _prepare(self) -> None:
        """Do the sweeps of one series after the other, so that factors of one are kept at a time."""
        for share in self.shares:
            self._freed(share, lambda share=share: share.subspace)

    def _freed(self, share: FieldShare, call: Callable[[], Any]) -> Any:
        found = call()
        if len(self.shares) > 1:
            share.experiment.forget()
        return found

    def _assembled(self, hessians: Sequence[np.ndarray], borders: Sequence[Border], full: bool) -> QuadraticModel:
        of, root = self.objective, self._root
        scaled = [Border(root**2 * b.curvatures, root * b.mixed, root * b.gradient) for b in borders]
        hessian = self._hessian_of_prior(full) + sum(of.ensemble.gather(hessians))
        return QuadraticModel(self.gradient[of.laws], hessian, of.ensemble.gather(scaled))

    @property
    def _root(self) -> float:
        return float(np.sqrt(self.objective.ensemble.count))

    @property
    def _laws(self) -> np.ndarray:
        return self.x[self.objective.laws]

    @property
    def _gradient_of_prior(self) -> np.ndarray:
        """Derivative of the prior of the laws by all coefficients."""
        return self.objective.prior.gradient(self.objective.coordinates.coefficients(self._laws))

    def _hessian_of_prior(self, full: bool) -> np.ndarray:
        """Second derivative of the prior of the laws, or that of its quadratic model by the coefficients."""
        coordinates = self.objective.coordinates
        into = coordinates.jacobian(self._laws)
        found = into.T @ self.objective.prior.hessian(coordinates.coefficients(self._laws)) @ into
        return found + coordinates.curvature(self._laws, self._gradient_of_prior) if full else found

    def _joined(self, parts: Sequence[np.ndarray], of_prior: np.ndarray) -> np.ndarray:
        """Return derivatives by all unknowns, given those of the own series and of the prior of the laws."""
        of = self.objective
        laws = sum(of.ensemble.gather([part[of.laws] for part in parts]), of_prior)
        return np.concatenate([laws, *(part[of.laws.stop :] for part in parts)])
