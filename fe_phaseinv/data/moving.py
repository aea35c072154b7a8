"""Meshes whose boundary is displaced, with the nodes inside after it."""

from __future__ import annotations

import numpy as np
from firedrake import (
    Constant,
    DirichletBC,
    Function,
    FunctionSpace,
    LinearVariationalProblem,
    LinearVariationalSolver,
    Mesh,
    MeshGeometry,
    TestFunction,
    TrialFunction,
    dx,
    grad,
    inner,
)
from scipy.spatial import KDTree

from fe_phaseinv.core.parallel import any_rank
from fe_phaseinv.core.spaces import boundary_nodes
from fe_phaseinv.data.displacement import Displacement

FLATTENED = 0.2
"""Share of its area below which a displacement may not bring a cell."""
DIRECT = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}


class MovingMesh:
    """A mesh of triangles whose boundary can be displaced; the displacement is harmonic inside. Collective.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
        The mesh at rest.
    displacement : Displacement
        Of the vertices of its boundary.

    Attributes
    ----------
    fields : numpy.ndarray, shape (local vertices, 2, modes)
        Displacement of all vertices by a standard deviation of each mode.
    """

    def __init__(self, mesh: MeshGeometry, displacement: Displacement):
        self.mesh, self.displacement = mesh, displacement
        self._space = space = mesh.coordinates.function_space()
        nodes = boundary_nodes(FunctionSpace(mesh, "CG", 1))
        _, nearest = KDTree(displacement.points).query(mesh.coordinates.dat.data_ro[nodes])
        found, given = Function(space), Function(space)
        u, v, edge = TrialFunction(space), TestFunction(space), DirichletBC(space, given, "on_boundary")
        harmonic = inner(grad(u), grad(v)) * dx
        problem = LinearVariationalProblem(harmonic, inner(Constant((0.0, 0.0)), v) * dx, found, edge)
        solver, columns = LinearVariationalSolver(problem, solver_parameters=DIRECT), []
        for mode, deviation in zip(displacement.modes.transpose(2, 0, 1), displacement.deviations, strict=True):
            given.assign(0)
            given.dat.data_wo[nodes] = deviation * mode[nearest]
            solver.solve()
            columns.append(found.dat.data_ro.copy())
        self.fields = np.stack(columns, axis=-1)

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.displacement)

    def moved(self, shares: np.ndarray) -> MeshGeometry:
        """Return the mesh with its boundary displaced. Collective.

        Parameters
        ----------
        shares : numpy.ndarray, shape (modes,)
            Of the modes, in standard deviations.

        Returns
        -------
        firedrake.MeshGeometry
            With the cells of the mesh at rest, in their order.

        Raises
        ------
        ValueError
            Where cells would be flattened or turned over, on all ranks.
        """
        coordinates = Function(self._space).assign(self.mesh.coordinates)
        coordinates.dat.data_wo[:] += self.fields @ shares
        cells = self._space.cell_node_map().values_with_halo
        before, after = (_areas(each.dat.data_ro_with_halos[cells]) for each in (self.mesh.coordinates, coordinates))
        if any_rank(self.mesh.comm, bool(np.any(after / before < FLATTENED))):
            raise ValueError("the displacement of the boundary flattens cells")
        return Mesh(coordinates)


def _areas(corners: np.ndarray) -> np.ndarray:
    (x, y), (u, v) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return x * v - y * u
