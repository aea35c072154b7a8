"""Units: what a unit makes of the typical length and time, and the same movie in several of them."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import periodic_mesh, rectangle_mesh
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.typical import typical_scales
from fe_phaseinv.laws.bases import EvenPowers, Legendre, Powers
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.phase_field_crystal import QuarticCrystal

LENGTH, TIME = 5e-5, 1e5
"""Of the picture in metres and, for a movie of one in its own unit, in seconds."""


def waves(noise=0.0, n=64, count=4, amplitudes=(0.1, 0.15, 0.2)):
    """Waves along x with a wavenumber of 2 pi count, on a square of one, that grow by 0.05 in half a unit of time."""
    x = (np.arange(n) + 0.5) / n
    frames = np.array([0.5 + a * np.cos(2 * np.pi * count * x) * np.ones((n, 1)) for a in amplitudes])
    frames += noise * np.random.default_rng(3).standard_normal(frames.shape)
    return ImageSeries(frames, 0.5 * np.arange(len(frames)), (1.0, 1.0), noise=noise)


def in_units(images, length, time):
    """The same movie, measured otherwise, from the corner and the moment of another place."""
    extent, origin = (tuple(length * np.array(lengths)) for lengths in (images.extent, np.add(images.origin, 0.25)))
    return replace(images, extent=extent, origin=origin, times=time * (images.times + 64))


@pytest.mark.parametrize(("noise", "accuracy"), [(0.0, 0.02), (0.07, 0.1)])
def test_the_length_of_waves_is_the_inverse_of_their_wavenumber(noise, accuracy):
    scales = typical_scales(waves(noise), (0, 1, 2))
    assert scales.length == pytest.approx(1 / (8 * np.pi), rel=accuracy)
    assert scales.time == pytest.approx(0.5 * np.hypot(0.15, 0.2) / np.hypot(0.05, 0.05), rel=accuracy)
    scaled = typical_scales(in_units(waves(noise), LENGTH, TIME), (0, 1, 2))
    assert (scaled.length / LENGTH, scaled.time / TIME) == pytest.approx((scales.length, scales.time), rel=1e-9)


def test_a_part_of_a_picture_or_one_that_shows_nothing_has_scales_too():
    images = waves()
    images.frames.setflags(write=True)
    images.frames[:, :20] = np.nan
    assert typical_scales(images, (0, 2)).length == pytest.approx(1 / (8 * np.pi), rel=0.02)
    flat = ImageSeries(np.full((2, 8, 8), 0.5), [0.0, 3.0], (2.0, 1.0))
    scales = typical_scales(flat, (0, 1))
    assert (scales.length, scales.time) == (pytest.approx(1 / np.pi), 3.0)


def crystal(images):
    """Problem of a crystal with waves on a periodic picture."""
    k = 8 * np.pi / images.extent[0]
    mesh = periodic_mesh(images, 8, MPI.COMM_SELF)
    return pose(images, QuarticCrystal(Powers(3), EvenPowers(3, k)), mesh, Settings(degree=2, boundary="periodic"))


def reaction(images):
    """Problem of an Allen-Cahn equation."""
    return pose(
        images,
        AllenCahn(Legendre(3) + ideal_entropy, Legendre(2)),
        rectangle_mesh(images, 8, MPI.COMM_SELF),
        Settings(degree=2),
    )


@pytest.mark.parametrize("problem", [reaction, crystal])
def test_a_movie_in_other_units_is_the_same_problem(problem):
    costs, gradients, curvatures, starts = [], [], [], []
    images = waves(n=32)
    for movie in (images, in_units(images, LENGTH, TIME)):
        posed = problem(movie)
        objective = posed.objective("intervals", posed.first_regularisation)
        x = posed.coordinates.from_coefficients(posed.coordinates.start)
        point = objective.at(x + 0.01)
        assert np.isfinite(point.value)
        costs.append(point.value)
        gradients.append(point.gradient)
        curvatures.append(point.hessian)
        starts.append(posed.parameters.laws(posed.coordinates.start))
    assert costs[1] == pytest.approx(costs[0], rel=1e-8)
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-6, atol=1e-8 * np.abs(gradients[0]).max())
    np.testing.assert_allclose(curvatures[1], curvatures[0], rtol=1e-6, atol=1e-8 * np.abs(curvatures[0]).max())
    units = {"kinetic_prefactor": 1 / TIME, "gradient_energy": LENGTH**2, "direct_correlation": LENGTH**2 / TIME}
    for name, law in starts[0].items():
        place = 0.3 if "correlation" not in name else 4 * np.pi
        other = starts[1][name](place / LENGTH if "correlation" in name else place)
        unit = units.get(name, LENGTH**2 / TIME if "direct_correlation" in starts[0] else 1.0)
        assert other / unit == pytest.approx(law(place), rel=1e-9), name
