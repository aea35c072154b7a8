"""Boundary data from images: in space, in time, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import FunctionSpace, RectangleMesh, UnitSquareMesh

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.spaces import boundary_nodes, node_positions
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import ConstantBasis, Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.observation.boundary import from_images, interpolation_error
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother

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


def test_data_on_a_part_of_the_boundary():
    """The right half of a closed box: its left side has data, and nothing passes the others."""
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(2), known=ideal_entropy),
        Relation("diffusivity", ConstantBasis(), positive),
    )
    m, times = np.array([0.0, -1.5, 0.0, np.log(2e-2)]), np.linspace(0, 0.05, 9)

    def forward(mesh, boundary_data=None):
        return ForwardModel(
            model, mesh, 3, unknown=np.zeros(4, bool), tolerances=Tolerances(rtol=1e-4), boundary_data=boundary_data
        )

    whole = forward(UnitSquareMesh(8, 8, quadrilateral=True))
    x, y = node_positions(whole.space).T
    start = 0.5 + 0.3 * np.cos(np.pi * x) + 0.1 * np.cos(2 * np.pi * x) * np.cos(np.pi * y)
    blank = ImageSeries(np.full((9, PIXELS, PIXELS), 0.5), times, (1, 1))
    pixels = Pixels(blank, whole.space)
    states = [start, *(whole.layout.component(state, 0) for state in whole.run(m, start, times).states)]
    images = replace(blank, frames=np.array([pixels.picture(pixels.average(c)) for c in states]))
    images = images.crop((0.5, 1), (0, 1))

    mesh = RectangleMesh(4, 8, 1.0, 1.0, originX=0.5, quadrilateral=True)
    errors = {}
    for tags in ((), (1,)):
        half = forward(mesh, from_images(images, mesh, 3, tags) if tags else None)
        pixels = Pixels(images, half.space)
        begin = Smoother(pixels, flat=not tags, tags=tags or None).fit(0)
        found = pixels.average(half.layout.component(half.run(m, begin, times).states[-1], 0))
        errors[tags] = np.abs(found - pixels.frame(8)).max()
    assert errors[(1,)] < 1e-3 < 30e-3 < errors[()]
