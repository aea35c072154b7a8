"""Laws together with unknown fields: priors, derivatives of the cost, and its minimisation."""

import json
from dataclasses import replace

import numpy as np
import pytest
from firedrake import FunctionSpace, SpatialCoordinate, UnitSquareMesh, assemble, interpolate, sin
from mpi4py import MPI
from scipy.linalg import eigh

from fe_phaseinv.core.spaces import NodeOrder
from fe_phaseinv.data import meshes
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.field_experiment import LEFT, FieldExperiment
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.matern import FieldPrior, Matern
from fe_phaseinv.inference.posing import coordinates_for, pose
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.segments import Segment
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.dimensions import Scales
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.optimisation.points import Outcome, State
from fe_phaseinv.optimisation.trust_region import iterate, start
from fe_phaseinv.output.result import collect

LAWS = np.array([0.0, -2.5, 0.1, -0.4, -0.3, np.log(4e-3)])
ranks = pytest.mark.parallel([1, 3])
both_models = pytest.mark.parametrize("kind", [CahnHilliard, AllenCahn])


def smooth(space, number):
    x, y = SpatialCoordinate(space.mesh())
    return assemble(interpolate(sin((2 + number) * x + number) * sin(3 * y + number), space)).dat.data_ro.copy()


def test_covariance_is_that_of_matern():
    """Inverse to the precision; in the middle of the domain the variance and the correlation are those asked for."""
    space = FunctionSpace(UnitSquareMesh(24, 24, quadrilateral=True, comm=MPI.COMM_SELF), "CG", 2)
    prior = FieldPrior(Matern(0.7, 0.1), space)
    field = smooth(space, 1)
    np.testing.assert_allclose(prior.covariance(prior.precision(field)), field, atol=1e-9)
    nodes = np.stack([assemble(interpolate(x, space)).dat.data_ro for x in SpatialCoordinate(space.mesh())], axis=1)
    middle, beside = (np.argmin(np.abs(nodes - at).sum(axis=1)) for at in ([0.5, 0.5], [0.75, 0.5]))
    unit = np.zeros(len(nodes))
    unit[middle] = 1.0
    column = prior.covariance(unit)
    assert column[middle] == pytest.approx(0.49, rel=0.05)
    assert 0.0 < column[beside] < 0.25 * column[middle]


def test_impossible_priors_are_refused():
    with pytest.raises(ValueError, match=r"^deviation -1 and length 0.1 of a prior must be positive"):
        Matern(-1, 0.1)


def build(kind, comm, images, storage=None, fixed=(), start_unknown=True, hessian="gauss-newton", loss="squares"):
    """Return an objective whose map is unknown, as is the start or not, and a point."""
    known = np.isin(np.arange(6), fixed)
    model = kind(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation(kind.laws[1].name, Legendre(2), positive),
    )
    mesh = meshes.rectangle_mesh(images, 5, comm)
    coordinates = coordinates_for(model, CoefficientLayout(model.relations), LAWS, known, model.typical(Scales()))
    forward = ForwardModel(
        model, mesh, 2, unknown=coordinates.free, tolerances=Tolerances(3e-2, 1e-9), heterogeneous=True
    )
    frames = (0, 1, 2) if start_unknown else (1, 2)
    segment = Segment(0.5 + 0.2 * smooth(forward.space, 1), tuple(images.times), frames)
    experiment = FieldExperiment(
        forward,
        Pixels(images, forward.space, loss),
        coordinates,
        segment=segment,
        variance=1e-4,
        start=FieldPrior(Matern(0.1, 0.2), forward.space) if start_unknown else None,
        heterogeneity=FieldPrior(Matern(0.5, 0.3), forward.space),
        storage=storage or Storage(),
    )
    objective = FieldObjective([experiment], Prior.smooth(model.relations, LAWS, (1e-2,) * 3), hessian=hessian)
    return objective, unknowns(objective, [0.05, 0.1, -0.05, 0.1, 0.1, 0.2], 0.02, 0.3)


def unknowns(objective, laws, start, map_):
    x = objective.begin(objective.coordinates.from_coefficients(LAWS) + np.array(laws)[: len(objective.coordinates)])
    for experiment, name, part in objective.parts:
        x[part] = {"start": start, "heterogeneity": map_}[name] * smooth(experiment.forward.space, len(name) % 4 + 1)
    return x


def change(objective, laws, start, map_):
    return unknowns(objective, laws, start, map_) - unknowns(objective, np.zeros(6), 0, 0)


