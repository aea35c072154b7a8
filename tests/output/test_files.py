"""The files of a result: what they hold, and that no figure costs the numbers."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.identifiability import identifiability
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.laws.bases import ConstantBasis, Legendre
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import Field, FunctionLaw, NumberLaw, Scalar
from fe_phaseinv.models.interface import Model
from fe_phaseinv.output.comparison import as_text, compare
from fe_phaseinv.output.figures import draw_laws
from fe_phaseinv.output.files import write, write_atomically, write_figures, write_values
from fe_phaseinv.output.fitted import Fitted, Tracked
from fe_phaseinv.output.formulas import tex
from fe_phaseinv.output.result import Result, _tracked
from fe_phaseinv.output.summary import summary

FIGURES = ("laws", "frames", "residuals", "history")
FILES = {"result.json", "curves.csv"} | {f"{n}.{k}" for n in FIGURES for k in ("png", "pdf")}
RELATIONS = (
    Relation("chemical_potential", Legendre(3), known=ideal_entropy),
    Relation("diffusivity", Legendre(2), positive),
    Relation("gradient_energy", ConstantBasis(), positive),
)
MODEL = CahnHilliard(*RELATIONS)


class Flory(CahnHilliard):
    laws = (*CahnHilliard.laws, NumberLaw("chi_1_2", positive=True))


COEFFICIENTS = np.array([0.2, -2.5, 0.1, -0.7, -0.6, np.log(8e-4)])
TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "1 - c", "kappa": 7.5e-4}


def entry(iteration, stage, cost, accepted=True):
    names = ("iteration", "stage", "accepted", "cost", "misfit_rms", "gradient_norm", "radius", "seconds")
    return dict(zip(names, (iteration, stage, accepted, cost, cost / 9, 0.1, 1.0, 0.5), strict=True))


def made(relations=RELATIONS, coefficients=COEFFICIENTS, posterior=True, truth=TRUTH, model=MODEL):
    parameters = CoefficientLayout(relations)
    count = len(coefficients)
    by_prior = {relation.name: np.full(count, 0.1) for relation in relations}
    shares = np.linspace(0, 1, count + 2)[1:-1]
    laplace = Laplace(parameters, coefficients, 3 * np.eye(count), shares, by_prior, 0.01, 9e-4 * np.eye(count))
    y, x = np.mgrid[0:6, 0:8] / 8
    observed = 0.5 + 0.4 * np.sin(5 * x + 3 * y) * np.array([0.5, 1.0])[:, None, None]
    observed[:, 0, 0] = np.nan
    fitted = Fitted(
        source="images.npz",
        misfit_rms=0.01,
        range=(0.1, 0.9),
        frames=(1, 2),
        times=(0.5, 1.0),
        observed=observed,
        predicted=observed + 0.01,
        extent=(2.0, 1.5),
        origin=(1.0, -1.0),
    )
    return Result(
        model=model,
        status="converged",
        iterations=2,
        cost=1.5,
        misfit_rms=np.float64(0.01),
        laws=parameters.laws(coefficients),
        posterior=laplace if posterior else None,
        identifiability=identifiability(laplace, model) if posterior else None,
        images=(fitted,),
        history=(
            entry(0, "intervals", 90.0),
            entry(1, "intervals", 90.0, accepted=False),
            entry(1, "trajectory", np.inf),
            entry(2, "trajectory", 1.5),
        ),
        counts={"forward": np.int64(3)},
        seconds={"total": 2.5},
        ranks=1,
        truth=truth,
        goodness=(judged(observed, 0.01),),
    )


def judged(observed, off):
    """Return the verdict on predictions that are off by so much, of two frames after another one."""
    images = ImageSeries(np.array([observed[0], *observed]), np.arange(3.0), (2.0, 1.5), noise=0.02)
    return Goodness.of(images, 0, (1, 2), observed + off * np.where(np.indices(observed.shape).sum(0) % 2, 1, -1))


def test_summary_has_the_promised_keys():
    content = summary(made())
    assert list(content) == [
        *("model", "status", "iterations", "cost", "misfit_rms", "laws", "units", "scalars", "compared"),
        *("identifiability", "images", "goodness", "history", "counts", "seconds", "ranks", "warnings", "versions"),
    ]
    laws = content["laws"]
    keys = {"argument", "z", "value", "lower", "upper", "coefficients", "basis", "transform", "known"}
    assert laws["chemical_potential"].keys() == keys | {"slope", "slope_lower", "slope_upper"}
    assert laws["diffusivity"].keys() == keys
    assert laws["gradient_energy"].keys() == {"value", "lower", "upper"}
    assert laws["chemical_potential"]["basis"] == {"name": "Legendre", "size": 3, "interval": [0.0, 1.0]}
    assert [law.get("known") for law in laws.values()] == ["ideal_entropy", None, None]
    assert laws["diffusivity"]["transform"] == "positive"
    assert {"fe_phaseinv", "firedrake", "numpy", "python"} <= content["versions"].keys()


def test_laws_have_the_units_of_the_images():
    laws = {"chemical_potential": "kT", "diffusivity": "length^2/time", "gradient_energy": "length^2"}
    assert summary(made())["units"] == {"length": "", "time": "", "laws": laws}
    measured = replace(made(), units=("um", "h"))
    laws |= {"diffusivity": "um^2/h", "gradient_energy": "um^2"}
    assert summary(measured)["units"] == {"length": "um", "time": "h", "laws": laws}
    figure = draw_laws(measured)
    assert [axes.get_title() for axes in figure.axes][2] == "$D(c)$ in um^2/h"
    assert " um^2 (95 %" in figure.get_suptitle()


def test_summary_tells_whether_the_misfit_is_noise():
    found = summary(made())["goodness"]
    keys = ("noise", "estimated", "frames", "chi_square", "reduced", "correlation", "outliers", "unexplained")
    assert list(found) == [*keys, "inflation", "cause", "words"]
    assert found["chi_square"] == pytest.approx([0.25, 0.25]) and found["cause"] == ""
    several = summary(replace(made(), goodness=made().goodness * 2))["goodness"]
    assert several == [found, found]


def test_summary_is_strict_json():
    content = summary(made())
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["history"][2]["cost"] is None


def test_summary_tabulates_the_laws():
    laws = summary(made())["laws"]
    mu, diffusivity, kappa = (laws[relation.name] for relation in RELATIONS)
    z = np.array(mu["z"])
    assert (len(z), z[0], z[-1]) == (201, 0.1, 0.9)
    np.testing.assert_allclose(mu["slope"], 1 / (z * (1 - z)) - 5 + 0.6 * (2 * z - 1), rtol=1e-12)
    np.testing.assert_allclose(diffusivity["value"], np.exp(-0.7 - 0.6 * (2 * z - 1)), rtol=1e-12)
    assert np.isclose(kappa["value"], 8e-4)
    for law in laws.values():
        assert np.all(np.array(law["lower"]) < law["value"]) and np.all(np.array(law["value"]) < law["upper"])


def test_summary_tells_what_the_images_determine():
    found = summary(made())["identifiability"]
    assert len(found["eigenvalues"]) == len(COEFFICIENTS) == sum(c["of"] for c in found["coefficients"].values())
    assert found["gauge"]["measure"] == "kappa"
    assert all(sentence.endswith(".") for sentence in found["words"])
    assert summary(made(posterior=False))["identifiability"] is None


def test_summary_has_no_bands_without_a_posterior():
    for law in summary(made(posterior=False))["laws"].values():
        assert not {"lower", "upper"} & law.keys()


@pytest.mark.parametrize("options", [{}, {"posterior": False, "truth": None}])
def test_write_makes_every_file(tmp_path, options):
    folder = tmp_path / "new" / "folder"
    result = made(**options)
    assert {path.name for path in write(folder, result)} == FILES
    assert {path.name for path in folder.iterdir()} == FILES
    assert json.loads((folder / "result.json").read_text()) == summary(result)
    for name in FILES:
        start = {"png": b"\x89PNG", "pdf": b"%PDF"}.get(name[-3:], b"")
        data = (folder / name).read_bytes()
        assert data.startswith(start) and len(data) > (5000 if start else 100)


def test_channels_are_drawn_each(tmp_path):
    result = made(truth=None)
    (images,) = result.images
    both = [np.stack([values, 3 + values], axis=1) for values in (images.observed, images.predicted)]
    result = replace(result, images=(replace(images, observed=both[0], predicted=both[1]),))
    first, second = result.images[0].channels
    np.testing.assert_array_equal(first.predicted, images.predicted)
    assert second.range == pytest.approx((3 + np.nanmin(images.predicted), 3 + np.nanmax(images.predicted)))
    names = {path.name for path in write(tmp_path, result)}
    assert {f"frames-channel-{number}.png" for number in (1, 2)} <= names and "frames.png" not in names


def test_several_series_are_numbered(tmp_path):
    result = made(truth=None)
    (images,) = result.images
    several = (images, replace(images, source="others.npz", range=(0.05, 0.8)))
    result = replace(result, images=several, goodness=2 * result.goodness)
    each = {f"{name}-{n}.{kind}" for name in ("frames", "residuals") for n in (1, 2) for kind in ("png", "pdf")}
    alone = {f"{name}.{kind}" for name in ("frames", "residuals") for kind in ("png", "pdf")}
    assert {path.name for path in write(tmp_path, result)} == FILES - alone | each
    content = summary(result)
    assert [series["source"] for series in content["images"]] == ["images.npz", "others.npz"]
    assert content["images"][0].keys() == {"source", "frames", "misfit_rms"}
    z = content["laws"]["diffusivity"]["z"]
    assert (z[0], z[-1]) == (0.05, 0.9)


def test_curves_repeat_the_summary(tmp_path):
    result = made()
    write_values(tmp_path, result)
    with open(tmp_path / "curves.csv", newline="") as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, np.array(rows, float).T, strict=True))
    laws = summary(result)["laws"]
    assert columns["z"].tolist() == laws["diffusivity"]["z"]
    assert columns["chemical_potential_slope"].tolist() == laws["chemical_potential"]["slope"]
    assert columns["diffusivity_upper"].tolist() == laws["diffusivity"]["upper"]
    assert set(columns["gradient_energy"]) == {laws["gradient_energy"]["value"]}


class Driven(Model):
    fields = Field("c", bounds=(0, 1)), Field("phi", bounds=(-1, 1))
    laws = (
        FunctionLaw("energy", of=("c", "phi")),
        FunctionLaw("ordering", of="phi"),
        NumberLaw("coupling", symbol="beta"),
    )
    scalars = (Scalar("v"),)


def driven(**options):
    """Return a result of a user's model: laws of a hidden field and of two, a number of any sign, a scalar."""
    relations = (
        Relation("energy", TensorProduct(Legendre(2), Legendre(2, (-1.0, 1.0))), argument="c, phi"),
        Relation("ordering", Legendre(3, (-1.0, 1.0)), argument="phi"),
        Relation("coupling", ConstantBasis()),
    )
    model = Driven(*relations)
    result = made(relations, np.array([1.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.5, -3.0]), model=model, **options)
    deviation = None if result.posterior is None else np.array([0.1, 0.2])
    return replace(result, scalars=({"v": Tracked(np.array([0.5, 1.0]), np.array([-1.0, 2.0]), deviation)},))


