"""The nodes of a finite element space, as each rank owns them."""

from __future__ import annotations

import numpy as np
from firedrake import DirichletBC, Function, FunctionSpace, SpatialCoordinate, VectorFunctionSpace


def boundary_nodes(space: FunctionSpace) -> np.ndarray:
    """Local numbers of the nodes on the boundary."""
    nodes = DirichletBC(space, 0.0, "on_boundary").nodes
    return nodes[nodes < space.dof_dset.size]


def node_positions(space: FunctionSpace) -> np.ndarray:
    """Return the positions of all nodes, shape (nodes, 2)."""
    positions = VectorFunctionSpace(space.mesh(), space.ufl_element())
    return Function(positions).interpolate(SpatialCoordinate(space.mesh())).dat.data_ro
