"""Case files: what is read, what is refused, and how."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fe_phaseinv.cli.build import given_data
from fe_phaseinv.cli.case import Case, read_case
from fe_phaseinv.cli.folder import _inputs, _same
from fe_phaseinv.cli.laws import start_of, started
from fe_phaseinv.cli.schema import Curve, Kernel, Mixing, PositiveNumber
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.laws.bases import EvenPowers, Hermite, Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal
from fe_phaseinv.output.summary import structure

SMALLEST = """
model = "cahn-hilliard"
[images]
file = "images.npz"
[laws.chemical_potential]
[laws.diffusivity]
"""

FULL = """
model = "cahn-hilliard"
truth = "truth.json"

[images]
file = "sub/../images.npz"
frames = [0, 2, 3]
initial = 2
noise = 0.1

[domain]
mesh = "a \\"b\\" \\u007f.msh"
cells = 32
degree = 2
boundary = "no-flux"

[laws.chemical_potential]
basis = "legendre"
size = 4
coefficients = [1, -2.5e-3]
fixed = true
ideal_entropy = true

[laws.diffusivity]
size = 3

[laws.gradient_energy]
initial = 2e-3

[time]
rtol = 1e-4

[prior]
strength = 2

[optimizer]
hessian = "gauss-newton"
max_iterations = 7

