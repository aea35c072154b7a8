"""The eigenfunctions of the Laplacian on rectangles of equal cells, as products of those of the sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from firedrake import (
    Function,
    FunctionSpace,
    IntervalMesh,
    PeriodicIntervalMesh,
    TestFunction,
    TrialFunction,
    assemble,
    dot,
    dx,
    grad,
)
from mpi4py import MPI
from scipy.linalg import eigh

from fe_phaseinv.core.spaces import box, node_positions

SAME = 1e-8
"""Relative difference of positions and products that are the same."""


@dataclass(frozen=True, eq=False)
class FastDiagonalisation:
    """Eigenfunctions u of -lap u = lambda u in a finite element space, orthonormal: all products of one for each side.

    The fields are gathered on every rank, which then takes the sums of its own (fast diagonalisation: Lynch, Rice and
    Thomas, Numer. Math. 6, 185 (1964)).

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Ranks that have a part of the fields.
    nodes : numpy.ndarray of int
        Where in the flat grid of nodes (x, y) every node is; those of rank 0 first.
    own : slice
        Which of them are this rank's.
    values, integrals : tuple of numpy.ndarray, shape (side, side)
        For each side, the eigenfunctions at the nodes, in columns, and their products with the test functions.
    eigenvalues : numpy.ndarray, shape (nx, ny)
        lambda of every product.
    """

    comm: MPI.Comm
    nodes: np.ndarray
    own: slice
    values: tuple[np.ndarray, ...]
    integrals: tuple[np.ndarray, ...]
    eigenvalues: np.ndarray

    @classmethod
    def of(cls, space: FunctionSpace) -> FastDiagonalisation | None:
        """Find the eigenfunctions of a space; None where it is not that of a rectangle of equal cells. Collective.

        Parameters
        ----------
        space : firedrake.FunctionSpace
            A scalar one of continuous Lagrange elements.
        """
        mesh = space.mesh()
        if mesh.ufl_cell().cellname != "quadrilateral":
            return None
        local = node_positions(space)
        gathered = mesh.comm.allgather(local)
        first = sum(len(part) for part in gathered[: mesh.comm.rank])
        low, high = box(mesh)
        found = _grid(np.concatenate(gathered), low, high)
        if found is None:
            return None
        nodes, shape, periodic = found
        degree = space.ufl_element().embedded_superdegree
        sides = [_side(n, degree, length, periodic) for n, length in zip(shape, high - low, strict=True)]
        eigenvalues = sides[0][0][:, None] + sides[1][0]
        own = slice(first, first + len(local))
        diagonalisation = cls(mesh.comm, nodes, own, *zip(*(side[1:] for side in sides), strict=True), eigenvalues)
        return diagonalisation if diagonalisation.holds(space) else None

    def analyse(self, columns: np.ndarray) -> np.ndarray:
        """Return the shares of the eigenfunctions in fields. Collective.

        Parameters
        ----------
        columns : numpy.ndarray, shape (nodes, columns)
            Local nodal values of the fields.

        Returns
        -------
        numpy.ndarray, shape (nx, ny, columns)
        """
        grid = np.empty((self.eigenvalues.size, columns.shape[1]))
        grid[self.nodes] = np.concatenate(self.comm.allgather(np.ascontiguousarray(columns)))
        return _along_both(self.integrals, grid.reshape(*self.eigenvalues.shape, -1))

    def synthesise(self, shares: np.ndarray) -> np.ndarray:
        """Return the local nodal values of fields.

        Parameters
        ----------
        shares : numpy.ndarray, shape (nx, ny, columns)
            Shares of the eigenfunctions in them.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns)
        """
        grid = _along_both([values.T for values in self.values], shares)
        return grid.reshape(self.eigenvalues.size, -1)[self.nodes[self.own]]

    def holds(self, space: FunctionSpace) -> bool:
        """Say whether the products are those of a space, tried on a field without symmetry. Collective.

        Parameters
        ----------
        space : firedrake.FunctionSpace
            The space.
        """
        u = Function(space)
        u.dat.data_wo[:] = np.random.default_rng(0).standard_normal(self.eigenvalues.size)[self.nodes[self.own]]
        test = TestFunction(space)
        whole = assemble(dot(grad(u), grad(test)) * dx).dat.data_ro.copy()
        shares = self.eigenvalues[..., None] * self.analyse(u.dat.data_ro[:, None])
        u.dat.data_wo[:] = self.synthesise(shares)[:, 0]
        difference = assemble(u * test * dx).dat.data_ro - whole
        found, expected = self.comm.allreduce(np.array([difference @ difference, whole @ whole]))
        return bool(found <= SAME**2 * expected)


def _along_both(matrices, grid: np.ndarray) -> np.ndarray:
    """Apply the transpose of a matrix along each of the first two axes."""
    grid = np.tensordot(matrices[0], grid, axes=(0, 0))
    return np.moveaxis(np.tensordot(matrices[1], grid, axes=(0, 1)), 0, 1)


def _grid(positions: np.ndarray, low: np.ndarray, high: np.ndarray):
    """Places of nodes in a full grid, its shape, and whether it goes on from its edges; None where they form none."""
    margin = SAME * (high - low)
    wrapped = np.where(positions > high - margin, low, positions)
    for periodic, points in ((True, wrapped), (False, positions)):
        columns = [np.unique(np.round(points[:, axis] / margin[axis]), return_inverse=True) for axis in (0, 1)]
        shape = tuple(len(values) for values, _ in columns)
        nodes = columns[0][1] * shape[1] + columns[1][1]
        if len(nodes) == np.prod(shape) == len(np.unique(nodes)):
            return nodes, shape, periodic
    return None


def _side(nodes: int, degree: int, length: float, periodic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues, eigenfunctions and their integrals on one side of equal cells."""
    cells = nodes // degree
    mesh = (PeriodicIntervalMesh if periodic else IntervalMesh)(cells, length, comm=MPI.COMM_SELF)
    space = FunctionSpace(mesh, "CG", degree)
    order = np.argsort(node_positions(space).ravel() % (length * (1 - SAME) if periodic else np.inf))
    u, v = TrialFunction(space), TestFunction(space)
    stiffness, mass = (
        assemble(form).M.values[np.ix_(order, order)] for form in (dot(grad(u), grad(v)) * dx, u * v * dx)
    )
    eigenvalues, vectors = eigh(stiffness, mass)
    return np.maximum(eigenvalues, 0.0), vectors, mass @ vectors
