"""What can be asked of an inversion: each value is checked where it comes in."""

import numpy as np
import pytest
from mpi4py.MPI import COMM_SELF

from fe_phaseinv.data.meshes import rectangle_mesh
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.posing import coordinates_for, pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import EvenPowers, Hermite, Legendre, Powers
from fe_phaseinv.laws.relations import Law, Relation, ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.dimensions import Scales
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal, QuarticCrystal

MODEL = CahnHilliard(Legendre(3) + ideal_entropy, Legendre(2))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"boundary": "from_images"},
            "boundary: found 'from_images'; accepted: 'no-flux' or 'from-images' or 'periodic'",
        ),
        ({"hessian": "gauss_newton"}, "hessian: found 'gauss_newton'; accepted: 'gauss-newton' or 'newton' or 'both'"),
        ({"frames": [4, 2]}, r"frames: found \[4, 2\]; accepted: increasing indices"),
        ({"frames": []}, r"frames: found \[\]"),
        ({"frames": [1, True]}, "frames: found"),
        ({"first_frame": -1}, "first_frame: found -1"),
        ({"degree": 0}, "degree: found 0; accepted: a positive integer"),
        ({"degree": 2.0}, "degree: found 2.0"),
        ({"coarse_mesh": 12}, "coarse_mesh: found 12; accepted: a mesh"),
        ({"regularisation": -1.0}, 'regularisation: found -1.0; accepted: "auto" or a finite number >= 0'),
        ({"regularisation": "strong"}, "regularisation: found 'strong'"),
        ({"tags": [1]}, "tags: found .*; accepted: nothing, unless boundary is 'from-images'"),
        ({"heterogeneity": 0.5}, r"heterogeneity: found 0.5; accepted: Matern\(deviation, length\)"),
        ({"tolerances": 1e-3}, "tolerances: found 0.001"),
        ({"initial": [1.0]}, "initial: found"),
        ({"fixed": "diffusivity"}, "fixed: found 'diffusivity'; accepted: a list of names of laws"),
        ({"term": 1.0}, "term: found 1.0"),
        ({"data": [(0, 1)]}, "data: found .*; accepted: a mapping from names to what is given in time"),
        ({"data": {"mean": "from-pictures"}}, "data: mean: found 'from-pictures'; accepted: 'from-images', a rate, or"),
        ({"data": {"mean": np.inf}}, "data: mean: found inf"),
        ({"data": {"mean": [(0, 1), (0, 2)]}}, "data: mean: found"),
        ({"data": {"flux": [(0, 1, 2)]}}, "data: flux: found"),
    ],
    ids=str,
)
def test_what_is_not_accepted_is_refused_in_one_line(settings, text):
    with pytest.raises(ValueError, match=text):
        Settings(**settings)


def test_what_is_accepted():
    Settings(frames=np.array([1, 3]), boundary="from-images", tags=(1,), heterogeneity=Matern(0.5, 0.1), hessian="both")
    Settings(data={"mean": 0.1, "flux": [(0, 1), (1, 0.5)], "other": np.array([[0.0, 1.0], [2.0, 1.0]])})
    Settings(data={"mean": "from-images"})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"initial": {"diffusivty": 1.0}},
            "initial: found 'diffusivty'; accepted: laws of cahn-hilliard: chemical_potential",
        ),
        ({"fixed": ["kappa"]}, "fixed: found 'kappa'"),
        ({"initial": {"gradient_energy": -1e-3}}, "gradient_energy: found -0.001; accepted: a number > 0"),
        ({"initial": {"diffusivity": [0, 0, 1]}}, "diffusivity: found 3 coefficients; accepted: at most 2"),
        ({"initial": {"diffusivity": [np.nan]}}, "diffusivity: found .*; accepted: finite numbers"),
        ({"frames": [1, 3]}, "frames: found .*; accepted: indices after the first_frame 0, below the 3 of"),
        ({"first_frame": 2}, "frames: found"),
        ({"boundary": "periodic"}, "boundary: found 'periodic' and .* sides on a boundary; accepted: a periodic mesh"),
    ],
    ids=str,
)
def test_what_does_not_go_with_model_images_or_mesh(movie, settings, text):
    with pytest.raises(ValueError, match=text):
        pose(movie, MODEL, rectangle_mesh(movie, 4, COMM_SELF), Settings(**settings))


