"""Preconditioner for the equations of c and mu: two scalar elliptic problems in place of one of both fields."""

from __future__ import annotations

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.core.parallel import total
from fe_phaseinv.solvers.auxiliary import AuxiliaryOperators, column_sums, row_sums
from fe_phaseinv.solvers.direct import StepFailed
from fe_phaseinv.solvers.multigrid import MultigridCycle
from fe_phaseinv.solvers.preconditioner import Preconditioner

SPINODAL, LEAST = 1.15, 0.45
"""How much of a negative mu_h' the second factor makes up for: this times sqrt(shift kappa / m), at least this share,
at most all. Half of it keeps the factor definite for a homogeneous state as long as a step has one solution."""


class SchurMatching(Preconditioner):
    """Preconditioner for J = [[shift M + N, A], [-B, M]], with A ~ m K and B ~ kappa K + f M node by node.

    With weights a and b at the nodes, P = [[A b + a B + a M b, A], [-B, M]] differs from J in its first block alone,
    whose part shift M is met where a b = shift and whose cross terms balance those of N, and it falls into

        [[1, a], [0, 1]] P [[1, 0], [-b, 1]] = [[0, A + a M], [-(B + b M), M]],

    two scalar elliptic problems, each of which gets one cycle. At prescribed nodes both fields are left at zero.

    Parameters
    ----------
    jacobian : petsc4py.PETSc.Mat
        J, with c and mu interleaved.
    auxiliary : AuxiliaryOperators
        Matrices of mass and stiffness, and the prescribed nodes.
    shift : float
        Weight of c in its time derivative.

    Attributes
    ----------
    decay : numpy.ndarray
        At the prescribed nodes, the square of the sum of the two rates at which what does not vary along the boundary
        decays inwards.

    Raises
    ------
    StepFailed
        Where the weights are not finite, as where the mobility is not positive.

    Notes
    -----
    The matching is that of Pearson and Wathen, Numer. Linear Algebra Appl. 19, 816 (2012), and of Bosch, Kay, Stoll and
    Wathen, SIAM J. Imaging Sci. 7, 67 (2014), here with weights that follow the laws from node to node.
    """

    def __init__(self, jacobian: PETSc.Mat, auxiliary: AuxiliaryOperators, shift: float):
        self._mass, self._nodes = auxiliary.mass, auxiliary.nodes
        first, second = _off_diagonal(jacobian)
        mobility, energy, slope = _local_laws(first, second, auxiliary)
        positive, negative = np.maximum(slope, 0), np.maximum(-slope, 0)
        even = np.sqrt(shift * energy / mobility)
        larger = np.maximum(even, positive)
        self.decay = ((2.0 * even + np.maximum(slope, -even)) / energy)[self._nodes]
        self._a = shift / larger
        self._b = larger - positive + np.clip(SPINODAL * even, LEAST * negative, negative)
        self._require_finite_weights()
        for matrix, weight in ((first, self._a), (second, self._b)):
            shift = _weighted(self._mass, weight)
            matrix.axpy(1.0, shift, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            shift.destroy()
            auxiliary.prescribe(matrix)
            matrix.setOption(PETSc.Mat.Option.SPD, True)
        self._matrices = first, second
        self._first, self._second = (MultigridCycle(matrix, auxiliary.embedding) for matrix in self._matrices)
        self._work = [self._mass.createVecLeft() for _ in range(4)]

    def _require_finite_weights(self) -> None:
        weights = (weight.sum() for weight in (self._a, self._b, self.decay))
        if not np.isfinite(total(self._mass.comm.tompi4py(), sum(weights))):
            raise StepFailed("the weights of the preconditioner are not finite")

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Solve with P."""
        rhs, solution = x.array_r.reshape(-1, 2), y.array.reshape(-1, 2)
        r, product, v, w = self._work
        r.array[:] = rhs[:, 0] + self._a * rhs[:, 1]
        r.array[self._nodes] = 0.0
        self._first.apply(pc, r, w)
        self._mass.mult(w, product)
        r.array[:] = product.array_r - rhs[:, 1]
        r.array[self._nodes] = 0.0
        self._second.apply(pc, r, v)
        solution[:, 0] = v.array_r
        solution[:, 1] = w.array_r - self._b * v.array_r

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Solve with the transpose of P."""
        rhs, solution = x.array_r.reshape(-1, 2), y.array.reshape(-1, 2)
        r, product, v, w = self._work
        r.array[:] = self._b * rhs[:, 1] - rhs[:, 0]
        r.array[self._nodes] = 0.0
        self._second.apply(pc, r, v)
        self._mass.mult(v, product)
        r.array[:] = rhs[:, 1] - product.array_r
        r.array[self._nodes] = 0.0
        self._first.apply(pc, r, w)
        solution[:, 0] = w.array_r
        solution[:, 1] = v.array_r + self._a * w.array_r

    def destroy(self, pc: PETSc.PC) -> None:
        """Free everything at once."""
        for cycle in (self._first, self._second):
            cycle.destroy(pc)
        for piece in (*self._matrices, *self._work):
            piece.destroy()


def _off_diagonal(jacobian: PETSc.Mat) -> tuple[PETSc.Mat, PETSc.Mat]:
    """Return the blocks A and B."""
    start, end = jacobian.getOwnershipRange()
    c, mu = (PETSc.IS().createStride((end - start) // 2, start + field, 2, comm=jacobian.comm) for field in (0, 1))
    whole = jacobian.convert("aij", PETSc.Mat())
    first, second = whole.createSubMatrix(c, mu), whole.createSubMatrix(mu, c)
    second.scale(-1.0)
    whole.destroy()
    return first, second


def _local_laws(
    first: PETSc.Mat, second: PETSc.Mat, auxiliary: AuxiliaryOperators
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit A ~ m K and B ~ kappa K + f M to the rows of every node: gives m, kappa and f."""
    start, _, k = auxiliary.stiffness.getValuesCSR()
    a, b, m = (matrix.getValuesCSR()[2] for matrix in (first, second, auxiliary.mass))
    kk, km, mm, bk, bm = (row_sums(start, values) for values in (k * k, k * m, m * m, b * k, b * m))
    determinant = kk * mm - km**2
    mobility = _mobility(a, k, start, auxiliary) if auxiliary.boundary else row_sums(start, a * k) / kk
    return mobility, (bk * mm - bm * km) / determinant, (bm * kk - bk * km) / determinant


def _mobility(a: np.ndarray, k: np.ndarray, start: np.ndarray, auxiliary: AuxiliaryOperators) -> np.ndarray:
    """Fit A ~ m K to the columns, where rows of prescribed nodes are gone; a mean serves a corner with no other row."""
    inside = np.ones(auxiliary.mass.getLocalSize()[0])
    inside[auxiliary.nodes] = 0.0
    kept = k * np.repeat(inside, np.diff(start))
    ak, kk = (column_sums(auxiliary.stiffness, values) for values in (a * k, k * kept))
    above, below = total(auxiliary.mass.comm.tompi4py(), np.array([ak.sum(), kk.sum()]))
    alone = ak <= 1e-9 * above / below * kk.max(initial=0.0)
    return np.where(alone, above / below, ak / np.where(alone, 1.0, kk))


def _weighted(mass: PETSc.Mat, weight: np.ndarray) -> PETSc.Mat:
    """Return a symmetric mass matrix with a weight at the nodes."""
    result, root = mass.copy(), mass.createVecLeft()
    root.array[:] = np.sqrt(weight)
    result.diagonalScale(root, root)
    return result
