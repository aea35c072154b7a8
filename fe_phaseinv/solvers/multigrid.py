"""One cycle of multigrid for scalar elliptic problems: in the degree of the elements, then algebraic."""

from __future__ import annotations

from firedrake.petsc import PETSc
from petsctools import OptionsManager

from fe_phaseinv.solvers.preconditioner import Preconditioner

PREFIX = "fe_phaseinv_"
"""Of the options of PETSc by which a user can change these solvers, for example -fe_phaseinv_ksp_rtol."""
SMOOTHER = {"mg_levels_ksp_type": "richardson", "mg_levels_ksp_max_it": 1, "mg_levels_pc_type": "sor"}
AMG = SMOOTHER | {"pc_type": "gamg", "pc_gamg_aggressive_coarsening": 0, "pc_gamg_coarse_eq_limit": 200}
AMG |= {"pc_mg_cycle_type": "w", "pc_gamg_threshold": 0.0}  # zeros of the matrix are no neighbours: counts would grow


class MultigridCycle(Preconditioner):
    """One cycle for a scalar elliptic operator: from the degree of the elements to linear ones, then algebraic.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        The operator.
    embedding : petsc4py.PETSc.Mat or None
        From linear elements to those of the operator; None where these are linear.
    """

    def __init__(self, matrix: PETSc.Mat, embedding: PETSc.Mat | None):
        self._solver = PETSc.KSP().create(matrix.comm)
        self._solver.setOperators(matrix)
        self._solver.setType("preonly")
        self._solver.setOptionsPrefix(f"{PREFIX}cycle_")  # before the levels, which take it over
        options = AMG
        if embedding is not None:
            pc = self._solver.getPC()
            pc.setType("mg")
            pc.setMGLevels(2)
            pc.setMGInterpolation(1, embedding)
            coarse = {f"mg_coarse_{key}": value for key, value in AMG.items()}
            options = SMOOTHER | coarse | {"pc_mg_galerkin": "both", "mg_coarse_ksp_type": "preonly"}
        configure(self._solver, options, f"{PREFIX}cycle_")

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Apply the cycle; it is symmetric enough to stand for its transpose."""
        self._solver.solve(x, y)

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Apply the cycle in place of its transpose."""
        self._solver.solve(x, y)

    def destroy(self, pc: PETSc.PC) -> None:
        """Free its levels."""
        self._solver.destroy()


def configure(solver: PETSc.KSP, options: dict, prefix: str) -> None:
    """Set a solver up with options that those of the user go before. Collective.

    Parameters
    ----------
    solver : petsc4py.PETSc.KSP
        What is set up.
    options : dict
        Options of PETSc without a prefix.
    prefix : str
        Prefix under which the user sets them.
    """
    manager = OptionsManager(options, prefix)
    manager.set_from_options(solver)
    with manager.inserted_options():
        solver.setUp()