@pytest.fixture
def gaps(movie):
    """The movie with pixels without data."""
    frames = movie.frames.copy()
    frames[1, :4, :4] = np.nan
    return replace(movie, frames=frames, noise=0.01)


def predicted(kind, movie, noise, height=0.3):
    """Return the movie with the pictures that a point with a map of some height predicts, with noise."""
    objective, _ = build(kind, MPI.COMM_SELF, movie, start_unknown=False)
    x = unknowns(objective, [0, 0, 0, 0.3, 0.2, 0], 0, height)
    (experiment,) = objective.experiments
    rows = [experiment.pixels.average(experiment.segment.start), *objective.at(x).fits[0].predictions]
    frames = np.array([experiment.pixels.picture(row) for row in rows])
    draw = noise * np.random.default_rng(0).standard_normal(frames.shape)
    return replace(movie, frames=frames + draw, noise=noise)


def test_only_the_latest_point_keeps_factors(movie):
    objective, x = build(AllenCahn, MPI.COMM_SELF, movie)
    first, second = objective.at(x), objective.at(x + 1e-3)
    v = np.linspace(0, 1, len(x))
    action, sweeps = first.action(v), first.shares[0].derivatives._sweeps
    assert sweeps._factors
    second.action(v)
    assert second.shares[0].derivatives._sweeps._factors and not sweeps._factors
    np.testing.assert_allclose(first.action(v), action, rtol=1e-10)


@ranks
@pytest.mark.parametrize(
    ("kind", "loss"), [(CahnHilliard, "squares"), (AllenCahn, "squares"), (AllenCahn, "huber"), (AllenCahn, "student")]
)
def test_derivatives_of_the_cost(gaps, kind, loss):
    """Value, gradient and Hessian against differences on the frozen grid; the Gauss-Newton part is below."""
    sigma = np.random.default_rng(4).uniform(0.05, 0.2, gaps.frames.shape)
    objective, x = build(kind, MPI.COMM_WORLD, gaps if loss == "squares" else gaps.with_sigma(sigma), loss=loss)
    point, h = objective.at(x), 1e-4
    v = change(objective, [0.3, -0.2, 0.4, 0.3, 0.2, 0.1], 0.1, 0.5)
    forward = objective.experiments[0].forward
    before = forward.counts
    gradient, action = point.gradient.copy(), point.action(v, full=True)
    counts = forward.counts
    assert counts.adjoint > before.adjoint and counts.second > before.second
    assert counts.factorisations >= before.factorisations + len(point.grids[0][0].orders)
    ahead, behind = objective.at(x + h * v, point), objective.at(x - h * v, point)
    assert point.dot(gradient, v) == pytest.approx((ahead.value - behind.value) / (2 * h), rel=1e-6)
    difference = (ahead.gradient - behind.gradient) / (2 * h)
    largest = MPI.COMM_WORLD.allreduce(np.abs(difference[objective.laws.stop :]).max(initial=0), MPI.MAX)
    assert np.abs(action - difference)[objective.laws.stop :].max(initial=0) < 1e-4 * largest
    np.testing.assert_allclose(action[objective.laws], difference[objective.laws], rtol=1e-4)


@ranks
def test_gauss_newton_action(gaps):
    """Symmetric, equal to the sensitivities' for the laws, and to J^T J v by differences of the predictions."""
    objective, x = build(AllenCahn, MPI.COMM_WORLD, gaps)
    point, h = objective.at(x), 1e-4
    v = change(objective, [0.3, -0.2, 0.4, 0.3, 0.2, 0.1], 0.1, 0.5)
    w = change(objective, [-0.1, 0.2, 0.1, 0.1, -0.2, 0.3], 0.2, -0.3)
    action = point.action(v)
    assert point.dot(action, w) == pytest.approx(point.dot(point.action(w), v), rel=1e-9)
    laws = np.zeros_like(v)
    laws[objective.laws] = v[objective.laws]
    H_mm = point.model().hessian @ v[objective.laws]
    np.testing.assert_allclose(point.action(laws)[objective.laws], H_mm, rtol=1e-6)
    (experiment,), (fit,) = objective.experiments, point.fits
    ahead, behind = objective.at(x + h * v, point), objective.at(x - h * v, point)
    changes = [
        np.where(np.isfinite(experiment.pixels.frame(frame)), (a - b) / (2 * h), 0)
        for frame, a, b in zip(fit.frames, ahead.fits[0].predictions, behind.fits[0].predictions, strict=True)
    ]
    squares = experiment.pixels.comm.allreduce(sum(np.sum(c**2) for c in changes))
    prior = experiment.dot(experiment.of_field_priors(v), v) + laws_prior(objective, point, v)
    assert point.dot(action, v) == pytest.approx(squares + prior, rel=1e-5)


