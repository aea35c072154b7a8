"""Outlines: from the pixels with data to meshes of their domain."""

import sys
from contextlib import nullcontext
from dataclasses import replace

import gmsh
import numpy as np
import pytest
from firedrake import assemble, ds, dx
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.core.spaces import box
from fe_phaseinv.data.background import without_background
from fe_phaseinv.data.closure import cut_width, doubt_balance, doubt_window
from fe_phaseinv.data.gmsh_session import import_gmsh
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import outline_mesh
from fe_phaseinv.data.outline import cells_across, mesh_outline, outline
from fe_phaseinv.data.triangulation import HOLES, OUTSIDE, triangulate

N = 100
X, Y = np.meshgrid(*2 * [np.arange(N) + 0.5])


def disc(x, y, radius):
    return np.hypot(X - x, Y - y) < radius


def show(inside, frames=0.5):
    frames = np.where(inside, np.reshape(frames, (-1, 1, 1)) * np.ones((N, N)), np.nan)
    return ImageSeries(frames, np.arange(len(frames)), (2.0, 2.0), (1.0, -3.0))


RING_AND_DISC = disc(30, 50, 22) & ~disc(30, 50, 8) | disc(75, 50, 18)


@pytest.mark.parallel([1, 3])
def test_particles_and_holes():
    mesh = outline_mesh(show(RING_AND_DISC), 40, COMM_WORLD, width=0.0)
    pixel = 2 / N
    assert assemble(1 * dx(domain=mesh)) == pytest.approx(np.pi * (22**2 - 8**2 + 18**2) * pixel**2, rel=0.01)
    assert assemble(1 * ds(OUTSIDE, domain=mesh)) == pytest.approx(2 * np.pi * (22 + 18) * pixel, rel=0.01)
    assert assemble(1 * ds(HOLES, domain=mesh)) == pytest.approx(2 * np.pi * 8 * pixel, rel=0.03)
    low, high = box(mesh)
    np.testing.assert_allclose(low, [1 + 8 * pixel, -3 + 28 * pixel], atol=0.3 * pixel)
    np.testing.assert_allclose(high, [1 + 93 * pixel, -3 + 72 * pixel], atol=0.3 * pixel)


def test_dead_pixels_and_specks_are_left_out():
    inside = RING_AND_DISC | disc(90, 90, 1.5)
    inside[50, 75] = False
    parts = outline(show(inside), 0.08)
    assert sorted(len(rings) for rings in parts) == [1, 2]


def test_the_width_moves_the_outline():
    (small,), (large,) = (outline(show(disc(50, 50, 30)), 0.05, width)[0] for width in (0.0, 0.6))
    radii = [np.hypot(*(ring - (2.0, -2.0)).T).mean() * N / 2 for ring in (small, large)]
    assert radii == pytest.approx([30.0, 30.6], abs=0.1)


@pytest.mark.parametrize(("rule", "width"), [("centre", 0.0), ("whole", 0.64)])
def test_what_is_conserved_tells_the_width(rule, width):
    """Radial waves that are flat at the edge of a disc, and whose integral over it is always the same."""
    radius = 40.3
    reach = 0.5 * (np.abs(np.cos(angle := np.arctan2(Y - 50, X - 50))) + np.abs(np.sin(angle)))
    inside = np.hypot(X - 50, Y - 50) + (reach if rule == "whole" else 0) < radius
    wave = np.cos(np.pi * np.hypot(X - 50, Y - 50) / radius) + 4 / np.pi**2
    frames = 0.5 + np.array([0.0, 0.3, -0.2])[:, None, None] * wave
    images = ImageSeries(np.where(inside, frames, np.nan), [0, 1, 2], (1, 1))
    assert cut_width(images) == pytest.approx(width, abs=0.1)


def test_the_width_of_noisy_pixels_is_that_expected():
    rng = np.random.default_rng(1)
    frames = np.where(disc(50, 50, 30), 0.5 + 0.3 * rng.standard_normal((3, N, N)), np.nan)
    images = ImageSeries(frames, [0, 1, 2], (1, 1), noise=0.3)
    assert cut_width(images) == pytest.approx(0.32, abs=0.15)


