"""Meshes: rectangles over pictures, and gmsh files."""

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, assemble, cos, dx, pi
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv.core.spaces import box
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.meshes import from_data, mesh_from_file, periodic_mesh, rectangle_mesh
from fe_phaseinv.observation.pixels import Pixels

GMSH = """\
$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
4
1 -1 0.5 0
2 2 0.5 0
3 2 2 0
4 -1 2 0
$EndNodes
$Elements
6
1 1 2 1 1 1 2
2 1 2 1 1 2 3
3 1 2 1 1 3 4
4 1 2 1 1 4 1
5 2 2 1 1 1 2 3
6 2 2 1 1 1 3 4
$EndElements
"""


def picture(shape, extent, origin):
    return ImageSeries(np.full((1, *shape), 0.5), [0.0], extent, origin)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(
    "shape, extent, origin, cells, counts",
    [
        ((4, 4), (1.0, 1.0), (0.0, 0.0), 5, (5, 5)),
        ((3, 6), (2.0, 1.0), (-3.0, 7.0), 8, (8, 4)),
        ((9, 2), (0.7, 3.0), (1e3, -1e3), 10, (3, 10)),
        ((2, 9), (30.0, 0.1), (0.0, 0.0), 4, (4, 1)),
    ],
)
def test_rectangle_covers_the_picture(shape, extent, origin, cells, counts):
    images = picture(shape, extent, origin)
    mesh = rectangle_mesh(images, cells, COMM_WORLD)
    low, high = box(mesh)
    np.testing.assert_allclose(low, images.origin, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(high, np.add(images.origin, images.extent), rtol=1e-14)
    assert assemble(1 * dx(domain=mesh)) == pytest.approx(np.prod(extent), rel=1e-9)
    assert mesh.comm.allreduce(mesh.cell_set.size) == np.prod(counts)


@pytest.mark.parametrize("make", [rectangle_mesh, periodic_mesh])
@pytest.mark.parametrize("cells", [0, -3, 2.5, True, "8", None])
def test_numbers_of_cells_that_are_refused(make, cells):
    with pytest.raises(ValueError, match=f"^cells: found {cells!r}; accepted: a positive integer$"):
        make(picture((2, 2), (1.0, 1.0), None), cells, COMM_SELF)


@pytest.mark.parallel([1, 3])
def test_a_tag_of_no_side_is_an_error_on_all_ranks():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    data = MeshData("triangle", square, np.array([[0, 1, 2], [0, 2, 3]]), np.array([[1, 3]]), np.array([7]))
    with pytest.raises(ValueError):
        from_data(data, COMM_WORLD)


@pytest.mark.parallel([1, 3])
def test_gmsh_file(tmp_path):
    path = COMM_WORLD.bcast(tmp_path) / "two.msh"
    if COMM_WORLD.rank == 0:
        path.write_text(GMSH)
    COMM_WORLD.barrier()
    mesh = mesh_from_file(path, COMM_WORLD)
    low, high = box(mesh)
    np.testing.assert_allclose([*low, *high], [-1, 0.5, 2, 2])
    assert mesh.comm.allreduce(mesh.cell_set.size) == 2
    assert assemble(1 * dx(domain=mesh)) == pytest.approx(4.5)


@pytest.mark.parallel([1, 3])
def test_periodic_mesh_shows_a_wave_to_pixels():
    images = ImageSeries(np.zeros((1, 8, 16)), np.zeros(1), (2.0, 1.0), (0.5, -1.0))
    mesh = periodic_mesh(images, 10, COMM_WORLD)
    assert assemble(1 * dx(domain=mesh)) == pytest.approx(2.0)
    space = FunctionSpace(mesh, "CG", 3)
    assert space.dim() == 30 * 15  # nodes on opposite edges are one
    wave = Function(space).interpolate(cos(pi * (SpatialCoordinate(mesh)[0] - 0.5)))
    pixels = Pixels(images, space)
    edges = np.sin(np.pi * np.arange(17) / 8) / np.pi
    expected = np.broadcast_to(np.diff(edges) * 8, (8, 16))
    assert pixels.picture(pixels.average(wave.dat.data_ro.copy())) == pytest.approx(expected, abs=1e-4)