def test_any_model_is_written(tmp_path):
    result = driven(truth={"ordering": "phi", "coupling": -2.0, "energy": "c"})
    more = {"scalars.csv"} | {f"{name}.{kind}" for name in ("scalars", "surfaces") for kind in ("png", "pdf")}
    assert {path.name for path in write(tmp_path, result)} == FILES | more
    content = json.loads((tmp_path / "result.json").read_text())
    laws = content["laws"]
    assert np.shape(laws["energy"]["value"]) == (41, 41)
    assert laws["energy"]["value"][40][40] == pytest.approx(1 + 2 * (2 * 0.9 - 1))
    assert (laws["ordering"]["z"][0], laws["ordering"]["z"][-1]) == (-1, 1) and "slope" in laws["ordering"]
    assert laws["coupling"]["value"] == -3
    assert content["identifiability"]["gauge"] is None and len(content["identifiability"]["words"]) == 1
    assert content["scalars"]["v"].keys() == {"times", "value", "lower", "upper"}
    assert content["scalars"]["v"]["upper"][1] == pytest.approx(2 + 1.96 * 0.2, abs=1e-3)
    assert (tmp_path / "scalars.csv").read_text().splitlines()[0] == "time,v,v_lower,v_upper"
    header = (tmp_path / "curves.csv").read_text().splitlines()[0].split(",")
    assert header[:3] == ["phi", "ordering", "ordering_slope"] and "energy" not in header


