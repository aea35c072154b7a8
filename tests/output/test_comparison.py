"""The comparison of two results: what it finds, what it takes out first, and what it refuses."""

import copy
import json

import numpy as np
import pytest

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.output.comparison import as_text, compare
from fe_phaseinv.output.reading import read_result

KINETICS = {"cahn-hilliard": "diffusivity", "allen-cahn": "kinetic_prefactor"}
EVERY = (*KINETICS, "phase-field-crystal")
WIDTH = 0.01
"""Of the bands, to either side."""


def curve(argument, z, value, **more):
    value = np.asarray(value)
    arrays = {"z": z, "value": value, "lower": value - WIDTH, "upper": value + WIDTH} | more
    return {"argument": argument} | {key: np.asarray(array).tolist() for key, array in arrays.items()}


def binary(model="cahn-hilliard", low=0.05, high=0.95, count=201):
    """Return a result of Cahn-Hilliard or Allen-Cahn with the ideal entropy in mu_h."""
    z = np.linspace(low, high, count)
    mu, slope = np.log(z / (1 - z)) + 3 * (1 - 2 * z), 1 / (z * (1 - z)) - 6
    laws = {
        "chemical_potential": curve("c", z, mu, slope=slope),
        KINETICS[model]: curve("c", z, np.exp(-z)),
        "gradient_energy": {"value": 2e-3, "lower": 1.8e-3, "upper": 2.2e-3},
    }
    return {"model": model, "laws": laws}


def crystal(shift=0.0, count=201):
    eta, k = np.linspace(-0.4, 1.1, count), np.linspace(0, 40, count)
    potential = curve("eta", eta, eta**3 + shift * eta, slope=1 + 3 * eta**2 + shift)
    kernel = curve("k", k, 0.9 * np.exp(-((k - 10) ** 2) / 20) + shift)
    return {
        "model": "phase-field-crystal",
        "laws": {"chemical_potential": potential, "direct_correlation": kernel},
    }


def made(model):
    return crystal() if model == "phase-field-crystal" else binary(model)


def scaled(result, s):
    """Return a result with other laws and the same images."""
    result = copy.deepcopy(result)
    for name, law in result["laws"].items():
        factor = 1 / s if name in KINETICS.values() else s
        for key in law.keys() & {"value", "slope", "lower", "upper"}:
            law[key] = (factor * np.array(law[key])).tolist()
    return result


def changed(result, law, **more):
    result = copy.deepcopy(result)
    result["laws"][law] |= {key: np.asarray(value).tolist() for key, value in more.items()}
    return result


def of(comparison, symbol):
    (found,) = (law for law in (*comparison.curves, *comparison.numbers) if law.symbol == symbol)
    return found


# ------------------------------------------------------------------------------------------------------ what it finds


@pytest.mark.parametrize("model", EVERY)
def test_a_result_against_itself_differs_in_nothing(model):
    comparison = compare(made(model), made(model))
    for law in comparison.curves:
        assert law.relative < 1e-14 and law.largest < 1e-12
        assert law.overlap == (None if law.symbol == "mu_h'" else 1.0)
    for law in comparison.numbers:
        assert (law.ratio, law.overlap) == (1.0, True)


@pytest.mark.parametrize(
    ("model", "symbols"),
    [
        ("cahn-hilliard", ["mu_h'", "D", "kappa"]),
        ("allen-cahn", ["mu_h", "mu_h'", "R0", "kappa"]),
        ("phase-field-crystal", ["mu_h'", "C2"]),
    ],
)
def test_laws_compared(model, symbols):
    comparison = compare(made(model), made(model))
    assert [law.symbol for law in (*comparison.curves, *comparison.numbers)] == symbols


@pytest.mark.parametrize("model", KINETICS)
def test_the_scale_is_removed_and_told(model):
    comparison = compare(binary(model), scaled(binary(model), 1.25))
    for law in comparison.curves:
        assert law.relative < 1e-14
        assert law.overlap in (None, 1.0)
    kappa = of(comparison, "kappa")
    assert kappa.ratio == pytest.approx(0.8)
    assert (kappa.first, kappa.second, kappa.overlap) == (2e-3, 2.5e-3, False)
    inverse = {"cahn-hilliard": "1/D", "allen-cahn": "1/R0"}[model]
    assert "kappa of the second is 1.25 times that of the first" in comparison.removed
    assert f"mu_h, kappa and {inverse} of the second were scaled by 0.8" in comparison.removed