@pytest.mark.parametrize(
    ("inside", "size", "width", "found"),
    [
        (np.ones((N, N), bool), 0.1, 0.0, "data in every pixel, and no outline"),
        (disc(50, 50, 5), 0.5, 0.0, "no part larger than an element"),
    ],
)
def test_outlines_that_are_refused(inside, size, width, found):
    with pytest.raises(InputError, match=f"images: found {found}"):
        outline(show(inside), size, width)


def test_an_outline_goes_on_beyond_the_edge_of_the_picture():
    ((ring,),) = outline(show(disc(30, 50, 30.5)), 0.05, 0.3)
    assert np.hypot(*(ring - (1.6, -2.0)).T) * N / 2 == pytest.approx(np.full(len(ring), 30.6), abs=0.4)


def test_an_outline_is_where_half_of_a_pixel_is_covered():
    fine = np.hypot(*np.meshgrid(*2 * [(np.arange(8 * N) + 0.5) / 8 - 50.3])) < 12
    shares = fine.reshape(N, 8, N, 8).mean(axis=(1, 3))
    images = ImageSeries(np.full((1, N, N), 0.5), [0], (N, N), coverage=shares)
    ((ring,),) = outline(images, 1.0, cut_width(images))
    assert np.hypot(*(ring - 50.3).T) == pytest.approx(np.full(len(ring), 12), abs=0.1)


@pytest.mark.parametrize(
    ("inside", "pixels"),
    [(disc(50, 50, 30), 2.5), (disc(50, 50, 9), 0.75), ((abs(Y - 50) < 3) & (abs(X - 50) < 45), 2)],
)
def test_elements_follow_the_size_and_the_width(inside, pixels):
    assert N / cells_across(show(inside)) == pytest.approx(pixels, rel=0.05)


def test_elements_are_larger_where_noise_hides_what_they_leave():
    frames = np.where(disc(50, 50, 30), 0.5 + 0.3 * np.cos(0.3 * X), np.nan)[None]
    clean = ImageSeries(frames, [0], (N, N))
    assert N / cells_across(replace(clean, noise=0.05)) == pytest.approx(60 / 16, rel=0.05)
    assert cells_across(replace(clean, noise=0.005)) == cells_across(clean)


def test_particles_of_six_pixels_are_meshed():
    inside = (abs(Y - 50) < 3) & (abs(X - 50) < 20)
    data = mesh_outline(show(inside), cells_across(show(inside)))
    a, b, c = data.points[data.cells].swapaxes(0, 1)
    area = np.linalg.det(np.stack([b - a, c - a], axis=1)).sum() / 2
    assert area * (N / 2) ** 2 == pytest.approx(6.64 * 40.64, rel=0.05)


WAVES = 0.5 + 0.3 * np.cos(0.3 * X + 0.2 * Y) * np.array([1.0, 1.3, -0.8])[:, None, None]


def test_what_passes_the_outline_is_said():
    images = ImageSeries(np.where(disc(47, 52, 22), WAVES, np.nan), [0, 1, 2], (1, 1))
    with pytest.warns(DataWarning, match=r"the sum of the pixels of the domain changes by .*: something passes it"):
        doubt_balance(images)


@pytest.mark.parametrize("turn", range(4))
def test_a_domain_that_the_picture_cuts_is_told_from_one_that_touches_its_edge(turn, recwarn):
    doubt_window(show(np.rot90(disc(30, 50, 30.5), turn)))
    assert not recwarn
    with pytest.warns(DataWarning, match="the domain meets the (left|lower|right|upper) edge of the picture along"):
        doubt_window(show(np.rot90(disc(20, 50, 30), turn)))


def test_a_constant_background_has_no_data():
    inside = disc(47, 52, 30)
    inside[52, 47] = False  # a dark pixel amidst the others is data
    with pytest.warns(DataWarning, match=r"\d+ pixels around the rest, always 0, are taken for no data"):
        images = without_background(ImageSeries(np.where(inside, WAVES, 0), [0, 1, 2], (1, 1)))
    inside[52, 47] = True
    np.testing.assert_array_equal(images.mask, inside)