def test_numbers_are_numbers():
    kappa, diffusivity = MODEL.gradient_energy, MODEL.diffusivity
    assert kappa(kappa.coefficients(2e-3), 0.0) == pytest.approx(2e-3)
    np.testing.assert_allclose(diffusivity(diffusivity.coefficients(0.5), np.array([0.1, 0.9])), 0.5)
    np.testing.assert_array_equal(diffusivity.coefficients([0.3]), [0.3, 0.0])
    with pytest.raises(ValueError, match="for no function is constant"):
        Relation("mu", Powers(3)).coefficients(1.0)


@pytest.mark.parametrize("potential", [Powers(3), Legendre(3)])
def test_laws_start_where_the_model_has_them_start(potential):
    starts = MODEL.starts(MODEL.typical(Scales(length=0.1, time=2.0)), {})
    assert starts == pytest.approx({"gradient_energy": 1e-2, "diffusivity": 5e-3})
    crystal, k = PhaseFieldCrystal(potential, Hermite(10, 5.0)), np.linspace(3, 7, 401)
    laws = {
        r.name: Law(r, r.coefficients(crystal.starts({"chemical_potential": 1.0}, {})[r.name]))
        for r in crystal.relations
    }
    np.testing.assert_allclose(laws["chemical_potential"](np.array([-0.5, 0.7])), [-0.5, 0.7], atol=1e-12)
    assert laws["direct_correlation"](k).max() == pytest.approx(1, abs=1e-2)


def unknown(model):
    """Which coefficients are unknown, by law."""
    sizes = {relation.name: relation.basis.size for relation in model.relations}
    ends = np.cumsum([0, *sizes.values()])
    parts = {name: slice(a, b) for name, a, b in zip(sizes, ends, ends[1:], strict=False)}
    layout = type("Layout", (), {"slices": parts, "size": int(ends[-1])})
    typical = model.typical(Scales())
    free = coordinates_for(model, layout, np.zeros(ends[-1]), np.zeros(ends[-1], bool), typical).free
    return {name: free[part].tolist() for name, part in parts.items()}


def test_a_constant_that_changes_nothing_is_the_constant_function_of_its_basis():
    assert unknown(MODEL)["chemical_potential"] == [False, True, True]
    assert unknown(CahnHilliard(Powers(5), Legendre(1)))["chemical_potential"] == 5 * [True]
    crystal = PhaseFieldCrystal(Legendre(3), Hermite(5, 10.0))
    assert unknown(crystal) == {"chemical_potential": [False, True, True], "direct_correlation": 5 * [True]}


def test_symmetric_laws_keep_the_odd_functions_of_their_basis():
    powers = Relation("chemical_potential", Powers(5), symmetric=True)
    assert unknown(CahnHilliard(powers, Legendre(1)))["chemical_potential"] == [True, False, True, False, True]
    legendre = Relation("chemical_potential", Legendre(4), symmetric=True)
    assert unknown(CahnHilliard(legendre, Legendre(1)))["chemical_potential"] == [False, True, False, True]
    with pytest.raises(ValueError, match="neither even nor odd"):
        Relation("direct_correlation", Hermite(5), symmetric=True)


def test_models_refuse_laws_that_are_none():
    with pytest.raises(
        ValueError, match="diffusivity: found a relation with the name 'kinetics'; accepted: 'diffusivity'"
    ):
        CahnHilliard(Legendre(3), Relation("kinetics", Legendre(2)))
    with pytest.raises(ValueError, match="chemical_potential: found 3.0; accepted: a basis such as"):
        CahnHilliard(3.0, Legendre(2))
    with pytest.raises(ValueError, match="direct_correlation: found the basis Hermite"):
        QuarticCrystal(Powers(3), Hermite(5))
    with pytest.raises(ValueError, match="has no interval"):
        CahnHilliard(Relation("chemical_potential", EvenPowers(3), convex_ends=True), Legendre(2))
