"""Derivatives along a trajectory by one sweep each: tangent, adjoint, and second-order adjoint.

With R_n(u_n, c_{n-1}, ...; m) = 0 the equations of step n, u = (c, ...), J_n = dR_n/du_n, H_nj = dR_n/dc_{n-j}:

    tangent         J_n du_n = - sum_j H_nj dc_{n-j} - R_m dm
    adjoint         J_n^T l_n = w_n - sum_j H_{n+j,j}^T l_{n+j},                gradient = - sum_n R_m^T l_n
    second order    the same for dl_n with - (l_n . R_n)_uu du_n - (l_n . R_n)_um dm added to its right-hand side

(Ghattas and Willcox, Acta Numer. 30, 445 (2021), section 3.2, for the frozen grid of a multistep formula.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.forward.bdf import derivative_weights
from fe_phaseinv.forward.boundary_data import BoundaryData
from fe_phaseinv.forward.checkpoints import History, Item, Storage
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.integrator import Integrator
from fe_phaseinv.forward.multipliers import Multipliers
from fe_phaseinv.forward.past import combine
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.solvers.direct import solve_with
from fe_phaseinv.solvers.linear_algebra import factor_bytes


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
    _factors: dict[int, PETSc.KSP] = field(default_factory=dict)
    _kept_bytes: float = 0.0
    _change: Inputs | None = None
    _pairs: History | None = None
    """States, and their changes by the last tangent."""

    def __post_init__(self):
        """Refuse what is prescribed in a way that has no derivative."""
        data = self.trajectory.boundary_data
        if data is not None and not isinstance(data, BoundaryData):
            raise ValueError(f"boundary_data: found {data!r}; accepted: BoundaryData, of which sweeps know the fields")

    def tangent(self, change: Inputs) -> list[np.ndarray]:
        """Return the changes of c at the frames by a change of the inputs, as local arrays. Collective.

        Parameters
        ----------
        change : Inputs
            The change.

        Returns
        -------
        list of numpy.ndarray, shape (nodes,)

        Raises
        ------
        StepFailed
            Where a linear solve fails, or a state cannot be computed again.
        """
        frames, found = self._frames, {}

        def advance(n: int, past: list[Item]) -> Item:
            state = self._state(n, [item[0] for item in past])
            changed = self._tangent_step(n, state, [item[1] for item in past], change)
            if n in frames:
                found[n] = changed[:, 0].copy()
            return state, changed

        first = np.zeros(self.weighted.step.shape)
        first[:, 0] = change.start
        self._prescribe_change(first, self._boundary_change(0, change))
        # Where the states are at hand, only their changes need room.
        self._pairs = self._history((self.trajectory.start, first), advance, 1 if self.trajectory.steps else 2)
        self._change = change
        return [found[n] for n in frames]

    def adjoint(self, weights: Sequence[np.ndarray]) -> Inputs:
        """Return the derivative by the inputs of a sum of weights times c at the frames. Collective.

        Parameters
        ----------
        weights : sequence of numpy.ndarray, shape (nodes,)
            For each frame, local integrals: the derivative by its nodal values.

        Raises
        ------
        StepFailed
            Where a linear solve fails, or a state cannot be computed again.
        """
        multipliers = self._multipliers(weights)
        for n, state in self._states_backwards():
            solver, formula = self._visit(n, state)
            multipliers.solve(n, solver, formula)
        return multipliers.derivative()

    def second(self, weights: Sequence[np.ndarray], changes: Sequence[np.ndarray]) -> Inputs:
        """Return the change of `adjoint` by the change of the inputs of the last `tangent`. Collective.

        Parameters
        ----------
        weights : sequence of numpy.ndarray, shape (nodes,)
            Those of the adjoint.
        changes : sequence of numpy.ndarray, shape (nodes,)
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
        weighted = self.weighted
        first, second = self._multipliers(weights), self._multipliers(changes)
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
    def _count(self) -> int:
        return len(self.trajectory.grid.orders)

    @property
    def _frames(self) -> list[int]:
        """Numbers of the steps that end at the frames."""
        times = self.trajectory.grid.times
        return [times.index(time) for time in self.trajectory.times]

    def _multipliers(self, weights: Sequence[np.ndarray]) -> Multipliers:
        return Multipliers(self.weighted, self.trajectory, dict(zip(self._frames, weights, strict=True)))

    def _history(self, first: Item, advance: Callable[[int, list[Item]], Item], parts: int) -> History:
        """Return a history of items that take the room of so many states."""
        comm = self.weighted.step.norm.comm
        size = parts * comm.allreduce(first[0].nbytes, MPI.MAX)
        window = self.integrator.tolerances.max_order + 1
        return History(first, self._count, advance, window=window, size=size, storage=self.storage, comm=comm)

    def _state(self, n: int, past: list[np.ndarray]) -> np.ndarray:
        """State after step n, given those before it."""
        return self.trajectory.steps[n] if self.trajectory.steps else self.integrator.replay(self.trajectory, n, past)

    def _states_backwards(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give the number of a step and the state after it, from the last one to the first."""
        if self.trajectory.steps:
            return ((n, self.trajectory.steps[n]) for n in range(self._count, 0, -1))

        def advance(n: int, past: list[Item]) -> Item:
            return (self._state(n, [item[0] for item in past]),)

        return ((n, item[0]) for n, item in self._history((self.trajectory.start,), advance, 1).backwards())

    def _tangent_step(self, n: int, state: np.ndarray, past: list[np.ndarray], change: Inputs) -> np.ndarray:
        solver, formula = self._visit(n, state)
        boundary_change = self._boundary_change(n, change)
        self.weighted.set_inputs(change, boundary_change)
        history = combine(formula[1:], [before[:, 0] for before in past])
        rhs = -(self.weighted.step.operators.rate(history) + self.weighted.explicit())
        self._prescribe_change(rhs, boundary_change)
        return solve_with(solver, rhs)

    def _boundary_change(self, n: int, change: Inputs) -> np.ndarray | None:
        """Change of the field that is prescribed at the end of step n; that of the start has number 0."""
        data = self.trajectory.boundary_data
        if data is None:
            return None
        if not len(change.boundary):
            return np.zeros(data.fields.shape[1])
        return data.weights(self.trajectory.grid.times[n]) @ change.boundary

    def _prescribe_change(self, values: np.ndarray, boundary_change: np.ndarray | None) -> None:
        """Write the change of what is prescribed where it is."""
        if boundary_change is not None:
            step = self.weighted.step
            values[step.dirichlet_nodes, 0] = step.forms.dirichlet.trace(boundary_change)

    def _visit(self, n: int, state: np.ndarray) -> tuple[PETSc.KSP, np.ndarray]:
        """Go to the state after step n; gives the factor of its Jacobian and the weights of its formula."""
        step, grid = self.weighted.step, self.trajectory.grid
        step.release()
        order = grid.orders[n - 1]
        formula = derivative_weights(np.array(grid.times[n - order : n + 1][::-1]))
        step.set_state(state)
        step.set_shift(formula[0])
        data = self.trajectory.boundary_data
        if data is not None:
            step.forms.dirichlet.prescribe(data(grid.times[n]))
        if n in self._factors:
            return self._factors[n], formula
        if self._kept_bytes >= self.storage.factors:
            step.factorise()
            return step.linear.ksp, formula
        solver = step.factor()
        self._kept_bytes += factor_bytes(solver)
        if self._kept_bytes <= self.storage.factors:
            self._factors[n] = solver
        return solver, formula
