"""What preconditioners need besides the Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from firedrake import FacetNormal, FunctionSpace, TestFunction, TrialFunction, assemble, dot, dx, grad
from firedrake.petsc import PETSc

from fe_phaseinv.core.spaces import boundary_measure, boundary_nodes, interpolation


@dataclass(frozen=True, eq=False)
class Boundary:
    """The part of the boundary where c is prescribed.

    Parameters
    ----------
    nodes : numpy.ndarray of int
        Local numbers of its nodes.
    rows : numpy.ndarray of int
        Global numbers of its nodes.
    mass : numpy.ndarray
        Lumped masses of the nodes on the boundary.
    stiffness : petsc4py.PETSc.Mat
        Stiffness of the gradient along the boundary, for these nodes alone.
    """

    nodes: np.ndarray
    rows: np.ndarray
    mass: np.ndarray
    stiffness: PETSc.Mat

    @classmethod
    def of(cls, space: FunctionSpace, quadrature: int, tags: Sequence[int] | None) -> Boundary:
        """Assemble them for a scalar space. Collective.

        Parameters
        ----------
        space : firedrake.FunctionSpace
            Scalar space of c.
        quadrature : int
            Degree of the quadrature.
        tags : sequence of int, optional
            Tags of the parts of the boundary; the whole of it where not given.
        """
        u, v, normal = TrialFunction(space), TestFunction(space), FacetNormal(space.mesh())
        along = dot(grad(u), grad(v)) - dot(grad(u), normal) * dot(grad(v), normal)
        measure = boundary_measure(tags)(degree=quadrature)
        mass, whole = (assemble(form * measure, mat_type="aij").petscmat for form in (u * v, along))
        nodes = boundary_nodes(space, tags)
        rows = (nodes + whole.getOwnershipRange()[0]).astype(PETSc.IntType)
        chosen = PETSc.IS().createGeneral(rows, comm=whole.comm)
        start, _, values = mass.getValuesCSR()
        lumped = row_sums(start, np.abs(values))
        return cls(nodes, rows, lumped[nodes], whole.createSubMatrix(chosen, chosen))


@dataclass(frozen=True, eq=False)
class AuxiliaryOperators:
    """What a preconditioner needs besides the Jacobian.

    Parameters
    ----------
    mass, stiffness : petsc4py.PETSc.Mat
        Matrices of a scalar field.
    embedding : petsc4py.PETSc.Mat or None
        From linear elements to those of the field; None where these are linear.
    boundary : Boundary or None
        Where c is prescribed.
    """

    mass: PETSc.Mat
    stiffness: PETSc.Mat
    embedding: PETSc.Mat | None
    boundary: Boundary | None

    @classmethod
    def of(
        cls, space: FunctionSpace, quadrature: int, prescribed: bool = False, tags: Sequence[int] | None = None
    ) -> AuxiliaryOperators:
        """Assemble them for a scalar space. Collective.

        Parameters
        ----------
        space : firedrake.FunctionSpace
            Scalar space of every field.
        quadrature : int
            Degree of the quadrature.
        prescribed : bool
            Whether c is prescribed on the boundary.
        tags : sequence of int, optional
            Tags of the parts of the boundary where it is; the whole of it where not given.
        """
        u, v = TrialFunction(space), TestFunction(space)
        measure = dx(degree=quadrature)
        forms = u * v * measure, dot(grad(u), grad(v)) * measure
        mass, stiffness = (assemble(form, mat_type="aij").petscmat for form in forms)
        boundary = Boundary.of(space, quadrature, tags) if prescribed else None
        if space.ufl_element().embedded_subdegree == 1:
            return cls(mass, stiffness, None, boundary)
        embedding = interpolation(FunctionSpace(space.mesh(), "CG", 1), space)
        return cls(mass, stiffness, _apart(embedding, boundary.nodes) if boundary else embedding, boundary)

    @property
    def nodes(self) -> np.ndarray:
        """Local numbers of the prescribed nodes."""
        return self.boundary.nodes if self.boundary else np.empty(0, PETSc.IntType)

    def prescribe(self, matrix: PETSc.Mat) -> None:
        """Set the rows and columns of prescribed nodes to those of the unit matrix. Collective.

        Parameters
        ----------
        matrix : petsc4py.PETSc.Mat
            Matrix of a scalar field.
        """
        if self.boundary:
            matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
            matrix.zeroRowsColumns(self.boundary.rows, diag=1.0)


def row_sums(start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sums of values in compressed rows, row by row.

    Parameters
    ----------
    start : numpy.ndarray of int, shape (rows + 1,)
        Where every row begins and the last one ends; no row is empty.
    values : numpy.ndarray
        The values.

    Returns
    -------
    numpy.ndarray, shape (rows,)
    """
    return np.add.reduceat(values, start[:-1])


def column_sums(matrix: PETSc.Mat, values: np.ndarray) -> np.ndarray:
    """Return the sums of other values in the place of those of a matrix, column by column. Collective.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        A square matrix.
    values : numpy.ndarray
        As many as the local rows of the matrix hold.

    Returns
    -------
    numpy.ndarray, shape (local columns,)
    """
    other = _with_values(matrix, values)
    sums, ones = other.createVecs()
    ones.set(1.0)
    other.multTranspose(ones, sums)
    other.destroy()
    return sums.array.copy()


def _with_values(matrix: PETSc.Mat, values: np.ndarray) -> PETSc.Mat:
    start, columns, _ = matrix.getValuesCSR()
    return PETSc.Mat().createAIJ(matrix.getSizes(), csr=(start, columns, values), comm=matrix.comm)


def _apart(embedding: PETSc.Mat, nodes: np.ndarray) -> PETSc.Mat:
    """Embed the prescribed nodes and the others each by themselves, or coarse corrections would mix them up."""
    vertices = _with_values(embedding, 1.0 * np.isclose(embedding.getValuesCSR()[2], 1.0))
    coarse, fine = embedding.createVecs()
    fine.array[nodes] = 1.0
    vertices.multTranspose(fine, coarse)
    vertices.diagonalScale(fine, coarse)
    fine.array[:], coarse.array[:] = 1.0 - fine.array_r, 1.0 - coarse.array_r
    embedding.diagonalScale(fine, coarse)
    embedding.axpy(1.0, vertices, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
    return embedding
