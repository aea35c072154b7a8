"""Models written in a few lines, with sources that make a known solution theirs: orders in space and in time."""

from types import SimpleNamespace

import numpy as np
import pytest
import ufl
from firedrake import (
    Constant,
    Function,
    Identity,
    PeriodicUnitSquareMesh,
    SpatialCoordinate,
    UnitSquareMesh,
    as_vector,
    assemble,
    cos,
    div,
    dot,
    dx,
    exp,
    grad,
    inner,
    pi,
    sin,
    sym,
    tr,
)

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.models.declarations import Dirichlet, Field, FunctionLaw, NumberLaw, Scalar
from fe_phaseinv.models.interface import Model


class Heated(Model):
    """storage(c) dc/dt = D lap c + source; on the four sides: constant flux, flux in time, a law of c, given values."""

    fields = (Field("c"),)
    laws = (
        FunctionLaw("storage", positive=True),
        FunctionLaw("exchange", positive=True),
        NumberLaw("diffusivity", positive=True),
    )
    given = {"storage": [0.2, 0.4], "exchange": [0.1, 0.5], "diffusivity": 0.3}

    @staticmethod
    def exact(x, t):
        decay = exp(-3 * t)
        return {"c": 0.4 + 0.1 * x[0] + 0.1 * decay * x[0] ** 2 + 0.1 * decay * cos(pi * x[0]) * cos(pi * x[1] + 0.4)}

    def residual(self, fields, rates, laws, tests, at):
        c, v, diffusivity, time = fields.c, tests.c, laws.diffusivity, ufl.variable(at.t)
        known = self.exact(at.x, time)["c"]
        source = laws.storage(known) * ufl.diff(known, time) - div(diffusivity * grad(known))
        ambient = known + diffusivity * dot(grad(known), at.normal) / laws.exchange(known)
        return (
            (laws.storage(c) * rates.c - source) * v * at.dx
            + diffusivity * dot(grad(c), grad(v)) * at.dx
            + diffusivity * 0.1 * v * at.ds(1)
            - diffusivity * (0.1 + 0.2 * exp(-3 * at.t)) * v * at.ds(2)
            + laws.exchange(c) * (c - ambient) * v * at.ds(3)
        )

    def conditions(self, at):
        return (Dirichlet("c", self.exact(at.x, at.t)["c"], on=4),)


class Coupled(Model):
    """Two fields with rates, values of one prescribed on two sides, and a number v that keeps the mean of the other."""

    fields = Field("c"), Field("phi")
    laws = FunctionLaw("coupling", of="phi"), NumberLaw("diffusivity", positive=True)
    scalars = (Scalar("v"),)
    given = {"coupling": [0.3, 0.5], "diffusivity": 0.2}

    @staticmethod
    def exact(x, t):
        phi = 0.3 * exp(-t) * sin(2 * x[0] + 0.5) * cos(pi * x[1]) + 0.2 * t
        c = 0.5 + 0.1 * sin(2 * t) + 0.2 * exp(-3 * t) * cos(pi * x[0]) * cos(2 * pi * x[1])
        return {"c": c, "phi": phi, "v": exp(-2 * t)}

    def rates(self, c, phi, v, laws):
        return laws.coupling(phi) * c + v, c * phi - phi**3

    def residual(self, fields, rates, laws, tests, at):
        time, diffusivity = ufl.variable(at.t), laws.diffusivity
        known = SimpleNamespace(**self.exact(at.x, time))
        form = 0
        kinetics = zip(
            self.rates(fields.c, fields.phi, at.scalars.v, laws),
            self.rates(known.c, known.phi, known.v, laws),
            strict=True,
        )
        for name, (reaction, expected) in zip(("c", "phi"), kinetics, strict=True):
            field, test, exact = getattr(fields, name), getattr(tests, name), getattr(known, name)
            source = ufl.diff(exact, time) - diffusivity * div(grad(exact)) - expected
            form += (getattr(rates, name) - reaction - source) * test + diffusivity * dot(grad(field), grad(test))
        return form * at.dx

    def constraints(self, fields, scalars, laws, at):
        return {"v": (fields.c - 0.5 - 0.1 * sin(2 * at.t)) * at.dx}

    def conditions(self, at):
        return (Dirichlet("phi", self.exact(at.x, at.t)["phi"], on=(1, 2)),)


