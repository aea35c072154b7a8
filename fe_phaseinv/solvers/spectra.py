"""Functions of the Laplacian on a finite element space: by its eigenfunctions, or by Helmholtz problems."""

from __future__ import annotations

import numpy as np
import ufl
from firedrake import (
    Constant,
    FunctionSpace,
    TestFunction,
    TrialFunction,
    VectorFunctionSpace,
    assemble,
    dx,
    split,
)
from firedrake.petsc import PETSc

from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.solvers.direct import checked_direct_solver
from fe_phaseinv.solvers.fast_diagonalisation import FastDiagonalisation
from fe_phaseinv.solvers.linear_algebra import dense
from fe_phaseinv.solvers.rational import PartialFractions, shared_poles

TOLERANCE = 1e-4
"""Error of the rational approximation, for functions whose squares have an integral of one."""
ROUGH = 1e-2
"""The same for C2 itself, relative to its largest value, where a rough one does."""
FURTHEST = 10.0
"""Value of k/scale beyond which the functions are small."""
SMOOTHEST = 1e-3
"""Smallest (k/scale)^2, other than zero, for which the approximation is made: a fifth of a wave in six lengths."""


class Spectrum:
    """Base of the ways to take functions of the Laplacian."""

    def convolve_each(self, eta: np.ndarray) -> np.ndarray:
        """Return every function of the basis * eta. Collective.

        Parameters
        ----------
        eta : numpy.ndarray, shape (nodes,)
            Local nodal values.

        Returns
        -------
        numpy.ndarray, shape (nodes, functions)
        """
        raise NotImplementedError

    def convolve(self, coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return C2 * every column. Collective.

        Parameters
        ----------
        coefficients : numpy.ndarray, shape (functions,)
            Coefficients of C2.
        columns : numpy.ndarray, shape (nodes, columns)
            Local nodal values of fields.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns)
        """
        raise NotImplementedError

    def convolve_roughly(self, coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return C2 * every column; an error of `ROUGH` is allowed. Collective.

        Parameters
        ----------
        coefficients : numpy.ndarray, shape (functions,)
            Coefficients of C2.
        columns : numpy.ndarray, shape (nodes, columns)
            Local nodal values of fields.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns)
        """
        return self.convolve(coefficients, columns)


def spectrum(relation: Relation, space: FunctionSpace) -> Spectrum:
    """Choose how to take functions of the Laplacian: exactly where its eigenfunctions are at hand. Collective.

    Parameters
    ----------
    relation : Relation
        C2(k).
    space : firedrake.FunctionSpace
        Space of the fields.
    """
    diagonalisation = FastDiagonalisation.of(space)
    return Rational(relation, space) if diagonalisation is None else Diagonal(relation, diagonalisation)


