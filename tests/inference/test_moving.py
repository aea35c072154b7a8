"""A boundary that is learnt together with the laws."""

import json
from dataclasses import replace

import numpy as np
import pytest
from firedrake import Constant, Function, SpatialCoordinate, assemble, cos, dx, interpolate
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv.data.displacement import MEAN, displacement
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import from_data
from fe_phaseinv.data.moving import MovingMesh
from fe_phaseinv.data.outline import mesh_outline
from fe_phaseinv.data.triangulation import triangulate
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.inference.outlines import moved
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.pixels import Pixels

N, RADIUS, CENTRE = 20, 0.36, 0.51
"""Pixels along the picture, and the disc that they show."""
LAWS = {"chemical_potential": [0.0, -2.5], "diffusivity": [-0.4, -0.3], "gradient_energy": 4e-3}
BEFORE = 0.004
"""Time in which the pattern becomes flat at the boundary."""
TOLERANCES, TIGHT = Tolerances(rtol=3e-3), Tolerances(rtol=3e-3, newton=1e-8)
STEP = 0.05
"""Of the share of a mode, for differences."""


def model():
    return CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))


@pytest.fixture(scope="module")
def disc():
    """Images of a disc, in pixels that are wholly inside of it alone."""
    angles = 2 * np.pi * np.arange(28) / 28
    polygon = CENTRE + RADIUS * np.column_stack([np.cos(angles), np.sin(angles)])
    mesh = from_data(triangulate("disc", [[polygon]], 0.08), COMM_SELF)
    forward = ForwardModel(model(), mesh, 2, tolerances=TOLERANCES)
    start = Function(forward.space).interpolate(waves(mesh))
    times = [0, 0.01, 0.02]
    states = forward.solve(LAWS, start, [0, *np.add(BEFORE, times)])
    pixels = Pixels(ImageSeries(np.zeros((1, N, N)), [0], (1, 1)), forward.space)
    frames = [pixels.picture(pixels.average(state.dat.data_ro)) for state in states]
    return ImageSeries(np.array(frames), times, (1, 1)), assemble(Constant(1.0) * dx(domain=mesh))


def posed(images, comm=COMM_SELF, width=-0.25, **settings):
    """Pose the problem inside of an outline that is somewhat too small."""
    data = mesh_outline(images, 12, width)
    asked = Settings(
        initial=LAWS | {"diffusivity": [0.0, 0.0]},
        fixed=["chemical_potential", "gradient_energy"],
        degree=2,
        tolerances=TOLERANCES,
        displacement=displacement(data, images.pixel),
        multiple_shooting=False,
    )
    return pose(images, model(), from_data(data, comm), replace(asked, **settings))


def waves(mesh):
    x, y = SpatialCoordinate(mesh)
    return 0.5 + 0.2 * cos(9 * x) * cos(7 * y) + 0.1 * cos(12 * x + 5 * y)


def test_derivatives_by_displacements(disc):
    """What pixels show of a start that stays where it is changes as in runs on displaced meshes."""
    images = disc[0]
    data = mesh_outline(images, 12, -0.25)
    mesh = from_data(data, COMM_SELF)
    moving = MovingMesh(mesh, displacement(data, images.pixel))
    m, times = CoefficientLayout(model().relations).from_laws(LAWS), (0.0, 0.01, 0.02)

    def forward_on(here, displaced=None):
        forward = ForwardModel(model(), here, 2, tolerances=TIGHT, displaced=displaced)
        start = assemble(interpolate(waves(here), forward.space)).dat.data_ro.copy()
        return forward, start, Channels(Pixels(images, forward.space), forward)

    forward, start, channels = forward_on(mesh, moving.fields)
    whole = forward.run(m, start, times, sensitivities=True, modes=forward.displaced.seen(start, forward.space))
    for mode in (0, 3):
        shown, inside = [], channels.pixels.inside
        for sign in (1, -1):
            there, begin, seen = forward_on(moving.moved(sign * STEP * np.eye(len(moving))[mode]))
            run = there.run(m, begin, times, grid=whole.grid)
            shown.append(np.array([seen.average(state) for state in run.states]))
            inside = inside & seen.pixels.inside
        pairs = zip(whole.states, whole.sensitivities, strict=True)
        columns = [
            channels.derivatives(by)[:, mode - len(moving)] + channels.carried(state)[:, mode] for state, by in pairs
        ]
        change = (shown[0] - shown[1])[:, inside] / (2 * STEP)
        assert np.linalg.norm(np.array(columns)[:, inside] - change) < 0.02 * np.linalg.norm(change)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_curvatures_by_the_boundary(disc, noise):
    """They are about those of differences, of starts that are fitted anew, whether these are unknown or not."""
    problem = posed(replace(disc[0], noise=noise))
    objective = problem.objective("trajectory", problem.first_regularisation)
    x, count = objective.begin(np.array([0.1, -0.1])), len(problem.series[0].moving.mesh)
    x[-count] = 0.5
    here = objective.at(x)
    assert len(x) == here.ends[1] == len(here.gradient)
    step = np.zeros(len(x))
    step[-count : 3 - count] = 0.02
    ahead, behind = (np.concatenate(objective.at(x + sign * step, here).fits[0].predictions) for sign in (1, -1))
    linear = step @ (here.hessian - objective.prior_at(x)[2]) @ step
    assert np.sqrt(linear) == pytest.approx(np.linalg.norm(ahead - behind) / 2, rel=0.1)


