"""PETSc pieces that stepping and observation share."""

from __future__ import annotations

import numpy as np
from firedrake.petsc import PETSc


def dense(comm, array: np.ndarray) -> PETSc.Mat:
    """Return a PETSc dense matrix on the memory of a local block (rows, columns) in Fortran order."""
    rows, columns = array.shape
    return PETSc.Mat().createDense(((rows, None), (None, columns)), array=array, comm=comm)


def direct_solver(matrix: PETSc.Mat) -> PETSc.KSP:
    """Return a solver by MUMPS, not yet factorised."""
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("lu")
    solver.getPC().setFactorSolverType("mumps")
    return solver