@ranks
def test_derivative_of_what_noise_does(gaps):
    """Against differences on the frozen grid, for a change of the fields."""
    objective, x = build(AllenCahn, MPI.COMM_WORLD, gaps)
    point, h = objective.at(x), 1e-4
    v = change(objective, [0] * 6, 0.1, 0.5)
    w = change(objective, [-0.1, 0.2, 0.1, 0.1, -0.2, 0.3], 0.2, -0.3)
    pulled = [
        at.dot(at.shares[0].derivatives.probes(4)[3], v)
        for at in (objective.at(x + h * w, point), objective.at(x - h * w, point))
    ]
    slope = point.dot(point.shares[0].derivatives.derivative_of_probe(3, v), w)
    assert slope == pytest.approx((pulled[0] - pulled[1]) / (2 * h), rel=1e-5)


def laws_prior(objective, point, v):
    along = objective.coordinates.jacobian(point.x[objective.laws]) @ v[objective.laws]
    return along @ objective.prior.hessian(point.shares[0].derivatives.m) @ along


@pytest.mark.slow
@pytest.mark.parametrize("hessian", ["gauss-newton", "both"])
def test_minimisation(movie, hessian):
    """The gradient vanishes at the minimum; its misfit is the noise."""
    images = predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.01)
    objective, _ = build(AllenCahn, MPI.COMM_SELF, images, fixed=[5], start_unknown=False, hessian=hessian)
    first = start(objective, unknowns(objective, np.zeros(6), 0, 0), 10.0)
    *_, last = iterate(objective, first, 1e-5, 30, objective.subproblem)
    assert last.outcome is Outcome.CONVERGED
    assert last.point.gradient_norm() < 2e-3 * first.point.gradient_norm()
    assert 0.8 < last.point.misfit_rms / 0.01 < 1.05 and first.point.misfit_rms > 0.013


@pytest.mark.parallel(3)
def test_three_ranks_agree_with_one(gaps):
    """With all states in memory and with checkpoints."""
    found = []
    for comm, storage in ((MPI.COMM_SELF, None), (MPI.COMM_WORLD, None), (MPI.COMM_WORLD, Storage(2e4))):
        objective, x = build(CahnHilliard, comm, gaps, storage)
        point = objective.at(x)
        v = change(objective, [0.3, -0.2, 0.4, 0.3, 0.2, 0.1], 0.1, 0.5)
        actions = [point.action(v, full=full) for full in (True, False)]
        found.append([point.value, *(point.dot(each, v) for each in (point.gradient, *actions, objective.raised(v)))])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-7)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-6)


@pytest.mark.parallel(3)
def test_eliminated_fields_are_those_of_one_rank(movie):
    """As far as they are solved for: where conjugate gradients end is a matter of rounding."""
    images, steps, hessians = predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.01), [], []
    for comm in (MPI.COMM_SELF, MPI.COMM_WORLD):
        objective, _ = build(AllenCahn, comm, images, fixed=[5], start_unknown=False)
        point = objective.at(unknowns(objective, np.zeros(6), 0, 0))
        trial = objective.subproblem.solve(point, State(point, 100.0))
        steps.append([trial.slope, trial.curvature])
        hessians.append(point.hessian)
    np.testing.assert_allclose(steps[1], steps[0], rtol=LEFT**2)
    shares = eigh(hessians[1], hessians[0], eigvals_only=True)
    assert 0.98 < shares.min() and shares.max() < 1.02


def test_coordinates_and_maps_that_do_not_fit_are_refused(movie):
    objective, x = build(AllenCahn, MPI.COMM_SELF, movie)
    beta = np.arange(len(x)) == len(objective.coordinates) - 1
    assert objective.at(np.where(beta, -1.0, x)).value == np.inf
    assert objective.share(x, np.where(beta, -10.0, 0.0)) < 1
    (of,) = objective.experiments
    with pytest.raises(ValueError, match="^a map goes with a ForwardModel that is heterogeneous"):
        FieldExperiment(of.forward, of.pixels, of.coordinates, segment=of.segment, variance=1.0)
    with pytest.raises(ValueError, match="^hessian: found 'Newton'; accepted: 'gauss-newton' or 'newton' or 'both'$"):
        FieldObjective([of], objective.prior, hessian="Newton")


