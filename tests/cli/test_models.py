"""Models in files of the user's own, and what a case may say of any model: laws, options, and data in time."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from test_command import COMMAND, finish, start

from fe_phaseinv.cli.build import build_model, given_data, starting_laws
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.folder import _inputs, _read_record, _same
from fe_phaseinv.cli.images import load_images
from fe_phaseinv.cli.laws import started
from fe_phaseinv.cli.models import model_class
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.laws.bases import Legendre, Powers
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import density_entropy
from fe_phaseinv.output.summary import structure

OWN = """
from fe_phaseinv import Field, FunctionLaw, Model, NumberLaw, Scalar


class Own(Model):
    fields = Field("c", bounds=(0, 1)), Field("mu", rate=False), Field("phi", bounds=(-1, 1)), Field("eta")
    laws = (
        FunctionLaw("potential", symbol="mu_h", unit="kT"),
        FunctionLaw("mobility", positive=True),
        FunctionLaw("ordering", of="phi"),
        FunctionLaw("excess", of="eta"),
        FunctionLaw("energy", of=("c", "phi")),
        NumberLaw("coupling"),
        NumberLaw("stiff", initial=2.0, positive=True, fixed=True),
    )
    data = ("mean", "flux")
    options = ("order", "name_of_it", "sizes", "anything", "on")
    order, name_of_it, sizes, anything, on = 2, "a", (1, 2.5), None, True


class Other(Own):
    pass


def no_model():
    pass


number = 3
"""
CASE = """
model = "own.py:Own"
images = {file = "images.npz"}
data.flux = [[0, 1], [2.5, -1]]
[laws]
potential = {}
mobility = {size = 2, coefficients = [0.5]}
ordering = {basis = "polynomial", symmetric = true}
excess = {ideal_entropy = true}
energy = {size = [2, 3]}
"""
REACTION = """
model = "driven-reaction"
images = {file = "images.npz"}
[laws.chemical_potential]
[laws.exchange_current]
"""
STRAIN = """
model = "strain-coupled"
images = {file = "images.npz"}
[laws.chemical_potential]
[laws.diffusivity]
"""
FRAMES = 0.3 + 0.1 * np.indices((3, 4, 4))[1] / 4


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a model, a case of it, and images."""
    ImageSeries(FRAMES, [0, 1, 2], (1, 1)).save(tmp_path / "images.npz")
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def read(folder, text=CASE, *overrides):
    path = folder / "case.toml"
    path.write_text(text)
    return read_case(path, overrides)


def refusal(folder, text=CASE, *overrides) -> str:
    with pytest.raises(InputError) as caught:
        load_images(read(folder, text, *overrides))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(f"{folder}/")


# ------------------------------------------------------------------------------------------------------ what is read


def test_laws_of_a_model_in_a_file(folder):
    case = read(folder)
    model = build_model(case)
    assert (model.name, type(model).__name__) == ("own", "Own")
    assert model.potential.basis == Legendre(10, (0.0, 1.0))
    assert (model.mobility.basis, model.mobility.transform(0)) == (Legendre(2, (0.0, 1.0)), 1)
    assert (model.ordering.basis, model.ordering.symmetric, model.ordering.argument) == (
        Powers(10, (-1.0, 1.0)),
        True,
        "phi",
    )
    assert (model.excess.basis, model.excess.known) == (Powers(3), density_entropy)
    assert model.energy.basis == TensorProduct(Legendre(2, (0.0, 1.0)), Legendre(3, (-1.0, 1.0)))
    assert starting_laws(case) == ({"mobility": (0.5,), "stiff": 2.0}, ["stiff"])
    assert given_data(case) == {"flux": ((0.0, 1.0), (2.5, -1.0)), "mean": "from-images"}


def test_numbers_start_or_stay(folder):
    changed = read(folder, CASE, "laws.coupling.fixed=-3", "laws.stiff.initial=0.5")
    assert starting_laws(changed)[1] == ["coupling"]
    assert (starting_laws(changed)[0]["coupling"], starting_laws(changed)[0]["stiff"]) == (-3, 0.5)


