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


def product(matrix: PETSc.Mat, values: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Return a matrix times a local array, or times several as columns. Collective.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        The matrix.
    values : numpy.ndarray, shape (columns of the matrix,) or (columns of the matrix, k)
        Local values.
    transposed : bool
        Whether to multiply a single array by the transposed matrix instead.
    """
    if values.ndim > 1:
        return matrix.matMult(dense(matrix.comm, np.asfortranarray(values))).getDenseArray()
    right, left = matrix.createVecs()
    source, found = (left, right) if transposed else (right, left)
    source.array[:] = values
    (matrix.multTranspose if transposed else matrix.mult)(source, found)
    return found.array.copy()


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