def test_other_numbers_are_brought_into_the_gauge_of_the_first():
    """Of strain, the misfit goes with the root of kappa; a reaction has no exact gauge, so that nothing is scaled."""
    first = binary() | {"model": "strain-coupled"}
    first["laws"]["eigenstrain"] = {"value": 0.6, "lower": 0.5, "upper": 0.7}
    second = scaled(first, 4.0)
    second["laws"]["eigenstrain"] = {"value": 1.2, "lower": 1.0, "upper": 1.4}
    comparison = compare(first, second)
    assert (of(comparison, "e0").ratio, of(comparison, "e0").overlap) == (pytest.approx(1), True)
    assert of(comparison, "kappa").ratio == 0.25 and of(comparison, "D").relative < 1e-14
    assert "mu_h, kappa, e0^2 and 1/D of the second were scaled by 0.25" in comparison.removed
    driven = {"model": "driven-reaction", "laws": {**binary()["laws"], "symmetry": {"value": 0.5}}}
    driven["laws"]["exchange_current"] = driven["laws"].pop("diffusivity")
    other = changed(driven, "gradient_energy", value=4e-3)
    assert of(compare(driven, other), "j0").relative < 1e-14
    assert compare(driven, other).removed == (
        "nothing was scaled; the constant of mu_h, which changes no image, was left out"
    )


def test_the_constant_of_the_potential_counts_for_allen_cahn_alone():
    for model in KINETICS:
        result = binary(model)
        value = np.array(result["laws"]["chemical_potential"]["value"])
        moved = changed(result, "chemical_potential", value=value + 0.5)
        comparison = compare(result, moved)
        assert of(comparison, "mu_h'").relative < 1e-14
        assert ("constant of mu_h" in comparison.removed) == (model == "cahn-hilliard")
        if model == "allen-cahn":
            assert of(comparison, "mu_h").relative == pytest.approx(0.5 / np.sqrt(np.mean(value**2)), rel=1e-2)
            assert of(comparison, "mu_h").largest == pytest.approx(0.5)


def test_a_difference_of_diffusivities_is_measured_in_the_gauge_of_the_first():
    z = np.linspace(0.05, 0.95, 201)
    first = changed(binary(), "diffusivity", value=np.full(201, 2.0))
    second = scaled(changed(binary(), "diffusivity", value=2.0 - 0.1 * z), 3.0)
    comparison = compare(first, second)
    found = of(comparison, "D")
    assert found.relative == pytest.approx(0.1 * np.sqrt((0.95**3 - 0.05**3) / 3) / (2 * np.sqrt(0.9)), rel=1e-4)
    assert (found.largest, found.at) == pytest.approx((0.095, 0.95))
    assert found.range == pytest.approx((0.05, 0.95))
    assert of(comparison, "mu_h'").relative < 1e-14


def test_the_shift_of_the_crystal_is_removed_and_told():
    comparison = compare(crystal(), crystal(shift=-0.7))
    for law in comparison.curves:
        assert law.largest < 1e-9
    assert of(comparison, "C2").overlap == 1.0
    assert comparison.numbers == ()
    assert "mu_h'(0) is 1 in the first and 0.3 in the second" in comparison.removed


def test_a_difference_of_kernels_is_measured():
    k = np.linspace(0, 40, 201)
    kernel = np.array(crystal(shift=0.2)["laws"]["direct_correlation"]["value"])
    comparison = compare(crystal(), changed(crystal(shift=0.2), "direct_correlation", value=kernel + 0.3 * (k > 20)))
    found = of(comparison, "C2")
    expected = np.array(crystal(shift=-1.0)["laws"]["direct_correlation"]["value"])
    norm = np.sqrt(np.mean(expected**2))
    assert found.relative == pytest.approx(0.3 * np.sqrt(0.5) / norm, rel=1e-2)
    assert found.largest == pytest.approx(0.3)
    assert found.argument == "k"


