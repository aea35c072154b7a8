"""Mesh files: what is read, and what is refused in one line."""

from itertools import product
from pathlib import Path

import meshio
import numpy as np
import pytest
from firedrake import FunctionSpace, assemble, ds, dx
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.core.spaces import boundary_nodes, disjoint_tags
from fe_phaseinv.data.gmsh_session import empty_model
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.mesh_files import read_mesh, write_mesh
from fe_phaseinv.data.meshes import from_data, mesh_from_file

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
        (SQUARE, [("triangle", [HALVES[0], [0, 1, 3]])], None, "overlapping cells, 1 sides"),
        (SQUARE, [("quad", [[0, 2, 1, 3]])], None, "1 cells that are not convex"),
        (BEYOND, [("triangle", [*HALVES, [0, 1, 4]])], None, "1 cells of no size"),
        (BEYOND, [("triangle", [*HALVES, [0, 4, 2]])], None, "overlapping cells"),
        (SQUARE * [1, np.nan, 1], [("triangle", HALVES)], None, "points that are not finite"),
    ],
)
def test_cells_that_are_refused(tmp_path, points, cells, tags, found):
    path = tmp_path / "bad.msh"
    gmsh(path, points, cells, tags)
    with pytest.raises(InputError) as error:
        read_mesh(path)
    assert str(error.value).startswith(f"{path}: mesh: found {found}")


HALF = [[0, 0, 0], [0.5, 0, 0], [0.5, 1, 0], [0, 1, 0]]
TWO_PARTS = np.vstack([HALF, np.add(HALF, [0.5, 0, 0])])
"""Points of two rectangles, each with its own."""
TWO_CELLS = [("quad", [[0, 1, 2, 3], [4, 5, 6, 7]])]


def test_cells_are_turned_and_listed_once(tmp_path):
    gmsh(tmp_path / "a.msh", SQUARE, [("triangle", [HALVES[0], [0, 3, 2], [1, 2, 0]])])
    data = read_mesh(tmp_path / "a.msh")
    a, b, c = data.points[data.cells].swapaxes(0, 1)
    np.testing.assert_allclose(np.linalg.det(np.stack([b - a, c - a], axis=1)), 1)
    assert len(data.cells) == 2


def test_parts_with_points_of_their_own_are_joined(tmp_path):
    gmsh(tmp_path / "a.msh", TWO_PARTS, TWO_CELLS)
    with pytest.warns(DataWarning, match=r"a\.msh: 2 points lie where others do; they were joined"):
        data = read_mesh(tmp_path / "a.msh")
    assert (len(data.points), len(np.unique(data.cells))) == (6, 6)


def test_parts_that_touch_between_points_are_refused(tmp_path):
    gmsh(tmp_path / "a.msh", TWO_PARTS + np.outer(np.arange(8) > 3, [0, 0.3, 0]), TWO_CELLS)
    with pytest.raises(InputError, match="found 2 points in the middle of sides, where parts touch"):
        read_mesh(tmp_path / "a.msh")


def test_a_noisy_plane_is_flat(tmp_path):
    gmsh(tmp_path / "a.msh", SQUARE + 1e-8 * np.outer(range(4), [0, 0, 1]), [("triangle", HALVES)])
    gmsh(tmp_path / "b.msh", SQUARE + 1e-4 * np.outer(range(4), [0, 0, 1]), [("triangle", HALVES)])
    gmsh(tmp_path / "c.msh", SQUARE[:, [0, 2, 1]], [("triangle", HALVES)])
    with pytest.warns(DataWarning, match=r"b\.msh: z differs by 0\.0003, and is taken to be the same"):
        found = [read_mesh(tmp_path / f"{name}.msh") for name in "abc"]
    for data in found:
        np.testing.assert_array_equal(data.points, SQUARE[:, :2])


