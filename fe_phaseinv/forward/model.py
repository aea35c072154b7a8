"""The forward model: laws and an initial field in, fields at the frame times out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from firedrake import Function, FunctionSpace, VectorFunctionSpace
from mpi4py import MPI
from pyadjoint import stop_annotating

from fe_phaseinv.forward import arguments
from fe_phaseinv.forward.bdf import TimeGrid, checked_times
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.counts import Counts
from fe_phaseinv.forward.dirichlet import DirichletBoundary, boundary_space
from fe_phaseinv.forward.displaced import Displaced
from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.forward.given import BoundaryData, DataInTime, Given
from fe_phaseinv.forward.integrator import Integrator
from fe_phaseinv.forward.parameters import CoefficientFunctions, CoefficientLayout
from fe_phaseinv.forward.step import Step
from fe_phaseinv.forward.trajectory import Tolerances, Trajectory


class ForwardModel:
    """A model on a mesh.

    Parameters
    ----------
    model : Model
        The equations, for example `CahnHilliard`.
    mesh : firedrake.MeshGeometry
        The domain, in the units of length of the laws.
    degree : int
        Degree of the continuous Lagrange elements of every field.
    unknown : numpy.ndarray of bool, shape (n,), optional
        Coefficients (flat) whose sensitivities can be asked for; all where not given.
    tolerances : Tolerances
        Accuracy in time.
    boundary_data : BoundaryData or another callable, optional
        By time, the field whose values and normal gradient hold on the boundary, as `from_images` makes it (a local
        array of the elements of a degree more); without it nothing passes the boundary and the normal gradient is zero.
        Where it is no `BoundaryData`, it holds on the whole boundary, and sweeps need it to be one.
    heterogeneous : bool
        Whether the kinetics are multiplied by exp(h), where the map h is that of `ForwardModel.heterogeneity`.
    data : DataInTime, optional
        The numbers that the model is given in time, where it has any.
    displaced : numpy.ndarray, shape (vertices of this rank, dimension, k), optional
        Fields by which the vertices of the mesh may be displaced, whose shares are unknown. The last modes of runs with
        sensitivities are what the start changes with them; derivatives are those of the nodal values, which go along.

    Attributes
    ----------
    space : firedrake.FunctionSpace
        Scalar space of every component of the fields.
    layout : StateLayout
        Where fields and scalars are in a state.
    parameters : CoefficientLayout
        Where the coefficients of each law are in the flat array.
    coefficients : CoefficientFunctions
        The coefficients of the last run, as the equations hold them.

    Raises
    ------
    ValueError
        Where an argument is none of these, a model without kinetics is to be heterogeneous, or the model lacks or
        misnames something.
    """

    def __init__(
        self,
        model,
        mesh,
        degree: int = 3,
        *,
        unknown: np.ndarray | None = None,
        tolerances: Tolerances = Tolerances(),  # noqa: B008 (a frozen value)
        boundary_data: Callable[[float], np.ndarray] | None = None,
        heterogeneous: bool = False,
        data: DataInTime | None = None,
        displaced: np.ndarray | None = None,
    ):
        arguments.require_degree(degree)
        self.model, self.mesh, self.degree = model, mesh, degree
        self.space = FunctionSpace(mesh, "CG", degree)
        self.parameters = CoefficientLayout(model.relations)
        self.coefficients = CoefficientFunctions(self.parameters, mesh)
        self.unknown = arguments.checked_unknown(unknown, self.parameters.size)
        self.boundary_data = boundary_data
        arguments.require_boundary_data(boundary_data, self.boundary_space)
        arguments.require_data(data, model)
        self.data = data
        arguments.require_movable(displaced, model)
        self.displaced = None if displaced is None else Displaced(mesh, displaced)
        with stop_annotating():
            forms = self._forms(heterogeneous)
            self.step = Step(forms, forms.seen, self.displaced)
        self.layout = self.step.layout
        self.integrator = Integrator(self.step, tolerances)
        self.work = Counts()

    def solve(
        self,
        laws: Mapping[str, float | Sequence[float]],
        start: Function | Sequence[Function],
        times: Sequence[float],
        fields: Sequence[str] | None = None,
    ) -> list[Function] | list[tuple[Function | float, ...]]:
        """Solve with given laws from times[0] to the other times. Collective.

        Parameters
        ----------
        laws : mapping of float or of sequence of float
            By law, a number (kappa, not its logarithm) or the coefficients of its expansion.
        start : firedrake.Function or sequence of firedrake.Function
            The fields with rates at times[0], each in `field_space` of its name.
        times : sequence of float
            At least two, which increase.
        fields : sequence of str, optional
            Names of the fields and scalars wanted; the first field where not given.

        Returns
        -------
        list of firedrake.Function, or of tuple
            The first field at the other times, or all those named in the order of their names; scalars as numbers.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        ValueError
            Where an argument is none of these.
        """
        spaces = {field.name: self.field_space(field.name) for field in self.model.fields if field.rate}
        begin = self.start_values(arguments.checked_start(start, spaces))
        trajectory = self.run(self.parameters.from_laws(laws), begin, times)
        if fields is None:
            return [self.part(state, self.model.fields[0].name) for state in trajectory.states]
        return [tuple(self.part(state, name) for name in fields) for state in trajectory.states]

    def run(
        self,
        m: np.ndarray,
        start: np.ndarray,
        times: Sequence[float],
        *,
        grid: TimeGrid | None = None,
        sensitivities: bool = False,
        modes: np.ndarray | None = None,
        boundary_data: Callable[[float], np.ndarray] | None = None,
        data: DataInTime | None = None,
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve with coefficients m from times[0], where the field is start, to the other times. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Flat coefficients of all laws.
        start : numpy.ndarray, shape (rated * nodes,)
            Local nodal values of the components of the fields with rates, one component after the other.
        times : sequence of float
            At least two, which increase.
        grid : TimeGrid, optional
            Steps to take, counted from times[0], with an end at each of the other times; chosen by the error estimate
            where not given.
        sensitivities : bool
            Whether to carry derivatives by the unknown coefficients along.
        modes : numpy.ndarray, shape (rated * nodes, k), optional
            Fields whose shares in the start are unknown too: their derivatives follow those of the coefficients.
        data : DataInTime, optional
            In place of that of the `ForwardModel`, for this run.
        boundary_data : BoundaryData or another callable, optional
            In place of that of the `ForwardModel`, for this run, and for the same parts of the boundary.
        record : float
            Largest number of steps after which to keep the states, for `Sweeps`; they compute them again otherwise.
        max_steps : float
            Largest number of steps tried between two frames; a run that needs more has failed.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        ValueError
            Where an argument is none of these.
        """
        times = checked_times(times)
        if np.shape(m) != (self.parameters.size,):
            raise ValueError(f"m: found shape {np.shape(m)}; accepted: ({self.parameters.size},)")
        parts = len(self.layout.rated)
        arguments.require_nodes("start", np.shape(start), self.space, parts)
        if grid is not None:
            grid.require(times, self.integrator.tolerances.max_order)
        if modes is not None:
            arguments.require_nodes("modes", np.shape(modes)[:1], self.space, parts)
            if not sensitivities:
                raise ValueError("modes: found without sensitivities; accepted: with sensitivities=True")
        if boundary_data is not None and self.boundary_data is None:
            raise ValueError("boundary_data: found for a ForwardModel without; accepted: one that has it too")
        given = Given(boundary_data or self.boundary_data, data or self.data)
        arguments.require_within("boundary_data", given.boundary, times)
        arguments.require_within("data", given.data, times)
        self.coefficients.assign(m)
        tangent = self.tangent(modes) if sensitivities else None
        began = time.perf_counter()
        try:
            options = {"given": given, "grid": grid, "tangent": tangent, "record": record, "max_steps": max_steps}
            with stop_annotating():
                trajectory = self.integrator.march(start, times, **options)
        finally:
            self._count(time.perf_counter() - began, sensitivities)
        self.work.steps += len(trajectory.grid.orders)
        return trajectory

    def function(self, values: np.ndarray) -> Function:
        """Return values of the first field as a function of its name.

        Parameters
        ----------
        values : numpy.ndarray, shape (nodes,)
            Its local nodal values.
        """
        function = Function(self.space, name=self.model.fields[0].name)
        function.dat.data_wo[:] = values
        return function

    def part(self, state: np.ndarray, name: str) -> Function | float:
        """Return a field of a state as a function of its name, or a scalar as a number.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            As a `Trajectory` has it.
        name : str
            Of the field or scalar.

        Raises
        ------
        ValueError
            Where there is none of this name.
        """
        layout = self.layout
        if name in layout.scalars:
            return float(state[layout.place(name)])
        function = Function(self.field_space(name), name=name)
        parts = [layout.component(state, number) for number in layout.of_field(name)]
        function.dat.data_wo.reshape(layout.nodes, -1)[:] = np.column_stack(parts)
        return function

    def field_space(self, name: str) -> FunctionSpace:
        """Return the space of a field, with the values of vectors for those that are.

        Parameters
        ----------
        name : str
            Of the field.

        Raises
        ------
        ValueError
            Where there is none of this name.
        """
        if name not in self.layout.names:
            accepted = ", ".join((*self.layout.names, *self.layout.scalars))
            raise ValueError(f"{self.model.name}: found {name!r}; accepted: {accepted}")
        components = len(self.layout.of_field(name))
        return self.space if components == 1 else VectorFunctionSpace(self.mesh, "CG", self.degree, dim=components)

    def start_values(self, start: Sequence[Function]) -> np.ndarray:
        """Return the values of a start, component by component, shape (rated * nodes,).

        Parameters
        ----------
        start : sequence of firedrake.Function
            The fields with rates, in their order.
        """
        return np.concatenate([f.dat.data_ro.reshape(len(f.dat.data_ro), -1).T.ravel() for f in start])

    @property
    def counts(self) -> Counts:
        """Work done so far, with the factorisations of runs and sweeps alike."""
        return self.work + Counts(factorisations=self.step.factorisations)

    @property
    def heterogeneity(self) -> Function | None:
        """The map h, in the space of c; None where the kinetics are the same everywhere."""
        return self.step.forms.heterogeneity

    @property
    def boundary_space(self) -> FunctionSpace:
        """Space of what is prescribed on the boundary: that of c with a degree more."""
        return boundary_space(self.space)

    def steps_in(self, storage: Storage) -> float:
        """Return the number of steps of which all states may be kept, the same on all ranks. Collective.

        Parameters
        ----------
        storage : Storage
            What may be kept.
        """
        return storage.states / self.mesh.comm.allreduce(8 * self.layout.size, MPI.MAX) - 1

    def tangent(self, modes: np.ndarray | None) -> np.ndarray:
        """Return the derivatives of the start: by the coefficients, on which it does not depend, then by the modes.

        Parameters
        ----------
        modes : numpy.ndarray, shape (rated * nodes, k), optional
            Fields whose shares in the start are unknown.

        Returns
        -------
        numpy.ndarray, shape (carried * nodes + border, columns + k)
        """
        layout = self.layout
        rows = len(layout.carried) * layout.nodes + layout.border
        by_coefficients = np.zeros((rows, self.step.forms.columns))
        if modes is None:
            return by_coefficients
        return np.hstack([by_coefficients, np.pad(modes, ((0, rows - len(modes)), (0, 0)))])

    def _forms(self, heterogeneous: bool) -> StepForms:
        dirichlet = None
        if self.boundary_data is not None:
            tags = self.boundary_data.tags if isinstance(self.boundary_data, BoundaryData) else None
            dirichlet = DirichletBoundary(self.space, tags)
        return StepForms(
            self.model,
            self.space,
            self.coefficients.functions,
            self.parameters.local(self.unknown),
            quadrature=2 * self.degree,
            dirichlet=dirichlet,
            heterogeneous=heterogeneous,
        )

    def _count(self, seconds: float, sensitivities: bool) -> None:
        if sensitivities:
            self.work.tangent += 1
            self.work.seconds_sensitivities += seconds
        else:
            self.work.forward += 1
            self.work.seconds_forward += seconds