def test_ranges_and_grids_may_differ():
    comparison = compare(binary(low=0.02, high=0.9, count=151), binary(low=0.06, high=0.97))
    for law in comparison.curves:
        assert law.relative < 1e-7
        assert 0.06 <= law.range[0] < 0.066 and 0.894 < law.range[1] <= 0.9
        assert law.range[0] <= law.at <= law.range[1]


def test_concentrations_that_noise_brings_about_are_left_out():
    result, z = binary(), np.linspace(-0.2, 1.2, 201)
    slope, inside = 1 / (z * (1 - z)) - 6, (z > 0) & (z < 1)
    first, second = (
        changed(result, "chemical_potential", z=z, slope=np.where(inside, slope, outside), value=z, lower=z, upper=z)
        for outside in (1e6, -1e6)
    )
    found = of(compare(first, second), "mu_h'")
    assert found.relative < 1e-14
    assert 0 < found.range[0] < 0.01 and 0.99 < found.range[1] < 1


# ------------------------------------------------------------------------------------------------------------- bands


def test_the_share_of_overlapping_bands():
    value = np.linspace(-0.04, 0.04, 201)  # bands of 0.01 to either side meet on the middle half
    first = changed(binary(), "diffusivity", value=np.ones(201), lower=np.full(201, 0.99), upper=np.full(201, 1.01))
    second = changed(binary(), "diffusivity", value=1 + value, lower=0.99 + value, upper=1.01 + value)
    assert of(compare(first, second), "D").overlap == pytest.approx(0.5, abs=0.01)
    apart = changed(binary(), "diffusivity", value=np.ones(201), lower=np.full(201, 1.2), upper=np.full(201, 1.3))
    assert of(compare(first, apart), "D").overlap == 0.0
    assert of(compare(apart, first), "D").overlap == 0.0


def test_bands_of_fixed_laws_meet():
    z = np.linspace(0.02, 0.9, 151)
    first, second = binary(), binary(low=0.02, high=0.9, count=151)
    second = changed(second, "diffusivity", **dict.fromkeys(("lower", "upper"), np.exp(-z)))
    fixed = changed(first, "diffusivity", **dict.fromkeys(("lower", "upper"), first["laws"]["diffusivity"]["value"]))
    assert of(compare(fixed, second), "D").overlap == 1.0


def test_bands_of_kappa():
    comparison = compare(binary(), changed(binary(), "gradient_energy", value=3e-3, lower=2.5e-3, upper=3.5e-3))
    assert of(comparison, "kappa").overlap is False


def test_without_bands_in_one_nothing_is_said_of_them():
    bare = binary("allen-cahn")
    for law in bare["laws"].values():
        del law["lower"], law["upper"]
    for pair in ((bare, binary("allen-cahn")), (binary("allen-cahn"), bare)):
        comparison = compare(*pair)
        assert all(law.overlap is None for law in (*comparison.curves, *comparison.numbers))


# -------------------------------------------------------------------------------------------------------------- text


def test_text_is_an_aligned_table_and_a_sentence():
    second = changed(scaled(binary("allen-cahn"), 1.05), "gradient_energy", lower=9e-3, upper=9.1e-3)
    comparison = compare(binary("allen-cahn"), second)
    *table, sentence = as_text(comparison).splitlines()
    assert len({len(line) for line in table}) == 1
    assert [line.split()[0] for line in table] == ["law", "mu_h", "mu_h'", "R0", "kappa"]
    assert [line.split()[-1] for line in table] == ["meet", "%", "-", "%", "no"]
    assert "0.05 <= c <= 0.95" in table[1] and "0.000 %" in table[1] and "100 %" in table[1]
    assert "0.002 / 0.0021 = 0.9524" in table[4]
    assert sentence == comparison.removed


# --------------------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1, 2]", b"\xff\xfe"])
def test_files_are_refused(tmp_path, content):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_result(path)
    assert str(caught.value).startswith(f"{path}: file: found ")
    assert str(caught.value).endswith("accepted: the result.json of an inversion")


def test_results_are_read(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(binary()))
    assert read_result(path) == binary()


def without(law, key):
    result = binary()
    del result["laws"][law][key]
    return result