CORNERS = [(0, 0), (0.5, 0), (1, 0), (1, 1), (0.5, 1), (0, 1)]
GROUPS = {1: ("all", range(6)), 2: ("low", range(2)), 4: ("cut", [6])}
OPTIONS = ("Mesh.SaveAll", "Mesh.Binary", "Mesh.SaveParametric")


def write_halves(path, version, option, parts):
    """Let gmsh write two halves of a square in the x-z plane, some sides of which are in two groups."""
    options = dict.fromkeys(OPTIONS, 0) | {option: 1}
    with empty_model({"Mesh.MshFileVersion": version, "Mesh.MeshSizeMax": 0.25} | options) as gmsh:
        geometry = gmsh.model.geo
        points = [geometry.addPoint(x, 0, z) for x, z in CORNERS]
        lines = [geometry.addLine(points[i], points[(i + 1) % 6]) for i in range(6)]
        lines.append(geometry.addLine(points[1], points[4]))
        rings = [lines[0], lines[6], lines[4], lines[5]], [lines[1], lines[2], lines[3], -lines[6]]
        halves = [geometry.addPlaneSurface([geometry.addCurveLoop(ring)]) for ring in rings]
        geometry.synchronize()
        for tag, (name, members) in GROUPS.items():
            gmsh.model.addPhysicalGroup(1, [lines[i] for i in members], tag, name)
        gmsh.model.addPhysicalGroup(2, halves, 7, "domain")
        gmsh.model.mesh.generate(2)
        if parts:
            gmsh.model.mesh.partition(parts)
        gmsh.write(str(path))


@pytest.mark.parametrize("parts", [0, 3])
@pytest.mark.parametrize(("version", "option"), [*product([4.1, 2.2], OPTIONS), (4, OPTIONS[0]), (1, OPTIONS[1])])
def test_all_that_gmsh_writes(tmp_path, version, option, parts):
    write_halves(tmp_path / "a.msh", version, option, parts)
    data = read_mesh(tmp_path / "a.msh")
    lengths = np.linalg.norm(np.diff(data.points[data.facets], axis=1)[:, 0], axis=1)
    found = {tag: lengths[data.tags == tag].sum() for tag in np.unique(data.tags)}
    lost = version < 4 and option == "Mesh.SaveAll"  # gmsh writes no groups then
    assert found == ({} if lost else pytest.approx({1: 4, 2: 1, 4: 1}))
    assert data.names == ({} if lost else {name: tag for tag, (name, _) in GROUPS.items()})


def test_a_session_of_gmsh_goes_on_after_reading(tmp_path):
    write_halves(tmp_path / "a.msh", 4.1, "Mesh.SaveAll", 0)
    with open(tmp_path / "a.msh", "a") as file:
        file.write('$NodeData\n1\n"data"\n1\n0\n3\n0\n1\n1\n1 5\n$EndNodeData\n')
    with empty_model({}) as gmsh:
        read_mesh(tmp_path / "a.msh")
        assert (gmsh.model.getEntities(), list(gmsh.view.getTags())) == ([], [])
        assert gmsh.option.getNumber("Mesh.SwitchElementTags") == 0


def test_elements_of_old_files_have_groups_of_their_own(tmp_path):
    """They need not follow the parts of the geometry, of which there is one here."""
    lines = [[0, 1], [1, 2], [1, 2], [0, 2]]
    tags = [np.array([5, 5]), np.array([1, 1, 3, 3])]
    data = {"gmsh:physical": tags, "gmsh:geometrical": [np.ones(2, int), np.ones(4, int)]}
    mesh = meshio.Mesh(SQUARE, [("triangle", HALVES), ("line", lines)], cell_data=data)
    mesh.field_data = {"some": np.array([1, 1]), "others": np.array([3, 1]), "none": np.array([8, 1])}
    mesh.cells[1].data[3] = [1, 3]  # which is no side
    meshio.write(tmp_path / "a.msh", mesh, file_format="gmsh22", binary=False)
    with pytest.warns(DataWarning, match=r"1 elements of groups are no side of a cell; they were left out"):
        found = read_mesh(tmp_path / "a.msh")
    sides = {tuple(facet) for facet in np.column_stack([found.tags, found.facets])}
    assert sides == {(1, 0, 1), (1, 1, 2), (3, 1, 2)}
    assert found.names == {"some": 1, "others": 3}


