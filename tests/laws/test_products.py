"""Products of two bases: values and slopes in every kind of number, and roughness."""

import numpy as np
import pytest
import ufl
from firedrake import Constant as Number
from firedrake import UnitSquareMesh, assemble, dx

from fe_phaseinv.laws.bases import ConstantBasis, Hermite, Legendre, Powers
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import Law, Relation, density_entropy, positive

BASES = [
    TensorProduct(Legendre(3), Powers(2, (-1.0, 1.0))),
    TensorProduct(Legendre(4, (-1.0, 1.0)), Legendre(3, (-0.3, 2.5))),
    TensorProduct(Powers(1), Powers(1)),
]
bases = pytest.mark.parametrize("basis", BASES, ids=repr)
X, Y = np.array([0.2, 0.5, 0.9]), np.array([-0.4, 0.1, 1.3])


def law(basis, **options):
    m = 0.2 * np.random.default_rng(5).standard_normal(basis.size)
    return Law(Relation("energy", basis, argument="c, phi", **options), m)


@bases
@pytest.mark.parametrize("z", [(0.3, -0.7), (X, Y), (X[:, None] + 0.1j, Y)])
def test_every_product_in_its_place(basis, z):
    found = basis.functions(z)
    assert len(found) == basis.size == basis.first.size * basis.second.size
    for i, f in enumerate(basis.first.functions(z[0])):
        for j, g in enumerate(basis.second.functions(z[1])):
            np.testing.assert_array_equal(found[i * basis.second.size + j], f * g)


def test_the_constant_is_the_product_of_constants():
    basis = BASES[1]
    np.testing.assert_array_equal(basis.functions((X, Y))[basis.constant], np.ones(3))
    assert BASES[0].constant is None and BASES[2].constant is None
    np.testing.assert_array_equal(Relation("energy", basis).coefficients(0.7), 0.7 * np.eye(12)[0])


@bases
@pytest.mark.parametrize("by", [0, 1])
def test_slopes_against_differences(basis, by):
    h = 1e-6 * np.array([1 - by, by])
    ahead, behind = (np.array(basis.functions((X + s * h[0], Y + s * h[1]))) for s in (1, -1))
    np.testing.assert_allclose(basis.slopes((X, Y), by), (ahead - behind) / 2e-6, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(basis.slopes((X, Y), by).T @ law(basis).coefficients, law(basis).slope(X, Y, by=by))


@bases
def test_roughness_is_the_bending_of_a_plate(basis):
    """The integral by Simpson's rule, of second derivatives that are differences."""
    n, h = 201, 1e-3
    weights = np.r_[1.0, np.tile([4.0, 2.0], n // 2)[:-1], 1.0] / (3 * (n - 1))
    s = np.linspace(0, 1, n)

    def at(i, j):
        (a, b), (c, d) = basis.first.interval, basis.second.interval
        x, y = a + (b - a) * (s + i), c + (d - c) * (s + j)
        return np.array([f * np.ones((n, n)) for f in basis.functions((x[:, None], y))])

    xx, yy = ((at(i, j) - 2 * at(0, 0) + at(-i, -j)) / h**2 for i, j in ((h, 0), (0, h)))
    xy = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h**2)
    expected = sum(np.einsum("imn,jmn,m,n->ij", d, d, weights, weights) for d in (xx, yy, xy, xy))
    np.testing.assert_allclose(basis.roughness(), expected, rtol=1e-4, atol=1e-4 * abs(expected).max())


def test_planes_need_no_smoothing():
    basis = TensorProduct(Legendre(4, (-1.0, 1.0)), Legendre(4, (0.0, 3.0)))
    plane = np.zeros((4, 4))
    plane[0, :2], plane[1, 0] = (0.3, 1.2), -0.7
    np.testing.assert_allclose(basis.roughness() @ plane.ravel(), 0, atol=1e-10)
    assert np.linalg.matrix_rank(basis.roughness()) == basis.size - 3


def test_standard_coefficients_are_those_of_standard_functions():
    class Halved(Legendre):
        def standard(self):
            return 0.5 * np.eye(self.size)

    np.testing.assert_array_equal(BASES[0].standard(), np.eye(6))
    np.testing.assert_array_equal(TensorProduct(Halved(2), Legendre(2)).standard(), 0.5 * np.eye(4))


@pytest.mark.parametrize("transform", [None, positive])
def test_ufl_agrees(transform):
    """In value and in both derivatives, which is how a free energy of two fields is used."""
    found = law(
        BASES[1], known=lambda c, phi: density_entropy(phi) * c, **({"transform": transform} if transform else {})
    )
    mesh, c, phi = UnitSquareMesh(1, 1), Number(0.0), Number(0.0)
    x, y = ufl.variable(c), ufl.variable(phi)
    value = found(x, y)
    forms = [form * dx(domain=mesh) for form in (value, ufl.diff(value, x), ufl.diff(value, y))]
    for point in ((0.3, 0.6), (-0.8, -1.1)):
        c.assign(point[0])
        phi.assign(point[1])
        expected = [found(*point), found.slope(*point), found.slope(*point, by=1)]
        np.testing.assert_allclose([assemble(form) for form in forms], expected, rtol=1e-11)


def test_refusals():
    for other in (Hermite(5), ConstantBasis(), BASES[0]):
        with pytest.raises(ValueError, match=r"TensorProduct: found .*; accepted: bases with an interval"):
            TensorProduct(Legendre(2), other)
    with pytest.raises(ValueError, match="neither even nor odd"):
        law(BASES[1], symmetric=True)
    with pytest.raises(ValueError, match="no interval whose ends"):
        law(BASES[1], convex_ends=True)
    with pytest.raises(ValueError, match=r"energy: found 1 arguments; accepted: 2 \(c, phi\)"):
        law(BASES[1])(np.array([X, Y]))
    with pytest.raises(ValueError, match=r"mu: found 2 arguments; accepted: 1 \(c\)"):
        Relation("mu", Legendre(2))([1.0, 2.0], X, Y)
