"""Fields fitted to pixels: clean and noisy ones, on 1 and 3 ranks."""

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, UnitSquareMesh, cos, pi, sin
from mpi4py import MPI

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import rectangle_mesh
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother


def series(picture, noise=0.0):
    return ImageSeries(np.array([picture]), np.zeros(1), (1.0, 1.0), noise=noise)


def waves(degree=3, pixels=32, comm=MPI.COMM_WORLD, slope=False):
    """Nodal values of a smooth pattern, its space and its pixel averages."""
    mesh = UnitSquareMesh(10, 10, quadrilateral=True, comm=comm)
    space = FunctionSpace(mesh, "CG", degree)
    x, y = SpatialCoordinate(mesh)
    pattern = sin(2 * pi * x + 0.5) * cos(3 * pi * y - 0.3) if slope else cos(2 * pi * x) * cos(3 * pi * y)
    truth = Function(space).interpolate(0.5 + 0.3 * pattern).dat.data_ro.copy()
    view = Pixels(series(np.full((pixels, pixels), 0.5)), space)
    return truth, space, view.picture(view.average(truth))


def largest(space, values):
    return space.mesh().comm.allreduce(float(np.abs(values).max(initial=0)), op=MPI.MAX)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(("degree", "allowed"), [(1, 2e-2), (2, 5e-3), (3, 1e-3)])
def test_clean_pixels_are_reproduced(degree, allowed):
    truth, space, picture = waves(degree)
    assert largest(space, Smoother(Pixels(series(picture), space)).fit(0) - truth) < allowed


@pytest.mark.parallel([1, 3])
def test_a_pattern_that_goes_on_outside_needs_a_free_slope():
    truth, space, picture = waves(slope=True)
    free, flat = (Smoother(Pixels(series(picture), space), flat).fit(0) - truth for flat in (False, True))
    assert largest(space, free) < 1e-3
    assert largest(space, flat) > 3 * largest(space, free)


@pytest.mark.parallel([1, 3])
def test_noise_is_smoothed_away():
    _, space, picture = waves(pixels=48)
    noisy = picture + 0.1 * np.random.default_rng(5).standard_normal(picture.shape)
    clean = Pixels(series(picture), space)

    def error(noise):
        fitted = Smoother(Pixels(series(noisy, noise), space)).fit(0)
        return float(np.sqrt(np.mean((clean.picture(clean.average(fitted)) - picture) ** 2)))

    right = error(0.1)
    assert right < 0.02
    assert right < 0.9 * min(error(0.02), error(0.5))


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("loss", ["huber", "student"])
def test_hot_pixels_are_left_out(loss):
    """The fit is as good as that without them; squares take them for the pattern."""
    _, space, picture = waves(pixels=48)
    noisy = picture + 0.01 * np.random.default_rng(5).standard_normal(picture.shape)
    hot = np.where(np.random.default_rng(6).random(picture.shape) < 0.01, 1.2, noisy)
    clean = Pixels(series(picture), space)

    def error(image, loss):
        fitted = Smoother(Pixels(series(image, 0.01), space, loss)).fit(0)
        return float(np.sqrt(np.mean((clean.picture(clean.average(fitted)) - picture) ** 2)))

    assert error(hot, loss) < 1.25 * error(noisy, "squares") < 0.25 * error(hot, "squares")


@pytest.mark.parallel([1, 3])
def test_pixels_count_by_their_precision():
    """A half that is ten times as noisy is smoothed by the other, and by what is known of its noise."""
    _, space, picture = waves(pixels=48)
    sigma = np.where(np.arange(48) < 24, 0.02, 0.2) * np.ones((48, 1))
    images = series(picture + sigma * np.random.default_rng(5).standard_normal(picture.shape))
    clean = Pixels(series(picture), space)

    def error(images):
        fitted = Smoother(Pixels(images, space)).fit(0)
        return np.sqrt(np.mean((clean.picture(clean.average(fitted)) - picture)[:, :24] ** 2))

    weighted = images.with_sigma(sigma)
    assert error(weighted) < 0.7 * error(images.with_sigma(float(np.sqrt(np.mean(sigma**2)))))
    pixels = Pixels(weighted, space)
    field = Smoother(pixels).unknown(0)
    difference = pixels.precision(0) * np.nan_to_num(pixels.average(field.base) - pixels.frame(0))
    rows = pixels.average(field.modes)
    by_pixels = np.array(pixels.comm.allreduce(rows.T @ difference, op=MPI.SUM))
    assert np.abs(by_pixels + field.gradient(np.zeros(len(by_pixels)))).max() < 1e-6 * np.abs(by_pixels).max()


