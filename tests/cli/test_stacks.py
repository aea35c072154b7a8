"""Stacks of images: what the library does in two dimensions it does in three."""

import json
from pathlib import Path

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, UnitCubeMesh, cos, pi
from mpi4py.MPI import COMM_SELF, COMM_WORLD
from PIL import Image

from fe_phaseinv.cli.command import main
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.spaces import box
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import mesh_from_file, periodic_mesh, rectangle_mesh
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.matern import FieldPrior, Matern
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother

MESHES = Path(__file__).parents[2] / "meshes"
SHAPE, EXTENT, ORIGIN = (4, 6, 8), (2.0, 1.5, 1.0), (-1.0, 0.5, 3.0)
SIDES = (0.8, 0.6, 0.4)
CASE = """
model = "cahn-hilliard"
[images]
file = "{file}"
[domain]
mesh = "box"
cells = 3
[time]
rtol = 3e-3
[laws.chemical_potential]
size = 3
coefficients = [0, {slope}]
ideal_entropy = true
[laws.diffusivity]
size = 1
coefficients = [0]
[laws.gradient_energy]
initial = {energy}
"""


def stack(frames, **others):
    return ImageSeries(frames, np.arange(len(frames)), others.pop("extent", (1.0, 1.0, 1.0)), **others)


def grid(shape=SHAPE, extent=EXTENT, origin=ORIGIN):
    """Give the middles of the pixels along z, y and x, as arrays that can be combined."""
    along = zip(shape, extent[::-1], origin[::-1], strict=True)
    return np.ix_(*(low + length * (np.arange(n) + 0.5) / n for n, length, low in along))