@pytest.fixture
def slow(movie):
    """Noisy pictures of a run with a map, on times in which it matters."""
    return predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.01)


def posed(images, comm, **options):
    """A problem like that of `build`, by way of the interface."""
    mu = Relation("chemical_potential", Legendre(3), known=ideal_entropy)
    model = AllenCahn(mu, Relation("kinetic_prefactor", Legendre(2), positive))
    first = {"chemical_potential": LAWS[:3], "kinetic_prefactor": LAWS[3:5], "gradient_energy": LAWS[5:]}
    tolerances, fixed = Tolerances(3e-2, 1e-6), ["chemical_potential", "gradient_energy"]
    settings = Settings(initial=first, fixed=fixed, degree=2, tolerances=tolerances, **options)
    return pose(images, model, meshes.rectangle_mesh(images, 5, comm), settings)


@pytest.mark.slow
@pytest.mark.parallel(3)
def test_an_inversion_with_a_map_goes_on_after_an_interrupt_on_three_ranks(slow):
    goes_on(slow)


@pytest.mark.slow  # the command's own test has the like
def test_an_inversion_with_a_map_goes_on_after_an_interrupt(slow):
    goes_on(slow)


def goes_on(slow):
    """What is kept of a progress, which is no matter of ranks, brings the same point, and the same end."""
    problem = posed(slow, MPI.COMM_WORLD, heterogeneity=Matern(0.5, 0.3), regularisation=1e-4)
    steps = list(inversion.iterate(problem, max_iterations=3))
    middle = [step for step in steps if step.stage != "intervals"][1]
    kept = json.loads(json.dumps(middle.to_dict()))
    again = resume(problem, kept)
    assert again.state.point.value == pytest.approx(middle.state.point.value, rel=1e-6)
    *_, last = inversion.iterate(problem, max_iterations=3, progress=again)
    assert last.state.point.value == pytest.approx(steps[-1].state.point.value, rel=1e-3)
    result = collect(problem, last)
    (found,) = result.images
    assert found.map.value.shape == found.map.deviation.shape == slow.shape and np.abs(found.map.value).max() > 0.05
    assert 0 < found.map.deviation.min() and found.map.deviation.max() < 0.6
    low, high = result.posterior.band(result.laws["kinetic_prefactor"].relation, np.array([0.5]))
    assert low < result.laws["kinetic_prefactor"](0.5) < high


def test_the_laws_hessian_without_the_fields(slow):
    """That of a dense matrix, from which the fields are eliminated; a step is that of the dense system."""
    objective, x = build(AllenCahn, MPI.COMM_SELF, slow, fixed=[0, 2], start_unknown=False)
    point = objective.at(x)
    dense = np.stack([point.action(unit) for unit in np.eye(len(x))], axis=1)
    laws, fields = objective.laws, slice(objective.laws.stop, None)
    across = dense[laws, fields] @ np.linalg.solve(dense[fields, fields], dense[fields, laws])
    shares = eigh(point.hessian, dense[laws, laws] - across, eigvals_only=True)
    assert 0.999 < shares.min() and shares.max() < 1.05
    step = objective.subproblem.solve(point, State(point, 1e6)).step
    wanted = -np.linalg.solve(dense, point.gradient)
    error = step - wanted
    assert error @ dense @ error < 2e-2 * wanted @ dense @ wanted


@pytest.mark.slow
def test_whole_hessians_without_fields(movie):
    """Newton's method ends where Gauss-Newton's does."""
    ends, images = [], predicted(AllenCahn, replace(movie, times=30 * movie.times), 0.0, height=0.0)
    for hessian in ("gauss-newton", "newton", "both"):
        *_, last = inversion.iterate(posed(images, MPI.COMM_SELF, regularisation=1e-4, hessian=hessian))
        assert last.state.outcome is Outcome.CONVERGED
        ends.append(last.state.point.x)
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-3)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-3)


@ranks
def test_nodes_in_their_order():
    space = FunctionSpace(UnitSquareMesh(4, 3, comm=MPI.COMM_WORLD), "CG", 2)
    order, local = NodeOrder(space), smooth(space, 1)
    whole = order.gather(local)
    alone = FunctionSpace(UnitSquareMesh(4, 3, comm=MPI.COMM_SELF), "CG", 2)
    np.testing.assert_allclose(whole, NodeOrder(alone).gather(smooth(alone, 1)), atol=1e-12)
    np.testing.assert_array_equal(order.scatter(whole), local)