def test_scripts_are_not_run(tmp_path):
    (tmp_path / "a.msh").write_text(f'SystemCall "touch {tmp_path}/run";\n')
    with pytest.raises(InputError, match="no file of gmsh"):
        read_mesh(tmp_path / "a.msh")
    assert not (tmp_path / "run").exists()


GRIDS = """<Xdmf Version="3.0" xmlns:xi="http://www.w3.org/2001/XInclude"><Domain>
<Grid Name="mesh" GridType="Uniform">
<Topology TopologyType="Triangle" NumberOfElements="2"><DataItem Dimensions="2 3" NumberType="Int" Format="XML">
0 1 2 0 2 3</DataItem></Topology>
<Geometry GeometryType="XY"><DataItem Dimensions="4 2" Format="XML">0 0 1 0 1 1 0 1</DataItem></Geometry>
</Grid>
<Grid Name="facet_tags" GridType="Uniform">
<xi:include xpointer="xpointer(/Xdmf/Domain/Grid/Geometry)"/>
<Topology TopologyType="PolyLine" NumberOfElements="2" NodesPerElement="2">
<DataItem Dimensions="2 2" NumberType="Int" Format="XML">0 1 2 3</DataItem></Topology>
<Attribute Name="facet_tags" AttributeType="Scalar" Center="Cell">
<DataItem Dimensions="2 1" NumberType="Int" Format="XML">4 9</DataItem></Attribute>
</Grid></Domain></Xdmf>"""


def test_a_second_grid_marks_the_sides(tmp_path):
    (tmp_path / "a.xdmf").write_text(GRIDS)
    data = read_mesh(tmp_path / "a.xdmf")
    np.testing.assert_array_equal(data.points, SQUARE[:, :2])
    assert (data.facets.tolist(), data.tags.tolist()) == ([[0, 1], [2, 3]], [4, 9])


@pytest.mark.parallel([1, 3])
def test_sides_with_two_tags(tmp_path):
    facets, tags = np.array([[0, 1], [1, 2], [2, 3], [0, 1], [2, 3]]), np.array([1, 1, 1, 2, 3])
    mesh = from_data(MeshData("triangle", SQUARE[:, :2], np.array(HALVES), facets, tags), COMM_WORLD)
    assert [assemble(1 * ds(tag, domain=mesh)) for tag in (1, 2, 3)] == pytest.approx([3, 1, 1])
    assert [assemble(1 * ds(disjoint_tags(mesh, given), domain=mesh)) for given in ([1, 2], [2, 3])] == pytest.approx(
        [3, 2]
    )
    nodes = [len(boundary_nodes(FunctionSpace(mesh, "CG", 1), tags)) for tags in ([1, 2], [2], [2, 3])]
    assert COMM_WORLD.allreduce(np.array(nodes)).tolist() == [4, 2, 4]
    with pytest.raises(ValueError, match="tags: found .*; accepted: tags of the boundary: 1, 2, 3"):
        disjoint_tags(mesh, [4])


@pytest.mark.parallel([1, 3])
def test_tags_that_share_some_sides_are_refused():
    facets, tags = np.array([[0, 1], [1, 2], [1, 2], [2, 3]]), np.array([1, 1, 2, 2])
    mesh = from_data(MeshData("triangle", SQUARE[:, :2], np.array(HALVES), facets, tags), COMM_WORLD)
    with pytest.raises(ValueError, match="which share some sides"):
        disjoint_tags(mesh, [1, 2])


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
