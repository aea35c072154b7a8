"""Mesh files: what is read, and what is refused in one line."""

from pathlib import Path

import meshio
import numpy as np
import pytest
from firedrake import assemble, ds, dx
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.mesh_files import MeshData, read_mesh, write_mesh
from fe_phaseinv.data.meshes import mesh_from_file

MESHES = Path(__file__).parents[2] / "meshes"
SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
HALVES = [[0, 1, 2], [0, 2, 3]]
MIDDLES = [[0.5, 0, 0], [1, 0.5, 0], [0.5, 0.5, 0], [0.5, 1, 0], [0, 0.5, 0]]
HIGHER = [[0, 1, 2, 4, 5, 6], [0, 2, 3, 6, 7, 8]]
BEYOND = np.vstack([SQUARE, [[2, 0, 0]]])


def gmsh(path, points, cells, tags=None):
    """Write a file of gmsh; tags are those of all blocks."""
    data = {"gmsh:physical": tags, "gmsh:geometrical": tags} if tags else None
    meshio.write(path, meshio.Mesh(points, cells, cell_data=data), file_format="gmsh22", binary=False)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(
    ("name", "size", "boundary", "tagged"),
    [
        ("t_shape.msh", 4000, 440, {1: 440}),
        ("kidney.msh", 0.2864, 2.1786, {1: 2.1786}),
        ("disc_with_holes.msh", np.pi * (1 - 0.25**2 - 0.2**2), 2.9 * np.pi, {1: 2 * np.pi, 2: 0.9 * np.pi}),
        ("ball.msh", 4 / 3 * np.pi, 4 * np.pi, {1: 4 * np.pi}),
    ],
)
def test_meshes_of_the_repository(name, size, boundary, tagged):
    mesh = mesh_from_file(MESHES / name, COMM_WORLD)
    rough = 0.05 if name == "ball.msh" else 0.015
    assert assemble(1 * dx(domain=mesh)) == pytest.approx(size, rel=rough)
    assert assemble(1 * ds(domain=mesh)) == pytest.approx(boundary, rel=rough)
    assert {tag: assemble(1 * ds(tag, domain=mesh)) for tag in tagged} == pytest.approx(tagged, rel=rough)
    assert set(mesh.exterior_facets.unique_markers) == set(tagged)


def test_names_of_tags():
    assert read_mesh(MESHES / "disc_with_holes.msh").names == {"outside": 1, "holes": 2}


@pytest.mark.parametrize("suffix", [".msh", ".vtu", ".vtk", ".inp", ".xdmf"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    facets, tags = np.array([[0, 1], [2, 3]]), np.array([3, 7])
    data = MeshData("triangle", SQUARE[:, :2], np.array(HALVES), facets, tags, {"inlet": 3})
    write_mesh(tmp_path / f"square{suffix}", data)
    found = read_mesh(tmp_path / f"square{suffix}")
    np.testing.assert_array_equal(found.points, data.points)
    np.testing.assert_array_equal(found.cells, data.cells)
    if suffix != ".inp":  # which has sets in place of numbers
        np.testing.assert_array_equal(found.facets, facets)
        np.testing.assert_array_equal(found.tags, tags)
    assert found.names == ({"inlet": 3} if suffix == ".msh" else {})
    assert not list(tmp_path.glob(".*"))


def test_a_surface_keeps_its_three_coordinates(tmp_path):
    raised = SQUARE + [[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    gmsh(tmp_path / "slope.msh", raised, [("triangle", HALVES)])
    data = read_mesh(tmp_path / "slope.msh")
    assert (data.dimension, data.points.shape, data.facets.shape) == (2, (4, 3), (0, 2))
    assert assemble(1 * dx(domain=mesh_from_file(tmp_path / "slope.msh", COMM_WORLD))) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("points", "cells", "tags", "found"),
    [
        (SQUARE, [("line", [[0, 1]])], None, "cells of type line"),
        (SQUARE, [("triangle", HALVES[:1]), ("quad", [[0, 1, 2, 3]])], None, "cells of type quad, triangle"),
        (np.vstack([SQUARE, MIDDLES]), [("triangle6", HIGHER)], None, "cells of type triangle6"),
        (SQUARE, [("triangle", [*HALVES, [1, 2, 0]])], None, "1 duplicate cells"),
        (SQUARE, [("triangle", [HALVES[0], [0, 3, 2]])], None, "1 inverted cells"),
        (SQUARE, [("quad", [[0, 2, 1, 3]])], None, "1 inverted cells"),
        (BEYOND, [("triangle", [*HALVES, [0, 1, 4]])], None, "1 cells of no size"),
        (BEYOND, [("triangle", [*HALVES, [0, 4, 2]])], None, "overlapping cells"),
        (SQUARE * [1, np.nan, 1], [("triangle", HALVES)], None, "points that are not finite"),
        (SQUARE, [("triangle", HALVES), ("line", [[1, 3]])], [[1, 1], [1]], "1 boundary elements that are no side"),
    ],
)
def test_cells_that_are_refused(tmp_path, points, cells, tags, found):
    path = tmp_path / "bad.msh"
    gmsh(path, points, cells, tags)
    with pytest.raises(InputError) as error:
        read_mesh(path)
    assert str(error.value).startswith(f"{path}: mesh: found {found}")


GOOD = (MESHES / "kidney.msh").read_text()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("absent.msh", None, "no such file"),
        ("mesh.xyz", GOOD, "unreadable"),
        ("mesh.vtu", GOOD, "unreadable"),
        ("empty.msh", "", "unreadable"),
        ("text.msh", "no mesh\n", "unreadable"),
        ("cut.msh", GOOD[:2000], "unreadable"),
        ("cut.vtk", "# vtk DataFile Version 5.1\n", "unreadable"),
    ],
)
def test_files_that_are_refused(tmp_path, capfd, name, content, found):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as error:
        read_mesh(path)
    line = str(error.value)
    assert line.startswith(f"{path}: mesh: found {found}") and "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_no_mesh(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_mesh(tmp_path)


def test_unknown_formats_are_not_written(tmp_path):
    with pytest.raises(InputError, match=r'found suffix "\.xyz"'):
        write_mesh(tmp_path / "mesh.xyz", read_mesh(MESHES / "kidney.msh"))
    assert not list(tmp_path.iterdir())
