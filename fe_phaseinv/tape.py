"""A forward run as one block of the pyadjoint tape, so that it composes with anything else that is on the tape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import Cofunction, Function, FunctionSpace
from pyadjoint import Block, annotate_tape, get_working_tape, stop_annotating

from fe_phaseinv.forward import Forward
from fe_phaseinv.stepping.adjoint import Inputs, Sweeps, Weighted
from fe_phaseinv.stepping.bdf import TimeGrid


def coefficient_functions(forward: Forward, m: np.ndarray) -> list[Function]:
    """Return the flat coefficients of all laws as functions of the real space, which can be controls.

    Parameters
    ----------
    forward : Forward
    m : numpy.ndarray, shape (n,)
    """
    real = FunctionSpace(forward.mesh, "R", 0)
    return [Function(real, val=float(value)) for value in m]


def run_on_tape(
    forward: Forward,
    coefficients: Sequence[Function],
    start: Function,
    times: Sequence[float],
    heterogeneity: Function | None = None,
    grid: TimeGrid | None = None,
    keep: int = 0,
) -> list[Function]:
    """Solve, and put the run on the tape where it is annotated.

    Afterwards a `ReducedFunctional` of the frames can be evaluated, differentiated and have its Hessian applied, by one
    sweep over the time steps each; its controls may be the coefficients, the start, and the map. Coefficients that are
    not among `forward.unknown` count as constants.

    Parameters
    ----------
    forward : Forward
        Of a model whose laws are local.
    coefficients : sequence of firedrake.Function
        Of all laws, in the order of `forward.parameters`, in the real space.
    start : firedrake.Function
        Field at times[0], in `forward.space`.
    times : sequence of float
    heterogeneity : firedrake.Function, optional
        The map h of a `Forward` that is heterogeneous, in `forward.space`.
    grid : TimeGrid, optional
        Steps to take; where not given they are chosen now, and kept whenever the run is replayed.
    keep : int
        Most factors of Jacobians to keep from one sweep to the next.

    Returns
    -------
    list of firedrake.Function
        The field at the other times.

    Raises
    ------
    StepFailed
        Where the equations cannot be solved, now or when the run is replayed.
    ValueError
        Where a map is given to a model without one, or the other way round.
    """
    if (heterogeneity is None) != (forward.heterogeneity is None):
        raise ValueError("a map goes with a Forward that is heterogeneous, and with no other")
    inputs = [*coefficients, start, *([] if heterogeneity is None else [heterogeneity])]
    block = _TrajectoryBlock(forward, inputs, times, keep)
    with stop_annotating():
        frames = block.solve(inputs, grid)
    if annotate_tape():
        for frame in frames:
            block.add_output(frame.create_block_variable())
        get_working_tape().add_block(block)
    return frames


class _TrajectoryBlock(Block):
    """One trajectory: its inputs are the coefficients, the start, and the map where there is one."""

    def __init__(self, forward: Forward, inputs: Sequence[Function], times: Sequence[float], keep: int):
        super().__init__()
        self.forward, self.times, self.keep = forward, tuple(times), keep
        self.grid: TimeGrid | None = None
        self.sweeps: Sweeps | None = None
        self.weighted = Weighted(forward.step)
        self.laws = forward.parameters.size
        for function in inputs:
            self.add_dependency(function)

    def solve(self, inputs: Sequence[Function], grid: TimeGrid | None) -> list[Function]:
        """Run from given inputs, and be ready for sweeps."""
        m, start = self._set(inputs)
        trajectory = self.forward.run(m, start, self.times, grid, record=True)
        self.grid = trajectory.grid
        self.sweeps = Sweeps(self.weighted, trajectory, self.forward.integrator.outside, self.keep)
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
        """Sweep backwards for the change of the derivatives, after a tangent and an adjoint sweep."""
        self._set(inputs)
        return self.sweeps.second(self._loads(hessian_inputs))

    def evaluate_hessian_component(
        self, inputs, hessian_inputs, adj_inputs, block_variable, idx, relevant_dependencies, prepared=None
    ):
        """Return the change of the derivative by an input."""
        return self._derivative(prepared, idx)

    def _set(self, inputs: Sequence[Function]) -> tuple[np.ndarray, np.ndarray]:
        """Write laws and map into the forward model; gives all coefficients, and the start."""
        m = np.array([float(function) for function in inputs[: self.laws]])
        self.forward.parameters.assign(m)
        if self.forward.heterogeneity is not None:
            self.forward.heterogeneity.dat.data_wo[:] = inputs[-1].dat.data_ro
        return m, inputs[self.laws].dat.data_ro.copy()

    def _loads(self, values: Sequence[Cofunction | None]) -> list[np.ndarray]:
        zero = np.zeros(self.forward.step.shape[0])
        return [zero if value is None else value.dat.data_ro.copy() for value in values]

    def _inputs(self, values: Sequence[Function | None]) -> Inputs:
        """Return the changes of all inputs; those not given do not change."""
        laws = np.array([0.0 if value is None else float(value) for value in values[: self.laws]])
        start, *maps = self._loads(values[self.laws :])
        return Inputs(laws[self.forward.unknown], start, maps[0] if maps else np.zeros_like(start))

    def _derivative(self, by: Inputs, index: int) -> Cofunction:
        """Return the part of a derivative that belongs to one input."""
        derivative = Cofunction(self.get_dependencies()[index].output.function_space().dual())
        if index < self.laws:
            whole = np.zeros(self.laws)
            whole[self.forward.unknown] = by.coefficients
            derivative.dat.data_wo[:] = whole[index]
        else:
            derivative.dat.data_wo[:] = by.start if index == self.laws else by.heterogeneity
        return derivative
