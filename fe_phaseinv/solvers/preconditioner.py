"""What PETSc asks of a preconditioner that is written in Python."""

from __future__ import annotations

from firedrake.petsc import PETSc


class Preconditioner:
    """Base of all contexts of preconditioners of PETSc's type `python`."""

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Solve approximately, as PETSc asks for it. Collective.

        Parameters
        ----------
        pc : petsc4py.PETSc.PC
            The preconditioner in the eyes of PETSc.
        x : petsc4py.PETSc.Vec
            Right-hand side.
        y : petsc4py.PETSc.Vec
            Where the solution goes.
        """
        raise NotImplementedError

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Solve approximately with the transpose, as PETSc asks for it. Collective.

        Parameters
        ----------
        pc : petsc4py.PETSc.PC
            The preconditioner in the eyes of PETSc.
        x : petsc4py.PETSc.Vec
            Right-hand side.
        y : petsc4py.PETSc.Vec
            Where the solution goes.
        """
        raise NotImplementedError

    def destroy(self, pc: PETSc.PC) -> None:
        """Free everything at once, as PETSc asks for it: on several ranks it would wait for all of them. Collective.

        Parameters
        ----------
        pc : petsc4py.PETSc.PC
            The preconditioner in the eyes of PETSc.
        """
