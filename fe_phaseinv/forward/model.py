"""The forward model: laws and an initial field in, fields at the frame times out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from firedrake import Function, FunctionSpace
from mpi4py import MPI

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.boundary_data import BoundaryData
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.parameters import Parameters
from fe_phaseinv.forward.step import Step
from fe_phaseinv.forward.trajectory import Integrator, Tolerances, Trajectory


@dataclass
class Counts:
    """Work done so far: runs without and with sensitivities, what these took, and sweeps backwards."""

    forward: int = 0
    tangent: int = 0
    steps: int = 0
    factorisations: int = 0
    seconds_forward: float = 0.0
    seconds_sensitivities: float = 0.0
    adjoint: int = 0
    second: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Work of two forward models together."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class ForwardModel:
    """A model on a mesh.

    Parameters
    ----------
    model : CahnHilliard or another model
    mesh : firedrake.MeshGeometry
    degree : int
        Of the continuous Lagrange elements of every field.
    unknown : numpy.ndarray of bool, optional
        Coefficients (flat) whose sensitivities can be asked for; all where not given.
    tolerances : Tolerances
    boundary_data : BoundaryData or another callable, optional
        By time, the field whose values and normal gradient hold on the boundary, as `from_images` makes it (a local
        array of the elements of a degree more); without it nothing passes the boundary and the normal gradient is zero.
        Where it is no `BoundaryData`, it holds on the whole boundary, and sweeps need it to be one.
    heterogeneous : bool
        Whether the kinetics are multiplied by exp(h), where the map h is that of `ForwardModel.heterogeneity`.
    """

    def __init__(
        self,
        model,
        mesh,
        degree: int = 3,
        unknown: np.ndarray | None = None,
        tolerances: Tolerances = Tolerances(),  # noqa: B008 (a frozen value)
        boundary_data: Callable[[float], np.ndarray] | None = None,
        heterogeneous: bool = False,
    ):
        self.model, self.mesh, self.degree = model, mesh, degree
        self.space = FunctionSpace(mesh, "CG", degree)
        self.parameters = Parameters(model.relations, mesh)
        self.unknown = np.ones(self.parameters.size, bool) if unknown is None else unknown
        unknown_of = self.parameters.local(self.unknown)
        where = boundary_data is not None, boundary_data.tags if isinstance(boundary_data, BoundaryData) else None
        self.step = Step(
            model, self.space, self.parameters.functions, unknown_of, 2 * degree, *where, heterogeneous=heterogeneous
        )
        self.integrator = Integrator(self.step, model.bounds, tolerances, boundary_data)
        self.work = Counts()

    def run(
        self,
        m: np.ndarray,
        start: np.ndarray,
        times: Sequence[float],
        grid: TimeGrid | None = None,
        sensitivities: bool = False,
        modes: np.ndarray | None = None,
        record: float = 0,
        max_steps: float = np.inf,
    ) -> Trajectory:
        """Solve with coefficients m from times[0], where the field is start, to the other times.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Flat coefficients of all laws.
        start : numpy.ndarray
            Local nodal values of the first field.
        times : sequence of float
        grid : TimeGrid, optional
            Steps to take; chosen by the error estimate where not given.
        sensitivities : bool
            Whether to carry derivatives by the unknown coefficients along.
        modes : numpy.ndarray, shape (local size, k), optional
            Fields whose shares in the start are unknown too: their derivatives follow those of the coefficients.
        record : float
            Largest number of steps after which to keep the states, for `Sweeps`; they compute them again otherwise.
        max_steps : float
            Largest number of steps between two frames; a run that needs more has failed.

        Raises
        ------
        StepFailed
            Where the equations cannot be solved.
        """
        self.parameters.assign(m)
        tangent = self.tangent(modes) if sensitivities else None
        began = time.perf_counter()
        try:
            trajectory = self.integrator.march(start, times, grid, tangent, record, max_steps)
        finally:
            self._count(time.perf_counter() - began, sensitivities)
        self.work.steps += len(trajectory.grid.orders)
        return trajectory

    @property
    def counts(self) -> Counts:
        """Work done so far, with the factorisations of runs and sweeps alike."""
        return replace(self.work, factorisations=self.step.factorisations)

    @property
    def heterogeneity(self) -> Function | None:
        """The map h, in the space of c; None where the kinetics are the same everywhere."""
        return self.step.heterogeneity

    @property
    def boundary_space(self) -> FunctionSpace:
        """Space of what is prescribed on the boundary: that of c with a degree more."""
        return self.step.boundary_field.function_space()

    def steps_in(self, storage: Storage) -> float:
        """Return the number of steps of which all states may be kept, the same on all ranks."""
        return storage.states / self.mesh.comm.allreduce(8 * np.prod(self.step.shape), MPI.MAX) - 1

    def tangent(self, modes: np.ndarray | None) -> np.ndarray:
        """Return the derivatives of the start: by the coefficients, on which it does not depend, then by the modes."""
        by_coefficients = np.zeros((self.step.shape[0], self.step.columns))
        return by_coefficients if modes is None else np.hstack([by_coefficients, modes])

    def _count(self, seconds: float, sensitivities: bool) -> None:
        if sensitivities:
            self.work.tangent += 1
            self.work.seconds_sensitivities += seconds
        else:
            self.work.forward += 1
            self.work.seconds_forward += seconds
