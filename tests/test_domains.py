"""The command on domains of other shapes than that of the picture."""

import json
from pathlib import Path

import numpy as np
import pytest

from fe_phaseinv.cli import main
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.mesh_data import read_mesh

MESHES = Path(__file__).parent.parent / "meshes"
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
[laws.chemical_potential]
size = 3
coefficients = [0, {slope}]
ideal_entropy = true
[laws.diffusivity]
size = {size}
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
    laws = json.loads((tmp_path / "out" / "result.json").read_text())["laws"]
    gauge = 4e-3 / laws["gradient_energy"]["value"]
    values = np.array(laws["diffusivity"]["value"]) / gauge
    assert values == pytest.approx(1, abs=0.15)
    slopes = gauge * np.array(laws["chemical_potential"]["slope"])
    c = np.array(laws["chemical_potential"]["z"])
    assert slopes == pytest.approx(1 / (c * (1 - c)) - 6, abs=0.6)


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
    ],
)
def test_domains_are_refused(folder, tmp_path, capsys, overrides, found):
    settings = [argument for override in overrides for argument in ("--set", override)]
    assert found in refusal(capsys, "invert", folder / "case.toml", "--output", tmp_path / "out", *settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("images", "output", "more", "found"),
    [
        ("whole.npz", "a.msh", [], "whole.npz: images: found an outline that touches the edge"),
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
        "fe-phaseinv mesh: argument --cells: found 0; accepted: an integer > 0"
    ]