def test_intervals_are_chosen(folder):
    overrides = "laws.potential.interval=[-1, 2]", "laws.energy.intervals=[[0, 2], [1, 3]]"
    model = build_model(read(folder, CASE, *overrides, "laws.excess={basis = 'legendre', interval = [-0.5, 4]}"))
    assert (model.potential.basis.interval, model.excess.basis) == ((-1, 2), Legendre(3, (-0.5, 4.0)))
    assert (model.energy.basis.first.interval, model.energy.basis.second.interval) == ((0, 2), (1, 3))


def test_options_are_given(folder):
    model = build_model(read(folder))
    assert (model.order, model.name_of_it, model.sizes, model.anything, model.on) == (2, "a", (1, 2.5), None, True)
    model = build_model(read(folder, CASE, "options={order = 3, name_of_it = 'b', sizes = [0, 1], on = false}"))
    assert (model.order, model.name_of_it, model.sizes, model.on) == (3, "b", (0, 1), False)


def test_options_have_sections_of_their_own(folder):
    for text in ("elasticity.stiffness=[3, 2, 1]", "options.stiffness=[3, 2, 1]"):
        case = read(folder, STRAIN, text, "laws.diffusivity.weighted=false")
        model = build_model(case)
        assert (model.stiffness, model.weighted) == ((3, 2, 1), False)
        (folder / "again.toml").write_text(case.text())
        assert read_case(folder / "again.toml") == case


def test_a_case_of_a_file_is_recorded_with_it(folder):
    (folder / "out").mkdir()
    case = read(folder)
    assert f'model = "{folder}/own.py:Own"' in case.text()
    record = folder / "out" / "case.toml"
    record.write_text(case.text(record.parent))
    assert 'model = "../own.py:Own"' in record.read_text()
    assert read_case(record) == case


def test_a_model_that_is_moved_is_the_same_and_one_that_is_changed_is_not(folder):
    case, images = read(folder), [(ImageSeries(FRAMES, [0, 1, 2], (1, 1)), (1,))]
    record = folder / "record.toml"
    record.write_text(case.text(folder))
    (folder / "own.py").rename(folder / "moved.py")
    moved = read(folder, CASE.replace("own.py", "moved.py"))
    assert _same(_read_record(record, moved), moved)
    (folder / "own.py").write_text(OWN)
    assert _same(_read_record(record, moved), moved) and _inputs(case, images) == _inputs(moved, images)
    (folder / "own.py").write_text(OWN + "\n")
    assert not _same(_read_record(record, moved), moved)
    assert not _same(case, replace(moved, model=folder / "moved.py:Other"))


def test_files_of_the_same_name_do_not_mix(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "own.py").write_text(OWN.replace('"coupling"', '"repulsion"'))
    before = set(sys.modules)
    first, second = (model_class(path / "own.py:Own") for path in (folder, folder / "sub"))
    assert [kind.laws[-2].name for kind in (first, second)] == ["coupling", "repulsion"]
    assert model_class(folder / "own.py:Own") is first
    assert all(name.startswith("fe_phaseinv_") for name in set(sys.modules) - before)
    assert not list(folder.rglob("__pycache__"))


def test_the_mean_is_from_images_or_given(folder):
    assert given_data(read(folder, REACTION)) == {"mean": "from-images"}
    assert given_data(read(folder, REACTION, "drive.rate=0.1")) == {"mean": 0.1}
    case = read(folder, REACTION, "drive.mean=[[0, 0.3], [2, 0.4]]")
    assert given_data(case) == {"mean": ((0.0, 0.3), (2.0, 0.4))}
    for overrides in ((), ("drive.rate=0.1",), ("drive.mean=[[0, 0.3], [2, 0.4]]",)):
        case = read(folder, REACTION, *overrides)
        load_images(case)
        (folder / "again.toml").write_text(case.text())
        assert read_case(folder / "again.toml") == case


def test_a_law_of_two_fields_starts_from_a_result(folder):
    case = read(folder)
    declared, section = case.model_class.declared("energy"), case.laws["energy"]
    found = {"coefficients": [1.0] * 6} | structure(build_model(case).energy)
    found["basis"] = {key: dict(value) if isinstance(value, dict) else value for key, value in found["basis"].items()}
    for factor in ("first", "second"):
        found["basis"][factor]["interval"] = list(found["basis"][factor]["interval"])
    assert started(declared, section, found, "result.json").coefficients == (1.0,) * 6
    with pytest.raises(InputError, match="laws.energy.coefficients: found 5 numbers; accepted: 6"):
        started(declared, section, found | {"coefficients": [1.0] * 5}, "result.json")


