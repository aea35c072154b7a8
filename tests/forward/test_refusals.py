"""Models that cannot be solved are refused when a ForwardModel is made, in one line."""

import numpy as np
import pytest
from firedrake import UnitSquareMesh, dot, grad

from fe_phaseinv.forward.given import DataInTime
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.models.declarations import Dirichlet, Field, FunctionLaw, Scalar
from fe_phaseinv.models.interface import Model

MEAN = DataInTime((0.0, 1.0), np.zeros((2, 1)))


class Right(Model):
    """Of which each test changes one method or declaration."""

    fields = Field("c"), Field("mu", rate=False)
    laws = (FunctionLaw("potential"),)
    scalars = (Scalar("v"),)
    data = ("mean",)

    def residual(self, fields, rates, laws, tests, at):
        return self.first(fields, rates, laws, tests, at) + self.second(fields, laws, tests, at)

    def first(self, fields, rates, laws, tests, at):
        return (rates.c * tests.c + dot(grad(fields.mu), grad(tests.c)) + at.scalars.v * tests.c) * at.dx

    def second(self, fields, laws, tests, at):
        return ((fields.mu - laws.potential(fields.c)) * tests.mu - dot(grad(fields.c), grad(tests.mu))) * at.dx

    def constraints(self, fields, scalars, laws, at):
        return {"v": (fields.c - at.mean) * at.dx}


def changed(**members):
    """Return a function that makes a ForwardModel of a model with other members."""
    return type("Changed", (Right,), members)


