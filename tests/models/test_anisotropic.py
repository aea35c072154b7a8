"""A gradient energy that depends on the direction: the isotropic case of it, its gauge, and cropped images."""

from dataclasses import replace

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, cos, pi
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import verify
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.anisotropic import AnisotropicCahnHilliard
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

BASES = Legendre(3) + ideal_entropy, Legendre(2)
LAWS = {"chemical_potential": [0.0, -2.5], "diffusivity": [-0.4, -0.3]}
TOLERANCES = Tolerances(rtol=3e-3, newton=1e-8)
XX, YY, XY = (f"gradient_energy_{entry}" for entry in ("xx", "yy", "xy"))


def run(model, movie, laws):
    """Return c at the end of a short run."""
    forward = ForwardModel(model, meshes.rectangle_mesh(movie, 6, MPI.COMM_SELF), 2, tolerances=TOLERANCES)
    x, y = SpatialCoordinate(forward.mesh)
    start = Function(forward.space).interpolate(0.5 + 0.1 * cos(pi * x) * cos(2 * pi * y))
    return forward.solve(LAWS | laws, start, (0.0, 0.01))[-1].dat.data_ro


def test_the_isotropic_equation_is_a_case_of_it(movie):
    expected = run(CahnHilliard(*BASES), movie, {"gradient_energy": 4e-3})
    model = AnisotropicCahnHilliard(*BASES)
    np.testing.assert_allclose(run(model, movie, {XX: 4e-3, YY: 4e-3, XY: 0.0}), expected, atol=1e-8)
    assert np.abs(run(model, movie, {XX: 4e-3, YY: 8e-3, XY: 0.4}) - expected).max() > 1e-3


def test_no_image_tells_the_scale():
    model = AnisotropicCahnHilliard(*BASES)
    assert model.scale == XX
    assert model.invariance.endswith("and (s mu_h, s kappa_xx, s kappa_yy, D/s)")


@pytest.mark.parametrize("on", [1, pytest.param(3, marks=[pytest.mark.parallel(3), pytest.mark.slow])])
def test_derivatives_hold_in_cropped_images_and_scaled_unknowns(movie, on):
    frames = np.concatenate([movie.frames, 0.5 * movie.frames[1:2] + 0.25])
    images = replace(movie, frames=frames, times=np.append(movie.times, 0.03))
    mesh = meshes.rectangle_mesh(images, 6, MPI.COMM_WORLD)
    settings = Settings(
        initial=LAWS | {XX: 4e-3, YY: 6e-3, XY: 0.2},
        frames=(1, 2),
        degree=2,
        tolerances=TOLERANCES,
        boundary="from-images",
    )
    problem = pose(images, AnisotropicCahnHilliard(*BASES), mesh, settings)
    assert problem.coordinates.gauge is not None
    objective = problem.objective("trajectory", problem.first_regularisation)
    checks = verify(objective, objective.begin(problem.coordinates.from_coefficients(problem.coordinates.start)))
    assert [check.name for check in checks if not check.holds] == []
