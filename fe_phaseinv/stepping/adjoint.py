"""Derivatives along a trajectory by one sweep each: tangent, adjoint, and second-order adjoint.

With R_n(u_n, c_{n-1}, ...; m) = 0 the equations of step n, u = (c, ...), J_n = dR_n/du_n, H_nj = dR_n/dc_{n-j}:

    tangent         J_n du_n = - sum_j H_nj dc_{n-j} - R_m dm
    adjoint         J_n^T l_n = w_n - sum_j H_{n+j,j}^T l_{n+j},                gradient = - sum_n R_m^T l_n
    second order    the same for dl_n with - (l_n . R_n)_uu du_n - (l_n . R_n)_um dm added to its right-hand side

(Ghattas and Willcox, Acta Numer. 30, 445 (2021), section 3.2, for the frozen grid of a multistep formula.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from firedrake import Function, TestFunction, VectorFunctionSpace, derivative, split
from firedrake.assemble import get_assembler
from firedrake.petsc import PETSc

from fe_phaseinv.parallel import total
from fe_phaseinv.stepping.bdf import MAX_GROWTH, derivative_weights
from fe_phaseinv.stepping.step import Step
from fe_phaseinv.stepping.trajectory import Trajectory

MOST_PAST = max(MAX_GROWTH)
"""Earlier values that a formula needs at most."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a trajectory depends on, or its change, or the derivative of something by it.

    Parameters
    ----------
    coefficients : numpy.ndarray, shape (n,)
        Unknown coefficients of all laws, the same on all ranks.
    start : numpy.ndarray, shape (nodes,)
        Local nodal values of the first field, or integrals where it is a derivative.
    heterogeneity : numpy.ndarray, shape (nodes,)
        The same for the map of a `Step` that has one; zero otherwise.
    """

    coefficients: np.ndarray
    start: np.ndarray
    heterogeneity: np.ndarray


class Weighted:
    """Derivatives of the equations of a step, weighted by multipliers: all forms are made once.

    Parameters
    ----------
    step : Step
        Of a model whose laws are local.

    Raises
    ------
    ValueError
        Where a law is not.
    """

    def __init__(self, step: Step):
        if step.convolution is not None:
            raise ValueError("the adjoint needs a model whose laws are local, without a convolution")
        self.step = step
        together = step.state.function_space()
        self.multiplier, self.change = Function(together), Function(together)
        self.map_change = Function(step.space)
        self.changes = {name: Function(f.function_space()) for name, f in step.coefficients.items()}
        test = TestFunction(together)
        weighted, residual = step.form(split(self.multiplier)), step.form(split(test))
        by_inputs = [(step.coefficients[name], change) for name, change in self.changes.items()]
        if step.heterogeneity is not None:
            by_inputs.append((step.heterogeneity, self.map_change))
        self._explicit = get_assembler(sum(derivative(residual, f, change) for f, change in by_inputs))
        variation = derivative(weighted, step.state, self.change)
        variation += sum(derivative(weighted, f, change) for f, change in by_inputs)
        self._curvature = get_assembler(derivative(variation, step.state, test))
        self._first, self._second = self._by_coefficients(by_inputs)
        if step.heterogeneity is not None:
            self._map_first = get_assembler(derivative(weighted, step.heterogeneity, TestFunction(step.space)))
            self._map_second = get_assembler(derivative(variation, step.heterogeneity, TestFunction(step.space)))

    def _by_coefficients(self, by_inputs):
        """Return the derivatives by all unknown coefficients, and their changes, as forms with a number for each cell.

        The test function has a component for each coefficient and is constant on every cell, so that one kernel gives
        all of them, and their sums over the cells are wanted.
        """
        step = self.step
        if not step.columns:
            return None, None
        cells = VectorFunctionSpace(step.space.mesh(), "DG", 0, dim=step.columns)
        tests, first = TestFunction(cells), 0
        for column, (values, direction) in enumerate(step.unknown_directions()):
            form = step.form([tests[column] * part for part in split(self.multiplier)])
            first += derivative(form, values, direction)
        second = derivative(first, step.state, self.change)
        second += sum(derivative(first, f, change) for f, change in by_inputs)
        return get_assembler(first), get_assembler(second)

    def set_multiplier(self, values: np.ndarray) -> None:
        """Write a local array of multipliers; those of prescribed values do not count."""
        values = values.copy()
        values[self.step.fixed, 0] = 0.0
        _write(self.multiplier, values)

    def set_change(self, change: np.ndarray) -> None:
        """Write a local array of the change of the state."""
        _write(self.change, change)

    def set_inputs(self, inputs: Inputs) -> None:
        """Write the change of all that is given."""
        for name, part in _parts(self.step).items():
            indices = self.step.unknown[name]
            values = np.zeros(self.changes[name].ufl_shape)
            values[indices] = inputs.coefficients[part]
            self.changes[name].dat.data_wo[:] = values
        self.map_change.dat.data_wo[:] = inputs.heterogeneity

    def explicit(self) -> np.ndarray:
        """Return the change of the residual by the inputs alone, a local array."""
        change = self._explicit.assemble().dat.data_ro.reshape(self.step.shape).copy()
        change[self.step.fixed, 0] = 0.0
        return change

    def curvature(self) -> np.ndarray:
        """Return the change of the weighted derivative by the state, a local array."""
        return self._curvature.assemble().dat.data_ro.reshape(self.step.shape).copy()

    def first(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted derivatives by the coefficients (this rank's share) and by the map."""
        by_map = self._map_first.assemble().dat.data_ro.copy() if self.step.heterogeneity is not None else 0.0
        return self._sums(self._first), by_map

    def second(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the change of these by the changes that were set."""
        by_map = self._map_second.assemble().dat.data_ro.copy() if self.step.heterogeneity is not None else 0.0
        return self._sums(self._second), by_map

    def _sums(self, assembler) -> np.ndarray:
        if assembler is None:
            return np.zeros(0)
        return assembler.assemble().dat.data_ro.reshape(-1, self.step.columns).sum(axis=0)


@dataclass(eq=False)
class Sweeps:
    """Sweeps over a recorded trajectory at the inputs that the step holds.

    Parameters
    ----------
    weighted : Weighted
    trajectory : Trajectory
        With its steps.
    outside : callable, optional
        As for the `Integrator`.
    keep : int
        Most factors of Jacobians that are kept from one sweep to the next; the others are made anew in every sweep.
    """

    weighted: Weighted
    trajectory: Trajectory
    outside: Callable[[float], np.ndarray] | None = None
    keep: int = 0
    _kept: dict[int, PETSc.KSP] = field(default_factory=dict)
    _multipliers: dict[int, np.ndarray] = field(default_factory=dict)
    _changes: dict[int, np.ndarray] = field(default_factory=dict)

    def tangent(self, change: Inputs) -> list[np.ndarray]:
        """Return the changes of c at the frames by a change of the inputs, as local arrays."""
        step, weighted, start = self.weighted.step, self.weighted, change.start.copy()
        weighted.set_inputs(change)
        start[step.fixed] = 0.0
        past = [start]
        self._changes = {}
        for n in range(1, len(self.trajectory.steps)):
            solver, weights = self._visit(n)
            history = sum(w * c for w, c in zip(weights[1:], past, strict=False))
            du = _solve(solver, -(step.rate(history) + weighted.explicit()))
            self._changes[n] = du
            past = [du[:, 0], *past][:MOST_PAST]
        return [self._changes[n][:, 0].copy() for n in self._frames]

    def adjoint(self, weights: Sequence[np.ndarray]) -> Inputs:
        """Return the derivative by the inputs of a sum of weights, local integrals, times c at the frames."""
        self._multipliers = {}
        return self._backwards(weights, self._multipliers)

    def second(self, weights: Sequence[np.ndarray]) -> Inputs:
        """Return the change of the last `adjoint` by the change of the inputs of the last `tangent`.

        Parameters
        ----------
        weights : sequence of numpy.ndarray
            Changes of the weights.
        """
        return self._backwards(weights, {}, self._multipliers)

    def _backwards(
        self, weights: Sequence[np.ndarray], found: dict[int, np.ndarray], first: dict[int, np.ndarray] | None = None
    ) -> Inputs:
        """Solve for multipliers from the last step to the first; for their changes where `first` is given."""
        step, weighted = self.weighted.step, self.weighted
        loads = dict(zip(self._frames, weights, strict=True))
        last, pending = len(self.trajectory.steps) - 1, {}
        coefficients, by_map = np.zeros(step.columns), np.zeros(step.shape[0])
        for n in range(last, 0, -1):
            solver, formula = self._visit(n)
            rhs = np.zeros(step.shape)
            rhs[:, 0] = loads.get(n, 0.0) - pending.pop(n, 0.0)
            if first is not None:
                weighted.set_multiplier(first[n])
                weighted.set_change(self._changes[n])
                rhs -= weighted.curvature()
                by = weighted.second()
                coefficients, by_map = coefficients - by[0], by_map - by[1]
            found[n] = _solve(solver, rhs, transposed=True)
            for j, weight in enumerate(formula[1:], 1):
                if n - j >= 0:
                    pending[n - j] = pending.get(n - j, 0.0) + weight * step.rate_transposed(found[n])
            weighted.set_multiplier(found[n])
            by = weighted.first()
            coefficients, by_map = coefficients - by[0], by_map - by[1]
        start = loads.get(0, 0.0) - pending.get(0, np.zeros(step.shape[0]))
        start[step.fixed] = 0.0
        return Inputs(total(step.comm, coefficients), start, by_map)

    @property
    def _frames(self) -> list[int]:
        """Numbers of the steps that end at the frames."""
        times = self.trajectory.grid.times
        return [times.index(time) for time in self.trajectory.times]

    def _visit(self, n: int) -> tuple[PETSc.KSP, np.ndarray]:
        """Go to the state after step n; gives the factor of its Jacobian and the weights of its formula."""
        step, grid = self.weighted.step, self.trajectory.grid
        order = grid.orders[n - 1]
        formula = derivative_weights(np.array(grid.times[n - order : n + 1][::-1]))
        step.set_state(self.trajectory.steps[n])
        step.lead.assign(formula[0])
        if self.outside is not None:
            step.prescribe(self.outside(grid.times[n]))
        if n not in self._kept and len(self._kept) < self.keep:
            self._kept[n] = step.factor()
        if n in self._kept:
            return self._kept[n], formula
        step.factorise()
        return step.solver, formula


def _parts(step: Step) -> dict[str, slice]:
    """Where in the array of unknown coefficients those of each law are."""
    ends = np.cumsum([0, *(len(indices) for indices in step.unknown.values())])
    return {name: slice(a, b) for name, a, b in zip(step.unknown, ends, ends[1:], strict=False)}


def _write(function: Function, values: np.ndarray) -> None:
    function.dat.data_wo.reshape(values.shape)[:] = values


def _solve(solver: PETSc.KSP, rhs: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Solve for a local array (nodes, fields)."""
    solution, b = solver.getOperators()[0].createVecs()
    b.array[:] = rhs.ravel()
    (solver.solveTranspose if transposed else solver.solve)(b, solution)
    return solution.array.reshape(rhs.shape).copy()
