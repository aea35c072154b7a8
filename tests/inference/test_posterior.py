"""Laplace posterior, what the images determine, and the regularisation of the prior, on problems that are linear."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import block_diag

from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.identifiability import identifiability
from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.laws.bases import ConstantBasis, Legendre, Powers
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.relations import Relation, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal

RELATIONS = (
    Relation("chemical_potential", Legendre(5)),
    Relation("diffusivity", Legendre(4), positive),
    Relation("gradient_energy", ConstantBasis(), positive),
)
MODEL = CahnHilliard(*RELATIONS)
NOISE = 0.1
FREE = np.arange(10) != 0
Z = np.linspace(0, 1, 60)


def rows():
    """Derivatives of pixels by all coefficients: values of both functions at points, and the number."""
    curves = block_diag(*(np.array(r.basis.functions(Z)).T for r in RELATIONS[:2]))
    return block_diag(curves, np.ones((5, 1)))


def posterior(truth, seed=0, regularisation=(1e-2,) * 3, others=None, free=FREE):
    """Posterior from pixels that are linear in the coefficients, and in `others` that are not those of the laws."""
    matrix = rows()[:, free]
    pixels = rows() @ truth + NOISE * np.random.default_rng(seed).standard_normal(len(rows()))
    start = np.where(free, 0.0, truth)
    prior, coordinates = Prior.smooth(RELATIONS, start, regularisation), Coordinates(start, free)
    hessian = matrix.T @ matrix + prior.hessian(start)[np.ix_(free, free)]
    rhs = matrix.T @ (pixels - rows() @ start) + (prior.precision @ prior.mean)[free]
    x = np.linalg.solve(hessian, rhs)
    m = coordinates.coefficients(x)
    misfit = 0.5 * np.sum((rows() @ m - pixels) ** 2)
    if others is not None:
        mixed = matrix.T @ others
        hessian = np.block([[hessian, mixed], [mixed.T, others.T @ others + 1e-3 * np.eye(others.shape[1])]])
        x = np.append(x, np.zeros(others.shape[1]))
    point = Linearisation(x, misfit + prior.value(m), misfit, len(pixels), 0 * x, hessian)
    return Laplace.at(CoefficientLayout(RELATIONS), coordinates, prior=prior, point=point, noise=NOISE), hessian


def better(truth, regularisation):
    start = np.where(FREE, 0.0, truth)
    return posterior(truth, regularisation=regularisation)[0].better_regularisation(
        Prior.smooth(RELATIONS, start, regularisation), regularisation
    )


TRUTH = np.array([0.3, -1.0, 0.2, 0.0, 0.1, 0.5, -0.4, 0.1, 0.0, -1.0])


@pytest.mark.parametrize("others", [None, np.random.default_rng(5).standard_normal((125, 6))])
def test_covariance_is_that_of_the_marginal(others):
    found, hessian = posterior(TRUTH, others=others)
    exact = NOISE**2 * np.linalg.inv(hessian)[:9, :9]
    np.testing.assert_allclose(found.covariance[1:, 1:], exact, rtol=1e-7, atol=1e-12)
    assert not found.covariance[0].any()


def test_modes_that_no_pixel_shows_change_nothing():
    """The Hessian of the start is singular then."""
    others = np.random.default_rng(5).standard_normal((125, 6))
    found, hessian = posterior(TRUTH, others=others)
    shown = np.r_[np.ones(9 + 6), np.zeros(2)]
    with_unseen = np.pad(hessian, (0, 2)) * np.multiply.outer(shown, shown)
    point = Linearisation(np.zeros(17), 0.0, 0.0, 125, np.zeros(17), with_unseen)
    start = np.where(FREE, 0.0, TRUTH)
    prior = Prior.smooth(RELATIONS, start, (1e-2,) * 3)
    same = Laplace.at(CoefficientLayout(RELATIONS), Coordinates(start, FREE), prior=prior, point=point, noise=NOISE)
    np.testing.assert_allclose(same.covariance, found.covariance, rtol=1e-7, atol=1e-12)


def test_shares_are_between_prior_and_images():
    found, hessian = posterior(TRUTH)
    assert np.all(np.diff(found.shares) >= 0) and found.shares.min() > 0 and found.shares.max() < 1
    assert sum(found.by_prior.values()) == pytest.approx(found.shares.sum())
    stronger, _ = posterior(TRUTH, regularisation=(1e4,) * 3)
    # Curvatures are the prior's then; slopes, constants but the fixed one, and the number stay the images'.
    assert np.sum(stronger.shares < 0.5) == 4


def test_a_widened_posterior_is_that_of_images_that_tell_less():
    """The prior stays; with nothing told, the posterior is the prior where that knows anything."""
    found, hessian = posterior(TRUTH)
    by_prior = Prior.smooth(RELATIONS, np.where(FREE, 0.0, TRUTH), (1e-2,) * 3).hessian(TRUTH)[np.ix_(FREE, FREE)]
    wider = found.widened(25.0)
    exact = NOISE**2 * np.linalg.inv((hessian - by_prior) / 25 + by_prior)
    np.testing.assert_allclose(wider.covariance[1:, 1:], exact, rtol=1e-6, atol=1e-10)
    assert sum(wider.by_prior.values()) == pytest.approx(wider.shares.sum())
    assert wider.shares.sum() > found.shares.sum()
    np.testing.assert_allclose(found.widened(1.0).covariance, found.covariance)
    assert wider.known(np.eye(10)[2])[1] < found.known(np.eye(10)[2])[1]


def test_known_functionals():
    found, _ = posterior(TRUTH)
    for index in (9, 2):
        deviation, share = found.known(np.eye(10)[index])
        assert deviation == pytest.approx(np.sqrt(found.covariance[index, index]))
        assert 0.9 < share <= 1
    assert found.known(np.eye(10)[0]) == (0, 0)
    _, share = posterior(TRUTH, regularisation=(1e4,) * 3)[0].known(np.eye(10)[2])
    assert share < 0.1


def test_bands_cover_the_truth_as_often_as_they_say():
    truth = TRUTH * (np.arange(10) < 9)
    covered = []
    for seed in range(300):
        found, _ = posterior(truth, seed, regularisation=(1e-6,) * 3)
        low, high = found.band(RELATIONS[1], Z)
        true = RELATIONS[1](truth[5:9], Z)
        covered.append(np.mean((low < true) & (true < high)))
    assert 0.93 < np.mean(covered) < 0.97


def test_curved_laws_have_weaker_priors():
    flat = np.array([0.0, -1.0, 0, 0, 0, 0.5, -0.4, 0, 0, -1.0])
    curved = flat + np.array([0.0, 0, 0, 0, 0, 0, 0, 2.0, 1.0, 0])
    start = (NOISE**2,) * 3
    for truth, least, most in ((flat, 1, 50), (curved, 0, 0.05)):
        regularisation = better(truth, start)
        assert least * NOISE**2 < regularisation[1] < most * NOISE**2
        # The problem is linear, so one posterior tells all.
        assert better(truth, regularisation) == pytest.approx(regularisation, rel=0.05)
        assert NOISE**2 < regularisation[0] < 50 * NOISE**2
        assert regularisation[2] == pytest.approx(NOISE**2)


def test_determination_in_numbers_and_words():
    found = identifiability(posterior(TRUTH, regularisation=(1e-7,) * 3)[0], MODEL)
    assert found.determined == 9 and len(found.eigenvalues) == 9
    assert found.numbers["chemical_potential"][1] == 4 and 3 < found.numbers["chemical_potential"][0] < 4
    assert {name: rows.shape for name, rows in found.directions.items()} == {
        "chemical_potential": (9, 5),
        "diffusivity": (9, 4),
        "gradient_energy": (9, 1),
    }
    first, second = found.sentences()
    assert first.startswith("The images determine 9 of 9 directions")
    assert "(s mu_h, s kappa, D/s)" in second and "kappa is known to +- " in second and "100 %" in second


def test_a_fixed_number_decides_the_scale():
    free = FREE & (np.arange(10) != 9)
    found = identifiability(posterior(TRUTH, free=free)[0], MODEL)
    assert found.gauge.deviation == 0
    assert "kappa was kept" in found.sentences()[1]


def test_the_freedom_of_a_crystal_is_measured_by_a_slope():
    found, _ = posterior(TRUTH)
    relation = Relation("chemical_potential", Powers(5), argument="eta")
    crystal = PhaseFieldCrystal(relation, Relation("direct_correlation", Legendre(4), argument="k"))
    one = {"directions": np.ones((10, 1)), "shares": np.full(1, 0.2), "covariance": np.full((10, 10), NOISE**2)}
    measured = identifiability(replace(found, **one), crystal).gauge
    assert (measured.measure, measured.relative) == ("mu_h'(0)", False)
    assert (measured.deviation, measured.share) == pytest.approx((NOISE, 0.8))
