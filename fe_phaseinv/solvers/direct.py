"""The linear equations of a step: by factors, and what it is to fail."""

from __future__ import annotations

from itertools import chain

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.solvers.linear_algebra import direct_solver

MUMPS = {6: 0, 7: 5, 8: 7, 14: 40}
"""ICNTL settings, measured: no permutation, METIS ordering, rows and columns scaled (without, the short first steps of
a crystal delay thousands of pivots and lose six digits), and 40 % of spare workspace in place of Firedrake's 200."""
WORKSPACES = (400, 2000)
"""Per cent of spare workspace for further tries after a failure."""
OUT_OF_MEMORY = PETSc.PC.FailedReason.FACTOR_OUTMEMORY


class StepFailed(ArithmeticError):
    """The equations of a step, or of a whole trajectory, could not be solved."""


def checked_direct_solver(matrix: PETSc.Mat) -> PETSc.KSP:
    """Factorise a matrix by MUMPS. Collective.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        Square, of type aij or baij.

    Returns
    -------
    petsc4py.PETSc.KSP
        Solver with the factors, for one right-hand side (`solve`) or many (`matSolve`).

    Raises
    ------
    StepFailed
        Where the matrix is singular or not finite, or memory does not suffice.
    """
    solver = direct_solver(matrix)
    solver.setUp()
    failure = solver.getPC().getFailedReason()
    if failure:
        why = "memory does not suffice" if failure == OUT_OF_MEMORY else "it is singular or not finite"
        raise StepFailed(f"a matrix of {matrix.getSize()[0]} rows could not be factorised: {why}")
    return solver


def solve_with(solver: PETSc.KSP, rhs: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Solve for a local array. Collective.

    Parameters
    ----------
    solver : petsc4py.PETSc.KSP
        Solver that is ready.
    rhs : numpy.ndarray
        Right-hand side, flat or of shape (nodes, fields).
    transposed : bool
        Whether to solve with the transposed matrix.

    Returns
    -------
    numpy.ndarray
        The solution, of the same shape.

    Raises
    ------
    StepFailed
        Where an iteration does not converge.
    """
    solution, b = solver.getOperators()[0].createVecs()
    b.array[:] = rhs.ravel()
    (solver.solveTranspose if transposed else solver.solve)(b, solution)
    if solver.getConvergedReason() < 0:
        raise StepFailed("the linear equations could not be solved")
    return solution.array.reshape(rhs.shape).copy()


def mumps_solver(matrix: PETSc.Mat, workspace: int = MUMPS[14]) -> PETSc.KSP:
    """Return a solver that is to factorise the Jacobian of a step by MUMPS, with settings that suit it. Collective.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        The Jacobian.
    workspace : int
        Spare workspace in per cent.
    """
    solver = direct_solver(matrix)
    pc = solver.getPC()
    pc.setFactorSetUpSolverType()
    for option, value in (MUMPS | {14: workspace}).items():
        pc.getFactorMatrix().setMumpsIcntl(option, value)
    return solver


def factorise(solver: PETSc.KSP, matrix: PETSc.Mat) -> PETSc.KSP:
    """Factorise by a solver, or by a new one with more workspace: one that has failed once fails for ever. Collective.

    Parameters
    ----------
    solver : petsc4py.PETSc.KSP
        A `mumps_solver`.
    matrix : petsc4py.PETSc.Mat
        What is factorised.

    Returns
    -------
    petsc4py.PETSc.KSP
        The solver that has the factors.

    Raises
    ------
    StepFailed
        Where the matrix is singular, not finite, or needs too much memory.
    """
    more = (mumps_solver(matrix, workspace) for workspace in WORKSPACES)
    for candidate in chain([solver], more):
        candidate.setOperators(matrix)
        candidate.setUp()
        failure = candidate.getPC().getFailedReason()
        if not failure:
            return candidate
        if failure != OUT_OF_MEMORY:
            break
    raise StepFailed("the Jacobian could not be factorised")