class Strained(Model):
    """Diffusion of c, and the displacement of an elastic body that it strains; its mean is zero."""

    fields = Field("c"), Field("u", components=2, rate=False, floating=True)
    laws = (NumberLaw("eigenstrain"),)
    given = {"eigenstrain": [0.3]}

    @staticmethod
    def exact(x, t):
        a, b = 2 * pi * x[0], 2 * pi * x[1]
        c = 0.5 + 0.2 * exp(-2 * t) * cos(a) * sin(b)
        return {"c": c, "u": as_vector([0.1 * sin(a + t) * cos(b), 0.1 * exp(-t) * cos(a) * sin(b + 1)])}

    def residual(self, fields, rates, laws, tests, at):
        def stress(c, u):
            strain = sym(grad(u)) - laws.eigenstrain * (c - at.start_mean) * Identity(2)
            return 2 * strain + tr(strain) * Identity(2)

        time = ufl.variable(at.t)
        known = self.exact(at.x, time)
        source = ufl.diff(known["c"], time) - 0.1 * div(grad(known["c"]))
        diffusion = (rates.c - source) * tests.c + 0.1 * dot(grad(fields.c), grad(tests.c))
        force = div(stress(known["c"], known["u"]))
        balance = inner(stress(*fields), sym(grad(tests.u))) + dot(force, tests.u)
        return (diffusion + balance) * at.dx


def errors(kind, mesh, degree, grid):
    """L2 errors of all fields, and those of the scalars, at the end."""
    model, x = kind(*[Legendre(2)] * sum(isinstance(law, FunctionLaw) for law in kind.laws)), SpatialCoordinate(mesh)
    forward = ForwardModel(model, mesh, degree, tolerances=Tolerances(rtol=3e-3, newton=1e-6))
    known = model.exact(x, Constant(0.0))
    start = [Function(forward.space).interpolate(known[field.name]) for field in model.fields if field.rate]
    laws = forward.parameters.from_laws(model.given)
    run = forward.run(laws, forward.start_values(start), (grid.times[0], grid.times[-1]), grid=grid)
    found = {}
    for name, exact in model.exact(x, Constant(grid.times[-1])).items():
        error = forward.part(run.states[-1], name) - exact
        found[name] = float(np.sqrt(assemble(inner(error, error) * dx(domain=mesh, degree=8))))
    return found, forward, run


def graded(steps, order, end):
    """Steps that grow from so short a first one that the lower orders of the start do not count."""
    times = end * (np.arange(steps + 1) / steps) ** 2
    return TimeGrid(tuple(map(float, times)), tuple(min(i + 1, order) for i in range(steps)))


def orders(coarse, fine):
    return {name: np.log2(coarse[name] / fine[name]) for name in coarse}


@pytest.mark.parametrize("kind", [Heated, Coupled])
@pytest.mark.parametrize("degree", [1, 2])
def test_order_in_space(kind, degree):
    grid, cells = graded(20, 3, 0.02), (8, 16) if degree == 1 else (4, 8)
    coarse, fine = (errors(kind, UnitSquareMesh(n, n, quadrilateral=True), degree, grid)[0] for n in cells)
    found = orders(coarse, fine)
    for name in (field.name for field in kind.fields):
        assert found[name] == pytest.approx(degree + 1, abs=0.35)
    assert all(found[scalar.name] > degree + 1 - 0.35 for scalar in kind.scalars)


@pytest.mark.parametrize("degree", [1, 2])
def test_order_in_space_of_a_vector_with_a_floating_mean(degree):
    grid, cells = graded(20, 3, 0.02), (8, 16) if degree == 1 else (4, 8)
    coarse, fine = (errors(Strained, PeriodicUnitSquareMesh(n, n, quadrilateral=True), degree, grid) for n in cells)
    found = orders(coarse[0], fine[0])
    for name in ("c", "u"):
        assert found[name] == pytest.approx(degree + 1, abs=0.35)
    _, forward, run = fine
    mean = [assemble(forward.part(run.states[-1], "u")[i] * dx) for i in (0, 1)]
    assert np.abs(mean).max() < 1e-12


@pytest.mark.parametrize("kind", [Heated, Coupled])
@pytest.mark.parametrize("order", [2, 3])
def test_order_in_time(kind, order):
    mesh = UnitSquareMesh(3, 3, quadrilateral=True)
    coarse, fine = (errors(kind, mesh, 6, graded(n, order, 0.6))[0] for n in (20, 40))
    for found in orders(coarse, fine).values():
        assert found == pytest.approx(order, abs=0.25)
