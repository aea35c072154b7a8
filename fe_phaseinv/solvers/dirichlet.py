"""Preconditioner where c is prescribed on the boundary: inside as without, and mu on the boundary by itself."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from firedrake.petsc import PETSc

from fe_phaseinv.solvers.auxiliary import Boundary
from fe_phaseinv.solvers.preconditioner import Preconditioner

SPACING, MARGIN = 1.2, 2.5
"""Of the nodes of the quadrature for a square root, in logarithms, and how far they reach beyond its spectrum."""


class DirichletPreconditioner(Preconditioner):
    """Preconditioner for a Jacobian with rows of the unit matrix for c on the boundary.

    Values on the boundary are eliminated, what is inside is solved for with c and mu zero on the boundary, and mu there
    follows from what is left of its equation.

    Parameters
    ----------
    jacobian : petsc4py.PETSc.Mat
        The Jacobian.
    inside : Preconditioner
        One with zeros on the boundary.
    nodes : numpy.ndarray of int
        Local numbers of the prescribed nodes.
    root : DirichletToNeumann, optional
        For mu on the boundary, where there are two fields.
    """

    def __init__(
        self,
        jacobian: PETSc.Mat,
        inside: Preconditioner,
        nodes: np.ndarray,
        root: DirichletToNeumann | None = None,
    ):
        self._jacobian, self._inside, self._root = jacobian, inside, root
        fields = 2 if root else 1
        self._c, self._mu = fields * nodes, fields * nodes + 1
        self._work = [jacobian.createVecLeft() for _ in range(2)]

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Apply it."""
        r, product = self._work
        given = x.array_r[self._c]
        y.set(0.0)
        y.array[self._c] = given
        self._jacobian.mult(y, product)
        r.waxpy(-1.0, product, x)
        r.array[self._c] = 0.0
        self._inside.apply(pc, r, y)
        if self._root:
            self._jacobian.mult(y, product)
            y.array[self._mu] = self._root.solve(r.array_r[self._mu] - product.array_r[self._mu])
        y.array[self._c] = given

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Apply its transpose."""
        r, product = self._work
        x.copy(r)
        if self._root:
            multiplier = self._root.solve(x.array_r[self._mu])
            y.set(0.0)
            y.array[self._mu] = multiplier
            self._jacobian.multTranspose(y, product)
            r.axpy(-1.0, product)
        r.array[self._c] = 0.0
        self._inside.applyTranspose(pc, r, y)
        if self._root:
            y.array[self._mu] = multiplier
        y.array[self._c] = 0.0
        self._jacobian.multTranspose(y, product)
        y.array[self._c] = x.array_r[self._c] - product.array_r[self._c]

    def destroy(self, pc: PETSc.PC) -> None:
        """Free everything at once."""
        self._inside.destroy(pc)
        if self._root:
            self._root.destroy()
        for piece in self._work:
            piece.destroy()


class DirichletToNeumann:
    """What mu on the boundary is for a residual r of its equation there: D^-1 sqrt(Z D^-1) r, Z = 4 K + D w.

    On a half plane a wave of mu along the boundary, of wavenumber k, makes a residual of 1/(p1 + p2) times its mass,
    with the rates p at which the two solutions decay inwards; (p1 + p2)^2 is 4 k^2 + w, or up to a fifth less. The root
    is a sum of inverses, by the trapezoidal rule for its integral over the logarithm of the shift.

    Parameters
    ----------
    boundary : Boundary
        The part of the boundary, with the lumped masses D and the stiffness K along it.
    weight : numpy.ndarray
        w at its nodes, finite and positive.

    Notes
    -----
    N. Hale, N. J. Higham and L. N. Trefethen, SIAM J. Numer. Anal. 46, 2505 (2008), on such sums.
    """

    def __init__(self, boundary: Boundary, weight: np.ndarray):
        self._scale = 1.0 / np.sqrt(boundary.mass)
        matrix, diagonal = boundary.stiffness.copy(), boundary.stiffness.createVecLeft()
        diagonal.array[:] = 2.0 * self._scale
        matrix.diagonalScale(diagonal, diagonal)
        diagonal.array[:] = weight
        _, lowest = diagonal.min()
        matrix.setDiagonal(diagonal, PETSc.InsertMode.ADD_VALUES)
        ends = 0.5 * np.log([lowest, matrix.norm(PETSc.NormType.INFINITY)]) + (-MARGIN, MARGIN)
        logarithms, step = np.linspace(*ends, int(np.ptp(ends) / SPACING) + 2, retstep=True)
        self._factors = 2.0 / np.pi * step * np.exp(logarithms)
        self._together = _shifted(matrix, np.exp(2.0 * logarithms))
        self._solver, self._work = _redundant(self._together), self._together.createVecs()
        matrix.destroy()
        diagonal.destroy()

    def solve(self, residual: np.ndarray) -> np.ndarray:
        """Return mu for a residual; the operator is symmetric. Collective.

        Parameters
        ----------
        residual : numpy.ndarray
            Values at the nodes of the boundary.
        """
        solution, rhs = self._work
        scaled = self._scale * residual
        rhs.array[:] = np.repeat(scaled, len(self._factors))
        self._solver.solve(rhs, solution)
        return self._scale * ((scaled[:, None] - solution.array_r.reshape(len(scaled), -1)) @ self._factors)

    def destroy(self) -> None:
        """Free everything at once."""
        for piece in (self._solver, self._together, *self._work):
            piece.destroy()


def _redundant(matrix: PETSc.Mat) -> PETSc.KSP:
    """Return a solver that has the whole of a small matrix on each rank, which then waits for others but once."""
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("redundant")
    return solver


def _shifted(matrix: PETSc.Mat, shifts: np.ndarray) -> PETSc.Mat:
    """Return 1 + matrix / shift for all shifts in one matrix, interleaved."""
    start, columns, values = matrix.getValuesCSR()
    local = sp.csr_array((values, columns, start), (len(start) - 1, matrix.getSize()[1]))
    scaled = sp.kron(local, sp.diags_array(1.0 / shifts))
    together = (scaled + sp.eye_array(*scaled.shape, k=len(shifts) * matrix.getOwnershipRange()[0])).tocsr()
    rows, pattern = together.shape[0], (together.indptr, together.indices)
    csr = *(indices.astype(PETSc.IntType) for indices in pattern), together.data
    return PETSc.Mat().createAIJ(((rows, None), (rows, None)), csr=csr, comm=matrix.comm)