def test_values_are_kept_within_limits():
    space = FunctionSpace(UnitSquareMesh(6, 6), "CG", 2)
    picture = np.full((12, 12), 0.5)
    picture[6, 6] = 0.99
    fitted = Smoother(Pixels(series(picture), space)).fit(0, (0.45, 0.6))
    assert fitted.min() >= 0.45
    assert fitted.max() == 0.6


@pytest.mark.parallel([1, 3])
def test_missing_pixels_do_not_count():
    space = FunctionSpace(UnitSquareMesh(6, 6, quadrilateral=True), "CG", 2)
    picture = np.full((16, 16), 0.3)
    picture[4:6, 7:9] = np.nan
    assert Smoother(Pixels(series(picture), space)).fit(0) == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("fit", [Smoother.fit, Smoother.unknown])
@pytest.mark.parametrize("factor", [np.nan, 0.0])
def test_a_frame_that_cannot_be_fitted_is_refused(fit, factor):
    """Where the roughness is not finite, and where there is none, so that a pixel tells nothing of the rest."""
    space = FunctionSpace(UnitSquareMesh(6, 6, quadrilateral=True), "CG", 2)
    picture = np.full((16, 16), 0.3)
    picture[1:] = np.nan
    smoother = Smoother(Pixels(series(picture), space))
    smoother._roughness.scale(factor)
    with pytest.raises(InputError, match=r"images\[0\]: found a frame to which no field can be fitted"):
        fit(smoother, 0)


@pytest.mark.parallel([1, 3])
def test_an_unknown_field_starts_at_the_minimum_of_its_own_frame():
    _, space, picture = waves()
    picture = picture + 0.05 * np.random.default_rng(1).standard_normal(picture.shape)
    pixels = Pixels(series(picture, noise=0.05), space)
    field = Smoother(pixels).unknown(0)
    difference = pixels.average(field.base) - pixels.frame(0)
    rows = pixels.average(field.modes)
    by_pixels, curvature = (
        np.array(pixels.comm.allreduce(part, op=MPI.SUM)) for part in (rows.T @ difference, rows.T @ rows)
    )
    gradient = by_pixels + field.gradient(np.zeros(len(by_pixels)))
    step = np.linalg.solve(curvature + field.precision, gradient)
    assert np.abs(by_pixels).max() > 1e-3
    assert np.abs(step).max() < 1e-6
    assert np.linalg.eigvalsh(field.precision).min() > -1e-9 * np.abs(field.precision).max()


@pytest.mark.parametrize(
    ("pixels", "cells", "noise", "unknown"),
    [(16, 6, 0.0, False), (4, 6, 0.0, True), (4, 1, 0.0, False), (16, 6, 0.05, True)],
)
def test_the_start_is_unknown_where_pixels_do_not_resolve_it(pixels, cells, noise, unknown):
    """A wave of so many pixels, on 16 x 16 of them, and 361 or 16 nodes."""
    wave = 0.5 + 0.2 * np.cos(2 * np.pi * np.arange(16) / pixels)
    images = ImageSeries(np.tile(wave, (2, 16, 1)), [0.0, 1.0], (1.0, 1.0), noise=noise)
    model = AllenCahn(
        Relation("chemical_potential", Legendre(2), known=ideal_entropy),
        Relation("kinetic_prefactor", Legendre(1), transform=positive),
    )
    problem = pose(
        images, model, rectangle_mesh(images, cells, MPI.COMM_SELF), Settings(initial={"gradient_energy": 1e-3})
    )
    assert problem.series[0].start_unknown == unknown
