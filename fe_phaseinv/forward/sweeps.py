"""Derivatives along a trajectory by one sweep each: tangent, adjoint, and second-order adjoint.

With R_n(u_n, u_{n-1}, ...; m) = 0 the equations of step n, those of scalars among them, J_n = dR_n/du_n and
H_nj = dR_n/du_{n-j}, of which only components with rates have any:

    tangent         J_n du_n = - sum_j H_nj du_{n-j} - R_m dm
    adjoint         J_n^T l_n = w_n - sum_j H_{n+j,j}^T l_{n+j},                gradient = - sum_n R_m^T l_n
    second order    the same for dl_n with the changes of J_n^T l_n and H_{n+j,j}^T l_{n+j} on its right-hand side

(Ghattas and Willcox, Acta Numer. 30, 445 (2021), section 3.2, for the frozen grid of a multistep formula.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from mpi4py import MPI

from fe_phaseinv.forward.bdf import derivative_weights
from fe_phaseinv.forward.checkpoints import History, Item, Storage
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.integrator import Integrator
from fe_phaseinv.forward.multipliers import Multipliers
from fe_phaseinv.forward.past import combine
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.solvers.bordered import Factor


@dataclass(eq=False)
class Sweeps:
    """Sweeps over a trajectory at the inputs that the step holds.

    Parameters
    ----------
    weighted : Weighted
        Derivatives of the equations of a step.
    integrator : Integrator
        That of the trajectory.
    trajectory : Trajectory
        The run; what it prescribed on the boundary must be a `BoundaryData`.
    storage : Storage
        What may be kept for the sweeps.

    Raises
    ------
    ValueError
        Where it prescribed something else.
    """

    weighted: Weighted
    integrator: Integrator
    trajectory: Trajectory
    storage: Storage = Storage()  # noqa: RUF009 (a frozen value)
    _factors: dict[int, Factor] = field(default_factory=dict)
    _kept_bytes: float = 0.0
    _change: Inputs | None = None
    _mean_change: float = 0.0
    _pairs: History | None = None
    """Records, and their changes by the last tangent."""

    def __post_init__(self):
        """Refuse what is prescribed in a way that has no derivative."""
        data = self.trajectory.given.boundary
        if data is not None and not isinstance(data, BoundaryData):
            raise ValueError(f"boundary_data: found {data!r}; accepted: BoundaryData, of which sweeps know the fields")

    def tangent(self, change: Inputs) -> list[np.ndarray]:
        """Return the changes of the states at the frames by a change of the inputs. Collective.

        Parameters
        ----------
        change : Inputs
            The change.

        Returns
        -------
        list of numpy.ndarray, shape (size,)

        Raises
        ------
        StepFailed
            Where a linear solve fails, or a state cannot be computed again.
        """
        frames, found, size = self._frames, {}, self.weighted.step.layout.size

        def advance(n: int, past: list[Item]) -> Item:
            record = self._record(n, [item[0] for item in past])
            changed = self._tangent_step(n, record, [item[1] for item in past], change)
            if n in frames:
                found[n] = changed[:size].copy()
            return record, changed

        first = self.weighted.step.layout.from_rates(change.start)
        self._change, self._mean_change = change, self._mean(change)
        self._prescribe_change(first, self._boundary_change(0, change))
        changed = np.zeros_like(self._first)
        changed[:size] = first
        # Where the states are at hand, only their changes need room.
        self._pairs = self._history((self._first, changed), advance, 1 if self.trajectory.steps else 2)
        return [found[n] for n in frames]

    def adjoint(self, weights: Sequence[np.ndarray]) -> Inputs:
        """Return the derivative by the inputs of a sum of weights times states at the frames. Collective.

        Parameters
        ----------
        weights : sequence of numpy.ndarray, shape (size,)
            For each frame, local integrals: the derivative by its nodal values, then by the scalars.

        Raises
        ------
        StepFailed
            Where a linear solve fails, or a state cannot be computed again.
        """
        return self.adjoints([weights])[0]

    def tangents(self, changes: Sequence[Inputs]) -> list[np.ndarray]:
        """Return what `tangent` gives for several changes, as columns; one solve a step serves all. Collective.

        Parameters
        ----------
        changes : sequence of Inputs
            The changes.

        Returns
        -------
        list of numpy.ndarray, shape (size, k)
            For each frame.

        Raises
        ------
        StepFailed
            As for `tangent`.
        """
        if not self.weighted.step.forms.plain_rate:
            return [np.column_stack(frame) for frame in zip(*map(self.tangent, changes), strict=True)]
        self._pairs, window, frames = None, self.integrator.tolerances.max_order + 1, self._frames
        starts = [self.weighted.step.layout.from_rates(change.start) for change in changes]
        for start, change in zip(starts, changes, strict=True):
            self._prescribe_change(start, self._boundary_change(0, change))
        records, past, found = [self._first], [np.column_stack(starts)], {}
        for n in range(1, self._count + 1):
            record = self._record(n, records)
            solver, formula = self._visit(n, record)
            past = [solver.solve(self._sides(n, self._changed_history(formula, past), changes)), *past][:window]
            records = [record, *records][:window]
            if n in frames:
                found[n] = past[0]
        return [found[n] for n in frames]

    def adjoints(self, weights: Sequence[Sequence[np.ndarray]]) -> list[Inputs]:
        """Return what `adjoint` gives for several sets of weights; one solve a step serves all. Collective.

        Parameters
        ----------
        weights : sequence of sequence of numpy.ndarray, shape (size,)
            The sets, each with an array for each frame.

        Raises
        ------
        StepFailed
            As for `adjoint`.
        """
        each = [self._multipliers(one) for one in weights]
        for n, record in self._records_backwards():
            solver, formula = self._visit(n, record)
            sides = np.column_stack([multipliers.side(n) for multipliers in each])
            for multipliers, column in zip(each, solver.solve(sides, transposed=True).T, strict=True):
                multipliers.take(n, formula, np.ascontiguousarray(column))
        return [multipliers.derivative() for multipliers in each]

    def second(self, weights: Sequence[np.ndarray], changes: Sequence[np.ndarray]) -> Inputs:
        """Return the change of `adjoint` by the change of the inputs of the last `tangent`. Collective.

        Parameters
        ----------
        weights : sequence of numpy.ndarray, shape (size,)
            Those of the adjoint.
        changes : sequence of numpy.ndarray, shape (size,)
            Their changes.

        Raises
        ------
        StepFailed
            Where a linear solve fails, or a state cannot be computed again.
        ValueError
            Where no tangent came before, or its changes have been used already.
        """
        if self._pairs is None:
            raise ValueError("the second-order adjoint needs a tangent of its own before it")
        weighted, size = self.weighted, self.weighted.step.layout.size
        first, second = self._multipliers(weights), self._multipliers(changes)
        for n, (record, changed) in self._pairs.backwards():
            solver, formula = self._visit(n, record)
            multiplier = first.solve(n, solver, formula)
            weighted.set_multiplier(multiplier)
            weighted.set_change(changed[:size], changed[size:] if len(changed) > size else None)
            self._set_inputs(n, self._change)
            second.add(n, formula, weighted.second())
            second.solve(n, solver, formula, weighted.curvature())
        self._pairs = None
        return second.derivative()

    def forget(self) -> None:
        """Free the factors and the changes of states; what is needed again is computed again."""
        self._factors.clear()
        self._kept_bytes, self._pairs = 0.0, None

    @property
    def _count(self) -> int:
        return len(self.trajectory.grid.orders)

    @property
    def _frames(self) -> list[int]:
        """Numbers of the steps that end at the frames."""
        times = self.trajectory.grid.times
        return [times.index(time) for time in self.trajectory.times]

    def _multipliers(self, weights: Sequence[np.ndarray]) -> Multipliers:
        return Multipliers(self.weighted, self.trajectory, dict(zip(self._frames, weights, strict=True)))

    @property
    def _first(self) -> np.ndarray:
        """Record of the start."""
        layout, start = self.weighted.step.layout, self.trajectory.start
        if self.weighted.step.forms.plain_rate:
            return start
        return layout.record(start, np.zeros(len(layout.rated) * layout.nodes))

    def _history(self, first: Item, advance: Callable[[int, list[Item]], Item], parts: int) -> History:
        """Return a history of items that take the room of so many states."""
        comm = self.weighted.step.norm.comm
        size = parts * comm.allreduce(first[0].nbytes, MPI.MAX)
        window = self.integrator.tolerances.max_order + 1
        return History(first, self._count, advance, window=window, size=size, storage=self.storage, comm=comm)

    def _record(self, n: int, past: list[np.ndarray]) -> np.ndarray:
        """Record of step n, given those before it."""
        if self.trajectory.steps:
            return self.trajectory.steps[n]
        size = self.weighted.step.layout.size
        return self.integrator.replay(self.trajectory, n, [record[:size] for record in past])

    def _records_backwards(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give the number and the record of a step, from the last one to the first."""
        if self.trajectory.steps:
            return ((n, self.trajectory.steps[n]) for n in range(self._count, 0, -1))

        def advance(n: int, past: list[Item]) -> Item:
            return (self._record(n, [item[0] for item in past]),)

        return ((n, item[0]) for n, item in self._history((self._first,), advance, 1).backwards())

    def _tangent_step(self, n: int, record: np.ndarray, past: list[np.ndarray], change: Inputs) -> np.ndarray:
        """Return the change of the state after step n, and that of its history where records have it."""
        solver, formula = self._visit(n, record)
        history = self._changed_history(formula, past)
        changed = solver.solve(self._sides(n, history[:, None], [change])[:, 0])
        step = self.weighted.step
        return changed if step.forms.plain_rate else step.layout.record(changed, history)

    def _changed_history(self, formula: np.ndarray, past: list[np.ndarray]) -> np.ndarray:
        """Return the change of what the states before contribute to the time derivatives."""
        return combine(formula[1:], [self.weighted.step.layout.rates(before) for before in past[: len(formula) - 1]])

    def _sides(self, n: int, history: np.ndarray, changes: Sequence[Inputs]) -> np.ndarray:
        """Return the right-hand sides for the changes of the state after step n, as columns."""
        step, columns = self.weighted.step, []
        for change in changes:
            self._set_inputs(n, change)
            columns.append(-self.weighted.explicit())
        sides = np.column_stack(columns)
        sides[: step.layout.inner] -= step.operators.rate(history)
        for column, change in enumerate(changes):
            self._prescribe_change(sides[:, column], self._boundary_change(n, change))
        return sides

    def _set_inputs(self, n: int, change: Inputs) -> None:
        """Write the change of what is given at the end of step n."""
        self.weighted.set_inputs(change, self._number_change(n, change), self._boundary_change(n, change))

    def _mean(self, change: Inputs) -> float:
        """Return the change of the mean of the first field at the start."""
        step = self.weighted.step
        return float(step.norm.mean(change.start[: step.layout.nodes]))

    def _number_change(self, n: int, change: Inputs) -> np.ndarray:
        given = self.trajectory.given
        if given.data is None:
            return np.array([self._mean_change])
        if not len(change.data):
            return np.append(np.zeros(given.data.values.shape[1]), self._mean_change)
        return np.append(given.weights(given.data, self.trajectory.grid.times[n]) @ change.data, self._mean_change)

    def _boundary_change(self, n: int, change: Inputs) -> np.ndarray | None:
        """Change of the field that is prescribed at the end of step n; that of the start has number 0."""
        given = self.trajectory.given
        if given.boundary is None:
            return None
        if not len(change.boundary):
            return np.zeros(given.boundary.fields.shape[1])
        return given.weights(given.boundary, self.trajectory.grid.times[n]) @ change.boundary

    def _prescribe_change(self, values: np.ndarray, boundary_change: np.ndarray | None) -> None:
        """Write the change of what is prescribed where it is."""
        step = self.weighted.step
        values[step.operators.prescribed] = 0.0
        if boundary_change is not None:
            values[step.operators.given] = step.forms.dirichlet.trace(boundary_change)

    def _visit(self, n: int, record: np.ndarray) -> tuple[Factor, np.ndarray]:
        """Go to the state after step n; gives the factor of its Jacobian and the weights of its formula."""
        step, grid, given = self.weighted.step, self.trajectory.grid, self.trajectory.given
        step.release()
        order, size = grid.orders[n - 1], step.layout.size
        formula = derivative_weights(np.array(grid.times[n - order : n + 1][::-1]))
        step.set_state(record[:size])
        step.set_shift(formula[0])
        if len(record) > size:
            step.set_history(record[size:])
        step.set_given(given, grid.times[n])
        step.operators.update_rate()
        if n in self._factors:
            return self._factors[n], formula
        if self._kept_bytes >= self.storage.factors:
            step.factorise()
            return step.linear.factor, formula
        factor = step.factor()
        self._kept_bytes += factor.bytes
        if self._kept_bytes <= self.storage.factors:
            self._factors[n] = factor
        return factor, formula