def test_bands_of_scalars_come_from_those_of_the_laws():
    """The derivatives are by the free coefficients alone; kappa's deviation is 0.03, and those of the others are."""
    free = np.array([False, True, True, True, True, True])
    derivative = np.array([[0.0, 0.0, 0.0, 0.0, 2.0], [3.0, 4.0, 0.0, 0.0, 0.0]])
    fit = SimpleNamespace(frames=(1, 3), scalars={"v": np.array([5.0, 6.0])}, scalar_derivatives={"v": derivative})
    series = SimpleNamespace(images=SimpleNamespace(times=np.arange(4.0)))
    found = _tracked(series, fit, {"v": np.array([1.0, -1.0])}, free, made().posterior)["v"]
    assert found.times.tolist() == [1, 3] and found.value.tolist() == [6, 5]
    np.testing.assert_allclose(found.deviation, [0.06, 0.15])
    assert _tracked(series, fit, {}, free, None)["v"].columns.keys() == {"times", "value"}


def test_scalars_of_several_series_are_lists_by_name():
    result = driven(posterior=False)
    content = summary(replace(result, images=2 * result.images, scalars=2 * result.scalars))
    assert content["scalars"] == {"v": {"times": 2 * [[0.5, 1.0]], "value": 2 * [[-1.0, 2.0]]}}
    assert summary(made())["scalars"] == summary(replace(made(), scalars=({}, {})))["scalars"] == {}


