"""A forward run as one block of the pyadjoint tape, so that it composes with anything else that is on the tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from firedrake import Cofunction, Function, FunctionSpace
from pyadjoint import Block, annotate_tape, get_working_tape, stop_annotating

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Inputs, Sweeps, Weighted


def coefficient_functions(forward: ForwardModel, m: np.ndarray) -> list[Function]:
    """Return the flat coefficients of all laws as functions of the real space, which can be controls.

    Parameters
    ----------
    forward : ForwardModel
    m : numpy.ndarray, shape (n,)
    """
    real = FunctionSpace(forward.mesh, "R", 0)
    return [Function(real, val=float(value)) for value in m]


def run_on_tape(
    forward: ForwardModel,
    coefficients: Sequence[Function],
    start: Function,
    times: Sequence[float],
    heterogeneity: Function | None = None,
    boundary: Sequence[Function] | None = None,
    grid: TimeGrid | None = None,
    storage: Storage = Storage(),  # noqa: B008 (a frozen value)
) -> list[Function]:
    """Solve, and put the run on the tape where it is annotated.

    Afterwards a `ReducedFunctional` of the frames can be evaluated, differentiated and have its Hessian applied, by one
    sweep over the time steps each; its controls may be the coefficients, the start, the map, and the boundary data.
    Coefficients that are not among `forward.unknown` count as constants.

    Parameters
    ----------
    forward : ForwardModel
        Of a model whose laws are local.
    coefficients : sequence of firedrake.Function
        Of all laws, in the order of `forward.parameters`, in the real space.
    start : firedrake.Function
        Field at times[0], in `forward.space`.
    times : sequence of float
    heterogeneity : firedrake.Function, optional
        The map h of a `ForwardModel` that is heterogeneous, in `forward.space`.
    boundary : sequence of firedrake.Function, optional
        The fields at the times of the `BoundaryData` of a `ForwardModel` that has them, in `forward.boundary_space`;
        those that it has where not given.
    grid : TimeGrid, optional
        Steps to take; where not given they are chosen now, and kept whenever the run is replayed.
    storage : Storage
        What may be kept for the derivatives.

    Returns
    -------
    list of firedrake.Function
        The field at the other times.

    Raises
    ------
    StepFailed
        Where the equations cannot be solved, now or when the run is replayed.
    ValueError
        Where a map is given to a model without one, or the other way round, or boundary data that do not fit.
    """
    if (heterogeneity is None) != (forward.heterogeneity is None):
        raise ValueError("a map goes with a ForwardModel that is heterogeneous, and with no other")
    boundary_data = forward.integrator.boundary_data
    if boundary is not None and (boundary_data is None or len(boundary) != len(boundary_data.times)):
        wanted = 0 if boundary_data is None else len(boundary_data.times)
        raise ValueError(f"{len(boundary)} fields on the boundary, for a ForwardModel that takes {wanted}")
    block = _TrajectoryBlock(forward, coefficients, start, heterogeneity, boundary, times, storage)
    with stop_annotating():
        frames = block.solve([dependency.output for dependency in block.get_dependencies()], grid)
    if annotate_tape():
        for frame in frames:
            block.add_output(frame.create_block_variable())
        get_working_tape().add_block(block)
    return frames


class _TrajectoryBlock(Block):
    """One trajectory: its inputs are the coefficients, the start, the map and the boundary data where there are any."""

    def __init__(self, forward: ForwardModel, coefficients, start, heterogeneity, boundary, times, storage: Storage):
        super().__init__()
        self.forward, self.times, self.storage = forward, tuple(times), storage
        self.grid: TimeGrid | None = None
        self.sweeps: Sweeps | None = None
        self.weighted = Weighted(forward.step)
        groups = coefficients, [start], [] if heterogeneity is None else [heterogeneity], boundary or []
        ends = np.cumsum([0, *map(len, groups)])
        self.laws, self.start, self.map, self.boundary = map(slice, ends[:-1], ends[1:])
        for function in (function for group in groups for function in group):
            self.add_dependency(function)

    def solve(self, inputs: Sequence[Function], grid: TimeGrid | None) -> list[Function]:
        """Run from given inputs, and be ready for sweeps."""
        m, start = self._set(inputs)
        trajectory = self.forward.run(m, start, self.times, grid, record=self.forward.steps_in(self.storage))
        self.grid = trajectory.grid
        self.sweeps = Sweeps(self.weighted, self.forward.integrator, trajectory, self.storage)
        frames = [Function(self.forward.space) for _ in trajectory.states]
        for frame, state in zip(frames, trajectory.states, strict=True):
            frame.dat.data_wo[:] = state
        return frames

    def prepare_recompute_component(self, inputs, relevant_outputs):
        """Run again, on the grid of the first run."""
        return self.solve(inputs, self.grid)

    def recompute_component(self, inputs, block_variable, idx, prepared):
        """Return a frame."""
        return prepared[idx]

    def prepare_evaluate_adj(self, inputs, adj_inputs, relevant_dependencies):
        """Sweep backwards."""
        self._set(inputs)
        return self.sweeps.adjoint(self._loads(adj_inputs))

    def evaluate_adj_component(self, inputs, adj_inputs, block_variable, idx, prepared=None):
        """Return the derivative by an input."""
        return self._derivative(prepared, idx)

    def prepare_evaluate_tlm(self, inputs, tlm_inputs, relevant_outputs):
        """Sweep forwards."""
        self._set(inputs)
        return self.sweeps.tangent(self._inputs(tlm_inputs))

    def evaluate_tlm_component(self, inputs, tlm_inputs, block_variable, idx, prepared=None):
        """Return the change of a frame."""
        change = Function(self.forward.space)
        change.dat.data_wo[:] = prepared[idx]
        return change

    def prepare_evaluate_hessian(self, inputs, hessian_inputs, adj_inputs, relevant_dependencies):
        """Sweep backwards for the change of the derivatives, after a tangent sweep."""
        self._set(inputs)
        return self.sweeps.second(self._loads(adj_inputs), self._loads(hessian_inputs))

    def evaluate_hessian_component(
        self, inputs, hessian_inputs, adj_inputs, block_variable, idx, relevant_dependencies, prepared=None
    ):
        """Return the change of the derivative by an input."""
        return self._derivative(prepared, idx)

    def _set(self, inputs: Sequence[Function]) -> tuple[np.ndarray, np.ndarray]:
        """Write laws, map and boundary data into the forward model; gives all coefficients, and the start."""
        m = np.array([float(function) for function in inputs[self.laws]])
        self.forward.parameters.assign(m)
        for field in inputs[self.map]:
            self.forward.heterogeneity.dat.data_wo[:] = field.dat.data_ro
        if inputs[self.boundary]:
            fields = np.array([field.dat.data_ro for field in inputs[self.boundary]])
            self.forward.integrator.boundary_data = replace(self.forward.integrator.boundary_data, fields=fields)
        (start,) = inputs[self.start]
        return m, start.dat.data_ro.copy()

    def _loads(self, values: Sequence[Cofunction | None]) -> list[np.ndarray]:
        return [self._local(value, self.forward.space) for value in values]

    def _local(self, value: Function | Cofunction | None, space: FunctionSpace) -> np.ndarray:
        return np.zeros(space.dof_dset.size) if value is None else value.dat.data_ro.copy()

    def _inputs(self, values: Sequence[Function | None]) -> Inputs:
        """Return the changes of all inputs; those not given do not change."""
        laws = np.array([0.0 if value is None else float(value) for value in values[self.laws]])
        (start,), maps = (self._loads(values[part]) for part in (self.start, self.map))
        boundary_data = [self._local(value, self.forward.boundary_space) for value in values[self.boundary]]
        heterogeneity = maps[0] if maps else np.zeros_like(start)
        return Inputs(laws[self.forward.unknown], start, heterogeneity, np.array(boundary_data))

    def _derivative(self, by: Inputs, index: int) -> Cofunction:
        """Return the part of a derivative that belongs to one input."""
        laws = np.zeros(self.forward.parameters.size)
        laws[self.forward.unknown] = by.coefficients
        maps = [by.heterogeneity] * (self.map.stop - self.map.start)
        values = [*laws, by.start, *maps, *by.boundary][index]
        derivative = Cofunction(self.get_dependencies()[index].output.function_space().dual())
        derivative.dat.data_wo[:] = values
        return derivative