REFUSED = {
    "a law of another name": (
        {"second": lambda self, fields, laws, tests, at: laws.mu_h(fields.c) * tests.mu * at.dx},
        "residual: laws: found 'mu_h'; accepted: potential",
    ),
    "a field of another name": (
        {"second": lambda self, fields, laws, tests, at: fields.phi * tests.mu * at.dx},
        "residual: fields: found 'phi'; accepted: c, mu",
    ),
    "a test of another name": (
        {"second": lambda self, fields, laws, tests, at: fields.mu * tests.phi * at.dx},
        "residual: tests: found 'phi'; accepted: c, mu",
    ),
    "a rate of a field without": (
        {"first": lambda self, fields, rates, laws, tests, at: (rates.mu + rates.c) * tests.c * at.dx},
        "residual: rates: found 'mu'; accepted: c",
    ),
    "data of another name": (
        {"first": lambda self, fields, rates, laws, tests, at: (rates.c - at.flux) * tests.c * at.dx},
        "residual: at: found 'flux'; accepted: mean, mesh, x",
    ),
    "a scalar of another name": (
        {"first": lambda self, fields, rates, laws, tests, at: (rates.c - at.scalars.w) * tests.c * at.dx},
        "residual: scalars: found 'w'; accepted: v",
    ),
    "an integrand": (
        {"residual": lambda self, fields, rates, laws, tests, at: rates.c * tests.c},
        "residual: found Product; accepted: integrals",
    ),
    "a method of other arguments": (
        {"residual": lambda self, fields, rates, laws: rates.c},
        "residual: found TypeError: .* takes 4 positional arguments but 6 were given; accepted: a method that runs",
    ),
    "what cannot be written in UFL": (
        {"residual": lambda self, fields, rates, laws, tests, at: rates.c * tests.c + fields.mu * tests.mu * at.dx},
        "residual: found TypeError: unsupported operand .*; accepted: a method that runs",
    ),
    "nothing": (
        {"residual": lambda self, fields, rates, laws, tests, at: None},
        "residual: found NoneType; accepted: integrals",
    ),
    "a form without tests": (
        {"second": lambda self, fields, laws, tests, at: fields.mu * at.dx},
        "residual: found another form (.*); accepted: a form that is linear in the tests",
    ),
    "a form without any tests": (
        {"residual": lambda self, fields, rates, laws, tests, at: fields.mu * rates.c * at.dx},
        "residual: found another form (.*); accepted: a form that is linear in the tests",
    ),
    "a form that is quadratic in the tests": (
        {"second": lambda self, fields, laws, tests, at: fields.mu * tests.mu**2 * at.dx},
        "residual: found another form (.*); accepted: a form that is linear in the tests",
    ),
    "no equation of a field": (
        {"second": lambda self, fields, laws, tests, at: 0 * tests.mu * at.dx},
        "residual: found no integral with tests.mu; accepted: an equation for each field",
    ),
    "no rate": (
        {"first": lambda self, fields, rates, laws, tests, at: at.scalars.v * fields.mu * tests.c * at.dx},
        r"residual: found no rates.c; accepted: one, or Field\('c', rate=False\)",
    ),
    "no constraint": (
        {"constraints": lambda self, fields, scalars, laws, at: {}},
        "constraints: found none; accepted: v",
    ),
    "a constraint of another scalar": (
        {"constraints": lambda self, fields, scalars, laws, at: {"w": fields.c * at.dx}},
        "constraints: found w; accepted: v",
    ),
    "a constraint without a scalar": (
        {"scalars": (), "first": lambda self, fields, rates, laws, tests, at: rates.c * tests.c * at.dx},
        "constraints: found v; accepted: none, without scalars",
    ),
    "a constraint that is no integral": (
        {"constraints": lambda self, fields, scalars, laws, at: {"v": fields.c - at.mean}},
        "constraints: v: found Sum; accepted: integrals",
    ),
    "no mapping of constraints": (
        {"constraints": lambda self, fields, scalars, laws, at: (fields.c - at.mean) * at.dx},
        "constraints: found Form; accepted: a dictionary by scalar",
    ),
    "a scalar that is in no equation": (
        {"first": lambda self, fields, rates, laws, tests, at: rates.c * tests.c * at.dx},
        "scalars: found no v in the equations; accepted: one that depends on at.scalars.v",
    ),
    "a constraint on nothing": (
        {"constraints": lambda self, fields, scalars, laws, at: {"v": (at.mean - 0.5) * at.dx}},
        "constraints: v: found none of these; accepted: integrals of fields or scalars",
    ),
    "a condition of another field": (
        {"conditions": lambda self, at: (Dirichlet("u", 0.0),)},
        "conditions: found 'u'; accepted: c, mu",
    ),
    "a condition of the wrong shape": (
        {"conditions": lambda self, at: (Dirichlet("c", at.x),)},
        r"conditions: c: found a value of shape \(2,\); accepted: a number or 1 components",
    ),
    "a condition that depends on data": (
        {"conditions": lambda self, at: (Dirichlet("c", at.mean),)},
        "conditions: c: found ",
    ),
    "a condition on no part of the boundary": (
        {"conditions": lambda self, at: (Dirichlet("c", 0.0, on=99),)},
        "conditions: c: found on=99; accepted: 'on_boundary', or of 1, 2, 3, 4",
    ),
    "a condition on a part that has no such name": (
        {"conditions": lambda self, at: (Dirichlet("c", 0.0, on="left"),)},
        "conditions: c: found on='left'; accepted: 'on_boundary', or of 1, 2, 3, 4",
    ),
    "a flux through no part of the boundary": (
        {"second": lambda self, fields, laws, tests, at: fields.mu * tests.mu * at.dx + tests.mu * at.ds((1, 99))},
        r"residual: found ds\(99\); accepted: tags of the mesh, 1, 2, 3, 4",
    ),
    "a condition that is none": (
        {"conditions": lambda self, at: 0.5},
        r"conditions: found float; accepted: a tuple of Dirichlet\(...\)",
    ),
    "a condition of another kind": (
        {"conditions": lambda self, at: [0.5]},
        r"conditions: found float; accepted: Dirichlet\(...\)",
    ),
    "a channel that is a vector": (
        {"observe": lambda self, fields, at: (grad(fields.c),)},
        r"observe: found a channel of shape \(2,\); accepted: numbers, linear in the fields",
    ),
    "no channels": (
        {"observe": lambda self, fields, at: fields.c},
        "observe: found Indexed; accepted: a tuple of channels",
    ),
}


@pytest.fixture(scope="module")
def mesh():
    return UnitSquareMesh(2, 2)


@pytest.mark.parametrize("what", REFUSED)
def test_a_model_is_refused_with(mesh, what):
    members, message = REFUSED[what]
    with pytest.raises(ValueError, match=f"^changed: {message}") as caught:
        ForwardModel(changed(**members)(Legendre(2)), mesh, 1, data=MEAN)
    assert "\n" not in str(caught.value)


def test_a_model_without_its_data_is_refused(mesh):
    with pytest.raises(ValueError, match="^right: data: found none; accepted: DataInTime with mean$"):
        ForwardModel(Right(Legendre(2)), mesh, 1)


def test_the_model_itself_is_taken(mesh):
    assert ForwardModel(Right(Legendre(2)), mesh, 1, data=MEAN).layout.scalars == ("v",)