def test_results_of_any_model_are_compared():
    first, second = summary(driven()), summary(driven())
    second["laws"]["coupling"] |= {"value": 2.0, "lower": 1.0, "upper": 3.0}
    found = compare(first, second)
    assert [law.symbol for law in (*found.curves, *found.numbers)] == ["ordering", "ordering'", "beta"]
    assert max(law.relative for law in found.curves) < 1e-14
    assert (found.numbers[0].ratio, found.numbers[0].overlap, found.removed) == (-1.5, False, "nothing was scaled")
    assert "-3 / 2 = -1.5" in as_text(found)
    del first["compared"]
    with pytest.raises(InputError, match='first: model: found "driven"; accepted: cahn-hilliard or'):
        compare(first, second)
    with pytest.raises(InputError, match="first: file: found unreadable content"):
        compare(first | {"compared": [{"symbol": "x"}]}, second)


@pytest.mark.parametrize(
    ("symbol", "formula"),
    [
        *(("mu_h", r"\mu_{h}"), ("R0", "R_{0}"), ("D", "D"), ("kappa", r"\kappa"), ("chi_1_2", r"\chi_{1,2}")),
        *(("gradient_energy", r"\mathrm{gradient\ energy}"), ("eta", r"\eta"), ("k", "k"), ("Pe", r"\mathrm{Pe}")),
    ],
)
def test_symbols_as_formulas(symbol, formula):
    assert tex(symbol) == formula


def test_truth_is_drawn_in_the_gauge_of_the_laws():
    relations = (
        Relation("chemical_potential", Legendre(2)),
        Relation("diffusivity", Legendre(2)),
        Relation("gradient_energy", ConstantBasis()),
    )
    learnt = np.array([7.0, 1.0, 0.25, -0.25, 2e-3])  # 6 + 2c, (1 - c)/2 and twice the true kappa
    result = made(relations, learnt, truth={"mu": "c", "D": "1 - c", "kappa": 1e-3})
    panels = [axes for axes in draw_laws(result).axes if axes.lines]
    assert len(panels) == 3
    for axes in panels:
        law, truth = axes.lines
        np.testing.assert_allclose(law.get_ydata(), truth.get_ydata(), rtol=1e-10)


def test_laws_are_drawn_where_noise_leaves_the_unit_interval():
    result = made()
    images = replace(result.images[0], range=(-0.3, 1.2))
    for axes in draw_laws(replace(result, images=(images,))).axes:
        for line in axes.lines:
            z, values = line.get_data()
            assert 0 < z.min() and z.max() < 1 and np.isfinite(values).all()


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 3.5)
    assert path.read_text() == "old"
    write_atomically(path, b"new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_that_fails_costs_a_warning(tmp_path, monkeypatch):
    """The numbers are there before anything is drawn, and the other figures are drawn."""
    drawn = []

    def failing(*_):
        drawn.append((tmp_path / "result.json").exists() and (tmp_path / "curves.csv").exists())
        raise ValueError("no\n figure")

    monkeypatch.setattr("fe_phaseinv.output.figures._draw_history", failing)
    result = replace(made(), warnings=("a doubt",))
    with pytest.warns(DataWarning, match="figure history was not drawn") as caught:
        write(tmp_path, result)
    said = "figure history was not drawn (ValueError: no figure)"
    assert drawn == [True] and [str(each.message) for each in caught] == [said]
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"history.png", "history.pdf"}
    assert json.loads((tmp_path / "result.json").read_text())["warnings"] == ["a doubt", said]


@pytest.mark.parametrize("change", ["name", "range", "truth"])
def test_what_once_lost_a_result_does_not(tmp_path, recwarn, change):
    """A name that mathtext cannot read, grey values for concentrations, and a truth that is a text."""
    result = made(truth=TRUTH | {"kappa": "7.5e-4"} if change == "truth" else TRUTH)
    if change == "name":
        more = Relation("chi_1_2", ConstantBasis(), positive)
        result = made((*RELATIONS, more), np.append(COEFFICIENTS, 0.0), model=Flory(*RELATIONS))
    if change == "range":
        result = replace(result, images=(replace(result.images[0], range=(3.0, 250.0)),))
    write_values(tmp_path, result)
    written = {path.name for path in write_figures(tmp_path, result)}
    assert ("laws.png" in written) == (change != "truth")
    assert json.loads((tmp_path / "result.json").read_text())["laws"].keys() == result.laws.keys()
    assert len([each for each in recwarn if each.category is DataWarning]) == (change == "truth")
