"""The command on domains of other shapes than that of the picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, assemble, cos, dot, dx, grad
from firedrake.petsc import PETSc
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.cli.build import build_mesh, coarse_cells
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.images import load_images
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.mesh_files import read_mesh, write_mesh
from fe_phaseinv.data.meshes import mesh_from_file
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.laws.bases import ConstantBasis, Legendre
from fe_phaseinv.laws.relations import Relation, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

MESHES = Path(__file__).parents[2] / "meshes"
N = 32
X, Y = np.meshgrid(*2 * [(np.arange(N) + 0.5) / N])
BEAN = (np.hypot(X - 0.48, Y - 0.5) < 0.4) & (np.hypot(X - 0.95, Y - 0.5) > 0.25)
CASE = """
model = "cahn-hilliard"
[images]
file = "{file}"
[domain]
mesh = "outline"
cells = 8
degree = 2
[time]
rtol = 3e-3
[laws.chemical_potential]
size = 3
coefficients = [0, {slope}]
ideal_entropy = true
[laws.diffusivity]
size = {size}
coefficients = [0]
[laws.gradient_energy]
initial = {energy}
"""


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a start inside an outline, and what laws make of it on the mesh inside."""
    folder = tmp_path_factory.mktemp("domains")
    start = 0.5 + 0.1 * np.cos(7 * X) * np.cos(9 * Y) + 0.05 * np.cos(13 * X + 5 * Y)
    frames = np.where(BEAN, [start] * 3, np.nan)
    ImageSeries(frames, [0, 0.01, 0.02], (1, 1)).save(folder / "start.npz")
    (folder / "truth.toml").write_text(CASE.format(file="start.npz", slope=-3, size=1, energy=4e-3))
    (folder / "case.toml").write_text(CASE.format(file="true/images.npz", slope=-2, size=2, energy=2e-3))
    assert run("simulate", folder / "truth.toml", "--output", folder / "true") == 0
    return folder


def test_laws_are_learnt_inside_an_outline(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    images = ImageSeries.load(folder / "true" / "images.npz")
    assert (images.mask ^ BEAN).sum() < 0.05 * BEAN.sum()
    assert run("invert", folder / "case.toml", "--output", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    outline, laws = result["images"][0]["outline"], result["laws"]
    assert abs(outline["mean"]) < 0.3 and outline["words"] in (tmp_path / "out" / "log.txt").read_text()
    gauge = 4e-3 / laws["gradient_energy"]["value"]
    values = np.array(laws["diffusivity"]["value"]) / gauge
    assert values == pytest.approx(1, abs=0.15)
    slopes = gauge * np.array(laws["chemical_potential"]["slope"])
    c = np.array(laws["chemical_potential"]["z"])
    assert slopes == pytest.approx(1 / (c * (1 - c)) - 6, abs=0.6)


@pytest.mark.parametrize(
    ("overrides", "known"),
    [
        ([], False),
        (["domain.outline=fixed"], True),
        (["domain.boundary=from-images"], True),
        (["optimizer.hessian=newton"], True),
        (["heterogeneity.deviation=0.3", "heterogeneity.length=0.1"], True),
        (["images.mask=shares"], True),
    ],
)
def test_where_an_outline_is_learnt(folder, overrides, known):
    """But for what depends on it, and for masks that tell more than whole pixels."""
    with np.load(folder / "start.npz") as arrays:
        np.savez(folder / "soft.npz", **arrays, shares=np.where(BEAN, 1.0, 0.3))
    case = read_case(folder / "case.toml", ["images.file=soft.npz", *overrides])
    ((images, _),) = load_images(case)
    assert (build_mesh(case, 0, images, COMM_WORLD).displacement is None) == known


def test_the_mesh_of_an_outline_is_written_alone(folder, tmp_path, capsys):
    path = tmp_path / "new" / "bean.msh"
    assert run("mesh", folder / "start.npz", "--output", path, "--cells", 12) == 0
    data = read_mesh(path)
    assert f"{len(data.cells)} triangles" in capsys.readouterr().out
    assert data.names == {"outside": 1} and set(data.tags) == {1}
    assert run("check", folder / "case.toml", "--set", f"domain.mesh={path}") == 0


def refusal(capsys, *arguments) -> str:
    capsys.readouterr()
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["domain.mesh=rectangle", "domain.boundary=periodic", "domain.mesh=outline"], "found outline; accepted"),
        (["domain.cells=1"], "found no part larger than an element"),
        ([f"domain.mesh={MESHES / 'ball.msh'}"], "ball.msh: mesh: found a mesh in 3 dimensions"),
        ([f"domain.mesh={MESHES / 't_shape.msh'}"], "found -40 < x < 60"),
        (
            ["domain.mesh=rectangle", "domain.boundary=from-images", "domain.tags=[1, 9]"],
            "domain.tags: found [1, 9]; accepted: tags of the boundary: 1, 2, 3, 4",
        ),
        (
            ["domain.boundary=from-images", "domain.tags=['outside', 'ring']"],
            "domain.tags: found ['outside', 'ring']; accepted: tags of the boundary: 1 (\"outside\")",
        ),
    ],
)
def test_domains_are_refused(folder, tmp_path, capsys, overrides, found):
    settings = [argument for override in overrides for argument in ("--set", override)]
    assert found in refusal(capsys, "invert", folder / "case.toml", "--output", tmp_path / "out", *settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["low", "side"], "accepted: groups of which none shares only some of its sides with another"),
        (["none"], 'accepted: tags of the boundary: 1 ("all"), 2 ("low"), 3 ("side")'),
        (["cut"], 'accepted: tags of the boundary: 1 ("all"), 2 ("low"), 3 ("side")'),
    ],
)
def test_groups_of_sides_are_refused(folder, tmp_path, capsys, tags, found):
    """One of the groups has no sides, one is inside, and two share a side."""
    points = 0.25 + 0.5 * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    facets = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 1], [1, 2], [1, 2], [2, 3], [0, 2]])
    groups, names = np.array([1, 1, 1, 1, 2, 2, 3, 3, 4]), {"all": 1, "low": 2, "side": 3, "cut": 4, "none": 5}
    data = MeshData("triangle", points, np.array([[0, 1, 2], [0, 2, 3]]), facets, groups, names)
    write_mesh(tmp_path / "a.msh", data)
    settings = ["--set", f"domain.mesh={tmp_path / 'a.msh'}", "--set", "domain.boundary=from-images"]
    settings += ["--set", f"domain.tags={tags}"]
    line = refusal(capsys, "invert", folder / "case.toml", "--output", tmp_path / "out", *settings)
    assert f"domain.tags: found {tags}; " in line and found in line


