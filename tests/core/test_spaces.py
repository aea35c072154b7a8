"""Nodes of a space: one order on any number of ranks."""

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, PeriodicRectangleMesh, SpatialCoordinate, cos, pi, sin
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.spaces import NodeOrder, _levels, node_positions
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import periodic_mesh

ranks = pytest.mark.parallel([1, 3])
DEGREE, ORIGIN = 2, (0.5, -1.0)


def torus():
    return periodic_mesh(ImageSeries(np.zeros((1, 6, 12)), [0.0], (2.0, 1.0), ORIGIN), 12, COMM_WORLD)


def tube():
    return PeriodicRectangleMesh(12, 6, 2.0, 1.0, direction="x", quadrilateral=True, comm=COMM_WORLD)


@ranks
@pytest.mark.parametrize(("make", "corner", "rows"), [(torus, ORIGIN, 12), (tube, (0.0, 0.0), 13)])
def test_nodes_of_a_periodic_mesh_have_one_order(make, corner, rows):
    space = FunctionSpace(make(), "CG", DEGREE)
    columns = 12 * DEGREE
    x, y = np.meshgrid(corner[0] + np.arange(columns) * 2 / columns, corner[1] + np.arange(rows) / 12)
    a, b = SpatialCoordinate(space.mesh())
    local = Function(space).interpolate(cos(pi * (a - 0.1)) + sin(2 * pi * b)).dat.data_ro.copy()
    order = NodeOrder(space)
    whole = order.gather(local)
    expected = np.cos(np.pi * (x - 0.1)) + np.sin(2 * np.pi * y)
    np.testing.assert_allclose(whole, expected.ravel(), atol=1e-12)
    np.testing.assert_array_equal(order.scatter(whole), local)
    positions = np.array([order.gather(column) for column in node_positions(space).T])
    np.testing.assert_allclose(positions, [x.ravel(), y.ravel()], atol=1e-12)


def test_rounding_does_not_part_what_is_at_one_place():
    """The middle between two multiples of the tolerance is a place as good as others."""
    middle = 976562.5e-9
    x = np.array([0.0, middle, np.nextafter(middle, 0), np.nextafter(middle, 1), 1.0])
    assert _levels(x, 1e-9).tolist() == [0, 1, 1, 1, 2]
    assert _levels(x[::-1], 1e-9).tolist() == [2, 1, 1, 1, 0]