def test_a_new_case_of_a_file(folder, capsys):
    assert main(["new", str(folder / "new"), "--model", str(folder / "own.py:Other")]) == 0
    text = (folder / "new" / "case.toml").read_text()
    assert 'model = "../own.py:Other"' in text and "[data]" in text and "sizes = [1.0, 2.5]" in text
    (folder / "new" / "images.npz").touch()
    assert read_case(folder / "new" / "case.toml").model_class.name == "other"
    capsys.readouterr()
    for model, found in (
        ("lost.py:Own", "--model: found lost.py:Own; accepted: cahn-hilliard or allen-cahn"),
        ("x", ""),
    ):
        assert main(["new", str(folder / "more"), "--model", model]) == 2
        assert found in capsys.readouterr().err
    assert not (folder / "more").exists()


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("lost.py:Own", 'case.toml: model: found "lost.py:Own"; accepted: "cahn-hilliard" or "allen-cahn" or "phase-'),
        ("own.py", 'case.toml: model: found "own.py"; accepted: "cahn-hilliard" or'),
        ("own.py:Lost", "own.py: Lost: found no such class; accepted: Own or Other"),
        ("own.py:no_model", "own.py: no_model: found function that is no subclass of fe_phaseinv.Model; accepted: Own"),
        ("own.py:number", "own.py: number: found int that is no subclass of fe_phaseinv.Model"),
        (".:Own", "file: found Is a directory; accepted: a file of Python that runs"),
    ],
)
def test_models_are_refused(folder, model, found):
    assert found in refusal(folder, CASE.replace("own.py:Own", model))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "import nothing_there",
            "file: found ModuleNotFoundError: No module named 'nothing_there'; accepted: a file of",
        ),
        ("class Own(Model)\n", "file: found SyntaxError: expected ':' (own.py, line 1)"),
        ("1 / 0", "file: found ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "file: found SystemExit: 1"),
        ("", "Own: found no such class; accepted: a subclass of fe_phaseinv.Model"),
        (OWN.replace('"coupling"', '"a b"'), "own: laws: found 'a b'; accepted: different names of variables"),
        (
            OWN.replace('"coupling"', '"mobility"'),
            "own: laws: found 'mobility'; accepted: different names of variables",
        ),
        (OWN.replace('NumberLaw("coupling"),', '"coupling",'), "Own: found AttributeError: 'str' object has no"),
        (OWN.replace("    data", '    gauge = {"mob": 1}\n    data'), "own: found 'mob'; accepted: laws, coupling"),
        (OWN.replace('Field("c", ', 'Field("c", rate=False, '), "own: found no field with a rate; accepted: a first"),
    ],
)
def test_files_are_refused(folder, text, found):
    (folder / "own.py").write_text(text.replace("(own.py", f"({folder}/own.py"))
    before = set(sys.modules)
    assert refusal(folder).replace(str(folder) + "/", "").startswith(f"own.py: {found}")
    assert {name.endswith("_own") for name in set(sys.modules) - before} <= {True}


