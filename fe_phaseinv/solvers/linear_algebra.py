"""Dense columns, direct solvers and the size of factors, in PETSc."""

from __future__ import annotations

import numpy as np
from firedrake.petsc import PETSc

LEVELS = 4.0
"""Memory of a multigrid solver with its matrices, as a multiple of that of the matrix; an estimate."""


def dense(comm, array: np.ndarray) -> PETSc.Mat:
    """Return a dense matrix of PETSc on the memory of a local block. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or petsc4py.PETSc.Comm
        The ranks that have a block each.
    array : numpy.ndarray, shape (rows, columns), Fortran order
        The block of this rank; all ranks have as many columns.
    """
    rows, columns = array.shape
    return PETSc.Mat().createDense(((rows, None), (None, columns)), array=array, comm=comm)


def direct_solver(matrix: PETSc.Mat) -> PETSc.KSP:
    """Return a solver by MUMPS that factorises when it is first used. Collective.

    A factorisation that fails goes unseen; `fe_phaseinv.solvers.direct.checked_direct_solver` raises.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        Square, of type aij or baij.
    """
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("lu")
    solver.getPC().setFactorSolverType("mumps")
    return solver


def factor_bytes(solver: PETSc.KSP) -> float:
    """Return the size of what a solver keeps, in bytes on all processes together. Collective.

    Parameters
    ----------
    solver : petsc4py.PETSc.KSP
        One with a factor by MUMPS, or with multigrid, whose matrices and levels count.
    """
    if solver.getPC().getType() != "lu":
        return LEVELS * solver.getOperators()[0].getInfo(PETSc.Mat.InfoType.GLOBAL_SUM)["memory"]
    entries = solver.getPC().getFactorMatrix().getMumpsInfog(29)
    return 8.0 * (entries if entries >= 0 else -1e6 * entries)
