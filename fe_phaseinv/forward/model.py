"""The forward model: laws and an initial field in, fields at the frame times out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from firedrake import Function, FunctionSpace
from mpi4py import MPI

from fe_phaseinv.forward import arguments
from fe_phaseinv.forward.bdf import TimeGrid, checked_times
from fe_phaseinv.forward.boundary_data import BoundaryData
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.counts import Counts
from fe_phaseinv.forward.dirichlet import DirichletBoundary, boundary_space
from fe_phaseinv.forward.forms import StepForms
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

    Attributes
    ----------
    space : firedrake.FunctionSpace
        Scalar space of every field.
    parameters : CoefficientLayout
        Where the coefficients of each law are in the flat array.
    coefficients : CoefficientFunctions
        The coefficients of the last run, as the equations hold them.

    Raises
    ------
    ValueError
        Where an argument is none of these, a model without kinetics is to be heterogeneous, or the residual of the
        model multiplies the time derivative.
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
    ):
        arguments.require_degree(degree)
        self.model, self.mesh, self.degree = model, mesh, degree
        self.space = FunctionSpace(mesh, "CG", degree)
        self.parameters = CoefficientLayout(model.relations)
        self.coefficients = CoefficientFunctions(self.parameters, mesh)
        self.unknown = arguments.checked_unknown(unknown, self.parameters.size)
        self.boundary_data = boundary_data
        arguments.require_boundary_data(boundary_data, self.boundary_space)
        self.step = Step(self._forms(heterogeneous))
        self.integrator = Integrator(self.step, model.bounds, tolerances)
        self.work = Counts()

    def solve(
        self, laws: Mapping[str, float | Sequence[float]], start: Function, times: Sequence[float]
    ) -> list[Function]:
        """Solve with given laws from times[0] to the other times. Collective.

        Parameters
        ----------
        laws : mapping of float or of sequence of float
            By law, a number (kappa, not its logarithm) or the coefficients of its expansion.
        start : firedrake.Function
            The first field of the model at times[0], in `space`.
        times : sequence of float
            At least two, which increase.

        Returns
        -------
        list of firedrake.Function
            The first field at the other times.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        ValueError
            Where an argument is none of these.
        """
        if not isinstance(start, Function) or start.function_space() != self.space:
            raise ValueError(f"start: found {start!r}; accepted: a Function in the space of the ForwardModel")
        trajectory = self.run(self.parameters.from_laws(laws), start.dat.data_ro.copy(), times)
        return [self.function(state) for state in trajectory.states]

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
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve with coefficients m from times[0], where the field is start, to the other times. Collective.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Flat coefficients of all laws.
        start : numpy.ndarray, shape (nodes,)
            Local nodal values of the first field.
        times : sequence of float
            At least two, which increase.
        grid : TimeGrid, optional
            Steps to take, from times[0] on and with an end at each of the other times; chosen by the error estimate
            where not given.
        sensitivities : bool
            Whether to carry derivatives by the unknown coefficients along.
        modes : numpy.ndarray, shape (nodes, k), optional
            Fields whose shares in the start are unknown too: their derivatives follow those of the coefficients.
        boundary_data : BoundaryData or another callable, optional
            In place of that of the `ForwardModel`, for this run, and for the same parts of the boundary.
        record : float
            Largest number of steps after which to keep the states, for `Sweeps`; they compute them again otherwise.
        max_steps : float
            Largest number of steps between two frames; a run that needs more has failed.

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
        arguments.require_nodes("start", np.shape(start), self.space)
        if grid is not None:
            grid.require(times, self.integrator.tolerances.max_order)
        if modes is not None:
            arguments.require_nodes("modes", np.shape(modes)[:1], self.space)
            if not sensitivities:
                raise ValueError("modes: found without sensitivities; accepted: with sensitivities=True")
        if boundary_data is not None and self.boundary_data is None:
            raise ValueError("boundary_data: found for a ForwardModel without; accepted: one that has it too")
        boundary_data = self.boundary_data if boundary_data is None else boundary_data
        arguments.require_within(boundary_data, times)
        self.coefficients.assign(m)
        tangent = self.tangent(modes) if sensitivities else None
        began = time.perf_counter()
        try:
            trajectory = self.integrator.march(
                start,
                times,
                grid=grid,
                tangent=tangent,
                boundary_data=boundary_data,
                record=record,
                max_steps=max_steps,
            )
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
        function = Function(self.space, name=self.model.fields[0])
        function.dat.data_wo[:] = values
        return function

    @property
    def counts(self) -> Counts:
        """Work done so far, with the factorisations of runs and sweeps alike."""
        return replace(self.work, factorisations=self.step.factorisations)

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
        return storage.states / self.mesh.comm.allreduce(8 * int(np.prod(self.step.shape)), MPI.MAX) - 1

    def tangent(self, modes: np.ndarray | None) -> np.ndarray:
        """Return the derivatives of the start: by the coefficients, on which it does not depend, then by the modes.

        Parameters
        ----------
        modes : numpy.ndarray, shape (nodes, k), optional
            Fields whose shares in the start are unknown.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns + k)
        """
        by_coefficients = np.zeros((self.step.shape[0], self.step.forms.columns))
        return by_coefficients if modes is None else np.hstack([by_coefficients, modes])

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
