"""What laws a declaration takes, where they start, and the potential of chain molecules."""

from types import SimpleNamespace

import numpy as np
import pytest
import ufl
from firedrake import Constant as Number
from firedrake import Function, FunctionSpace, TestFunction, UnitSquareMesh, assemble, dx

from fe_phaseinv.laws.bases import Hermite, Legendre, Powers
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import ENTROPY_CUT, Law, Relation, density_entropy, identity, positive
from fe_phaseinv.models.declarations import FunctionLaw
from fe_phaseinv.models.dimensions import Scales
from fe_phaseinv.models.flory_huggins import FloryHuggins
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal

ENERGY = FunctionLaw("energy", of=("c", "phi"))
PRODUCTS = TensorProduct(Legendre(3), Legendre(2, (-1.0, 1.0)))


def coupling(c, phi):
    return -2.0 * c * phi


def test_a_law_of_two_fields():
    relation = ENERGY.relation(PRODUCTS + coupling)
    assert relation == Relation("energy", PRODUCTS, identity, coupling, "c, phi")
    assert ENERGY.relation(relation) is relation
    assert FunctionLaw("rate", of=("c", "phi"), positive=True).relation(PRODUCTS).transform is positive
    assert relation(np.zeros(6), 0.5, 3.0) == -3.0


@pytest.mark.parametrize(
    ("law", "given", "text"),
    [
        (
            ENERGY,
            Legendre(4),
            r"energy: found Legendre\(size=4.*, of 1 arguments; accepted: a function of c and phi, a basis",
        ),
        (
            ENERGY,
            Relation("energy", Powers(2)),
            r"energy: found Powers\(.*, of 1 arguments; accepted: a function of c and phi",
        ),
        (
            FunctionLaw("potential"),
            PRODUCTS,
            r"potential: found TensorProduct\(.*, of 2 arguments; accepted: a function of c",
        ),
        (ENERGY, 3.0, r"energy: found 3.0; accepted: a basis such as TensorProduct"),
    ],
)
def test_laws_of_another_number_of_arguments_are_refused(law, given, text):
    with pytest.raises(ValueError, match=text) as refusal:
        law.relation(given)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("basis", "far"),
    [(Powers(3), 0.3), (Legendre(6, (-0.9, 2.0)), 0.06), (Legendre(10, (-0.9, 2.0)), 0.01)],
)
def test_a_crystal_with_the_entropy_of_a_density_starts_with_the_slope_one(basis, far):
    model = PhaseFieldCrystal(basis + density_entropy, Hermite(6, 6.0))
    potential = model.chemical_potential
    start = potential.coefficients(model.starts({"chemical_potential": 1.0}, {})["chemical_potential"])
    np.testing.assert_allclose(potential.slope(start, np.linspace(-0.5, 1.6, 22)), 1, atol=far)
    assert potential.slope(start, np.linspace(-0.95, 2, 60)).min() > 0.5


def flory_huggins(chi, first, second):
    model = FloryHuggins(Legendre(2), Legendre(1))
    laws = SimpleNamespace(
        chemical_potential=Law(model.chemical_potential, np.array([0.0, -chi])),
        diffusivity=Law(model.diffusivity, np.zeros(1)),
        gradient_energy=1e-3,
        chain_length=first,
        solvent_chain_length=second,
    )
    return model, laws


def test_flory_huggins_is_the_slope_of_its_energy():
    """By complex steps, and up to a constant, which changes nothing."""
    (model, laws), mesh = flory_huggins(1.3, 8.0, 2.0), UnitSquareMesh(1, 1)
    number, z = Number(0.0), np.array([0.05, 0.3, 0.5, 0.8, 0.99])
    form = model.potential(number, laws) * dx(domain=mesh)
    found = []
    for point in z:
        number.assign(point)
        found.append(assemble(form))
    c = z + 1e-30j
    energy = c / 8 * np.log(c) + (1 - c) / 2 * np.log(1 - c) + 1.3 * c * (1 - c)
    np.testing.assert_allclose(found, energy.imag / 1e-30 - 1 / 8 + 1 / 2, rtol=1e-12)


def test_flory_huggins_goes_on_outside():
    (model, laws), mesh = flory_huggins(0.0, 8.0, 2.0), UnitSquareMesh(1, 1)
    number = Number(0.0)
    c = ufl.variable(number)
    value = model.potential(c, laws)
    for point in (-0.1, 0.0, ENTROPY_CUT / 2, 1 - ENTROPY_CUT / 2, 1.1):
        number.assign(point)
        found, slope = (assemble(form * dx(domain=mesh)) for form in (value, ufl.diff(value, c)))
        assert np.isfinite(found) and slope > 0


def test_flory_huggins_puts_its_potential_into_the_weak_form():
    (model, laws), mesh = flory_huggins(1.3, 8.0, 2.0), UnitSquareMesh(2, 2)
    space = FunctionSpace(mesh, "CG", 1)
    c, mu, rate, test = (*(Function(space).assign(value) for value in (0.3, 0.7, 0.0)), TestFunction(space))
    at = SimpleNamespace(dx=dx, map=1.0)
    fields, tests = SimpleNamespace(c=c, mu=mu), SimpleNamespace(c=rate * test, mu=test)
    form = model.residual(fields, SimpleNamespace(c=rate), laws, tests, at)
    expected = 0.7 - (np.log(0.3) / 8 - np.log(0.7) / 2 + 1.3 * 0.4)
    assert assemble(form).dat.data_ro.sum() == pytest.approx(expected, rel=1e-12)


def test_chain_lengths_are_kept_and_begin_at_one():
    model = FloryHuggins(Legendre(2), Legendre(1))
    lengths = ("chain_length", "solvent_chain_length")
    assert model.kept == lengths and model.name == "flory-huggins"
    starts = model.starts(model.typical(Scales(0.1, 3.0)), {})
    assert {name: starts[name] for name in lengths} == dict.fromkeys(lengths, 1.0)
    assert all(getattr(model, name).transform is positive for name in lengths)
    with pytest.raises(ValueError, match="chain_length: found -2; accepted: a number > 0"):
        model.chain_length.coefficients(-2)