[uncertainty]
method = "none"
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the files that the cases name."""
    (tmp_path / "sub").mkdir()
    for name in ("images.npz", "truth.json", 'a "b" \x7f.msh'):
        (tmp_path / name).touch()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    """Write a case file."""
    path = folder / "case.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    """Return the message of the refusal of a case, and check that it is one line that begins with the file."""
    with pytest.raises(InputError) as caught:
        read_case(path, overrides)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{path}: ")


def test_defaults(folder):
    """What the smallest case leaves out takes its default."""
    case = read_case(write(folder, SMALLEST))
    assert case.images[0].file == folder / "images.npz"
    (images,) = case.images
    assert (images.frames, images.initial, images.noise, images.domain) == (None, 0, 0.0, None)
    assert (case.domain.mesh, case.domain.cells, case.domain.degree) == ("rectangle", None, None)
    assert case.laws["chemical_potential"] == Mixing("legendre", 10, (0.0, 1.0), (), False)
    assert case.laws["diffusivity"] == Curve("legendre", 10, (0.0, 1.0), (), False)
    assert case.laws["gradient_energy"] == PositiveNumber(None, None)
    assert (case.options, case.drive, case.data) == ({"weighted": True}, None, {})
    assert (case.truth, case.time.rtol, case.prior.strength) == (None, None, "auto")
    assert (case.optimizer.max_iterations, case.uncertainty.method) == (50, "laplace")


def test_values(folder):
    """Every key arrives, with its type."""
    case = read_case(write(folder, FULL))
    assert case.truth == folder / "truth.json"
    assert case.images[0].file == folder / "images.npz"
    assert case.images[0].frames == (0, 2, 3)
    assert case.domain.mesh == folder / 'a "b" \x7f.msh'
    start = (1.0, -2.5e-3)
    assert case.laws["chemical_potential"] == Mixing("legendre", 4, (0.0, 1.0), start, True, ideal_entropy=True)
    assert case.laws["gradient_energy"].initial == 2e-3
    assert isinstance(case.prior.strength, float)
    assert case.optimizer.max_iterations == 7


@pytest.mark.parametrize("text", [SMALLEST, FULL])
@pytest.mark.parametrize(
    "overrides", [(), ("images.noise=1e-05", "uncertainty.method=none"), ("laws.gradient_energy={fixed=1e22}",)]
)
def test_text_reads_back(folder, text, overrides):
    """The recorded case is equal wherever it is read, and its record is the same."""
    case = read_case(write(folder, text), overrides)
    copy = folder / "sub" / "copy.toml"
    copy.write_text(case.text(), encoding="utf-8")
    assert read_case(copy) == case
    assert read_case(copy).text() == case.text()


def test_text_tells_cases_apart(folder):
    """Another value is another record; the same value given otherwise is not."""
    path = write(folder, SMALLEST)
    assert read_case(path).text() == read_case(path, ["images.noise=0"]).text()
    assert read_case(path).text() != read_case(path, ["images.noise=0.1"]).text()


def test_byte_order_mark(folder):
    """A file that an editor began with a byte order mark is read."""
    path = folder / "case.toml"
    path.write_text(SMALLEST, encoding="utf-8-sig")
    assert isinstance(read_case(path), Case)


def test_relative_path_of_the_case(folder, monkeypatch):
    """Paths start from the folder of the case, also when it is given relative to another folder."""
    write(folder, SMALLEST)
    monkeypatch.chdir(folder / "sub")
    assert read_case("../case.toml").images[0].file == folder / "images.npz"


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("domain.cells=8", "domain", "cells", 8),
        ("domain.cells = 8", "domain", "cells", 8),
        ("images.frames=[0, 1]", "images", "frames", (0, 1)),
        ("prior.strength=auto", "prior", "strength", "auto"),
        ("images.noise=estimate", "images", "noise", "estimate"),
        ("images.noise=[0.1, 0.2, 1]", "images", "noise", (0.1, 0.2, 1.0)),
        ("images.loss=huber", "images", "loss", "huber"),
        ("domain.boundary=from-images", "domain", "boundary", "from-images"),
        ('prior.strength="auto"', "prior", "strength", "auto"),
        ("time.rtol=1e-2", "time", "rtol", 1e-2),
    ],
)
def test_override(folder, override, section, key, value):
    """An override replaces or adds a key; a text needs no quotes."""
    found = getattr(read_case(write(folder, FULL), [override]), section)
    assert getattr(found[0] if section == "images" else found, key) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("images.file=lost.npz", 'images.file: found "lost.npz"; accepted: an existing file or folder'),
        ("images.file=3", "images.file: found 3; accepted: an existing file or folder"),
        ("images.file=", 'images.file: found ""; accepted: an existing file or folder'),
        ('images.file="a\\u0000b"', 'images.file: found "a\\u0000b"; accepted: an existing file or folder'),
        ("truth=lost.json", 'truth: found "lost.json"; accepted: an existing file or folder'),
        ("images.frames=2", "images.frames: found 2; accepted: a list, each item an integer >= 0"),
        ("images.frames=[0, -1]", "images.frames: found [0, -1]; accepted: a list, each item an integer >= 0"),
        ("images.frames=[0, true]", "images.frames: found [0, true]; accepted: a list, each item an integer >= 0"),
        ("images.frames=[0.0]", "images.frames: found [0.0]; accepted: a list, each item an integer >= 0"),
        ("images.initial=true", "images.initial: found true; accepted: an integer >= 0"),
        ("images.noise=nan", 'images.noise: found nan; accepted: "estimate" or a finite number >= 0'),
        ("images.noise=inf", 'images.noise: found inf; accepted: "estimate" or a finite number >= 0'),
        ("images.noise=false", 'images.noise: found false; accepted: "estimate" or a finite number >= 0'),
        ("images.noise=-0.1", 'images.noise: found -0.1; accepted: "estimate" or a finite number >= 0'),
        ("images.noise=guess", 'images.noise: found "guess"; accepted: "estimate" or a finite number >= 0'),
        (
            "domain.mesh=lost.msh",
            'found "lost.msh"; accepted: "rectangle" or "box" or "outline" or an existing file or folder',
        ),
        ("domain.tags=[1.5]", "domain.tags: found [1.5]; accepted: a list, each item an integer >= 1 or a text"),
        ("domain.cells=0", "domain.cells: found 0; accepted: an integer > 0"),
        ("domain.cells=8.0", "domain.cells: found 8.0; accepted: an integer > 0"),
        ("domain.degree=0", "domain.degree: found 0; accepted: an integer >= 1"),
        ("domain.boundary=open", 'domain.boundary: found "open"; accepted: "no-flux" or "from-images"'),
        ("laws.diffusivity.basis=spline", 'laws.diffusivity.basis: found "spline"; accepted: "legendre"'),
        ("laws.diffusivity.size=0", "laws.diffusivity.size: found 0; accepted: an integer >= 1"),
        ("laws.diffusivity.fixed=1", "laws.diffusivity.fixed: found 1; accepted: true or false"),
        ("laws.diffusivity.coefficients=[nan]", "found [nan]; accepted: a list, each item a finite number"),
        ("laws.chemical_potential.size=1", "coefficients: found 2 numbers; accepted: at most 1 (laws.chemical"),
        ("laws.gradient_energy.initial=0", "laws.gradient_energy.initial: found 0; accepted: a finite number > 0"),
        ("laws.gradient_energy.fixed=1", "laws.gradient_energy.fixed: found fixed beside initial; accepted: one of"),
        ("time.rtol=1", "time.rtol: found 1; accepted: a finite number > 0 and < 1"),
        ("time.rtol=0", "time.rtol: found 0; accepted: a finite number > 0 and < 1"),
        ("prior.strength=weak", 'prior.strength: found "weak"; accepted: "auto" or a finite number >= 0'),
        ("prior.strength=-1", 'prior.strength: found -1; accepted: "auto" or a finite number >= 0'),
        ("prior.strength=1" + 400 * "0", '...; accepted: "auto" or a finite number >= 0'),
        ("optimizer.hessian=bfgs", 'optimizer.hessian: found "bfgs"; accepted: "gauss-newton" or "newton" or "both"'),
        ("heterogeneity.deviation=0.5", "heterogeneity.length: found nothing; accepted: a finite number > 0"),
        ("heterogeneity=1", "heterogeneity: found 1; accepted: a section with the keys deviation, length"),
        ("optimizer.max_iterations=0", "optimizer.max_iterations: found 0; accepted: an integer >= 1"),
        ("uncertainty.method=mcmc", 'uncertainty.method: found "mcmc"; accepted: "laplace" or "none"'),
        ("uncertainty.method=[1]", 'uncertainty.method: found [1]; accepted: "laplace" or "none"'),
        ("model=allen-cahn", "laws.diffusivity: found an unknown key"),
        ("model=fickian", 'model: found "fickian"; accepted: "cahn-hilliard" or "allen-cahn"'),
        ("model=1", 'model: found 1; accepted: "cahn-hilliard" or "allen-cahn"'),
        ("images=3", "images: found 3; accepted: a section with the keys file, frames, initial, noise"),
        ("laws.diffusivity=1979-01-01", "laws.diffusivity: found 1979-01-01; accepted: a section with the keys basis"),
    ],
)
def test_refused_value(folder, override, message):
    """A value that is refused is named with its key and what would be accepted."""
    assert message in refusal(write(folder, FULL), override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "image.noise=1",
            "image: found an unknown key (nearest: images); accepted: model, truth, start, images, domain",
        ),
        ("images.nois=1", "images.nois: found an unknown key (nearest: noise); accepted: file, frames, initial, noise"),
        (
            "laws.kinetic_prefactor={}",
            "laws.kinetic_prefactor: found an unknown key (nearest: chemical_potential); "
            "accepted: chemical_potential, diffusivity, gradient_energy",
        ),
        ("laws.diffusivity.ideal_entropy=true", "laws.diffusivity.ideal_entropy: found an unknown key"),
        ("model.x=1", 'model.x: found model = "cahn-hilliard", which holds no keys; accepted: a key of a section'),
        ("images.noise", 'override: found "images.noise"; accepted: key.path=value'),
        ("images..noise=1", 'override: found "images..noise=1"; accepted: key.path=value'),
        ("=1", 'override: found "=1"; accepted: key.path=value'),
    ],
)
def test_refused_key(folder, override, message):
    """A key that does not exist is named with those that do."""
    assert message in refusal(write(folder, FULL), override)


CRYSTAL = """
model = "phase-field-crystal"
images = {file = "images.npz"}
[laws.chemical_potential]
[laws.direct_correlation]
wavenumber = 10
"""


def test_defaults_of_a_crystal(folder):
    laws = read_case(write(folder, CRYSTAL)).laws
    assert (laws["chemical_potential"].basis, laws["chemical_potential"].size) == ("polynomial", 3)
    kernel = laws["direct_correlation"]
    assert (kernel.basis, kernel.size, kernel.wavenumber) == ("hermite", None, 10.0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["wavenumber=0"], "wavenumber: found 0; accepted: a finite number > 0"),
        (["wavenumber=-1"], "wavenumber: found -1; accepted: a finite number > 0"),
        (["size=4"], 'size: found 4; accepted: 5 to 14, where basis = "hermite"'),
        (["size=15"], 'size: found 15; accepted: 5 to 14, where basis = "hermite"'),
        (["basis=quartic", "size=4"], 'size: found 4; accepted: 3, where basis = "quartic"'),
        (["basis=quartic", "coefficients=[0, 1, 2]"], "coefficients: found [0.0, 1.0, 2.0]; accepted: three numbers"),
        (["basis=spline"], 'basis: found "spline"; accepted: "quartic" or "hermite"'),
    ],
)
def test_refused_kernel(folder, overrides, message):
    overrides = [f"laws.direct_correlation.{override}" for override in overrides]
    assert message in refusal(write(folder, CRYSTAL), *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["domain.boundary=from-images"], 'domain.boundary: found "from-images"; accepted: "periodic" or "no-flux"'),
        (["optimizer.hessian=newton"], 'optimizer.hessian: found "newton"; accepted: "gauss-newton", where model ='),
        (
            ["heterogeneity.deviation=1", "heterogeneity.length=0.1"],
            "heterogeneity: found a section; accepted: none, where model =",
        ),
    ],
)
def test_crystals_have_less(folder, overrides, message):
    assert message in refusal(write(folder, CRYSTAL), *overrides)


def test_refused_tags(folder):
    message = 'domain.tags: found [1]; accepted: none, unless domain.boundary = "from-images"'
    assert message in refusal(write(folder, FULL), "domain.boundary=no-flux", "domain.tags=[1]")


def test_refused_periodic_mesh(folder):
    message = 'accepted: "rectangle" or "box", where domain.boundary = "periodic"'
    assert message in refusal(write(folder, FULL), "domain.boundary=periodic")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["symmetric=true", "coefficients=[0, 1, 2]"],
            "coefficients: found [0.0, 1.0, 2.0]; accepted: zeros for the even polynomials, where symmetric = true",
        ),
        (["convex_ends=true", "ideal_entropy=false"], "found slopes -0.005 and -0.005; accepted: two or more"),
        (["convex_ends=true", "ideal_entropy=false", "size=1", "coefficients=[]"], "found slopes 0 and 0; accepted"),
    ],
)
def test_refused_constraints(folder, overrides, message):
    overrides = [f"laws.chemical_potential.{override}" for override in overrides]
    assert message in refusal(write(folder, FULL), *overrides)


def test_laws_without_entropy_begin_with_a_line_where_they_must_rise(folder):
    overrides = [f"laws.chemical_potential.{key}" for key in ("convex_ends=true", "ideal_entropy=false")]
    law = read_case(write(folder, SMALLEST), overrides).laws["chemical_potential"]
    assert law.starting == (0.0, 0.5)
    overrides[1] = overrides[1].replace("false", "true")
    assert read_case(write(folder, SMALLEST), overrides).laws["chemical_potential"].starting == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('model = "cahn-hilliard"', 'model: found nothing; accepted: "cahn-hilliard"'),
        ('file = "images.npz"', "images.file: found nothing; accepted: an existing file or folder"),
        ('[images]\nfile = "images.npz"', "images: found nothing; accepted: a section with the keys file, frames"),
        ("[laws.diffusivity]", "laws.diffusivity: found nothing; accepted: a section with the keys basis, size"),
        ("[laws.chemical_potential]", "laws.chemical_potential: found nothing; accepted: a section with the keys"),
        (
            "[laws.chemical_potential]\n[laws.diffusivity]",
            "laws: found nothing; accepted: a section with the keys chemical_potential, diffusivity, gradient_energy",
        ),
    ],
)
def test_missing(folder, line, message):
    """A required key or section that is absent is named."""
    assert message in refusal(write(folder, SMALLEST.replace(line, "")))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"model = ", "unreadable content (TOMLDecodeError: Invalid value"),
        (b"model = 1\nmodel = 2", "unreadable content (TOMLDecodeError: Cannot overwrite a value"),
        (b"\x89PNG\r\n\x1a\n\xff", "unreadable content (UnicodeDecodeError:"),
        (b"model = " + 5000 * b"[", "unreadable content (RecursionError:"),
        (None, "No such file or directory"),
    ],
)
def test_unreadable(tmp_path, content, found):
    """A file that is missing or no TOML is named as such."""
    path = tmp_path / "case.toml"
    if content is not None:
        path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"file: found {found}")
    assert message.endswith("; accepted: a case file (TOML)")


def test_folder_as_case(tmp_path):
    """A folder is no case file."""
    assert refusal(tmp_path) == "file: found Is a directory; accepted: a case file (TOML)"


def test_error_is_one_line_and_pickles():
    """Line breaks are collapsed, what was found is shortened, and the error survives the way to another process."""
    error = InputError(Path("case.toml"), "a.b", "one\n  two\r\n" + 500 * "x", "a\nb")
    message = str(error)
    assert message.startswith("case.toml: a.b: found one two xxx")
    assert message.endswith("xxx...; accepted: a b")
    assert len(message) < 200
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.source, copy.key, copy.accepted) == (message, "case.toml", "a.b", "a\nb")


# ---------------------------------------------------------------------------------------------- several series

SEVERAL = """
model = "cahn-hilliard"
[domain]
cells = 12
[[images]]
file = "images.npz"
noise = 0.1
[[images]]
file = "sub/../images.npz"
frames = [0, 2]
noise = "estimate"
[images.domain]
degree = 2
boundary = "from-images"
[laws.chemical_potential]
[laws.diffusivity]
"""


def test_several_series(folder):
    """Each series has its own keys, and may have a domain of its own."""
    case = read_case(write(folder, SEVERAL), ["images.1.initial=1", "images.0.noise=0.2", "images.1.domain.tags=[3]"])
    first, second = case.images
    assert (first.noise, second.noise) == (0.2, "estimate")
    assert (first.frames, second.frames, second.initial) == (None, (0, 2), 1)
    assert first.domain is None and case.domain.cells == 12
    assert (second.domain.cells, second.domain.degree, second.domain.tags) == (None, 2, (3,))
    assert case.names == ["images[0]", "images[1]"]


def test_several_series_with_maps_drives_and_frames_held_out(folder):
    """Each has the drive of the case, or one of its own; maps and held-out frames are asked for once."""
    overrides = ["images.1.drive.rate=0.1", "heterogeneity={deviation=1, length=1}", "validation.frames=[2]"]
    overrides += ['images.1.domain={mesh = "outline"}']
    text = SEVERAL.replace("diffusivity", "exchange_current").replace("cahn-hilliard", "driven-reaction")
    case = read_case(write(folder, text), overrides)
    assert [given_data(case, index) for index in (0, 1)] == [{"mean": "from-images"}, {"mean": 0.1}]
    assert case.validation.frames == (2,) and case.heterogeneity.deviation == 1
    copy = folder / "copy.toml"
    copy.write_text(case.text(), encoding="utf-8")
    assert read_case(copy) == case
    message = refusal(copy, "images.1.drive={mean = [[0, 0.5], [1, 1.5]]}")
    assert message.startswith("images[1].drive.mean: found 1.5; accepted: means between 0 and 1")


@pytest.mark.parametrize(
    "text", [SEVERAL, SMALLEST.replace("[images]", "[[images]]"), SMALLEST + "[images.domain]\ncells = 3\n"]
)
def test_series_read_back(folder, text):
    """The record of a list of sections, and of sections inside them, is read back to an equal case."""
    case = read_case(write(folder, text))
    copy = folder / "sub" / "copy.toml"
    copy.write_text(case.text(), encoding="utf-8")
    assert read_case(copy) == case
    assert case.text().count("[[images]]") == (2 if text == SEVERAL else 0)
    assert case.text().count("\n[images]") == (0 if text == SEVERAL else 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["validation.images=[0,1]"], "validation.images: found [0, 1]; accepted: some of 0 to 1, not all"),
        (["images.1.file=lost.npz"], 'images[1].file: found "lost.npz"; accepted: an existing file or folder'),
        (["images.0.nois=1"], "images[0].nois: found an unknown key (nearest: noise)"),
        (["images.1={}"], "images[1].file: found nothing; accepted: an existing file or folder"),
        (["images=[]"], "images: found []; accepted: a section with the keys file, frames"),
        (
            ["images.noise=1"],
            "images.noise: found noise of images, a list of 2 sections; accepted: images.0 to images.1",
        ),
        (
            ["images.2.noise=1"],
            "images.2.noise: found 2 of images, a list of 2 sections; accepted: images.0 to images.1",
        ),
        (["images.1.noise=0"], "images[1].noise: found 0.0 beside 0.1 of images[0]; accepted: noise of all series"),
        (
            ["images.1.domain={tags = [1]}"],
            'images[1].domain.tags: found [1]; accepted: none, unless images[1].domain.boundary = "from-images"',
        ),
        (
            ["images.1.drive={rate = 1}"],
            'images[1].drive: found a section; accepted: none, where model = "cahn-hilliard"',
        ),
    ],
)
def test_series_are_refused(folder, overrides, message):
    """The message names the series by its index."""
    assert refusal(write(folder, SEVERAL), *overrides).startswith(message)


def test_an_index_is_no_key_of_a_single_series(folder):
    """What `--set` may name in a list it may not in a section."""
    message = refusal(write(folder, SMALLEST), "images.0.noise=1")
    assert message.startswith("images.0: found an unknown key")


def test_the_record_of_a_run_names_its_files_from_its_folder(folder):
    """So that a folder moves with its images, and is known where they are gone."""
    case, record = read_case(write(folder, FULL)), folder / "sub" / "case.toml"
    record.write_text(case.text(record.parent))
    assert 'file = "../images.npz"' in record.read_text()
    assert read_case(record) == case
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert read_case(moved / "sub" / "case.toml").images[0].file == moved / "images.npz"
    (moved / "images.npz").unlink()
    assert read_case(moved / "sub" / "case.toml", recorded=True).images[0].file == moved / "images.npz"


def test_runs_are_told_apart_by_what_their_files_hold(folder):
    """A file elsewhere with the same content is the same input; a mesh with other content is not."""
    mesh, copy = folder / 'a "b" \x7f.msh', folder / "sub" / "mesh.msh"
    case = read_case(write(folder, FULL))
    shutil.copy(mesh, copy)
    moved = read_case(folder / "case.toml", ["domain.mesh=sub/mesh.msh", "optimizer.max_iterations=9"])
    images = ImageSeries(np.full((2, 2, 2), 0.5), [0, 1], (1, 1))
    assert _same(case, moved) and _inputs(case, [(images, (1,))]) == _inputs(moved, [(images, (1,))])
    copy.write_text("another")
    other = _inputs(moved, [(replace(images, frames=0.4 + 0 * images.frames), (1,))])
    assert not _same(case, moved)
    assert [key for key, value in _inputs(case, [(images, (1,))]).items() if value != other[key]] == ["images", "mesh"]
    assert not _same(case, read_case(folder / "case.toml", ["images.noise=0.2"]))


RESULT = {
    "model": "cahn-hilliard",
    "laws": {
        "chemical_potential": {"coefficients": [0.0, -2.0, 0.0, 0.25]},
        "diffusivity": {"coefficients": [0.5, -0.5]},
        "gradient_energy": {"value": 3e-3},
    },
}


def test_laws_start_from_a_result(folder):
    """Those that the case fixes stay; a shorter law takes the first coefficients."""
    (folder / "coarse").mkdir()
    (folder / "coarse" / "result.json").write_text(json.dumps(RESULT))
    path = write(folder, SMALLEST)
    for start in ("coarse", "coarse/result.json"):
        case = read_case(path, [f"start={start}", "laws.chemical_potential.size=3", "laws.gradient_energy.initial=1"])
        assert case.laws["chemical_potential"].coefficients == (0.0, -2.0, 0.0)
        assert case.laws["diffusivity"].coefficients == (0.5, -0.5)
        assert case.laws["gradient_energy"].initial == 3e-3
    (folder / "again.toml").write_text(case.text())
    assert read_case(folder / "again.toml") == case
    fixed = ["laws.diffusivity={coefficients=[1], fixed=true}", "laws.gradient_energy={fixed=1e-2}", "start=coarse"]
    laws = read_case(path, fixed).laws
    assert (laws["diffusivity"].coefficients, laws["gradient_energy"].fixed) == ((1.0,), 1e-2)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"model": "allen-cahn"}, "model: found allen-cahn; accepted: the result of a case with model = "),
        (
            {"model": "cahn-hilliard"},
            "file: found unreadable content (KeyError: 'laws'); accepted: a result with the law",
        ),
        ([], "file: found []; accepted: the result.json of an inversion"),
    ],
)
def test_other_results_are_refused(folder, content, found):
    (folder / "other.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_case(write(folder, SMALLEST), ["start=other.json"])
    assert str(caught.value).startswith(f"{folder / 'other.json'}: {found}")


DECLARED = {law.name: law for law in (*CahnHilliard.laws, PhaseFieldCrystal.declared("direct_correlation"))}


def described(name: str, basis, coefficients, known=None) -> dict:
    """Return what a result says of a law."""
    law = {"coefficients": list(coefficients)} | structure(Relation(name, basis, known=known))
    return json.loads(json.dumps(law))


def test_a_kernel_starts_in_another_size():
    """The larger basis holds the same function; the smaller one what is nearest to it on the half-line."""
    eleven = Hermite(11, 3.0)
    found = described("direct_correlation", eleven, eleven.standard() @ eleven.peak())
    for size in (13, 11, 10):
        law = started(DECLARED["direct_correlation"], Kernel(size=size, wavenumber=3.0), found, "result.json")
        expected = np.resize(np.append(eleven.peak(), [0, 0]), size)
        np.testing.assert_allclose(start_of(law), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "law", "found", "message"),
    [
        (
            "direct_correlation",
            Kernel(wavenumber=2.0),
            described("direct_correlation", Hermite(10, 3.0), 10 * [0.1]),
            'laws.direct_correlation.basis: found {"name": "Hermite", "size": 10, "scale": 3.0}; accepted: {"name": ',
        ),
        (
            "direct_correlation",
            Kernel(wavenumber=3.0),
            described("direct_correlation", EvenPowers(3, 3.0), [0.0, 2.0, -1.0]),
            "laws.direct_correlation.coefficients: found 3 numbers; accepted: 5 to 14",
        ),
        (
            "chemical_potential",
            Mixing(interval=(0.0, 1.0), ideal_entropy=False),
            described("chemical_potential", Legendre(3), [0, 1, 0], known=ideal_entropy),
            'laws.chemical_potential.known: found "ideal_entropy"; accepted: null',
        ),
        (
            "chemical_potential",
            Mixing(interval=(0.0, 1.0)),
            described("chemical_potential", Legendre(3, (-1.0, 1.0)), [0, 1, 0]),
            'laws.chemical_potential.basis: found {"name": "Legendre", "size": 3, "interval": [-1.0, 1.0]}; accepted:',
        ),
        ("gradient_energy", PositiveNumber(1e-3), {"value": "small"}, "laws.gradient_energy.value: found <U5 values"),
    ],
)
def test_coefficients_of_other_functions_are_refused(name, law, found, message):
    with pytest.raises(InputError) as caught:
        started(DECLARED[name], law, found, "result.json")
    assert str(caught.value).startswith(f"result.json: {message}")
