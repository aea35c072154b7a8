"""Nonlocal kernels on meshes: exact on waves, whichever way they are taken, and the same on 1 and 3 ranks."""

import numpy as np
import pytest
from firedrake import Function, FunctionSpace, SpatialCoordinate, UnitSquareMesh, VectorFunctionSpace, cos, pi
from mpi4py import MPI

from fe_phaseinv.data import meshes
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import Hermite, Powers
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal
from fe_phaseinv.solvers.convolution import Convolution
from fe_phaseinv.solvers.fast_diagonalisation import FastDiagonalisation
from fe_phaseinv.solvers.spectra import Diagonal, Rational, spectrum

SCALE = 3 * np.pi
RELATION = Relation("direct_correlation", Hermite(8, SCALE), argument="k")
IMAGES = ImageSeries(np.zeros((1, 6, 12)), np.zeros(1), (2.0, 1.0))
ranks = pytest.mark.parallel([1, 3])


def rectangle(comm, degree=4):
    return FunctionSpace(meshes.rectangle_mesh(IMAGES, 8, comm), "CG", degree)


def torus(comm, degree=4):
    return FunctionSpace(meshes.periodic_mesh(IMAGES, 8, comm), "CG", degree)


def triangles(comm, degree=4):
    return FunctionSpace(UnitSquareMesh(8, 8, comm=comm), "CG", degree)


def wave(space, kx, ky):
    x, y = SpatialCoordinate(space.mesh())
    return Function(space).interpolate(cos(kx * x) * cos(ky * y)).dat.data_ro.copy()


spaces = pytest.mark.parametrize("make", [rectangle, torus, triangles])


@spaces
@pytest.mark.parametrize(("kx", "ky"), [(0.0, 0.0), (2 * pi, 4 * pi)])
def test_waves_are_multiplied_by_the_functions(make, kx, ky):
    if make is torus and kx == pi:
        kx = 2 * pi
    space = make(MPI.COMM_SELF)
    eta = wave(space, kx, ky)
    expected = np.array(RELATION.basis.functions(np.hypot(kx, ky)))
    found = spectrum(RELATION, space).convolve_each(eta)
    assert np.abs(found - eta[:, None] * expected).max(initial=0) < 2e-3
    coefficients = np.random.default_rng(1).standard_normal(8)
    columns = np.column_stack([eta, -2 * eta])
    expected = coefficients @ expected
    found = spectrum(RELATION, space).convolve(coefficients, columns)
    assert np.abs(found - columns * expected).max(initial=0) < 1e-2
    roughly = spectrum(RELATION, space).convolve_roughly(coefficients, columns)
    assert np.abs(roughly - columns * expected).max(initial=0) < 0.1


@ranks
@pytest.mark.parametrize("make", [rectangle, torus])
def test_both_ways_agree(make):
    space = make(MPI.COMM_WORLD, 2)
    eta = np.random.default_rng(MPI.COMM_WORLD.rank).standard_normal(len(wave(space, 0, 0)))
    exact = Diagonal(RELATION, FastDiagonalisation.of(space)).convolve_each(eta)
    found = Rational(RELATION, space).convolve_each(eta)
    assert np.abs(exact - found).max(initial=0) < 5e-4
    assert MPI.COMM_WORLD.allreduce(np.abs(exact).max(initial=0), MPI.MAX) > 0.1


@ranks
def test_which_spaces_are_separable():
    assert FastDiagonalisation.of(rectangle(MPI.COMM_WORLD)) is not None
    assert FastDiagonalisation.of(triangles(MPI.COMM_WORLD)) is None


def test_the_law_is_the_sum_of_its_functions():
    space = rectangle(MPI.COMM_SELF)
    coefficients = Function(VectorFunctionSpace(space.mesh(), "R", 0, dim=8))
    coefficients.dat.data_wo[:] = np.arange(8.0)
    convolution = Convolution(RELATION, coefficients, space)
    eta = wave(space, pi, 2 * pi)
    convolution.update(eta)
    field = Function(space).interpolate(convolution.field()).dat.data_ro
    np.testing.assert_allclose(field, convolution.apply(eta[:, None])[:, 0], atol=1e-12)


def growth(mesh):
    """Rate at which a wave grows, and what it is to be."""
    model = PhaseFieldCrystal(Relation("chemical_potential", Powers(3), argument="eta"), RELATION)
    laws = np.concatenate([[1.0, -0.5, 1 / 3], 1.2 * RELATION.basis.peak()])
    forward = ForwardModel(model, mesh, 3, unknown=np.zeros(len(laws), bool), tolerances=Tolerances(rtol=1e-5))
    k = 2 * pi
    start = 1e-4 * wave(forward.space, k, 0)
    rate = -(k**2) * (1.0 - model.direct_correlation(laws[3:], k))
    end = 0.5 / abs(rate)
    (state,) = forward.run(laws, start, (0.0, end)).states
    return np.log(forward.step.norm(state) / forward.step.norm(start)) / end, rate


@ranks
def test_waves_grow_at_their_rate_on_a_torus():
    found, expected = growth(torus(MPI.COMM_WORLD).mesh())
    assert found == pytest.approx(expected, rel=0.02)


def test_waves_grow_at_their_rate_on_triangles():
    found, expected = growth(triangles(MPI.COMM_SELF).mesh())
    assert found == pytest.approx(expected, rel=0.02)