def test_pixels_averaged_with_the_background_are_left_out():
    shares = np.where(disc(47, 52, 30), 1, np.where(disc(47, 52, 31), 0.5, 0))
    with pytest.warns(DataWarning):
        images = without_background(ImageSeries(WAVES * shares, [0, 1, 2], (1, 1)))
    assert (shares[images.mask] == 1).all() and images.mask.sum() > 0.9 * (shares == 1).sum()


@pytest.mark.parametrize("frames", [WAVES, np.where(disc(47, 52, 30), WAVES, np.nan)])
def test_pictures_without_a_background_stay(frames):
    images = ImageSeries(frames, [0, 1, 2], (1, 1))
    assert without_background(images) is images


@pytest.mark.parametrize(("cells", "width", "found"), [(0, 0.0, "cells: found 0;"), (9, np.nan, "width: found nan;")])
def test_numbers_that_are_refused(cells, width, found):
    with pytest.raises(ValueError, match=found):
        mesh_outline(show(disc(50, 50, 30)), cells, width)


def test_sides_that_cross_are_refused():
    bow = np.array([[0, 0], [1, 1], [1, 0], [0, 1]], float)
    with pytest.raises(InputError, match=r"a\.npz: domain\.mesh: found an outline whose sides cross"):
        triangulate("a.npz", [[bow]], 0.3)


def test_meshing_is_repeatable():
    parts = outline(show(RING_AND_DISC), 0.08)
    first, second = (triangulate("", parts, 0.08) for _ in range(2))
    np.testing.assert_array_equal(first.cells, second.cells)
    np.testing.assert_array_equal(first.points, second.points)


@pytest.fixture
def session():
    """A session of gmsh as a user may have one: two models, the first of them the current one, and own options."""
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    for name, value in OWN_OPTIONS.items():
        gmsh.option.setNumber(name, value)
    for name in ("mine", "other"):
        gmsh.model.add(name)
    gmsh.model.setCurrent("mine")
    gmsh.model.geo.addPoint(0, 0, 0)
    gmsh.model.geo.synchronize()
    yield
    gmsh.finalize()


OWN_OPTIONS = {"General.Terminal": 0, "Mesh.ElementOrder": 2, "Mesh.MeshSizeMax": 7, "Mesh.Algorithm": 5}


@pytest.mark.parametrize("crossing", [False, True])
def test_a_session_of_gmsh_goes_on_as_it_was(request, crossing):
    ring = np.array([[0, 0], [1, 1], [1, 0], [0, 1]] if crossing else [[0, 0], [1, 0], [1, 1], [0, 1]], float)
    with pytest.raises(InputError) if crossing else nullcontext():
        alone = triangulate("", [[ring]], 0.3)
    assert not gmsh.isInitialized()
    request.getfixturevalue("session")
    with pytest.raises(InputError) if crossing else nullcontext():
        found = triangulate("", [[ring]], 0.3)
        np.testing.assert_array_equal(found.cells, alone.cells)
        np.testing.assert_array_equal(found.points, alone.points)
    assert gmsh.model.getCurrent() == "mine"
    assert sorted(gmsh.model.list()) == ["", "mine", "other"]
    assert gmsh.model.getEntities() == [(0, 1)]
    assert {name: gmsh.option.getNumber(name) for name in OWN_OPTIONS} == OWN_OPTIONS


@pytest.mark.parametrize(
    ("library", "accepted"),
    [
        ("libGLU.so.1", "libglu1-mesa (Debian, Ubuntu) or mesa-libGLU (Fedora), installed"),
        ("libXft.so.2", "the package of the system that holds it, installed"),
    ],
)
def test_a_library_that_gmsh_lacks_is_named(monkeypatch, library, accepted):
    class Absent:
        """A finder of modules that fails as the loader of libraries does."""

        def find_spec(self, name, path, target=None):
            if name == "gmsh":
                raise OSError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.delitem(sys.modules, "gmsh")
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(InputError) as error:
        import_gmsh()
    found = "cannot open shared object file: No such file or directory"
    assert str(error.value) == f"gmsh: {library}: found {found}; accepted: {accepted}"
