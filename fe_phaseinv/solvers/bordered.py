"""What solves with a matrix as it was, alone or with a few more rows and columns around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import total
from fe_phaseinv.solvers.direct import StepFailed, factorise, mumps_solver, solve_with
from fe_phaseinv.solvers.linear_algebra import dense, factor_bytes


class Factor:
    """Base of what solves with a matrix as it was."""

    def solve(self, sides: np.ndarray, transposed: bool = False) -> np.ndarray:
        """Solve for a local array, or for several as columns. Collective.

        Parameters
        ----------
        sides : numpy.ndarray, shape (rows,) or (rows, columns)
            Right-hand sides.
        transposed : bool
            Whether to solve with the transposed matrix.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        raise NotImplementedError

    @property
    def bytes(self) -> float:
        """Memory that it takes, on all processes together. Collective."""
        raise NotImplementedError


class KSPFactor(Factor):
    """A solver of PETSc that is ready.

    Parameters
    ----------
    ksp : petsc4py.PETSc.KSP
        The solver.
    """

    def __init__(self, ksp: PETSc.KSP):
        self.ksp = ksp

    def solve(self, sides: np.ndarray, transposed: bool = False) -> np.ndarray:
        """Solve, for several columns together where factors allow it."""
        if sides.ndim == 1:
            return solve_with(self.ksp, sides, transposed)
        if self.ksp.getType() == "preonly":
            comm, sides = self.ksp.comm, np.asfortranarray(sides)
            solution = np.empty_like(sides, order="F")
            solve = self.ksp.matSolveTranspose if transposed else self.ksp.matSolve
            solve(dense(comm, sides), dense(comm, solution))
            return solution
        return np.asfortranarray(np.column_stack([solve_with(self.ksp, side, transposed) for side in sides.T]))

    @property
    def bytes(self) -> float:
        """Memory of the factors, on all processes together. Collective."""
        return factor_bytes(self.ksp)


class IterativeFactor(KSPFactor):
    """An iteration that is ready, with MUMPS in its place from where it fails.

    Parameters
    ----------
    ksp : petsc4py.PETSc.KSP
        The iteration.
    failed : callable
        Called when it fails.
    """

    def __init__(self, ksp: PETSc.KSP, failed: Callable[[], None]):
        super().__init__(ksp)
        self._failed, self._direct = failed, None

    def solve(self, sides: np.ndarray, transposed: bool = False) -> np.ndarray:
        """Solve column by column."""
        if self._direct is None:
            try:
                return super().solve(sides, transposed)
            except StepFailed:
                self._failed()
                matrix = self.ksp.getOperators()[0]
                self._direct = KSPFactor(factorise(mumps_solver(matrix), matrix))
        return self._direct.solve(sides, transposed)


class BorderedFactor(Factor):
    """Equations ``A x + B z = f, C x + D z = g``, by block elimination with the factors of A + pins.

    A pin raises an entry of the diagonal of a matrix that would be singular without its border. It is taken back by a
    further row and column: ``A x = (A + a e e^T) x - a e s`` with ``s = e^T x``.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Processes that have a part of the rows each.
    inner : KSPFactor
        Solves with A + pins.
    right, left : numpy.ndarray, shape (rows, k)
        Local rows of B and of the transpose of C.
    corner : numpy.ndarray, shape (k, k)
        D, the same on all processes.
    pins : numpy.ndarray of int, shape (p,)
        Local rows that are pinned; -1 where another process has the row.
    heights : numpy.ndarray, shape (p,)
        What is added there, the same on all processes.

    Raises
    ------
    StepFailed
        Where the equations are singular.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        inner: KSPFactor,
        *,
        right: np.ndarray,
        left: np.ndarray,
        corner: np.ndarray,
        pins: np.ndarray,
        heights: np.ndarray,
    ):
        self._comm, self._inner, self._count = comm, inner, corner.shape[0]
        places = np.zeros((len(right), len(pins)))
        for column, row in enumerate(pins):
            if row >= 0:
                places[row, column] = 1.0
        self._right, self._left = np.hstack([right, -heights * places]), np.hstack([left, places])
        self._right_solved = inner.solve(self._right)
        schur = -np.eye(self._right.shape[1])
        schur[: self._count, : self._count] = corner
        self._schur = schur - total(self._comm, self._left.T @ self._right_solved)
        if not np.isfinite(self._schur).all() or np.linalg.matrix_rank(self._schur) < len(self._schur):
            raise StepFailed("the equations of the scalars are singular")

    def solve(self, sides: np.ndarray, transposed: bool = False) -> np.ndarray:
        """Solve for f, then g, as the rows of a local array or of columns. Collective."""
        if sides.ndim == 1:
            return self.solve(sides.reshape(-1, 1), transposed).ravel()
        rows = len(self._right)
        across = self._right if transposed else self._left
        solved = self._left_solved if transposed else self._right_solved
        inner = self._inner.solve(sides[:rows], transposed)
        short = -total(self._comm, across.T @ inner)
        short[: self._count] += sides[rows:]
        scalars = np.linalg.solve(self._schur.T if transposed else self._schur, short)
        return np.asfortranarray(np.vstack([inner - solved @ scalars, scalars[: self._count]]))

    @property
    def bytes(self) -> float:
        """Memory of the factors, on all processes together. Collective."""
        return self._inner.bytes

    @cached_property
    def _left_solved(self) -> np.ndarray:
        return self._inner.solve(self._left, transposed=True)