@pytest.mark.parametrize(
    ("images", "output", "more", "found"),
    [
        ("whole.npz", "a.msh", [], "whole.npz: images: found data in every pixel, and no outline"),
        ("nowhere.npz", "a.msh", [], "nowhere.npz: file: found"),
        ("start.npz", "a.xyz", [], 'a.xyz: file: found suffix ".xyz"'),
        ("start.npz", "start.npz/a.msh", [], "a.msh: --output: found"),
    ],
)
def test_meshes_are_not_made(folder, capsys, images, output, more, found):
    ImageSeries(np.full((1, 4, 4), 0.5), [0], (1, 1)).save(folder / "whole.npz")
    assert found in refusal(capsys, "mesh", folder / images, "--output", folder / output, *more)
    assert not (folder / output).is_file()


def test_numbers_of_cells_are_refused(folder, capsys):
    with pytest.raises(SystemExit) as caught:
        run("mesh", folder / "start.npz", "--output", folder / "a.msh", "--cells", "0")
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "fe-phaseinv mesh: argument --cells: found 0; accepted: an integer >= 1"
    ]


@pytest.mark.parallel([1, 3])
def test_a_forward_run_in_a_ball():
    """On tetrahedra the mass stays and the free energy falls; iterative and direct solvers agree."""
    mesh = mesh_from_file(MESHES / "ball.msh", COMM_WORLD)
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(2)), Relation("diffusivity", ConstantBasis(), positive), weighted=False
    )
    ends, options = [], PETSc.Options("fe_phaseinv_")
    for solver in ("direct", "krylov"):
        options.setValue("solver", solver)
        forward = ForwardModel(model, mesh, 2, unknown=np.zeros(4, bool))
        options.delValue("solver")
        x, y, z = SpatialCoordinate(mesh)
        c = Function(forward.space).interpolate(0.5 + 0.2 * cos(3 * x) * cos(2 * y) + 0.1 * z)
        masses, energies = [], []
        start = c.dat.data_ro.copy()
        run = forward.run(np.array([0.0, 0.5, 0.0, np.log(1e-2)]), start, [0.0, 0.01, 0.05])
        fields = [forward.layout.component(state, 0) for state in run.states]
        for field in [start, *fields]:
            c.dat.data_wo[:] = field
            masses.append(assemble(c * dx))
            # f' = P_1(c) / 2 = c - 1/2
            energies.append(assemble(((c - 0.5) ** 2 / 2 + 5e-3 * dot(grad(c), grad(c))) * dx))
        assert masses == pytest.approx([masses[0]] * 3, rel=1e-6)
        assert energies[0] > 1.02 * energies[1] > 1.02 * energies[2]
        ends.append(fields[-1])
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-6)


@pytest.mark.parametrize(("wave", "cells", "expected"), [(48, 40, 16), (15, 40, 21), (15, 18, 18), (10, 40, 40)])
def test_the_coarse_level_has_the_cells_that_the_pattern_needs(wave, cells, expected):
    """One for each width of an interface, of which that of waves is the length over pi."""
    x = np.arange(96) + 0.5
    frame = np.broadcast_to(0.5 + 0.4 * np.sin(2 * np.pi * x / wave), (96, 96))
    images = ImageSeries(np.array([frame, frame]), [0, 1], (1, 1))
    assert coarse_cells(images, cells) == expected


def test_a_fine_mesh_of_the_picture_comes_with_a_coarse_one(folder):
    case = read_case(folder / "case.toml", ["domain.mesh=rectangle", "domain.cells=20"])
    x = (np.arange(N) + 0.5) / N
    images = ImageSeries(np.broadcast_to(0.5 + 0.3 * np.cos(np.pi * x), (3, N, N)), [0, 0.01, 0.02], (1, 1))
    built = build_mesh(case, 0, images, COMM_WORLD)
    assert [mesh.num_cells() for mesh in (built.mesh, built.coarse_mesh)] == [400, 256]
    alone = build_mesh(
        read_case(folder / "case.toml", ["domain.mesh=rectangle", "domain.cells=12"]), 0, images, COMM_WORLD
    )
    assert alone.coarse_mesh is None
