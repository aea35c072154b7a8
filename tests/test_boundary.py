"""Boundary data from images: in space, in time, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import FunctionSpace, UnitSquareMesh

from fe_phaseinv.boundary import from_images, interpolation_error
from fe_phaseinv.errors import InputError
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.spaces import boundary_nodes, node_positions

PIXELS = 32


def pattern(x, y, t):
    return 0.5 + 0.3 * np.exp(-t) * np.sin(5 * x + 0.5) * np.cos(7 * y + 4 * t)


def movie(count, noise=0.0):
    """Pixel averages of the pattern, by a fine midpoint rule."""
    fine = (np.arange(8 * PIXELS) + 0.5) / (8 * PIXELS)
    times = np.linspace(0, 1, count)
    frames = [pattern(fine, fine[:, None], t).reshape(PIXELS, 8, PIXELS, 8).mean((1, 3)) for t in times]
    return ImageSeries(np.array(frames) + noise * np.random.default_rng(0).standard_normal(PIXELS), times, (1.0, 1.0))


def data(images):
    """Boundary data, the positions of the boundary nodes and what else the tests need."""
    mesh = UnitSquareMesh(8, 8, quadrilateral=True)
    space = FunctionSpace(mesh, "CG", 4)
    nodes = boundary_nodes(space)
    return from_images(images, mesh, 3), nodes, *node_positions(space)[nodes].T, mesh


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(("noise", "allowed"), [(0.0, 1e-4), (0.02, 6e-2)])
def test_values_on_the_boundary_are_those_of_the_pattern(noise, allowed):
    outside, nodes, x, y, _ = data(replace(movie(9, noise), noise=noise))
    for time in (0.0, 0.33, 1.0):
        assert np.abs(outside(time)[nodes] - pattern(x, y, time)).max(initial=0) < allowed


@pytest.mark.parallel([1, 3])
def test_the_error_between_frames_is_estimated():
    for count in (5, 7):
        outside, nodes, x, y, mesh = data(movie(count))
        between = (np.arange(count - 1) + 0.5) / (count - 1)
        errors = [outside(time)[nodes] - pattern(x, y, time) for time in between]
        mean = mesh.comm.allreduce(float(np.sum(np.square(errors)))) / mesh.comm.allreduce(np.size(errors))
        assert 0.2 < interpolation_error(outside, mesh, 3) / np.sqrt(mean) < 5


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="images: found 3 frames; accepted: at least 4"):
        data(movie(3))


def test_a_gap_at_the_boundary_is_refused_and_one_inside_is_not():
    frames = movie(5).frames.copy()
    frames[2, 16, 16] = np.nan
    inside = replace(movie(5), frames=frames)
    assert np.isfinite(data(inside)[0](0.5)).all()
    frames = frames.copy()
    frames[3, 0, 5:9] = np.nan
    with pytest.raises(InputError, match=r"images\[3\]: found 4 pixels without data at the boundary"):
        data(replace(inside, frames=frames))
