"""Convergence under a manufactured solution: in space by degree, in time by order."""

import numpy as np
import pytest
import ufl
from firedrake import (
    Constant,
    Function,
    FunctionSpace,
    SpatialCoordinate,
    UnitSquareMesh,
    assemble,
    cos,
    div,
    dx,
    exp,
    grad,
    pi,
)

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import ideal_entropy
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

MU = Legendre(3) + ideal_entropy
LAWS = np.array([0.0, -3.0, 0.0, -0.5, -0.3, np.log(0.02)])


class Manufactured:
    """A model with the source under which c = exact(x, t)."""

    options = ("shift",)
    shift = 0.0

    def exact(self, x, time):
        return 0.5 + 0.2 * exp(-3 * time) * cos(pi * x[0] + self.shift) * cos(2 * pi * x[1] + self.shift)

    def residual(self, fields, rates, laws, tests, at):
        time = ufl.variable(at.t)
        c = self.exact(at.x, time)
        mu = laws.chemical_potential(c) - laws.gradient_energy * div(grad(c))
        source = ufl.diff(c, time) - self.strong_rate(c, mu, laws)
        return super().residual(fields, rates, laws, tests, at) - source * tests.c * at.dx


class ManufacturedCahnHilliard(Manufactured, CahnHilliard):
    def strong_rate(self, c, mu, laws):
        return div(laws.diffusivity(c) * c * grad(mu))


class ManufacturedAllenCahn(Manufactured, AllenCahn):
    def strong_rate(self, c, mu, laws):
        return -laws.kinetic_prefactor(c) * mu


ONE_MODEL = [ManufacturedCahnHilliard, pytest.param(ManufacturedAllenCahn, marks=pytest.mark.slow)]


def error(kind, mesh, degree, grid, max_order=3, shift=0.0):
    """L2 error at the end; with a shift, c and its normal gradient on the boundary are those of the exact solution."""
    model = kind(MU, Legendre(2), shift=shift)
    tolerances, boundary, x = (
        Tolerances(3e-3, 1e-6, max_order),
        FunctionSpace(mesh, "CG", degree + 1),
        SpatialCoordinate(mesh),
    )

    def outside(time):
        return Function(boundary).interpolate(model.exact(x, Constant(time))).dat.data_ro

    forward = ForwardModel(
        model, mesh, degree, unknown=np.zeros(6, bool), tolerances=tolerances, boundary_data=outside if shift else None
    )
    start = Function(forward.space).interpolate(model.exact(x, Constant(0.0)))
    run = forward.run(LAWS, start.dat.data_ro.copy(), (grid.times[0], grid.times[-1]), grid=grid)
    found, exact = forward.part(run.states[-1], "c"), model.exact(x, Constant(grid.times[-1]))
    return float(np.sqrt(assemble((found - exact) ** 2 * dx(degree=8))))


def graded(steps, order, end=0.15):
    """Steps that grow from so short a first one that the lower orders of the start do not count."""
    times = end * (np.arange(steps + 1) / steps) ** 2
    return TimeGrid(tuple(map(float, times)), tuple(min(i + 1, order) for i in range(steps)))


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "quadrilateral"),
    [
        (ManufacturedCahnHilliard, False),
        (ManufacturedAllenCahn, True),
        pytest.param(ManufacturedCahnHilliard, True, marks=pytest.mark.slow),
        pytest.param(ManufacturedAllenCahn, False, marks=pytest.mark.slow),
    ],
)
def test_order_in_space(kind, degree, quadrilateral):
    grid = graded(40, 3, end=0.02)
    cells = (8, 16) if degree == 1 else (4, 8)
    coarse, fine = (error(kind, UnitSquareMesh(n, 2 * n, quadrilateral=quadrilateral), degree, grid) for n in cells)
    assert np.log2(coarse / fine) == pytest.approx(degree + 1, abs=0.35)


@pytest.mark.parametrize("kind", ONE_MODEL)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_order_in_space_with_given_values_on_the_boundary(kind, degree):
    grid = graded(40, 3, end=0.02)
    coarse, fine = (error(kind, UnitSquareMesh(n, 2 * n, quadrilateral=True), degree, grid, shift=0.4) for n in (6, 12))
    assert np.log2(coarse / fine) == pytest.approx(degree + 1, abs=0.35)


@pytest.mark.parametrize("kind", ONE_MODEL)
def test_order_in_time_with_given_values_on_the_boundary(kind):
    mesh = UnitSquareMesh(6, 12, quadrilateral=True)
    coarse, fine = (error(kind, mesh, 5, graded(n, 2), shift=0.4) for n in (20, 40))
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("kind", ONE_MODEL)
@pytest.mark.parametrize(("order", "steps"), [(1, 20), (2, 20), (3, 40), (4, 20)])
def test_order_in_time(kind, order, steps):
    mesh = UnitSquareMesh(6, 12, quadrilateral=True)
    coarse, fine = (error(kind, mesh, 5, graded(n, order), max_order=4) for n in (steps, 2 * steps))
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25)
