"""Pixels as averages, on 1 and 3 ranks."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, RectangleMesh, SpatialCoordinate, TrialFunction, UnitSquareMesh

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.observation import samples
from fe_phaseinv.observation.pixels import Pixels


def series(frames, extent=(1.0, 1.0), origin=(0.0, 0.0)):
    frames = np.asarray(frames, float)
    return ImageSeries(frames, np.arange(len(frames), dtype=float), extent, origin)


def averages(integral, n, extent, origin):
    """Exact averages over pixels of the product of two functions, from their integrals."""
    x, y = (o + np.linspace(0, length, k + 1) for o, length, k in zip(origin, extent, n, strict=True))
    return np.outer(np.diff(integral(y)) / np.diff(y), np.diff(integral(x)) / np.diff(x))


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("quadrilateral", [False, True])
def test_averages_of_a_polynomial_are_exact(quadrilateral):
    extent, origin = (2.0, 1.0), (0.5, -1.0)
    mesh = RectangleMesh(8, 4, 2.5, 0.0, originX=0.5, originY=-1.0, quadrilateral=quadrilateral)
    space = FunctionSpace(mesh, "CG", 2)
    x, y = SpatialCoordinate(mesh)
    field = Function(space).interpolate(x * y)
    pixels = Pixels(series(np.full((1, 6, 10), 0.5), extent, origin), space)
    expected = averages(lambda s: s**2 / 2, (10, 6), extent, origin)
    found = pixels.picture(pixels.average(field.dat.data_ro.copy()))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parallel([1, 3])
def test_a_block_of_columns_is_averaged_like_each():
    space = FunctionSpace(UnitSquareMesh(5, 5), "CG", 2)
    pixels = Pixels(series(np.full((1, 7, 7), 0.5)), space)
    x, y = SpatialCoordinate(space.mesh())
    columns = [Function(space).interpolate(f).dat.data_ro.copy() for f in (x, y**2, x * y)]
    together = pixels.average(np.array(columns).T)
    assert together.T == pytest.approx(np.array([pixels.average(c) for c in columns]), abs=1e-13)


@pytest.mark.parallel([1, 3])
def test_missing_pixels_are_left_out_of_a_frame():
    space = FunctionSpace(UnitSquareMesh(6, 6, quadrilateral=True), "CG", 2)
    picture = np.full((16, 16), 0.3)
    picture[4:6, 7:9] = np.nan
    pixels = Pixels(series([picture]), space)
    assert pixels.comm.allreduce(int(np.isfinite(pixels.frame(0)).sum())) == 16 * 16 - 4


def test_pixels_that_the_mesh_cuts_count_where_they_show_its_part():
    space = FunctionSpace(RectangleMesh(4, 4, 0.57, 1.0), "CG", 1)
    images = series(np.full((1, 10, 10), 0.5))
    assert np.isfinite(Pixels(images, space).frame(0)).sum() == 50
    shares = np.broadcast_to(np.r_[np.ones(5), 0.7, np.zeros(4)], (10, 10))
    pixels = Pixels(replace(images, coverage=shares), space)
    assert np.isfinite(pixels.frame(0)).sum() == 60
    x, _ = SpatialCoordinate(space.mesh())
    averages = pixels.average(Function(space).interpolate(x).dat.data_ro.copy())
    row = averages.reshape(10, 10)[3]
    assert row[:5] == pytest.approx(0.05 + 0.1 * np.arange(5))
    assert row[5] == pytest.approx(0.535, abs=0.005)


def test_a_picture_beside_the_mesh_is_refused():
    space = FunctionSpace(UnitSquareMesh(4, 4), "CG", 1)
    with pytest.raises(InputError, match="extent: found .*mesh"):
        Pixels(series(np.full((1, 4, 4), 0.5), origin=(3.0, 3.0)), space)


@pytest.mark.parallel([1, 3])
def test_many_pixels_are_looked_for_piece_by_piece(monkeypatch):
    space = FunctionSpace(UnitSquareMesh(5, 5), "CG", 2)
    field = np.random.default_rng(space.mesh().comm.rank).random(space.dof_dset.total_size)[: space.dof_dset.size]
    images = series(np.full((1, 9, 8), 0.5))
    whole = Pixels(images, space)
    monkeypatch.setattr(samples, "MOST_POINTS", 60)
    pieces = Pixels(images, space)
    assert len(samples.samples(images, space.mesh())) == 5
    np.testing.assert_allclose(pieces.average(field), whole.average(field), rtol=1e-12)
    found, expected = (pixels.averages_of(TrialFunction(space)).norm() for pixels in (pieces, whole))
    assert found == pytest.approx(expected, rel=1e-12) == whole.matrix.norm()


@pytest.mark.parallel([1, 3])
def test_only_pixels_in_small_cells_are_divided():
    mesh = UnitSquareMesh(24, 24, quadrilateral=True)
    mesh.coordinates.dat.data[:] **= 3
    images = series(np.full((1, 10, 10), 0.5))
    found = samples.samples(images, mesh)
    parts = np.zeros(100, int)
    for sample in found:
        parts[sample.pixels] = sample.parts
    parts = parts.reshape(10, 10)
    assert parts[0, 0] == 8 and parts[-1, -1] == 1 and np.all(np.diff(parts) <= 0)
    pixels = Pixels(images, FunctionSpace(mesh, "CG", 1))
    picture = pixels.picture(pixels.average(mesh.coordinates.dat.data_ro[:, 0].copy()))
    np.testing.assert_allclose(picture, np.tile((np.arange(10) + 0.5) / 10, (10, 1)), rtol=1e-12)
