"""Phase-field crystal on periodic meshes: growth of waves, derivatives, and the same on 1 and 3 ranks."""

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, cos, pi
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import verify
from fe_phaseinv.laws.bases import EvenPowers, Powers
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.models.phase_field_crystal import QuarticCrystal
from fe_phaseinv.solvers import direct

WAVENUMBER = 2 * np.pi
"""One wave on a side of one."""
MODEL = QuarticCrystal(
    Relation("chemical_potential", Powers(3), argument="eta"),
    Relation("direct_correlation", EvenPowers(3, WAVENUMBER), argument="k"),
)
LAWS = np.array([1.0, -0.5, 1 / 3, 0.1, 1.7, -0.85])


def movie():
    """Three frames of a pattern of waves that grows; not made by the project's own solver."""
    x = (np.arange(32) + 0.5) / 16
    waves = np.cos(np.pi * 2 * x) + np.cos(np.pi * x + np.pi * np.sqrt(3) * x[:, None])
    frames = [amplitude * waves + 0.1 * waves**2 for amplitude in (0.1, 0.15, 0.2)]
    return ImageSeries(np.array(frames), np.array([0.0, 0.01, 0.02]), (2.0, 2.0))


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize("waves", [1, 2, 3])
def test_waves_grow_at_their_rate(waves):
    images = ImageSeries(np.zeros((1, 4, 4)), np.zeros(1), (2.0, 1.0))
    mesh = meshes.periodic_mesh(images, 12, MPI.COMM_WORLD)
    forward = ForwardModel(MODEL, mesh, 3, unknown=np.zeros(6, bool), tolerances=Tolerances(rtol=1e-6))
    k = 2 * pi * waves / 2
    start = Function(forward.space).interpolate(1e-6 * cos(k * SpatialCoordinate(mesh)[0])).dat.data_ro.copy()
    rate = -(k**2) * (LAWS[0] - MODEL.direct_correlation(LAWS[3:], k))
    end = 0.5 / abs(rate)
    (state,) = forward.run(LAWS, start, (0.0, end)).states
    grown = forward.step.norm(forward.layout.component(state, 0)) / forward.step.norm(start)
    assert np.log(grown) / end == pytest.approx(rate, rel=0.02)


def test_checks_hold():
    mesh = meshes.periodic_mesh(movie(), 8, MPI.COMM_SELF)
    start = {"chemical_potential": LAWS[:3], "direct_correlation": LAWS[3:]}
    tolerances = Tolerances(rtol=3e-3, newton=1e-7)
    settings = Settings(initial=start, degree=2, tolerances=tolerances, boundary="periodic")
    problem = pose(movie(), MODEL, mesh, settings)
    coordinates = problem.coordinates
    assert coordinates.gauge is None and len(coordinates) == 5
    objective = problem.objective("intervals", problem.first_regularisation)
    checks = verify(objective, coordinates.from_coefficients(coordinates.start))
    assert [check.name for check in checks if not check.holds] == []


def test_the_highest_power_keeps_its_sign():
    mesh = meshes.periodic_mesh(movie(), 4, MPI.COMM_SELF)
    settings = Settings(initial={"direct_correlation": LAWS[3:]}, boundary="periodic")
    coordinates = pose(movie(), MODEL, mesh, settings).coordinates
    x, step = coordinates.from_coefficients(LAWS), np.array([0.0, 0.0, 0.0, 0.5, 2.0])
    assert coordinates.admissible(x) and not coordinates.admissible(x + step)
    shortened = coordinates.coefficients(x + coordinates.allowed(x, step) * step)
    assert shortened[5] == pytest.approx(0.3 * LAWS[5])
    assert coordinates.allowed(x, -step) == 1


def short_step():
    """Return the equations of a short step, at a state with waves."""
    shift = 1e7
    mesh = meshes.periodic_mesh(movie(), 16, MPI.COMM_WORLD)
    forward = ForwardModel(MODEL, mesh, 3, unknown=np.zeros(6, bool))
    forward.coefficients.assign(LAWS)
    step, x = forward.step, SpatialCoordinate(mesh)
    waves = Function(forward.space).interpolate(0.3 + 0.5 * cos(2 * pi * x[0]) * cos(2 * pi * x[1]))
    state = step.layout.from_rates(waves.dat.data_ro.copy())
    step.set_state(state)
    step.set_rate(shift, -shift * waves.dat.data_ro)
    return step


def left_over(step):
    """Share of a right-hand side that the factor leaves."""
    matrix = step.linear.ksp.getOperators()[0]
    rhs, product = matrix.createVecs()
    rhs.set(1.0)
    solution = rhs.duplicate()
    step.linear.ksp.solve(rhs, solution)
    matrix.mult(solution, product)
    return (product - rhs).norm() / rhs.norm()


@pytest.mark.parallel([1, 3])
def test_short_steps_are_factorised_well():
    step = short_step()
    step.factorise()
    assert left_over(step) < 1e-9
    delayed_pivots = step.linear.ksp.getPC().getFactorMatrix().getMumpsInfog(13)
    assert delayed_pivots == 0


@pytest.mark.parallel([1, 3])
def test_too_little_workspace_is_enlarged_or_told(monkeypatch):
    step, enlarged = short_step(), direct.WORKSPACES
    monkeypatch.setitem(direct.MUMPS, 8, 0)  # Without scaling, pivots are delayed and fill the workspace.
    step.linear.ksp = direct.mumps_solver(step.operators.matrix, 0)
    monkeypatch.setattr(direct, "WORKSPACES", ())
    with pytest.raises(direct.StepFailed, match="factorised"):
        step.factorise()
    step.linear.ksp = direct.mumps_solver(step.operators.matrix, 0)
    monkeypatch.setattr(direct, "WORKSPACES", enlarged)
    step.factorise()
    assert left_over(step) < 1e-4
    assert step.factorisations == 1
