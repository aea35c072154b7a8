"""Solvers for large steps, whose iterations do not grow with the mesh: GMRES with algebraic multigrid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from firedrake.petsc import PETSc

from fe_phaseinv.solvers.auxiliary import Pieces
from fe_phaseinv.solvers.dirichlet import Prescribed, Root
from fe_phaseinv.solvers.matching import Matching
from fe_phaseinv.solvers.multigrid import PREFIX, Cycle, configure

KRYLOV = {"ksp_type": "gmres", "ksp_rtol": 1e-8, "ksp_max_it": 200, "ksp_gmres_restart": 60}


def krylov_solver(matrix: PETSc.Mat, pieces: Pieces, fields: int, lead: float) -> PETSc.KSP:
    """Return a solver for the Jacobian of a step with one field, or with c and mu.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
    pieces : Pieces
    fields : int
        1 or 2.
    lead : float
        Weight of c in its time derivative.
    """
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setPCSide(PETSc.PC.Side.RIGHT)
    solver.getPC().setType("python")
    solver.getPC().setPythonContext(_preconditioner(matrix, pieces, fields, lead))
    configure(solver, KRYLOV, PREFIX)
    return solver


def _preconditioner(matrix: PETSc.Mat, pieces: Pieces, fields: int, lead: float) -> Cycle | Matching | Prescribed:
    if fields == 2:
        inside, boundary = Matching(matrix, pieces, lead), pieces.boundary
        return Prescribed(matrix, 2, inside, pieces.nodes, Root(boundary, inside.decay)) if boundary else inside
    if not pieces.boundary:
        return Cycle(matrix, pieces.embedding)
    inside = matrix.copy()
    pieces.prescribe(inside)
    return Prescribed(matrix, 1, Cycle(inside, pieces.embedding), pieces.nodes, None)


@contextmanager
def tolerance(solver: PETSc.KSP, rtol: float) -> Iterator[None]:
    """Solve to a share of the residual for a while."""
    before = solver.getTolerances()[0]
    solver.setTolerances(rtol=max(rtol, before))
    try:
        yield
    finally:
        solver.setTolerances(rtol=before)