def refusal(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_stack_knows_its_place():
    series = stack(np.full((2, *SHAPE), 0.5), extent=EXTENT)
    assert (series.dimension, series.shape, series.pixel, series.origin) == (3, SHAPE, (0.25, 0.25, 0.25), (0, 0, 0))
    found = refusal(ImageSeries, np.full((2, *SHAPE), 0.5), [0, 1], (1.0,))
    assert found == "images: extent: found (1.0,); accepted: three finite numbers"
    channels = ImageSeries(np.full((2, *SHAPE), 0.5), [0, 1], (1.0, 1.0))
    assert (channels.channels, channels.dimension, channels.shape) == (SHAPE[0], 2, SHAPE[1:])


def test_windows_and_blocks_of_a_stack():
    series = stack(np.random.default_rng(0).random((2, *SHAPE)), extent=EXTENT, origin=ORIGIN, noise=0.1)
    window = series.crop((-0.5, 0.5), (1.0, 2.0), (3.25, 3.75))
    np.testing.assert_array_equal(window.frames, series.frames[:, 1:3, 2:6, 2:6])
    assert (window.extent, window.origin) == ((1.0, 1.0, 0.5), (-0.5, 1.0, 3.25))
    assert series.crop((-0.5, 0.5), (1.0, 2.0)).shape == (4, 4, 4)
    coarse = series.downsample(2)
    assert coarse.frames[1, 1, 2, 3] == pytest.approx(series.frames[1, 2:4, 4:6, 6:8].mean())
    assert coarse.noise == pytest.approx(0.1 / np.sqrt(8))
    flat = ImageSeries(np.full((1, 4, 4), 0.5), [0], (1, 1))
    assert "crop.z: found (0, 1); accepted: ranges of x and y alone" in refusal(flat.crop, (0, 1), (0, 1), (0, 1))


def test_noise_of_a_stack_is_estimated():
    z, y, x = grid((16, 16, 16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    noise = 0.05 * np.random.default_rng(1).standard_normal((2, 16, 16, 16))
    assert stack(0.5 + 0.2 * np.cos(4 * x + y) * z + noise).estimate_noise() == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("dimension", [2, 3])
def test_averages_are_interpolated(dimension):
    """A product of quartics is found again from its averages."""
    ends = np.linspace(0, 1, 9)
    along = np.diff(ends**5 / 5 - ends**2 / 2) / np.diff(ends)
    frames = np.multiply.outer(along, along)
    frames = np.multiply.outer(frames, along) if dimension == 3 else frames
    series = ImageSeries(frames[None], [0], (1,) * dimension)
    points = np.random.default_rng(2).random((50, dimension))
    np.testing.assert_allclose(series.interpolate(0, points), np.prod(points**4 - points, axis=1), atol=1e-12)


def test_files_of_stacks(tmp_path):
    frames = np.random.default_rng(3).integers(0, 256, (3, *SHAPE)).astype(np.uint8)
    for number, pages in enumerate(frames):
        first, *rest = [Image.fromarray(page[::-1].copy()) for page in pages]
        first.save(tmp_path / f"time{number}.tif", save_all=True, append_images=rest)
    (tmp_path / "images.toml").write_text("times = [0, 1, 2]\nextent = [2, 1.5, 1]\norigin = [-1, 0.5, 3]")
    series = ImageSeries.load(tmp_path)
    np.testing.assert_array_equal(series.frames, frames / 255)
    assert (series.extent, series.origin) == (EXTENT, ORIGIN)
    series.save(tmp_path / "saved.npz")
    np.testing.assert_allclose(ImageSeries.load(tmp_path / "saved.npz").frames, series.frames, atol=1e-7)
    first.save(tmp_path / "time3.tif")
    assert (
        "images: found 4 files of images, of 4 x 6 x 8 (uint8), 6 x 8 (uint8); accepted: at least one, all of"
        in refusal(ImageSeries.load, tmp_path)
    )


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("hexahedral", [False, True])
def test_averages_over_pixels_of_a_stack_are_exact(hexahedral):
    space = FunctionSpace(UnitCubeMesh(3, 3, 3, hexahedral=hexahedral, comm=COMM_WORLD), "CG", 2)
    x, y, z = SpatialCoordinate(space.mesh())
    field = Function(space).interpolate(x * y + z**2)
    pixels = Pixels(stack(np.full((1, 3, 6, 9), 0.5)), space)
    z, y, x = grid((3, 6, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    expected = x * y + z**2 + (1 / 3) ** 2 / 12
    assert pixels.picture(pixels.average(field.dat.data_ro.copy())) == pytest.approx(expected, abs=1e-12)
    assert pixels.blocks(3).sum(axis=1) == pytest.approx(1)
    assert pixels.blocks(3).shape[1] == 1 * 2 * 3


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_field_is_fitted_to_a_stack(noise):
    space = FunctionSpace(UnitCubeMesh(3, 3, 3, hexahedral=True, comm=COMM_WORLD), "CG", 3)
    x, y, z = SpatialCoordinate(space.mesh())
    truth = Function(space).interpolate(0.5 + 0.3 * cos(pi * x) * cos(2 * pi * y) * cos(pi * z)).dat.data_ro.copy()
    view = Pixels(stack(np.full((1, 10, 10, 10), 0.5)), space)
    picture = view.picture(view.average(truth))
    picture += noise * np.random.default_rng(4).standard_normal(picture.shape)
    fitted = Smoother(Pixels(stack(picture[None], noise=noise), space)).fit(0)
    squares, count = COMM_WORLD.allreduce(np.array([np.sum((fitted - truth) ** 2), truth.size]))
    assert np.sqrt(squares / count) < (0.5 * noise if noise else 1e-3)


@pytest.mark.parallel([1, 3])
def test_data_on_the_boundary_of_a_ball():
    """A window that the ball does not fill gives values and gradients on its surface."""
    mesh = mesh_from_file(MESHES / "ball.msh", COMM_WORLD)
    low, high = box(mesh)
    origin, extent = low - 0.1, high - low + 0.2
    z, y, x = grid((20, 20, 20), extent, origin)
    frames = np.array([0.5 + 0.1 * np.cos(x + 2 * y) * np.cos(z) * (1 - time) for time in np.linspace(0, 0.3, 4)])
    outside = from_images(stack(frames, extent=extent, origin=origin), mesh, 1)
    space = FunctionSpace(mesh, "CG", 2)
    x, y, z = SpatialCoordinate(mesh)
    truth = Function(space).interpolate(0.5 + 0.09 * cos(x + 2 * y) * cos(z)).dat.data_ro
    assert COMM_WORLD.allreduce(np.abs(outside(1.0) - truth).max(initial=0), op=max) < 2e-3


def test_boxes_are_where_the_stack_is():
    series = stack(np.full((1, *SHAPE), 0.5), extent=EXTENT, origin=ORIGIN)
    for make, cells in ((rectangle_mesh, 8 * 6 * 4), (periodic_mesh, 8 * 6 * 4)):
        mesh = make(series, 8, COMM_SELF)
        assert (mesh.ufl_cell().cellname, mesh.num_cells()) == ("hexahedron", cells)
        np.testing.assert_allclose(box(mesh), [ORIGIN, np.add(ORIGIN, EXTENT)])
        divided = make(series, 8, COMM_SELF, tetrahedra=True)
        assert (divided.ufl_cell().cellname, divided.num_cells()) == ("tetrahedron", 6 * cells)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a start, and what laws make of it, in a box of another length along each side."""
    folder = tmp_path_factory.mktemp("stacks")
    ImageSeries(waves(), [0, 0.02, 0.04], SIDES).save(folder / "start.npz")
    (folder / "truth.toml").write_text(CASE.format(file="start.npz", slope=-3, energy=1e-2))
    (folder / "case.toml").write_text(CASE.format(file="true/images.npz", slope=-2, energy=2e-2))
    return folder


def waves():
    z, y, x = grid((6, 9, 12), SIDES, (0.0, 0.0, 0.0))
    start = 0.5 + 0.1 * np.cos(5 * np.pi * x / 2.4) * np.cos(np.pi * y / 0.6) + 0.1 * np.cos(np.pi * z / 0.4)
    return np.array([start] * 3)


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_laws_are_learnt_from_stacks(folder):
    settings = ["--set", "time.rtol=1e-2", "--set"]
    assert run("simulate", folder / "truth.toml", "--output", folder / "true", *settings, "domain.cells=4") == 0
    assert run("invert", folder / "case.toml", "--output", folder / "out", *settings, "images.frames=[1]") == 0
    laws = json.loads((folder / "out" / "result.json").read_text())["laws"]
    assert laws["gradient_energy"]["value"] == pytest.approx(1e-2, rel=0.05)
    assert laws["diffusivity"]["value"] == pytest.approx(np.ones(201), abs=0.05)
    assert laws["chemical_potential"]["coefficients"][1] == pytest.approx(-3, rel=0.05)
    assert (folder / "out" / "frames.png").stat().st_size > 10_000


@pytest.mark.parallel(3)
def test_the_cost_of_a_stack_is_the_same_on_all_ranks():
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation("diffusivity", Legendre(1), transform=positive),
    )
    images, points = ImageSeries(waves(), [0, 0.02, 0.04], SIDES), []
    start = {"chemical_potential": [0, -3], "gradient_energy": [np.log(1e-2)]}
    for comm in (COMM_WORLD, COMM_SELF):
        settings = Settings(initial=start, degree=2, tolerances=Tolerances(rtol=1e-2))
        problem = pose(images, model, rectangle_mesh(images, 2, comm), settings)
        objective = problem.objective("trajectory", problem.first_regularisation)
        points.append(objective.at(problem.coordinates.from_coefficients(problem.coordinates.start)))
    assert points[0].value == pytest.approx(points[1].value, rel=1e-8)
    np.testing.assert_allclose(points[0].gradient, points[1].gradient, rtol=1e-6)


def test_fields_of_a_stack_have_priors_on_tetrahedra():
    series = ImageSeries(waves(), [0, 0.02, 0.04], SIDES)
    spaces = [
        FunctionSpace(rectangle_mesh(series, 2, COMM_SELF, tetrahedra=tetrahedra), "CG", 1)
        for tetrahedra in (True, False)
    ]
    prior = FieldPrior(Matern(0.5, 0.3), spaces[0])
    field = np.arange(spaces[0].dim(), dtype=float)
    np.testing.assert_allclose(prior.covariance(prior.precision(field)), field, atol=1e-8)
    with pytest.raises(ValueError, match="a field on hexahedra can have no prior"):
        FieldPrior(Matern(0.5, 0.3), spaces[1])


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["domain.mesh=outline"], "start.npz: images: found stacks of images; accepted: single images, or a mesh file"),
        ([f"domain.mesh={MESHES / 'kidney.msh'}"], "mesh: found a mesh in 2 dimensions; accepted: a mesh in 3, as"),
        (
            [f"domain.mesh={MESHES / 'ball.msh'}"],
            "a mesh inside the picture, 0 < x < 0.8, 0 < y < 0.6, 0 < z < 0.4",
        ),
    ],
)
def test_other_domains_are_refused(folder, tmp_path, capsys, overrides, found):
    settings = [argument for override in overrides for argument in ("--set", override)]
    capsys.readouterr()
    assert run("invert", folder / "truth.toml", "--output", tmp_path / "out", *settings) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert found in line
    assert not (tmp_path / "out").exists()