@pytest.mark.parametrize(
    ("override", "found"),
    [
        (
            "laws.mobilty={}",
            "laws.mobilty: found an unknown key (nearest: mobility); accepted: potential, mobility, ord",
        ),
        ("laws.mobility.ideal_entropy=true", "laws.mobility.ideal_entropy: found an unknown key"),
        ("laws.potential.interval=[1, 0]", "laws.potential.interval: found [1.0, 0.0]; accepted: increasing numbers"),
        (
            "laws.potential.interval=[1]",
            "laws.potential.interval: found [1]; accepted: a list of 2, each item a finite",
        ),
        (
            "laws.excess.basis=legendre",
            "laws.excess.interval: found nothing; accepted: increasing numbers, for eta has",
        ),
        ("laws.ordering.coefficients=[0, 1]", "laws.ordering.coefficients: found [0.0, 1.0]; accepted: zeros for the"),
        (
            "laws.potential={size = 1, symmetric = true}",
            "laws.potential: found potential: no function of Legendre is odd",
        ),
        (
            "laws.energy.coefficients=[1, 1, 1, 1, 1, 1, 1]",
            "laws.energy.coefficients: found 7 numbers; accepted: at most 6",
        ),
        ("laws.energy.size=4", "laws.energy.size: found 4; accepted: a list of 2, each item an integer >= 1"),
        ("laws.stiff.initial=-1", "laws.stiff.initial: found -1; accepted: a finite number > 0"),
        ("laws.coupling={initial = 1, fixed = 1}", "laws.coupling.fixed: found fixed beside initial; accepted: one of"),
        ("options.orders=1", "options.orders: found an unknown key (nearest: order); accepted: order, name_of_it"),
        ("options.sizes=[1, 2, 3]", "options.sizes: found [1, 2, 3]; accepted: a list of 2, each item a finite number"),
        ("elasticity.stiffness=[1]", "elasticity.stiffness: found an unknown key (nearest"),
        (
            "domain.boundary=from-images",
            'domain.boundary: found "from-images"; accepted: "periodic" or "no-flux", where',
        ),
        ("data={}", "data.flux: found nothing; accepted: a list, each item a list of 2, each item a finite number"),
        ("data.flux=[[0, 1]]", "data.flux: found the times [0.0]; accepted: two times or more, increasing"),
        ("data.flux=[[1, 1], [0, 2]]", "data.flux: found the times [1.0, 0.0]; accepted: two times"),
        ("data.mean=[[0, 1], [2, 2]]", "data.mean: found an unknown key (nearest: flux); accepted: flux"),
    ],
)
def test_what_does_not_go_with_a_model_is_refused(folder, override, found):
    assert refusal(folder, CASE, override).startswith(f"case.toml: {found}")


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["drive={mean = 'from-images', rate = 1}"], "drive.rate: found rate beside mean; accepted: one of the two"),
        (["drive.mean=[[0, 0.3], [2, 1.2]]"], "drive.mean: found 1.2; accepted: means between 0 and 1"),
        (["drive.mean=[[0, 0.3], [0, 0.4]]"], "drive.mean: found the times [0.0, 0.0]; accepted: two times or more"),
        (
            ["drive.mean=from-pictures"],
            'drive.mean: found "from-pictures"; accepted: "from-images" or a list, each item',
        ),
        (
            ["drive.mean=[[0, 0.3], [1, 0.4]]"],
            "drive.mean: found times from 0 to 1; accepted: times that cover those of",
        ),
        (
            ["drive.rate=0.4"],
            "drive.rate: found 0.4, with which the mean goes from 0.3375 to 1.137; accepted: a mean b",
        ),
        (["data.flux=[[0, 1], [2, 1]]"], "data.flux: found an unknown key; accepted: none, where model = "),
    ],
)
def test_drives_are_refused(folder, overrides, found):
    assert found in refusal(folder, REACTION, *overrides)


def test_other_models_have_no_drive(folder):
    assert "drive.rate: found an unknown key; accepted: none, where model =" in refusal(folder, STRAIN, "drive.rate=1")
    message = refusal(folder, REACTION, "elasticity.stiffness=[1, 2, 3]")
    assert message.startswith("case.toml: elasticity.stiffness: found an unknown key; accepted: none, where model = ")
    message = refusal(folder, STRAIN, "elasticity.stiffness=[1, 2]")
    assert message.startswith("case.toml: elasticity.stiffness: found [1, 2]; accepted: a list of 3, each item")
    message = refusal(folder, STRAIN, "elasticity.stiffness=[1, 2, 3]", "options.stiffness=[1, 2, 3]")
    assert message.startswith("case.toml: elasticity.stiffness: found stiffness beside options; accepted: stiffness in")


@pytest.mark.slow
def test_all_ranks_refuse_a_model(folder):
    (folder / "case.toml").write_text(CASE)
    (folder / "own.py").write_text("import nothing_there")
    command = [*COMMAND, "invert", folder / "case.toml", "--output", folder / "out"]
    status, out, err = finish(start(["mpiexec", "-q", "-n", 2, *command]))
    assert (status, out) == (2, "")
    assert err.startswith(f"{folder}/own.py: file: found ModuleNotFoundError") and len(err.splitlines()) == 1