def test_a_boundary_is_found(disc):
    """Its area comes out of images whose mask has it too small, and the law with it; a run that was cut goes on so."""
    images, area = disc
    problem = posed(images, regularisation=1e-6)
    run = list(inversion.iterate(problem))
    point = run[-1].state.point
    assert problem.counts.tangent == run[-1].state.iteration + 1
    law = problem.coordinates.coefficients(point.x[:2])[problem.coordinates.free]
    assert law == pytest.approx(LAWS["diffusivity"], abs=0.03)
    mesh = problem.series[0].moving.mesh
    found, rest = (
        assemble(Constant(1.0) * dx(domain=each)) for each in (point.fits[0].channels.forward.mesh, mesh.mesh)
    )
    length = 2 * np.pi * RADIUS / N
    assert abs(found - area) < 0.05 * length < 0.2 * length < area - rest
    (told,) = moved(problem, run[-1], 1e-4)
    assert told.mean == pytest.approx((found - rest) / length, abs=0.05)
    assert 0 < told.deviation < 0.3 and told.furthest >= abs(told.mean)
    assert "pixels outside of where the mask has it on average" in told.sentence()
    saved = json.loads(json.dumps(run[-3].to_dict()))
    *_, again = inversion.iterate(problem, progress=resume(problem, saved))
    assert np.array_equal(again.state.point.x, point.x)


@pytest.mark.parallel([1, 3])
def test_ranks_agree_on_a_boundary(disc):
    alone, together = (posed(disc[0], comm).objective("trajectory", (1e-4,) * 3) for comm in (COMM_SELF, COMM_WORLD))
    x = alone.begin(np.array([0.1, -0.1]))
    x[2] = 0.5
    one, other = alone.at(x), together.at(x, Linearisation.on_grids(x, alone.at(x).grids))
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert other.gradient == pytest.approx(one.gradient, rel=1e-3, abs=1e-3 * np.abs(one.gradient).max())


def test_every_series_has_a_boundary(disc):
    problem = joint([posed(disc[0]), posed(disc[0], width=0.2)])
    first, second = (len(series.moving.mesh) for series in problem.series)
    objective = problem.objective("trajectory", (1e-4,) * 3)
    assert objective.ends.tolist() == [2, 2 + first, 2 + first + second]
    value, _, hessian = objective.with_prior(objective.prior, 9e-4).prior_at(np.r_[0, 0, np.ones(first + second)])
    assert value - objective.prior_at(np.zeros(2 + first + second))[0] == pytest.approx(4.5e-4 * (first + second))
    assert np.diag(hessian)[2:] == pytest.approx(9e-4)


def test_boundaries_that_cannot_be_solved_are_no_points(disc):
    objective = posed(disc[0]).objective("trajectory", (1e-4,) * 3)
    x = objective.begin(np.zeros(2))
    x[2] = -RADIUS * N / MEAN
    assert objective.at(x).value == np.inf


@pytest.mark.parametrize(
    "other", [{"boundary": "from-images"}, {"heterogeneity": Matern(0.3, 0.1)}, {"hessian": "newton"}]
)
def test_boundaries_beside_what_depends_on_them(disc, other):
    with pytest.raises(ValueError, match="displacement: found .* accepted: none beside boundary data, maps"):
        posed(disc[0], **other)
