"""Derivatives along a trajectory by one sweep each: tangent, adjoint, and second-order adjoint.

With R_n(u_n, c_{n-1}, ...; m) = 0 the equations of step n, u = (c, ...), J_n = dR_n/du_n, H_nj = dR_n/dc_{n-j}:

    tangent         J_n du_n = - sum_j H_nj dc_{n-j} - R_m dm
    adjoint         J_n^T l_n = w_n - sum_j H_{n+j,j}^T l_{n+j},                gradient = - sum_n R_m^T l_n
    second order    the same for dl_n with - (l_n . R_n)_uu du_n - (l_n . R_n)_um dm added to its right-hand side

(Ghattas and Willcox, Acta Numer. 30, 445 (2021), section 3.2, for the frozen grid of a multistep formula.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from firedrake import Function, TestFunction, VectorFunctionSpace, derivative, split
from firedrake.assemble import get_assembler
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.bdf import derivative_weights
from fe_phaseinv.forward.checkpoints import History, Item, Storage
from fe_phaseinv.forward.step import Step
from fe_phaseinv.forward.trajectory import Integrator, Trajectory
from fe_phaseinv.solvers.direct import solved
from fe_phaseinv.solvers.linear_algebra import factor_bytes


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
    boundary : numpy.ndarray, shape (k, nodes of a degree more)
        The same for the fields of the `BoundaryData`; k is zero where nothing is prescribed.
    """

    coefficients: np.ndarray
    start: np.ndarray
    heterogeneity: np.ndarray
    boundary: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


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
        self.fields = {"heterogeneity": step.heterogeneity, "boundary": step.boundary_field if step.dirichlet else None}
        self.field_changes = {n: Function(f.function_space()) for n, f in self.fields.items() if f is not None}
        self.changes = {name: Function(f.function_space()) for name, f in step.coefficients.items()}
        test = TestFunction(together)
        weighted, residual = step.form(split(self.multiplier)), step.form(split(test))
        by_inputs = [(step.coefficients[name], change) for name, change in self.changes.items()]
        by_inputs += [(self.fields[name], change) for name, change in self.field_changes.items()]
        self._explicit = get_assembler(sum(derivative(residual, f, change) for f, change in by_inputs))
        variation = derivative(weighted, step.state, self.change)
        variation += sum(derivative(weighted, f, change) for f, change in by_inputs)
        self._curvature = get_assembler(derivative(variation, step.state, test))
        self._first, self._second = self._by_coefficients(by_inputs)
        self._field_first, self._field_second = (
            {
                name: get_assembler(derivative(form, self.fields[name], TestFunction(change.function_space())))
                for name, change in self.field_changes.items()
            }
            for form in (weighted, variation)
        )

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
        values[self.step.dirichlet_nodes, 0] = 0.0
        _write(self.multiplier, values)

    def set_change(self, change: np.ndarray) -> None:
        """Write a local array of the change of the state."""
        _write(self.change, change)

    def set_inputs(self, inputs: Inputs, boundary: np.ndarray | None) -> None:
        """Write the change of all that is given; that of the boundary's data is a field at a time."""
        for name, part in _parts(self.step).items():
            indices = self.step.unknown[name]
            values = np.zeros(self.changes[name].ufl_shape)
            values[indices] = inputs.coefficients[part]
            self.changes[name].dat.data_wo[:] = values
        for name, function in self.field_changes.items():
            function.dat.data_wo[:] = boundary if name == "boundary" else inputs.heterogeneity

    def explicit(self) -> np.ndarray:
        """Return the change of the residual by the inputs alone, a local array."""
        change = self._explicit.assemble().dat.data_ro.reshape(self.step.shape).copy()
        change[self.step.dirichlet_nodes, 0] = 0.0
        return change

    def curvature(self) -> np.ndarray:
        """Return the change of the weighted derivative by the state, a local array."""
        return self._curvature.assemble().dat.data_ro.reshape(self.step.shape).copy()

    def first(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the weighted derivatives by the coefficients (this rank's share) and by the fields."""
        return self._sums(self._first), _assembled(self._field_first)

    def second(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the change of these by the changes that were set."""
        return self._sums(self._second), _assembled(self._field_second)

    def _sums(self, assembler) -> np.ndarray:
        if assembler is None:
            return np.zeros(0)
        return assembler.assemble().dat.data_ro.reshape(-1, self.step.columns).sum(axis=0)


@dataclass(eq=False)
class Sweeps:
    """Sweeps over a trajectory at the inputs that the step holds.

    Parameters
    ----------
    weighted : Weighted
    integrator : Integrator
        That of the trajectory; what it prescribes on the boundary must be a `BoundaryData`.
    trajectory : Trajectory
    storage : Storage
    """

    weighted: Weighted
    integrator: Integrator
    trajectory: Trajectory
    storage: Storage = Storage()  # noqa: RUF009 (a frozen value)
    _factors: dict[int, PETSc.KSP] = field(default_factory=dict)
    _kept_bytes: float = 0.0
    _change: Inputs | None = None
    _pairs: History | None = None

    def tangent(self, change: Inputs) -> list[np.ndarray]:
        """Return the changes of c at the frames by a change of the inputs, as local arrays."""
        frames, found = self._frames, {}

        def advance(n: int, past: list[Item]) -> Item:
            state = self._state(n, [item[0] for item in past])
            changed = self._tangent_step(n, state, [item[1] for item in past], change)
            if n in frames:
                found[n] = changed[:, 0].copy()
            return state, changed

        first = np.zeros(self.weighted.step.shape)
        first[:, 0] = change.start
        if self._boundary_data is not None:
            first[self.weighted.step.dirichlet_nodes, 0] = self.weighted.step.trace(self._boundary_change(0, change))
        # Where the states are at hand, only their changes need room.
        self._pairs = self._history((self.trajectory.start, first), advance, 1 if self.trajectory.steps else 2)
        self._change = change
        return [found[n] for n in frames]

    def adjoint(self, weights: Sequence[np.ndarray]) -> Inputs:
        """Return the derivative by the inputs of a sum of weights, local integrals, times c at the frames."""

        def advance(n: int, past: list[Item]) -> Item:
            return (self._state(n, [item[0] for item in past]),)

        if self.trajectory.steps:
            states = ((n, (self.trajectory.steps[n],)) for n in range(self._count, 0, -1))
        else:
            states = self._history((self.trajectory.start,), advance, 1).backwards()
        multipliers = _Multipliers(self, weights)
        for n, (state,) in states:
            solver, formula = self._visit(n, state)
            multipliers.solve(n, solver, formula)
        return multipliers.derivative()

    def second(self, weights: Sequence[np.ndarray], changes: Sequence[np.ndarray]) -> Inputs:
        """Return the change of `adjoint` by the change of the inputs of the last `tangent`; once after each.

        Parameters
        ----------
        weights : sequence of numpy.ndarray
            Those of the adjoint.
        changes : sequence of numpy.ndarray
            Their changes.
        """
        weighted = self.weighted
        first, second = _Multipliers(self, weights), _Multipliers(self, changes)
        for n, (state, changed) in self._pairs.backwards():
            solver, formula = self._visit(n, state)
            multiplier = first.solve(n, solver, formula)
            weighted.set_multiplier(multiplier)
            weighted.set_change(changed)
            weighted.set_inputs(self._change, self._boundary_change(n, self._change))
            second.add(n, weighted.second())
            second.solve(n, solver, formula, weighted.curvature())
        self._pairs = None
        return second.derivative()

    def forget(self) -> None:
        """Free the factors and the changes of states; what is needed again is computed again."""
        self._factors.clear()
        self._kept_bytes, self._pairs = 0.0, None

    @property
    def _boundary_data(self):
        return self.integrator.boundary_data

    @property
    def _count(self) -> int:
        return len(self.trajectory.grid.orders)

    @property
    def _frames(self) -> list[int]:
        """Numbers of the steps that end at the frames."""
        times = self.trajectory.grid.times
        return [times.index(time) for time in self.trajectory.times]

    def _history(self, first: Item, advance, parts: int) -> History:
        """Return a history of items that take the room of so many states."""
        size = parts * self.weighted.step.comm.allreduce(first[0].nbytes, MPI.MAX)
        window = self.integrator.tolerances.max_order + 1
        return History(first, self._count, advance, window, size, self.storage)

    def _state(self, n: int, past: list[np.ndarray]) -> np.ndarray:
        """State after step n, given those before it."""
        if self.trajectory.steps:
            return self.trajectory.steps[n]
        return self.integrator.replay(self.trajectory.grid, n, past)

    def _tangent_step(self, n: int, state: np.ndarray, past: list[np.ndarray], change: Inputs) -> np.ndarray:
        step, weighted = self.weighted.step, self.weighted
        solver, weights = self._visit(n, state)
        boundary_change = self._boundary_change(n, change)
        weighted.set_inputs(change, boundary_change)
        history = sum(w * before[:, 0] for w, before in zip(weights[1:], past, strict=False))
        rhs = -(step.rate(history) + weighted.explicit())
        if self._boundary_data is not None:
            rhs[step.dirichlet_nodes, 0] = step.trace(boundary_change)
        return solved(solver, rhs)

    def _boundary_change(self, n: int, change: Inputs) -> np.ndarray | None:
        """Change of the field that is prescribed at the end of step n; that of the start has number 0."""
        if self._boundary_data is None:
            return None
        if not len(change.boundary):
            return np.zeros(self.weighted.step.boundary_field.dat.data_ro.size)
        return self._boundary_data.weights(self.trajectory.grid.times[n]) @ change.boundary

    def _visit(self, n: int, state: np.ndarray) -> tuple[PETSc.KSP, np.ndarray]:
        """Go to the state after step n; gives the factor of its Jacobian and the weights of its formula."""
        step, grid = self.weighted.step, self.trajectory.grid
        step.release()
        order = grid.orders[n - 1]
        formula = derivative_weights(np.array(grid.times[n - order : n + 1][::-1]))
        step.set_state(state)
        step.shift.assign(formula[0])
        if self._boundary_data is not None:
            step.set_boundary_field(self._boundary_data(grid.times[n]))
        if n in self._factors:
            return self._factors[n], formula
        if self._kept_bytes >= self.storage.factors:
            step.factorise()
            return step.solver, formula
        solver = step.factor()
        self._kept_bytes += factor_bytes(solver)
        if self._kept_bytes <= self.storage.factors:
            self._factors[n] = solver
        return solver, formula


class _Multipliers:
    """Solves for multipliers from the last step to the first, and sums the derivatives up."""

    def __init__(self, sweeps: Sweeps, weights: Sequence[np.ndarray]):
        self.step, self.weighted, self.sweeps = sweeps.weighted.step, sweeps.weighted, sweeps
        self.loads = dict(zip(sweeps._frames, weights, strict=True))
        self.pending: dict[int, np.ndarray] = {}
        self.coefficients, self.heterogeneity = np.zeros(self.step.columns), np.zeros(self.step.shape[0])
        knots = 0 if sweeps._boundary_data is None else len(sweeps._boundary_data.times)
        self.boundary = np.zeros((knots, self.step.boundary_field.dat.data_ro.size))

    def solve(self, n: int, solver: PETSc.KSP, formula: np.ndarray, less: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the multiplier of step n, whose right-hand side is less by something."""
        rhs = np.zeros(self.step.shape)
        rhs[:, 0] = self.loads.get(n, 0.0) - self.pending.pop(n, 0.0)
        multiplier = solved(solver, rhs - less, transposed=True)
        for j, weight in enumerate(formula[1:], 1):
            if n - j >= 0:
                pending = self.pending.get(n - j, 0.0)
                self.pending[n - j] = pending + weight * self.step.rate_transposed(multiplier)
        self.weighted.set_multiplier(multiplier)
        self.add(n, self.weighted.first())
        self._add_boundary(n, multiplier[self.step.dirichlet_nodes, 0])
        return multiplier

    def add(self, n: int, derivatives: tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
        """Count the derivatives of the equations of step n by coefficients and fields."""
        by_coefficients, by_fields = derivatives
        self.coefficients -= by_coefficients
        if "heterogeneity" in by_fields:
            self.heterogeneity -= by_fields["heterogeneity"]
        if "boundary" in by_fields:
            self.boundary -= np.multiply.outer(self._knots(n), by_fields["boundary"])

    def derivative(self) -> Inputs:
        """Return the derivative by the inputs, after step 1."""
        start = self.loads.get(0, 0.0) - self.pending.get(0, np.zeros(self.step.shape[0]))
        self._add_boundary(0, start[self.step.dirichlet_nodes])
        start[self.step.dirichlet_nodes] = 0.0
        return Inputs(total(self.step.comm, self.coefficients), start, self.heterogeneity, self.boundary)

    def _knots(self, n: int) -> np.ndarray:
        return self.sweeps._boundary_data.weights(self.sweeps.trajectory.grid.times[n])

    def _add_boundary(self, n: int, multiplier: np.ndarray) -> None:
        """Count what the values prescribed at the end of step n bring about."""
        if self.step.dirichlet:
            self.boundary += np.multiply.outer(self._knots(n), self.step.trace_transposed(multiplier))


def _assembled(assemblers: dict) -> dict[str, np.ndarray]:
    return {name: assembler.assemble().dat.data_ro.copy() for name, assembler in assemblers.items()}


def _parts(step: Step) -> dict[str, slice]:
    """Where in the array of unknown coefficients those of each law are."""
    ends = np.cumsum([0, *(len(indices) for indices in step.unknown.values())])
    return {name: slice(a, b) for name, a, b in zip(step.unknown, ends, ends[1:], strict=False)}


def _write(function: Function, values: np.ndarray) -> None:
    function.dat.data_wo.reshape(values.shape)[:] = values
