"""Solvers for large steps, whose iterations do not grow with the mesh: GMRES with algebraic multigrid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from firedrake import FunctionSpace, TestFunction, TrialFunction, assemble, dot, dx, grad
from firedrake.petsc import PETSc
from petsctools import OptionsManager

from fe_phaseinv.spaces import interpolation

PREFIX = "fe_phaseinv_"
"""Of the options of PETSc by which a user can change these solvers, for example -fe_phaseinv_ksp_rtol."""
KRYLOV = {"ksp_type": "gmres", "ksp_rtol": 1e-8, "ksp_max_it": 200, "ksp_gmres_restart": 60}
SMOOTHER = {"mg_levels_ksp_type": "richardson", "mg_levels_ksp_max_it": 1, "mg_levels_pc_type": "sor"}
AMG = SMOOTHER | {"pc_type": "gamg", "pc_gamg_aggressive_coarsening": 0, "pc_gamg_coarse_eq_limit": 200}
AMG |= {"pc_mg_cycle_type": "w", "pc_gamg_threshold": 0.0}  # zeros of the matrix are no neighbours: counts would grow
SPINODAL, LEAST = 1.15, 0.45
"""How much of a negative mu_h' the second factor makes up for: this times sqrt(lead kappa / m), at least this share, at
most all. Half of it keeps the factor definite for a homogeneous state as long as a step has one solution."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """What a preconditioner needs besides the Jacobian.

    Parameters
    ----------
    mass, stiffness : petsc4py.PETSc.Mat
        Of a scalar field.
    embedding : petsc4py.PETSc.Mat or None
        From linear elements to those of the field; None where these are linear.
    """

    mass: PETSc.Mat
    stiffness: PETSc.Mat
    embedding: PETSc.Mat | None

    @classmethod
    def of(cls, space: FunctionSpace, quadrature: int) -> Pieces:
        """Assemble them for a scalar space."""
        u, v = TrialFunction(space), TestFunction(space)
        measure = dx(degree=quadrature)
        forms = u * v * measure, dot(grad(u), grad(v)) * measure
        mass, stiffness = (assemble(form, mat_type="aij").petscmat for form in forms)
        if space.ufl_element().embedded_subdegree == 1:
            return cls(mass, stiffness, None)
        linear = FunctionSpace(space.mesh(), "CG", 1)
        return cls(mass, stiffness, interpolation(linear, space))


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
    context = Cycle(matrix, pieces.embedding) if fields == 1 else Matching(matrix, pieces, lead)
    solver.getPC().setPythonContext(context)
    _configure(solver, KRYLOV, PREFIX)
    return solver


@contextmanager
def tolerance(solver: PETSc.KSP, rtol: float) -> Iterator[None]:
    """Solve to a share of the residual for a while."""
    before = solver.getTolerances()[0]
    solver.setTolerances(rtol=max(rtol, before))
    try:
        yield
    finally:
        solver.setTolerances(rtol=before)


class Cycle:
    """One cycle for a scalar elliptic operator: from the degree of the elements to linear ones, then algebraic."""

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
        _configure(self._solver, options, f"{PREFIX}cycle_")

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Apply the cycle, as PETSc asks for it; it is symmetric enough to stand for its transpose."""
        self._solver.solve(x, y)

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Apply the cycle in place of its transpose."""
        self._solver.solve(x, y)

    def destroy(self, pc: PETSc.PC) -> None:
        """Free its levels at once, as PETSc asks for it: on several ranks they would wait for all of them to ask."""
        self._solver.destroy()


class Matching:
    """Preconditioner for J = [[lead M + N, A], [-B, M]], with A ~ m K and B ~ kappa K + f M node by node.

    With weights a and b at the nodes, P = [[A b + a B + a M b, A], [-B, M]] differs from J in its first block alone,
    whose part lead M is met where a b = lead and whose cross terms balance those of N, and it falls into

        [[1, a], [0, 1]] P [[1, 0], [-b, 1]] = [[0, A + a M], [-(B + b M), M]],

    two scalar elliptic problems, each of which gets one cycle.

    Parameters
    ----------
    jacobian : petsc4py.PETSc.Mat
        With c and mu interleaved.
    pieces : Pieces
    lead : float

    Notes
    -----
    The matching is that of Pearson and Wathen, Numer. Linear Algebra Appl. 19, 816 (2012), and of Bosch, Kay, Stoll and
    Wathen, SIAM J. Imaging Sci. 7, 67 (2014), here with weights that follow the laws from node to node.
    """

    def __init__(self, jacobian: PETSc.Mat, pieces: Pieces, lead: float):
        self._mass = pieces.mass
        first, second = _off_diagonal(jacobian)
        mobility, energy, slope = _local_laws(first, second, pieces)
        positive, negative = np.maximum(slope, 0), np.maximum(-slope, 0)
        even = np.sqrt(lead * energy / mobility)
        larger = np.maximum(even, positive)
        self._a = lead / larger
        self._b = larger - positive + np.clip(SPINODAL * even, LEAST * negative, negative)
        for matrix, weight in ((first, self._a), (second, self._b)):
            shift = _weighted(self._mass, weight)
            matrix.axpy(1.0, shift, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            shift.destroy()
            matrix.setOption(PETSc.Mat.Option.SPD, True)
        self._matrices = first, second
        self._first, self._second = Cycle(first, pieces.embedding), Cycle(second, pieces.embedding)
        self._work = [self._mass.createVecLeft() for _ in range(4)]

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Solve with P, as PETSc asks for it."""
        rhs, solution = x.array_r.reshape(-1, 2), y.array.reshape(-1, 2)
        r, product, v, w = self._work
        r.array[:] = rhs[:, 0] + self._a * rhs[:, 1]
        self._first.apply(pc, r, w)
        self._mass.mult(w, product)
        r.array[:] = product.array_r - rhs[:, 1]
        self._second.apply(pc, r, v)
        solution[:, 0] = v.array_r
        solution[:, 1] = w.array_r - self._b * v.array_r

    def applyTranspose(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:  # noqa: N802 (PETSc's name)
        """Solve with the transpose of P."""
        rhs, solution = x.array_r.reshape(-1, 2), y.array.reshape(-1, 2)
        r, product, v, w = self._work
        r.array[:] = self._b * rhs[:, 1] - rhs[:, 0]
        self._second.apply(pc, r, v)
        self._mass.mult(v, product)
        r.array[:] = rhs[:, 1] - product.array_r
        self._first.apply(pc, r, w)
        solution[:, 0] = w.array_r
        solution[:, 1] = v.array_r + self._a * w.array_r

    def destroy(self, pc: PETSc.PC) -> None:
        """Free everything at once, as PETSc asks for it."""
        for cycle in (self._first, self._second):
            cycle.destroy(pc)
        for piece in (*self._matrices, *self._work):
            piece.destroy()


def _configure(solver: PETSc.KSP, options: dict, prefix: str) -> None:
    """Set a solver up with options that those of the user, under the prefix, go before."""
    manager = OptionsManager(options, prefix)
    manager.set_from_options(solver)
    with manager.inserted_options():
        solver.setUp()


def _off_diagonal(jacobian: PETSc.Mat) -> tuple[PETSc.Mat, PETSc.Mat]:
    """Return the blocks A and B."""
    start, end = jacobian.getOwnershipRange()
    c, mu = (PETSc.IS().createStride((end - start) // 2, start + field, 2, comm=jacobian.comm) for field in (0, 1))
    whole = jacobian.convert("aij", PETSc.Mat())
    first, second = whole.createSubMatrix(c, mu), whole.createSubMatrix(mu, c)
    second.scale(-1.0)
    whole.destroy()
    return first, second


def _local_laws(first: PETSc.Mat, second: PETSc.Mat, pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit A ~ m K and B ~ kappa K + f M to the rows of every node: gives m, kappa and f."""
    start, _, k = pieces.stiffness.getValuesCSR()
    a, b, m = (matrix.getValuesCSR()[2] for matrix in (first, second, pieces.mass))

    def rows(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, start[:-1])

    kk, km, mm, bk, bm, ak = map(rows, (k * k, k * m, m * m, b * k, b * m, a * k))
    determinant = kk * mm - km**2
    return ak / kk, (bk * mm - bm * km) / determinant, (bm * kk - bk * km) / determinant


def _weighted(mass: PETSc.Mat, weight: np.ndarray) -> PETSc.Mat:
    """Return a symmetric mass matrix with a weight at the nodes."""
    result, root = mass.copy(), mass.createVecLeft()
    root.array[:] = np.sqrt(weight)
    result.diagonalScale(root, root)
    return result
