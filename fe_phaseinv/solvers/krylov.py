"""Solvers for large steps, whose iterations do not grow with the mesh: GMRES with algebraic multigrid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.solvers.auxiliary import AuxiliaryOperators
from fe_phaseinv.solvers.direct import StepFailed
from fe_phaseinv.solvers.dirichlet import DirichletPreconditioner, DirichletToNeumann
from fe_phaseinv.solvers.multigrid import PREFIX, MultigridCycle, configure
from fe_phaseinv.solvers.preconditioner import Preconditioner
from fe_phaseinv.solvers.schur_matching import SchurMatching

KRYLOV = {"ksp_type": "gmres", "ksp_rtol": 1e-8, "ksp_max_it": 200, "ksp_gmres_restart": 60}


def krylov_solver(matrix: PETSc.Mat, auxiliary: AuxiliaryOperators, fields: int, shift: float) -> PETSc.KSP:
    """Return a solver for the Jacobian of a step with one field, or with c and mu. Collective.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        The Jacobian.
    auxiliary : AuxiliaryOperators
        What the preconditioner needs besides.
    fields : int
        1 or 2.
    shift : float
        Weight of c in its time derivative.

    Raises
    ------
    StepFailed
        Where the Jacobian is not finite.
    """
    if not np.isfinite(matrix.norm(PETSc.NormType.FROBENIUS)):
        raise StepFailed("the Jacobian is not finite")
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setPCSide(PETSc.PC.Side.RIGHT)
    solver.getPC().setType("python")
    solver.getPC().setPythonContext(_preconditioner(matrix, auxiliary, fields, shift))
    configure(solver, KRYLOV, PREFIX)
    return solver


def _preconditioner(matrix: PETSc.Mat, auxiliary: AuxiliaryOperators, fields: int, shift: float) -> Preconditioner:
    boundary, nodes = auxiliary.boundary, auxiliary.nodes
    if fields == 2:
        inside = SchurMatching(matrix, auxiliary, shift)
        if not boundary:
            return inside
        return DirichletPreconditioner(matrix, inside, nodes, DirichletToNeumann(boundary, inside.decay))
    if not boundary:
        return MultigridCycle(matrix, auxiliary.embedding)
    apart = matrix.copy()
    auxiliary.prescribe(apart)
    return DirichletPreconditioner(matrix, MultigridCycle(apart, auxiliary.embedding), nodes)


@contextmanager
def tolerance(solver: PETSc.KSP, rtol: float) -> Iterator[None]:
    """Solve to a share of the residual for a while.

    Parameters
    ----------
    solver : petsc4py.PETSc.KSP
        What solves.
    rtol : float
        Share of the residual; that of the solver where it is larger.
    """
    before = solver.getTolerances()[0]
    solver.setTolerances(rtol=max(rtol, before))
    try:
        yield
    finally:
        solver.setTolerances(rtol=before)
