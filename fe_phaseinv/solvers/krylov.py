"""Solvers for large steps, whose iterations do not grow with the mesh: GMRES with algebraic multigrid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from firedrake.petsc import PETSc

from fe_phaseinv.solvers.auxiliary import AuxiliaryOperators
from fe_phaseinv.solvers.dirichlet import DirichletPreconditioner, DirichletToNeumann
from fe_phaseinv.solvers.matching import Matching
from fe_phaseinv.solvers.multigrid import PREFIX, Cycle, configure

KRYLOV = {"ksp_type": "gmres", "ksp_rtol": 1e-8, "ksp_max_it": 200, "ksp_gmres_restart": 60}


def krylov_solver(matrix: PETSc.Mat, auxiliary: AuxiliaryOperators, fields: int, shift: float) -> PETSc.KSP:
    """Return a solver for the Jacobian of a step with one field, or with c and mu.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
    auxiliary : AuxiliaryOperators
    fields : int
        1 or 2.
    shift : float
        Weight of c in its time derivative.
    """
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setPCSide(PETSc.PC.Side.RIGHT)
    solver.getPC().setType("python")
    solver.getPC().setPythonContext(_preconditioner(matrix, auxiliary, fields, shift))
    configure(solver, KRYLOV, PREFIX)
    return solver


def _preconditioner(
    matrix: PETSc.Mat, auxiliary: AuxiliaryOperators, fields: int, shift: float
) -> Cycle | Matching | DirichletPreconditioner:
    if fields == 2:
        inside, boundary = Matching(matrix, auxiliary, shift), auxiliary.boundary
        return (
            DirichletPreconditioner(matrix, 2, inside, auxiliary.nodes, DirichletToNeumann(boundary, inside.decay))
            if boundary
            else inside
        )
    if not auxiliary.boundary:
        return Cycle(matrix, auxiliary.embedding)
    inside = matrix.copy()
    auxiliary.prescribe(inside)
    return DirichletPreconditioner(matrix, 1, Cycle(inside, auxiliary.embedding), auxiliary.nodes, None)


@contextmanager
def tolerance(solver: PETSc.KSP, rtol: float) -> Iterator[None]:
    """Solve to a share of the residual for a while."""
    before = solver.getTolerances()[0]
    solver.setTolerances(rtol=max(rtol, before))
    try:
        yield
    finally:
        solver.setTolerances(rtol=before)
