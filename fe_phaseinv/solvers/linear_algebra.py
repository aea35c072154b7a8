"""PETSc pieces that stepping and observation share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.core.parallel import total

LEVELS = 4.0
"""Memory of a multigrid solver with its matrices, as a multiple of that of the matrix; an estimate."""
MOST_ITERATIONS = 60
"""Of GMRES; what is left then is for the caller to judge by its own residual."""


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


def factor_bytes(solver: PETSc.KSP) -> float:
    """Return the size of what a solver keeps, on all processes together: a factor by MUMPS, or matrices and levels."""
    if solver.getPC().getType() != "lu":
        return LEVELS * solver.getOperators()[0].getInfo(PETSc.Mat.InfoType.GLOBAL_SUM)["memory"]
    entries = solver.getPC().getFactorMatrix().getMumpsInfog(29)
    return 8.0 * (entries if entries >= 0 else -1e6 * entries)


class Corrected:
    """Systems whose matrix is a factorised one plus a nonlocal part, by GMRES on all columns together.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
    factor : petsc4py.PETSc.KSP
        Solves with the matrix.
    nonlocal_part : callable
        Of columns, shape (rows, columns): the product with the rest of the whole matrix.
    """

    def __init__(self, matrix: PETSc.Mat, factor: PETSc.KSP, nonlocal_part: Callable):
        self.matrix, self.factor, self.nonlocal_part = matrix, factor, nonlocal_part
        self.shape = (0, 0)

    def solve(self, rhs: np.ndarray, rtol: float, guess: np.ndarray | None = None) -> np.ndarray:
        """Solve for columns, shape (rows, columns); each is scaled to a length of one before.

        Parameters
        ----------
        rhs : numpy.ndarray, shape (rows, columns)
        rtol : float
            Residual of all columns together, relative to their length.
        guess : numpy.ndarray, shape (rows, columns), optional
            Where to begin; zero where not given.
        """
        comm, self.shape = self.matrix.comm.tompi4py(), rhs.shape
        scales = np.maximum(np.sqrt(total(comm, (rhs**2).sum(axis=0))), 1e-300)
        shell = PETSc.Mat().createPython(((rhs.size, None), (rhs.size, None)), self, comm=comm)
        solver = PETSc.KSP().create(comm)
        solver.setOperators(shell)
        solver.setType("gmres")
        solver.setPCSide(PETSc.PC.Side.RIGHT)
        solver.getPC().setType("python")
        solver.getPC().setPythonContext(self)
        solver.setTolerances(rtol=rtol, max_it=MOST_ITERATIONS)
        b, x = shell.createVecs()
        b.array[:] = (rhs / scales).ravel(order="F")
        if guess is not None:
            x.array[:] = (guess / scales).ravel(order="F")
            solver.setInitialGuessNonzero(True)
        solver.solve(b, x)
        return x.array.reshape(rhs.shape, order="F") * scales

    def mult(self, shell: PETSc.Mat, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Multiply by the whole matrix, as PETSc asks for it."""
        columns = np.array(x.array_r.reshape(self.shape, order="F"))
        local = self.matrix.matMult(dense(self.matrix.comm, columns)).getDenseArray()
        y.array[:] = (local + self.nonlocal_part(columns)).ravel(order="F")

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Solve with the factorised matrix, as PETSc asks for it."""
        rhs = np.array(x.array_r.reshape(self.shape, order="F"))
        solution = np.empty_like(rhs, order="F")
        self.factor.matSolve(dense(self.matrix.comm, rhs), dense(self.matrix.comm, solution))
        y.array[:] = solution.ravel(order="F")
