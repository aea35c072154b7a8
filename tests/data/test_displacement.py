"""Displacements of the boundary of a mesh, in modes, and the mesh inside that goes along."""

import numpy as np
import pytest
from firedrake import Constant, assemble, dx
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.spaces import boundary_nodes
from fe_phaseinv.data import displacement as module
from fe_phaseinv.data.displacement import displacement
from fe_phaseinv.data.meshes import from_data
from fe_phaseinv.data.moving import MovingMesh
from fe_phaseinv.data.triangulation import triangulate

PIXEL = (0.05, 0.1)


def circle(x, y, radius, sides=40):
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])


@pytest.fixture(scope="module")
def ring():
    """Two discs, one with a hole: the pixels are twice as high as wide."""
    parts = [[circle(1, 1, 0.8), circle(1, 1, 0.3)], [circle(3, 1, 0.5)]]
    return triangulate("rings", parts, 0.12)


def test_every_ring_has_a_mean_and_waves(ring):
    found = displacement(ring, PIXEL)
    counts = np.bincount(found.rings)
    assert len(counts) == 3 and all(counts % 2 == 1)
    for number, count in enumerate(counts):
        assert count // 2 <= min(found.lengths[number] / module.SHORTEST, 40 / module.SIDES, module.MOST_WAVES)
    assert found.means.sum() == pytest.approx(1) and np.count_nonzero(found.means) == 3
    first = found.deviations[found.rings == 0]
    assert first[0] == module.MEAN and np.sum(first[1:] ** 2) / 2 == pytest.approx(module.OTHERS**2)


def test_displacements_go_out_of_the_domain_by_a_pixel(ring):
    """Out of a disc, and into a hole; along either axis by the side of a pixel there."""
    found = displacement(ring, PIXEL)
    centres = np.where(found.points[:, :1] > 2, [[3, 1]], [[1, 1]])
    away = found.points - centres
    hole = (np.hypot(*away.T) < 0.4)[:, None]
    for number, mode in enumerate(np.flatnonzero(found.means)):
        moves = found.modes[:, :, mode]
        moved = np.any(moves != 0, axis=1)
        assert np.hypot(*(moves[moved] / PIXEL).T) == pytest.approx(1)
        assert np.all(np.sum(np.where(hole, -away, away)[moved] * moves[moved], axis=1) > 0), number


@pytest.mark.parallel([1, 3])
def test_the_mesh_follows_its_boundary(ring):
    """Boundary nodes are displaced as asked; the area grows by the length times the mean."""
    mesh, found = from_data(ring, COMM_WORLD), displacement(ring, (0.05, 0.05))
    moving, shares = MovingMesh(mesh, found), np.zeros(len(found))
    shares[found.means > 0] = 0.01 / found.deviations[found.means > 0]
    moved = moving.moved(shares)
    areas = [assemble(Constant(1.0) * dx(domain=each)) for each in (mesh, moved)]
    lengths = 2 * np.pi * (0.8 + 0.3 + 0.5)
    assert (areas[1] - areas[0]) / (0.01 * 0.05 * lengths) == pytest.approx(1, abs=0.01)
    nodes = boundary_nodes(moved.coordinates.function_space().sub(0).collapse())
    change = (moved.coordinates.dat.data_ro - mesh.coordinates.dat.data_ro)[nodes]
    assert np.hypot(*change.T) == pytest.approx(0.01 * 0.05)


def test_meshes_that_would_be_flattened(ring):
    moving = MovingMesh(from_data(ring, COMM_WORLD), displacement(ring, (0.05, 0.05)))
    shares = np.zeros(len(moving))
    shares[0] = -40
    with pytest.raises(ValueError, match="the displacement of the boundary flattens cells"):
        moving.moved(shares)