def with_laws(laws):
    return {"model": "cahn-hilliard", "laws": laws}


NULL = [None, *binary()["laws"]["diffusivity"]["value"][1:]]
Z = binary()["laws"]["diffusivity"]["z"]
REFUSED = [
    ({}, "model: found nothing; accepted: cahn-hilliard or allen-cahn or phase-field-crystal"),
    ({"model": "ising"}, 'model: found "ising"'),
    ({"model": ["cahn-hilliard"]}, 'model: found ["cahn-hilliard"]'),
    ({"model": "cahn-hilliard"}, "laws: found null; accepted: chemical_potential, diffusivity, gradient_energy"),
    (with_laws({}), "laws: found none"),
    (with_laws(binary("allen-cahn")["laws"]), "laws: found chemical_potential, kinetic_prefactor, gradient_energy"),
    (
        with_laws(binary()["laws"] | {"other": {}}),
        "laws: found chemical_potential, diffusivity, gradient_energy, other",
    ),
    (with_laws(binary()["laws"] | {"diffusivity": 3}), "laws.diffusivity: found 3; accepted: an object with value"),
    (without("chemical_potential", "slope"), "laws.chemical_potential.slope: found nothing; accepted: finite numbers"),
    (without("diffusivity", "z"), "laws.diffusivity.z: found nothing"),
    (without("diffusivity", "upper"), "laws.diffusivity.upper: found nothing"),
    (without("diffusivity", "argument"), 'laws.diffusivity.argument: found null; accepted: "c"'),
    (changed(binary(), "diffusivity", value=NULL), "laws.diffusivity.value: found null; accepted: finite numbers"),
    (changed(binary(), "diffusivity", lower=NULL), "laws.diffusivity.lower: found null"),
    (changed(binary(), "gradient_energy", value=None), "laws.gradient_energy.value: found null"),
    (changed(binary(), "gradient_energy", value=0.0), "laws.gradient_energy.value: found 0.0; accepted: a positive"),
    (
        changed(binary(), "gradient_energy", value=[1.0]),
        "laws.gradient_energy.value: found float64 values of shape (1,)",
    ),
    (changed(binary(), "diffusivity", value=np.full(201, np.nan)), "laws.diffusivity.value: found NaN or infinity"),
    (changed(binary(), "diffusivity", value=["one"]), "laws.diffusivity.value: found <U3 values"),
    (changed(binary(), "diffusivity", value=np.ones(200)), "laws.diffusivity.value: found 200 values; accepted: 201"),
    (changed(binary(), "diffusivity", upper=np.ones(3)), "laws.diffusivity.upper: found 3 values; accepted: 201"),
    (changed(binary(), "diffusivity", z=Z[::-1]), "laws.diffusivity.z: found [0.95, 0.9455"),
    (changed(binary(), "diffusivity", z=np.array(Z) + 0.948), "laws.diffusivity.z: found [0.998, 1.0"),
]


@pytest.mark.parametrize(("result", "line"), REFUSED, ids=[line for _, line in REFUSED])
def test_results_are_refused(result, line):
    with pytest.raises(InputError) as caught:
        compare(result, binary(), ("a.json", "b.json"))
    assert str(caught.value).startswith(f"a.json: {line}")
    with pytest.raises(InputError, match=r"^b\.json: "):
        compare(binary(), result, ("a.json", "b.json"))


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        (binary(), binary("allen-cahn"), 'b.json: model: found "allen-cahn"; accepted: cahn-hilliard'),
        (
            binary(high=0.4),
            binary(low=0.5),
            "b.json: laws.chemical_potential.z: found 0.5 to 0.95; accepted: a range that holds two points or more of "
            "0.05 to 0.4 in a.json",
        ),
        (
            crystal(),
            changed(crystal(), "chemical_potential", z=np.linspace(0.1, 1, 201)),
            "b.json: laws.chemical_potential.z: found 0.1 to 1; accepted: a range that holds 0",
        ),
    ],
)
def test_pairs_are_refused(first, second, line):
    with pytest.raises(InputError) as caught:
        compare(first, second, ("a.json", "b.json"))
    assert str(caught.value) == line
