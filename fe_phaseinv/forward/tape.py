"""A forward run as one block of the pyadjoint tape, so that it composes with anything else that is on the tape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from firedrake import Cofunction, Function, FunctionSpace
from pyadjoint import Block, annotate_tape, get_working_tape, stop_annotating

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.weighted import Weighted


def coefficient_functions(forward: ForwardModel, m: np.ndarray) -> list[Function]:
    """Return the flat coefficients of all laws as functions of the real space, which can be controls.

    Parameters
    ----------
    forward : ForwardModel
        The model that has these laws.
    m : numpy.ndarray, shape (n,)
        Flat coefficients of all laws, the same on all ranks.
    """
    real = FunctionSpace(forward.mesh, "R", 0)
    return [Function(real, val=float(value)) for value in m]


def run_on_tape(
    forward: ForwardModel,
    coefficients: Sequence[Function],
    start: Function | Sequence[Function],
    times: Sequence[float],
    *,
    heterogeneity: Function | None = None,
    boundary: Sequence[Function] | None = None,
    data: Sequence[Function] | None = None,
    fields: Sequence[str] | None = None,
    grid: TimeGrid | None = None,
    storage: Storage = Storage(),  # noqa: B008 (a frozen value)
) -> list[Function] | list[tuple[Function, ...]]:
    """Solve, and put the run on the tape where it is annotated. Collective.

    Afterwards a `ReducedFunctional` of the frames can be evaluated, differentiated and have its Hessian applied, by one
    sweep over the time steps each; its controls may be the coefficients, the start, the map, the boundary data, and
    the data in time.
    Coefficients that are not among `forward.unknown` count as constants. The `ForwardModel` is left as it was, and
    what it is given later does not change what is on the tape.

    A Taylor test sees what Newton's method leaves: with the `Tolerances` that hold where none are given, R2 has been
    seen to fall with the orders -0.3 to 1.2, from 1e-8 on to 1e-13. With ``Tolerances(newton=1e-8)`` it fell with 2.97
    to 3.01 for laws and start alike, for up to a third more factorisations in the run.

    Where the tape has a schedule of checkpoints (`pyadjoint.Tape.enable_checkpointing`), it gives values and
    derivatives; it has no Hessians then, whatever its blocks are, since pyadjoint forgets the adjoint values of outputs
    in its reverse sweep. `storage` places checkpoints in the run itself, and has all of them.

    Parameters
    ----------
    forward : ForwardModel
        A model whose laws are local.
    coefficients : sequence of firedrake.Function
        Coefficients of all laws, in the order of `forward.parameters`, in the real space.
    start : firedrake.Function or sequence of firedrake.Function
        The fields with rates at times[0], in `forward.space`; of a vector field in `forward.field_space` of its name.
    times : sequence of float
        At least two, which increase.
    heterogeneity : firedrake.Function, optional
        The map h of a `ForwardModel` that is heterogeneous, in `forward.space`.
    boundary : sequence of firedrake.Function, optional
        The fields at the times of the `BoundaryData` of a `ForwardModel` that has them, in `forward.boundary_space`;
        those that it has where not given.
    data : sequence of firedrake.Function, optional
        The values of the `DataInTime` of a `ForwardModel` that has them, in the real space, time by time; those that it
        has where not given.
    fields : sequence of str, optional
        Names of the fields and scalars wanted; the first field where not given.
    grid : TimeGrid, optional
        Steps to take; where not given they are chosen now, and kept whenever the run is replayed.
    storage : Storage
        What may be kept for the derivatives.

    Returns
    -------
    list of firedrake.Function, or of tuple
        The first field at the other times, or all those named, in the order of their names; scalars in the real space.

    Raises
    ------
    StepFailed
        Where the equations cannot be solved, now or when the run is replayed.
    ValueError
        Where a map is given to a model without one, or the other way round, boundary data or coefficients do not fit,
        or the times are none of a run.
    """
    starts = [start] if isinstance(start, Function) else list(start)
    inputs = TapedInputs(coefficients, starts, heterogeneity, boundary or [], data or [])
    _require_fitting(forward, inputs)
    names = tuple(fields or (forward.model.fields[0].name,))
    block = _TrajectoryBlock(forward, inputs, times, storage, names)
    with stop_annotating():
        outputs = block.solve([dependency.output for dependency in block.get_dependencies()], grid)
    if annotate_tape():
        for output in outputs:
            block.add_output(output.create_block_variable())
        get_working_tape().add_block(block)
    return outputs if fields is None else _in_tuples(outputs, len(names))


@dataclass(frozen=True, eq=False)
class TapedInputs:
    """The inputs of a run on the tape, or what belongs to each of them.

    Parameters
    ----------
    laws : sequence
        One item for each coefficient.
    start : sequence
        One for each field with a rate.
    heterogeneity : object
        One for the map; None where there is none.
    boundary : sequence
        One for each field on the boundary.
    data : sequence
        One for each value given in time.
    """

    laws: Sequence[Any]
    start: Sequence[Any]
    heterogeneity: Any
    boundary: Sequence[Any]
    data: Sequence[Any]

    def in_order(self) -> list[Any]:
        """Return them as one list, in the order in which a block depends on them."""
        heterogeneity = [] if self.heterogeneity is None else [self.heterogeneity]
        return [*self.laws, *self.start, *heterogeneity, *self.boundary, *self.data]

    def named(self, values: Sequence[Any]) -> TapedInputs:
        """Return other values in this order by their names.

        Parameters
        ----------
        values : sequence
            As many as there are inputs.
        """
        rest = iter(values)
        laws, start = list(islice(rest, len(self.laws))), list(islice(rest, len(self.start)))
        heterogeneity = None if self.heterogeneity is None else next(rest)
        return TapedInputs(laws, start, heterogeneity, list(islice(rest, len(self.boundary))), list(rest))


def _require_fitting(forward: ForwardModel, inputs: TapedInputs) -> None:
    if len(inputs.laws) != forward.parameters.size:
        raise ValueError(f"coefficients: found {len(inputs.laws)}; accepted: all {forward.parameters.size}")
    if (inputs.heterogeneity is None) != (forward.heterogeneity is None):
        raise ValueError("a map goes with a ForwardModel that is heterogeneous, and with no other")
    names = [field.name for field in forward.model.fields if field.rate]
    if len(inputs.start) != len(names):
        raise ValueError(f"start: found {len(inputs.start)} fields; accepted: {', '.join(names)}")
    boundary, data = forward.boundary_data, forward.data
    wanted = len(boundary.times) if isinstance(boundary, BoundaryData) else 0
    if len(inputs.boundary) not in (0, wanted):
        raise ValueError(f"{len(inputs.boundary)} fields on the boundary, for a ForwardModel that takes {wanted}")
    wanted = 0 if data is None else data.values.size
    if len(inputs.data) not in (0, wanted):
        raise ValueError(f"data: found {len(inputs.data)} values; accepted: {wanted}, or none")


class _TrajectoryBlock(Block):
    """One trajectory. It holds all that it depends on itself, so that others may use the forward model in between."""

    def __init__(
        self,
        forward: ForwardModel,
        inputs: TapedInputs,
        times: Sequence[float],
        storage: Storage,
        names: Sequence[str],
    ):
        super().__init__()
        self.forward, self.taped, self.times, self.storage = forward, inputs, tuple(times), storage
        self.names, self.boundary_data, self.data = names, forward.boundary_data, forward.data
        self.grid: TimeGrid | None = None
        self.sweeps: Sweeps | None = None
        with stop_annotating():
            self.weighted = Weighted(forward.step)
        for function in inputs.in_order():
            self.add_dependency(function)

    def solve(self, values: Sequence[Function], grid: TimeGrid | None) -> list[Function]:
        """Run from given inputs, and be ready for sweeps."""
        given, boundary_data, data = self.taped.named(values), self.boundary_data, self.data
        if given.boundary:
            fields = np.array([field.dat.data_ro for field in given.boundary])
            boundary_data = replace(boundary_data, fields=fields)
        if given.data:
            data = replace(data, values=_numbers(given.data).reshape(data.values.shape))
        with self._at(values):
            trajectory = self.forward.run(
                _numbers(given.laws),
                self.forward.start_values(given.start),
                self.times,
                grid=grid,
                boundary_data=boundary_data,
                data=data,
                record=self.forward.steps_in(self.storage),
            )
        self.grid = trajectory.grid
        self.sweeps = Sweeps(self.weighted, self.forward.integrator, trajectory, self.storage)
        return self._named_parts(trajectory.states)

    def prepare_recompute_component(self, inputs, relevant_outputs):
        """Run again, on the grid of the first run."""
        return self.solve(inputs, self.grid)

    def recompute_component(self, inputs, block_variable, idx, prepared):
        """Return a frame."""
        return prepared[idx]

    def prepare_evaluate_adj(self, inputs, adj_inputs, relevant_dependencies):
        """Sweep backwards."""
        with self._at(inputs):
            return self.sweeps.adjoint(self._loads(adj_inputs))

    def evaluate_adj_component(self, inputs, adj_inputs, block_variable, idx, prepared=None):
        """Return the derivative by an input."""
        return self._derivative(prepared, idx)

    def prepare_evaluate_tlm(self, inputs, tlm_inputs, relevant_outputs):
        """Sweep forwards."""
        with self._at(inputs):
            return self.sweeps.tangent(self._changes(tlm_inputs))

    def evaluate_tlm_component(self, inputs, tlm_inputs, block_variable, idx, prepared=None):
        """Return the change of a frame."""
        return self._named_parts(prepared)[idx]

    def prepare_evaluate_hessian(self, inputs, hessian_inputs, adj_inputs, relevant_dependencies):
        """Sweep backwards for the change of the derivatives, after a tangent sweep."""
        with self._at(inputs):
            return self.sweeps.second(self._loads(adj_inputs), self._loads(hessian_inputs))

    def evaluate_hessian_component(
        self, inputs, hessian_inputs, adj_inputs, block_variable, idx, relevant_dependencies, prepared=None
    ):
        """Return the change of the derivative by an input."""
        return self._derivative(prepared, idx)

    @contextmanager
    def _at(self, values: Sequence[Function]) -> Iterator[None]:
        """Write laws and map into the forward model, which is left as it was."""
        given, forward = self.taped.named(values), self.forward
        coefficients, heterogeneity = forward.coefficients.values(), forward.heterogeneity
        forward.coefficients.assign(_numbers(given.laws))
        if heterogeneity is not None:
            before = heterogeneity.dat.data_ro.copy()
            heterogeneity.dat.data_wo[:] = given.heterogeneity.dat.data_ro
        try:
            yield
        finally:
            forward.coefficients.assign(coefficients)
            if heterogeneity is not None:
                heterogeneity.dat.data_wo[:] = before

    def _named_parts(self, states: Sequence[np.ndarray]) -> list[Function]:
        """Return the wanted parts of states, or of their changes, frame by frame."""
        parts = [self.forward.part(state, name) for state in states for name in self.names]
        real = FunctionSpace(self.forward.mesh, "R", 0)
        return [part if isinstance(part, Function) else Function(real, val=part) for part in parts]

    def _loads(self, values: Sequence[Cofunction | None]) -> list[np.ndarray]:
        """Return what belongs to the outputs as arrays that belong to states, one for each frame."""
        layout, loads = self.forward.layout, []
        for parts in _in_tuples(values, len(self.names)):
            load = layout.zeros()
            for name, value in zip(self.names, parts, strict=True):
                if value is not None and name in layout.scalars:
                    load[layout.place(name)] += float(value.dat.data_ro[0])
                elif value is not None:
                    for number, column in zip(layout.of_field(name), _columns(value, layout.nodes), strict=True):
                        layout.component(load, number)[:] += column
            loads.append(load)
        return loads

    def _changes(self, values: Sequence[Function | None]) -> Inputs:
        """Return the changes of all inputs; those not given do not change."""
        given, forward = self.taped.named(values), self.forward
        laws = _numbers([0.0 if value is None else value for value in given.laws])
        fields = [field.function_space() for field in self.taped.start]
        nodes = forward.layout.nodes
        starts = [_columns(_local(v, space), nodes) for v, space in zip(given.start, fields, strict=True)]
        heterogeneity = _local(given.heterogeneity, forward.space)
        boundary = np.array([_local(value, forward.boundary_space) for value in given.boundary])
        data = _numbers([0.0 if value is None else value for value in given.data])
        data = data.reshape(self.data.values.shape) if given.data else np.zeros((0, 0))
        return Inputs(laws[forward.unknown], np.concatenate(starts).ravel(), heterogeneity, boundary, data)

    def _derivative(self, by: Inputs, index: int) -> Cofunction:
        """Return the part of a derivative that belongs to one input."""
        laws = np.zeros(self.forward.parameters.size)
        laws[self.forward.unknown] = by.coefficients
        heterogeneity = None if self.taped.heterogeneity is None else by.heterogeneity
        spaces = [field.function_space() for field in self.taped.start]
        ends = np.cumsum([space.block_size * self.forward.layout.nodes for space in spaces])[:-1]
        nodes = self.forward.layout.nodes
        starts = [part.reshape(-1, nodes).T for part in np.split(by.start, ends)]
        data = by.data.ravel() if self.taped.data else []
        boundary = by.boundary if self.taped.boundary else []
        parts = TapedInputs(laws, starts, heterogeneity, boundary, data)
        derivative = Cofunction(self.get_dependencies()[index].output.function_space().dual())
        values = derivative.dat.data_wo
        values[:] = np.reshape(parts.in_order()[index], values.shape)
        return derivative


def _in_tuples(values: Sequence[Any], size: int) -> list[tuple[Any, ...]]:
    return [tuple(values[i : i + size]) for i in range(0, len(values), size)]


def _numbers(laws: Sequence[Function | float]) -> np.ndarray:
    return np.array([float(function) for function in laws])


def _local(value: Function | Cofunction | None, space: FunctionSpace) -> np.ndarray:
    size = space.dof_dset.size
    shape = (size,) if space.block_size == 1 else (size, space.block_size)
    return np.zeros(shape) if value is None else value.dat.data_ro.copy()


def _columns(values: Function | Cofunction | np.ndarray, nodes: int) -> np.ndarray:
    """Return nodal values component by component."""
    array = values if isinstance(values, np.ndarray) else values.dat.data_ro
    return array.reshape(nodes, -1).T