class Diagonal(Spectrum):
    """Functions of the Laplacian by its eigenfunctions.

    Parameters
    ----------
    relation : Relation
        C2(k).
    diagonalisation : FastDiagonalisation
        The eigenfunctions.
    """

    def __init__(self, relation: Relation, diagonalisation: FastDiagonalisation):
        self.diagonalisation = diagonalisation
        self._functions = np.array(relation.basis.functions(np.sqrt(diagonalisation.eigenvalues)))

    def convolve_each(self, eta: np.ndarray) -> np.ndarray:
        """Convolve with every function."""
        waves = self.diagonalisation.analyse(eta[:, None])
        return self.diagonalisation.synthesise(waves * np.moveaxis(self._functions, 0, -1))

    def convolve(self, coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Convolve with their sum."""
        kernel = np.tensordot(coefficients, self._functions, 1)
        return self.diagonalisation.synthesise(self.diagonalisation.analyse(columns) * kernel[..., None])


class Rational(Spectrum):
    """Functions of the Laplacian by partial fractions.

    With A = -lap/scale^2 every h_n(k) = Re sum_j w_nj/((k/scale)^2 - z_j), where all n share the poles z_j: one
    Helmholtz problem for each pole, factorised once, gives all of them.

    Parameters
    ----------
    relation : Relation
        C2(k).
    space : firedrake.FunctionSpace
        Space of the fields.

    Raises
    ------
    StepFailed
        Where a Helmholtz problem cannot be factorised.
    """

    def __init__(self, relation: Relation, space: FunctionSpace):
        self.basis, self.comm = relation.basis, space.mesh().comm
        u, v = TrialFunction(space), TestFunction(space)
        self._mass = assemble(u * v * dx, mat_type="aij").petscmat
        self._helmholtz = _Helmholtz(space, self.basis.scale)
        self.fractions = shared_poles(self._functions, TOLERANCE, SMOOTHEST)
        self._solvers = [self._helmholtz.solver(pole) for pole in self.fractions.poles]
        self._rough_for, self._rough, self._rough_solvers = np.empty(0), self.fractions, self._solvers

    def convolve_each(self, eta: np.ndarray) -> np.ndarray:
        """Convolve with every function."""
        return self._combine(eta[:, None], self.fractions.weights, self._solvers)[:, :, 0].T

    def convolve(self, coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Convolve with their sum."""
        return self._combine(columns, coefficients[None] @ self.fractions.weights, self._solvers)[0]

    def convolve_roughly(self, coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Convolve by a few poles for the present C2 alone."""
        if not np.array_equal(coefficients, self._rough_for):
            self._rough = self._own(coefficients)
            self._rough_solvers = [self._helmholtz.solver(pole) for pole in self._rough.poles]
            self._rough_for = coefficients
        return self._combine(columns, self._rough.weights, self._rough_solvers)[0]

    def _functions(self, s: np.ndarray) -> np.ndarray:
        return np.array(self.basis.functions(self.basis.scale * np.sqrt(s)))

    def _own(self, coefficients: np.ndarray) -> PartialFractions:
        """Poles for C2 alone."""

        def kernel(s: np.ndarray) -> np.ndarray:
            return coefficients[None] @ self._functions(s)

        most = np.abs(kernel(np.linspace(0.0, FURTHEST, 1000) ** 2)).max()
        return shared_poles(kernel, max(ROUGH * most, TOLERANCE), SMOOTHEST)

    def _combine(self, columns: np.ndarray, weights: np.ndarray, solvers: list[_Solver]) -> np.ndarray:
        """Sum over all poles, shape (functions, nodes, columns)."""
        rhs = self._mass.matMult(dense(self.comm, np.asfortranarray(columns))).getDenseArray()
        result = np.zeros((len(weights), *rhs.shape))
        for solver, w in zip(solvers, weights.T, strict=True):
            for part, share in zip(solver.solve(rhs), (w.real, -w.imag), strict=False):
                result += share[:, None, None] * part
        return result


class _Helmholtz:
    """(A - z) u = eta for poles z: for a pair, real and imaginary part of u are a system of two fields."""

    def __init__(self, space: FunctionSpace, scale: float):
        self._real, self._imaginary, self._area = Constant(0.0), Constant(0.0), scale**-2
        pair = VectorFunctionSpace(space.mesh(), space.ufl_element(), dim=2)
        (p, q), (v, w) = split(TrialFunction(pair)), split(TestFunction(pair))
        coupling = self._imaginary * (q * v - p * w)
        self._coupled = (self._shifted(p, v) + self._shifted(q, w) + coupling) * dx
        self._single = self._shifted(TrialFunction(space), TestFunction(space)) * dx

    def _shifted(self, u, v):
        return self._area * ufl.dot(ufl.grad(u), ufl.grad(v)) - self._real * u * v

    def solver(self, pole: complex) -> _Solver:
        """Factorise for a pole; it raises StepFailed where that cannot be done. Collective."""
        self._real.assign(pole.real)
        self._imaginary.assign(pole.imag)
        if pole.imag:
            return _Solver(assemble(self._coupled, mat_type="baij").petscmat, 2)
        return _Solver(assemble(self._single, mat_type="aij").petscmat, 1)


class _Solver:
    """A factorised Helmholtz problem."""

    def __init__(self, matrix: PETSc.Mat, fields: int):
        self.fields, self._solver = fields, checked_direct_solver(matrix)

    def solve(self, rhs: np.ndarray) -> list[np.ndarray]:
        """Give the real part of u, and for a pair the imaginary one, for each column of the integrals of eta."""
        comm = self._solver.comm
        fields = np.zeros((self.fields * len(rhs), rhs.shape[1]), order="F")
        fields[:: self.fields] = rhs
        solution = np.empty_like(fields, order="F")
        self._solver.matSolve(dense(comm, fields), dense(comm, solution))
        return [solution[field :: self.fields] for field in range(self.fields)]
