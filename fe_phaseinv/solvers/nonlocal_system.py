"""Equations with a nonlocal part, such as a convolution, besides a matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.core.parallel import total
from fe_phaseinv.solvers.direct import StepFailed
from fe_phaseinv.solvers.linear_algebra import dense
from fe_phaseinv.solvers.preconditioner import Preconditioner

MOST_ITERATIONS = 60


class NonlocalSystem(Preconditioner):
    """Systems whose matrix is a factorised one plus a nonlocal part, by GMRES on all columns together.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        The local part.
    factor : petsc4py.PETSc.KSP
        Solves with the local part.
    nonlocal_part : callable
        Of columns, shape (rows, columns): the product with the rest of the whole matrix.
    """

    def __init__(self, matrix: PETSc.Mat, factor: PETSc.KSP, nonlocal_part: Callable):
        self.matrix, self.factor, self.nonlocal_part = matrix, factor, nonlocal_part
        self.shape = (0, 0)

    def solve(self, rhs: np.ndarray, rtol: float, guess: np.ndarray | None = None) -> np.ndarray:
        """Solve for columns; each is scaled to a length of one before. Collective.

        Parameters
        ----------
        rhs : numpy.ndarray, shape (rows, columns)
            Right-hand sides.
        rtol : float
            Residual of all columns together, relative to their length.
        guess : numpy.ndarray, shape (rows, columns), optional
            Where to begin; zero where not given.

        Returns
        -------
        numpy.ndarray, shape (rows, columns)

        Raises
        ------
        StepFailed
            Where `MOST_ITERATIONS` do not reach this residual.
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
        if solver.getConvergedReason() < 0:
            raise StepFailed(f"the equations with a nonlocal part were not solved in {MOST_ITERATIONS} iterations")
        return x.array.reshape(rhs.shape, order="F") * scales

    def mult(self, shell: PETSc.Mat, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Multiply by the whole matrix, as PETSc asks for it. Collective.

        Parameters
        ----------
        shell : petsc4py.PETSc.Mat
            The matrix in the eyes of PETSc.
        x, y : petsc4py.PETSc.Vec
            What is multiplied, all columns one after the other, and the product.
        """
        columns = np.array(x.array_r.reshape(self.shape, order="F"))
        local = self.matrix.matMult(dense(self.matrix.comm, columns)).getDenseArray()
        y.array[:] = (local + self.nonlocal_part(columns)).ravel(order="F")

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Solve with the factorised matrix."""
        rhs = np.array(x.array_r.reshape(self.shape, order="F"))
        solution = np.empty_like(rhs, order="F")
        self.factor.matSolve(dense(self.matrix.comm, rhs), dense(self.matrix.comm, solution))
        y.array[:] = solution.ravel(order="F")
