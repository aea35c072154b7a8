"""The command: what it refuses, what it prints and writes, and how it goes on after it was stopped."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fe_phaseinv
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.session import NOT_CONVERGED
from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.objective import Linearisation
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output.files import write_atomically

COMMAND = (sys.executable, "-c", "import sys; from fe_phaseinv.cli.command import main; sys.exit(main())")
TIMEOUT = 300
DISCRETISATION = "[domain]\ncells = 6\ndegree = 2\n[time]\nrtol = 3e-3\n"
TRUE = {"chemical_potential": [0.0, -3.0, 0.1], "diffusivity": [-0.2, -0.3, 0.0], "gradient_energy": 4e-3}
TRUTH = f"""
model = "cahn-hilliard"
[images]
file = "start.npz"
{DISCRETISATION}
[laws.chemical_potential]
size = 3
coefficients = {TRUE["chemical_potential"]}
ideal_entropy = true
[laws.diffusivity]
size = 3
coefficients = {TRUE["diffusivity"]}
[laws.gradient_energy]
initial = {TRUE["gradient_energy"]}
"""
# The start forms no pattern: 1/(c (1 - c)) - 3 > 0.
CASE = f"""
model = "cahn-hilliard"
[images]
file = "simulated/images.npz"
{DISCRETISATION}
[laws.chemical_potential]
size = 3
coefficients = [0, -1.5]
ideal_entropy = true
[laws.diffusivity]
size = 3
[laws.gradient_energy]
initial = 8e-3
"""
TRUE_KERNEL = "coefficients = [0.0, 1.9, -0.9]"
ALL_FIXED = (
    "laws.chemical_potential.fixed=true",
    "laws.diffusivity.fixed=true",
    "laws.gradient_energy={fixed=1e-3}",
)
SQUARE = """$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
4
1 0.1 0.1 0
2 {end} 0.1 0
3 {end} 0.9 0
4 0.1 0.9 0
$EndNodes
$Elements
2
1 2 2 1 1 1 2 3
2 2 2 1 1 1 3 4
$EndElements
"""


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def settings(*overrides: str) -> list[str]:
    return [argument for override in overrides for argument in ("--set", override)]


OF_MPI = ("OMPI_", "PMIX_", "ORTE_", "PRTE_", "OPAL_")
ASKED = ("OMPI_ALLOW_", "OMPI_MCA_rmaps_", "OMPI_MCA_btl_", "OMPI_MCA_plm", "OMPI_MCA_ras")
"""Beginnings of variables of MPI, and of those that do not come from a process which uses it."""


def start(command, **options) -> subprocess.Popen:
    """Start a process that knows nothing of this one's MPI, nor of that of a process which has started this one."""
    others = {key: value for key, value in os.environ.items() if key.startswith(ASKED) or not key.startswith(OF_MPI)}
    environment = others | {"PYTHONPATH": str(Path(fe_phaseinv.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    environment["OMPI_MCA_mpi_yield_when_idle"] = "1"  # there may be fewer cores than ranks
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([str(part) for part in command], env=environment, text=True, **pipes, **options)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def contents(folder: Path) -> dict:
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture(autouse=True, scope="module")
def quick_figures():
    """Leave out the drawing, which takes longer than all else and is not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
        yield


def random_pattern() -> np.ndarray:
    rng, x = np.random.default_rng(0), (np.arange(24) + 0.5) / 24
    waves = [np.cos(k * np.pi * x) * np.exp(-(k**2) / 18) for k in range(6)]
    field = sum(rng.standard_normal() * np.outer(a, b) for a in waves for b in waves)
    return 0.5 + 0.1 * field / field.std()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a case, and with the images that it names, simulated."""
    folder = tmp_path_factory.mktemp("cli")
    ImageSeries(np.array([random_pattern()] * 3), [0, 0.01, 0.02], (1, 1)).save(folder / "start.npz")
    (folder / "truth.toml").write_text(TRUTH)
    (folder / "case.toml").write_text(CASE)
    assert run("simulate", folder / "truth.toml", "--output", folder / "simulated") == 0
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    """Return the output of an inversion that nothing disturbed."""
    assert run("invert", folder / "case.toml", "--output", folder / "finished") == 0
    return folder / "finished"


@pytest.fixture
def refusal(folder, tmp_path, capsys):
    """Return a function that runs a command to be refused and gives the one line that it prints."""

    def refusal(*overrides, command="invert", case=folder / "case.toml", output=tmp_path / "out", more=()) -> str:
        capsys.readouterr()
        before = contents(tmp_path)
        to = [] if command == "check" else ["--output", output]
        status = run(command, case, *to, *more, *settings(*overrides))
        out, err = capsys.readouterr()
        assert status == 2
        assert out == ""
        assert len(err.splitlines()) == 1
        assert "found" in err and "accepted" in err
        assert contents(tmp_path) == before
        return err

    return refusal


def outcome(folder: Path) -> tuple:
    """Give what a run must reach again however often it is stopped."""
    result = json.loads((folder / "result.json").read_text())
    path = [(entry["stage"], entry["iteration"], entry["cost"], entry["accepted"]) for entry in result["history"]]
    return result["status"], result["laws"], path


def accepted(folder: Path) -> int:
    path = folder / "progress.json"
    return sum(entry["accepted"] for entry in json.loads(path.read_text())["history"]) if path.exists() else 0


def stop(process: subprocess.Popen, folder: Path, count: int, number: int) -> tuple[int, str, str]:
    """Send a signal to a run once so many accepted points are on disk."""
    end = time.monotonic() + TIMEOUT
    while accepted(folder) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(number)
    return finish(process)


# ---------------------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    "arguments",
    [
        *((), ("unknown",), ("invert", "case.toml"), ("check",), ("check", "case.toml", "--output", "out")),
        *(("compare", "result.json"), ("compare", "first.json", "second.json", "--set", "model=allen-cahn")),
    ],
)
def test_arguments_are_refused_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    out, err = capsys.readouterr()
    assert (caught.value.code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("fe-phaseinv")


@pytest.mark.parametrize(
    ("text", "key"),
    [(None, "file"), (b"model = ", "file"), (b"\x89PNG\xff", "file"), (b"", "model"), (b"model = 'ising'", "model")],
)
def test_case_files_are_refused(refusal, tmp_path, text, key):
    case = tmp_path / "bad.toml"
    if text is not None:
        case.write_bytes(text)
    assert refusal(case=case).startswith(f"{case}: {key}: found ")


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["images.frame=[0, 1]"], "images.frame: found an unknown key (nearest: frames)"),
        (["laws.kinetic_prefactor={}"], "laws.kinetic_prefactor: found an unknown key"),
        (["images.file=nowhere.npz"], "images.file: found"),
        (["images.file=case.toml"], 'case.toml: file: found suffix ".toml"'),
        (["images.frames=[0, 1, 3]"], "images.frames: found 3; accepted: indices of its 3 frames, from 0"),
        (["images.initial=7"], "images.initial: found 7"),
        (
            ["images.noise=[0.1, 0.2]"],
            "images.noise: found [0.1, 0.2]; accepted: 3 positive numbers, one for each frame",
        ),
        (
            ["images.loss=huber"],
            'images.loss: found "huber" without a noise; accepted: images.noise = "estimate", or a',
        ),
        (["images.initial=2"], "images.frames: found [0, 1, 2]; accepted: at least one frame after the initial 2"),
        (["truth=case.toml"], "case.toml: file: found unreadable"),
        (ALL_FIXED, "case.toml: laws: found only fixed ones"),
        (["override"], "override"),
    ],
)
def test_keys_are_refused(refusal, overrides, found):
    assert found in refusal(*overrides)


def test_nothing_to_learn_is_refused_by_check_too(refusal):
    assert "laws" in refusal(*ALL_FIXED, command="check")


FRAMES = np.full((3, 4, 4), 0.5) + 0.1 * np.arange(3)[:, None, None]


def one_frame(value: float) -> np.ndarray:
    frames = FRAMES.copy()
    frames[1] = value
    return frames


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"times": [0, 2, 1]}, "times: found 1.0 at frame 2"),
        ({"times": [0, 1]}, "times: found 2 times"),
        ({"images": 2 * FRAMES}, "images: found from 1 to 1.4"),
        ({"images": one_frame(np.nan)}, "images[1]: found only NaN"),
        ({"images": one_frame(np.inf)}, "images[1]: found infinite pixels"),
        ({"images": FRAMES[:, :0]}, "images: found shape (3, 0, 4)"),
        ({"images": FRAMES[:, :1]}, "images: found 1 x 4 pixels"),
        ({"images": FRAMES[[0, 0, 0]]}, "images: found the same value in every pixel"),
        ({"extent": [1, 0]}, "extent: found (1.0, 0.0)"),
    ],
)
def test_images_are_refused(refusal, tmp_path, arrays, found):
    file = tmp_path / "bad.npz"
    np.savez(file, **{"images": FRAMES, "times": [0, 1, 2], "extent": [1, 1]} | arrays)
    assert refusal(f"images.file={file}").startswith(f"{file}: {found}")


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "file: found No such file"), ("{", "file: found unreadable"), ('{"model": 1}', "model: found 1")],
)
def test_results_are_refused(finished, tmp_path, capsys, content, found):
    capsys.readouterr()
    file = tmp_path / "result.json"
    if content:
        file.write_text(content)
    for pair in ((file, finished / "result.json"), (finished / "result.json", file)):
        assert run("compare", *pair) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1
        assert err.startswith(f"{file}: {found}")


def test_files_that_are_no_images_are_refused(refusal, tmp_path):
    file = tmp_path / "bad.npz"
    file.write_text("no archive")
    assert refusal(f"images.file={file}").startswith(f"{file}: file: found")


@pytest.mark.parametrize(
    ("text", "found"), [(SQUARE.format(end=1.2), "0.1 < x < 1.2"), ("$MeshFormat\nno mesh\n", "unreadable")]
)
def test_meshes_are_refused(refusal, tmp_path, text, found):
    file = tmp_path / "bad.msh"
    file.write_text(text)
    err = refusal(f"domain.mesh={file}")
    assert err.startswith(f"{file}: ") and found in err


def test_frames_without_data_in_the_mesh_are_refused(refusal, tmp_path):
    frames = FRAMES.copy()
    frames[2, :, :3] = np.nan
    file, mesh = tmp_path / "images.npz", tmp_path / "mesh.msh"
    ImageSeries(frames, [0, 1, 2], (1, 1)).save(file)
    mesh.write_text(SQUARE.format(end=0.6))
    assert f"{file}: images[2]: found only NaN" in refusal(f"images.file={file}", f"domain.mesh={mesh}")


def test_folders_that_cannot_be_written_are_refused(refusal, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        assert refusal(output=output).startswith(f"{output}: --output: found ")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "no permission" in refusal()


def test_folders_of_another_case_are_refused(folder, refusal):
    before = contents(folder / "simulated")
    assert "--output: found the result of another case" in refusal(output=folder / "simulated")
    assert "--output: found the case's own images" in refusal(command="simulate", output=folder / "simulated")
    assert contents(folder / "simulated") == before


@pytest.mark.parametrize("change", ["broken", "keys", "length", "stage", "laws", "cost", "images"])
def test_damaged_progress_is_refused(finished, refusal, tmp_path, change):
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    saved = json.loads((output / "progress.json").read_text())
    text = {
        "broken": json.dumps(saved)[:-20],
        "keys": "{}",
        "length": json.dumps(saved | {"x": saved["x"][1:]}),
        "stage": json.dumps(saved | {"stage": "none"}),
        "laws": json.dumps(saved | {"x": [np.nan] * len(saved["x"])}),
        "cost": json.dumps(saved | {"cost": 1.001 * saved["cost"]}),
        "images": json.dumps(saved | {"inputs": saved["inputs"] | {"images": ["0"]}}),
    }
    (output / "progress.json").write_text(text[change])
    assert refusal(more=["--resume"]).startswith(f"{output / 'progress.json'}: file: found ")


# ------------------------------------------------------------------------------------------ what it prints and writes


def test_version():
    status, out, err = finish(start([*COMMAND, "--version"]))
    assert (status, out.strip(), err) == (0, fe_phaseinv.__version__, "")


@pytest.mark.parametrize("command", [(), ("invert",), ("simulate",), ("check",), ("compare",)])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*command, "--help")
    assert caught.value.code == 0
    assert "usage: fe-phaseinv" in capsys.readouterr().out


def test_simulated_images_can_be_inverted(folder, finished):
    images = ImageSeries.load(folder / "simulated" / "images.npz")
    assert images.times.tolist() == [0, 0.01, 0.02]
    np.testing.assert_allclose(images.frames[0], random_pattern(), atol=5e-3)
    result = json.loads((finished / "result.json").read_text())
    assert result["status"] == "converged" and result["misfit_rms"] < 1e-4
    assert result["goodness"]["cause"] == "" and result["goodness"]["words"] in (finished / "log.txt").read_text()
    for name, law in result["laws"].items():
        np.testing.assert_allclose(law.get("coefficients", law["value"]), TRUE[name], rtol=2e-3, atol=2e-3)


CRYSTAL = """
model = "phase-field-crystal"
images = {file = "FILE"}
domain = {cells = 6, degree = 3, boundary = "periodic"}
time = {rtol = 3e-3}
[laws.chemical_potential]
size = 2
coefficients = POTENTIAL
[laws.direct_correlation]
basis = "quartic"
wavenumber = 6.3
KERNEL
"""


def periodic_pattern() -> np.ndarray:
    x = (np.arange(24) + 0.5) / 12
    wave = np.cos(2 * np.pi * x)
    return 0.1 * np.add.outer(wave, np.roll(wave, 3)) + 0.05 * np.cos(2 * np.pi * np.add.outer(x, x))


def test_crystals_are_simulated_and_learnt(tmp_path):
    ImageSeries(np.array([periodic_pattern()] * 3), [0, 0.02, 0.05], (2, 2)).save(tmp_path / "start.npz")
    (tmp_path / "truth.toml").write_text(
        CRYSTAL.replace("FILE", "start.npz").replace("POTENTIAL", "[1.0, -0.5]").replace("KERNEL", TRUE_KERNEL)
    )
    (tmp_path / "case.toml").write_text(
        CRYSTAL.replace("FILE", "simulated/images.npz").replace("POTENTIAL", "[1.0]").replace("KERNEL", "")
    )
    assert run("simulate", tmp_path / "truth.toml", "--output", tmp_path / "simulated") == 0
    assert run("invert", tmp_path / "case.toml", "--output", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    laws = result["laws"]
    np.testing.assert_allclose(laws["chemical_potential"]["coefficients"], [1.0, -0.5], rtol=0.02)
    np.testing.assert_allclose(laws["direct_correlation"]["coefficients"], [0.0, 1.9, -0.9], rtol=0.02, atol=1e-12)
    assert laws["direct_correlation"]["argument"] == "k"
    assert result["identifiability"]["gauge"]["measure"] == "mu_h'(0)"
    columns = (tmp_path / "out" / "curves.csv").read_text().splitlines()[0].split(",")
    assert {"z", "k", "direct_correlation", "direct_correlation_lower"} <= set(columns)


def test_pictures_that_do_not_repeat_are_refused(refusal, tmp_path):
    frames = np.array([np.add.outer(np.arange(8.0), 0 * np.arange(8.0))] * 2) / 10
    np.savez(tmp_path / "ramp.npz", images=frames, times=[0, 1], extent=[1, 1])
    case = tmp_path / "crystal.toml"
    case.write_text(CRYSTAL.replace("FILE", "ramp.npz").replace("POTENTIAL", "[1.0]").replace("KERNEL", ""))
    err = refusal(case=case)
    assert "domain.boundary: found pixels at the two ends of y that differ by 0.7, neighbours by 0.1" in err


OWN = """
from fe_phaseinv import CahnHilliard, NumberLaw


class Repelled(CahnHilliard):
    laws = (*CahnHilliard.laws, NumberLaw("repulsion", initial=20.0, positive=True))

    def residual(self, fields, rates, laws, tests, at):
        form = super().residual(fields, rates, laws, tests, at)
        return form + laws.repulsion * (fields.c - at.start_mean) * tests.c * at.dx
"""


def test_a_model_in_a_file_is_simulated_learnt_and_compared(folder, tmp_path, capsys):
    (folder / "own.py").write_text(OWN)
    (tmp_path / "truth.json").write_text('{"repulsion": 40.0, "kappa": 4e-3}')
    model = "model=own.py:Repelled"
    truth = model, "laws.repulsion.initial=40"
    assert run("simulate", folder / "truth.toml", "--output", tmp_path / "true", *settings(*truth)) == 0
    images = f"images.file={tmp_path / 'true' / 'images.npz'}", f"truth={tmp_path / 'truth.json'}"
    out = tmp_path / "out"
    assert run("invert", folder / "case.toml", "--output", out, *settings(model, *images)) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["model"] == "repelled" and result["scalars"] == {}
    assert result["laws"]["repulsion"]["value"] == pytest.approx(40, rel=0.01)
    assert result["identifiability"]["gauge"]["measure"] == "kappa"
    assert run("invert", out / "case.toml", "--output", out, "--resume") == 0
    capsys.readouterr()
    assert run("compare", out / "result.json", out / "result.json") == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert rows == ["law", "mu_h'", "D", "kappa", "repulsion", "kappa"]


def test_an_overpotential_is_found_with_its_band(folder, tmp_path):
    case = tmp_path / "case.toml"
    text = CASE.replace("simulated/", f"{folder}/simulated/").replace("diffusivity", "exchange_current")
    case.write_text(text.replace("cahn-hilliard", "driven-reaction"))
    once = "optimizer.max_iterations=1", "drive.rate=0"
    assert run("invert", case, "--output", tmp_path / "out", *settings(*once)) == NOT_CONVERGED
    found = json.loads((tmp_path / "out" / "result.json").read_text())["scalars"]["v"]
    assert found["times"] == [0.01, 0.02]
    assert np.all(np.array(found["lower"]) < found["value"]) and np.all(np.array(found["value"]) < found["upper"])
    assert len((tmp_path / "out" / "scalars.csv").read_text().splitlines()) == 3


def test_what_a_model_lacks_is_said_when_it_is_posed(refusal, folder):
    (folder / "lacking.py").write_text(OWN.replace("laws.repulsion *", "laws.repelling *"))
    err = refusal("model=lacking.py:Repelled")
    assert err.startswith(
        f"{folder}/lacking.py: repelled: residual: laws: found 'repelling'; accepted: chemical_potential"
    )


def test_a_symmetric_law_is_learnt_as_such(folder, tmp_path):
    constraints = [f"laws.chemical_potential.{key}=true" for key in ("symmetric", "convex_ends")]
    to = ("--output", tmp_path / "out")
    assert run("invert", folder / "case.toml", *to, *settings("optimizer.max_iterations=3", *constraints)) == 3
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    first, slope, second = result["laws"]["chemical_potential"]["coefficients"]
    assert first == second == 0 and slope < -1.5
    assert result["identifiability"]["coefficients"]["chemical_potential"]["of"] == 1


MAP = ("heterogeneity={deviation = 0.3, length = 0.3}", "images.noise=0.005", "prior.strength=1e-4")
"""What asks for a map and the start as unknown fields."""


@pytest.mark.slow
def test_a_map_is_learnt_and_resumed(folder, tmp_path, capsys):
    """Of images of a uniform system, so that it stays near zero."""
    case = folder / "case.toml", "--output", tmp_path / "out", *settings(*MAP, "uncertainty.method=none")
    assert run("invert", *case, "--set", "optimizer.max_iterations=5") == NOT_CONVERGED
    assert json.loads((tmp_path / "out" / "progress.json").read_text())["stage"] == "search"
    assert run("invert", *case, "--resume", "--set", "optimizer.max_iterations=6") == NOT_CONVERGED
    assert json.loads((tmp_path / "out" / "result.json").read_text())["iterations"] == 6
    found = np.load(tmp_path / "out" / "heterogeneity.npz")["heterogeneity"]
    assert 1e-6 < np.abs(found).max() < 0.2
    assert str(tmp_path / "out" / "heterogeneity.pdf") in capsys.readouterr().out


@pytest.mark.parametrize(("overrides", "proofs"), [((), 3), (MAP, 6)])
def test_check_proves_the_derivatives(folder, overrides, proofs, capsys):
    capsys.readouterr()
    assert run("check", folder / "case.toml", *settings(*overrides)) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == proofs
    assert all(line.endswith(": holds") for line in out)


def test_every_iteration_is_printed_once(folder, finished, tmp_path, capsys):
    capsys.readouterr()
    assert run("invert", folder / "case.toml", "--output", tmp_path, *settings("optimizer.max_iterations=2")) == 3
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (tmp_path / "log.txt").read_text()
    rows = [line.split()[:2] for line in out.splitlines()[2:5]]
    assert rows == [["intervals", "0"], ["intervals", "1"], ["intervals", "2"]]
    assert out.splitlines()[5].startswith("wrote ")


# ------------------------------------------------------------------------------------------------- how it is stopped


def test_killed_and_resumed(folder, finished, tmp_path):
    command = ("invert", folder / "case.toml", "--output", tmp_path)
    status, *_ = stop(start([*COMMAND, *command]), tmp_path, 3, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert accepted(tmp_path) >= 3 and not (tmp_path / "result.json").exists()
    log = (tmp_path / "log.txt").read_text()
    assert run(*command, "--resume") == 0
    assert outcome(tmp_path) == outcome(finished)
    assert (tmp_path / "log.txt").read_text().startswith(log)


@pytest.mark.slow
def test_used_up_then_terminated_then_resumed(folder, finished, tmp_path):
    command = ("invert", folder / "case.toml", "--output", tmp_path, "--resume")
    assert run(*command, *settings("optimizer.max_iterations=2")) == 3
    used_up = json.loads((tmp_path / "result.json").read_text())
    assert used_up["iterations"] == 2 and "max_iterations" in used_up["status"]
    status, out, err = stop(start([*COMMAND, *command]), tmp_path, 5, signal.SIGTERM)
    assert (status, err) == (4, "")
    assert out.splitlines()[-1].startswith("interrupted")
    assert out.count("interrupted") == 1
    assert run(*command) == 0
    assert outcome(tmp_path) == outcome(finished)


def test_finished_run_is_only_written_again(folder, finished, tmp_path, capsys):
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    (output / "result.json").unlink()
    capsys.readouterr()
    assert run("invert", folder / "case.toml", "--output", output, "--resume") == 0
    assert outcome(output) == outcome(finished)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("resumed") and lines[3].startswith("wrote")


def test_progress_is_on_disk_before_the_next_iteration(folder, tmp_path, monkeypatch):
    """A failure right after any point is accepted finds it in the file."""
    saved = []

    def write(path, data):
        write_atomically(path, data)
        if path.name == "progress.json":
            saved.append(json.loads(path.read_text()))
            if len(saved) == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("fe_phaseinv.cli.folder.write_atomically", write)
    assert run("invert", folder / "case.toml", "--output", tmp_path) == 4
    assert [len(progress["history"]) for progress in saved] == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "case.toml", "log.txt", "progress.json"]


def test_best_is_written_when_a_later_stage_cannot_start(folder, tmp_path, monkeypatch):
    def failing(*arguments, **options):
        for progress in iterate(*arguments, **options):
            yield progress
            if len(progress.history) == 2:
                point = Linearisation.on_grids(progress.state.point.x)
                yield replace(progress, state=replace(progress.state, point=point, outcome=Outcome.NO_START))
                return

    monkeypatch.setattr("fe_phaseinv.cli.invert.iterate", failing)
    assert run("invert", folder / "case.toml", "--output", tmp_path) == 3
    result, saved = (json.loads((tmp_path / name).read_text()) for name in ("result.json", "progress.json"))
    assert result["status"] == Outcome.NO_START.value
    assert result["cost"] == saved["history"][-1]["cost"]


def test_a_moved_run_goes_on_but_not_with_other_images(folder, finished, refusal, tmp_path):
    moved = tmp_path / "moved"
    for name in ("simulated", "finished"):
        shutil.copytree(folder / name, moved / name)
    case = Path(shutil.copy(folder / "case.toml", moved))
    command = ("invert", case, "--output", moved / "finished", "--resume")
    assert run(*command) == 0
    assert outcome(moved / "finished") == outcome(finished)
    shutil.move(moved / "finished", tmp_path / "elsewhere")
    assert run("invert", case, "--output", tmp_path / "elsewhere", "--resume") == 0
    images = ImageSeries.load(moved / "simulated" / "images.npz")
    replace(images, frames=0.999 * images.frames).save(moved / "simulated" / "images.npz")
    err = refusal(case=case, output=tmp_path / "elsewhere", more=["--resume"])
    assert "progress.json: file: found that of another images" in err


def test_two_runs_do_not_write_into_one_folder(finished, refusal, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    with open(output / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "--output: found a run that writes in it; accepted: a folder in which no" in refusal(output=output)


def test_file_systems_without_locks_are_written_to(folder, finished, tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    assert run("invert", folder / "case.toml", "--output", output, "--resume") == 0


def test_doubts_are_said_once_and_recorded(folder, finished, tmp_path, monkeypatch, capsys):
    """Warnings of libraries go to the file of the log alone; bands that cannot be found are a doubt."""

    def doubtful(*arguments, **options):
        for _ in range(2):
            warnings.warn("the images\nare doubtful", DataWarning, stacklevel=2)
        warnings.warn("of a library", RuntimeWarning, stacklevel=2)
        yield from iterate(*arguments, **options)

    def failing(*_):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr("fe_phaseinv.cli.invert.iterate", doubtful)
    monkeypatch.setattr("fe_phaseinv.inference.bands.posterior", failing)
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    capsys.readouterr()
    assert run("invert", folder / "case.toml", "--output", output, "--resume") == 0
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first == "warning: the images are doubtful"
    assert second.startswith("warning: the laws have no bands") and second.endswith("(singular)")
    result = json.loads((output / "result.json").read_text())
    assert result["warnings"] == [line.removeprefix("warning: ") for line in (first, second)]
    assert "lower" not in result["laws"]["diffusivity"]
    assert "RuntimeWarning: of a library" in (output / "log.txt").read_text() and "of a library" not in out


# ------------------------------------------------------------------------------------------- several series of images


def two(folder: Path, first: str, second: str) -> Path:
    """Write a case of two series, of which the second one has a domain of its own."""
    path = folder / f"two-{Path(first).parent.name}.toml"
    own = "[images.domain]\ncells = 5\ndegree = 2\n"
    images = f'[[images]]\nfile = "{first}"\n[[images]]\nfile = "{second}"\n{own}'
    path.write_text(CASE.replace('[images]\nfile = "simulated/images.npz"', "") + images)
    return path


@pytest.fixture(scope="module")
def several(folder):
    """Return a case of two series that are simulated."""
    laws = [f"laws.{name}.coefficients={TRUE[name]}" for name in ("chemical_potential", "diffusivity")]
    laws.append(f"laws.gradient_energy.initial={TRUE['gradient_energy']}")
    truth = two(folder, "simulated/images.npz", "start.npz")
    assert run("simulate", truth, "--output", folder / "both", *settings(*laws)) == 0
    return two(folder, "both/images-1.npz", "both/images-2.npz")


def test_series_are_simulated_each(folder, several):
    names = {f"{name}-{i}{end}" for i in (1, 2) for name, end in (("images", ".npz"), ("states", ".pvd"))}
    assert names <= {path.name for path in (folder / "both").iterdir()}
    alone = ImageSeries.load(folder / "simulated" / "images.npz")
    for number, most in ((1, 1e-3), (2, 0.05)):
        images = ImageSeries.load(folder / "both" / f"images-{number}.npz")
        np.testing.assert_allclose(images.frames, alone.frames, atol=most)


def test_series_are_checked(several, capsys):
    capsys.readouterr()
    assert run("check", several) == 0
    assert [line[-5:] for line in capsys.readouterr().out.splitlines()] == ["holds"] * 3


@pytest.mark.slow  # on three ranks tests/inference/test_joint.py has the like
def test_series_are_inverted_side_by_side_and_resumed_one_after_the_other(several, tmp_path, capsys):
    command = ("invert", several, "--output", tmp_path)
    once = settings("optimizer.max_iterations=4")
    status, out, err = finish(start(["mpiexec", "-q", "-n", 2, *COMMAND, *command, *once]))
    said = err.splitlines()
    assert status == 3 and len(said) == 2 and all("the misfit is no noise" in line for line in said)
    lines = out.splitlines()
    assert lines[0] == "cahn-hilliard: 6 unknown coefficients, 2 series of images, 2 ranks in 2 groups"
    assert lines[1].startswith("images 1: 338 unknowns in space") and lines[2].startswith("images 2: 242 unknowns")
    assert run(*command, "--resume") == 0
    assert "resumed at iteration 4" in capsys.readouterr().out
    result = json.loads((tmp_path / "result.json").read_text())
    for name, law in result["laws"].items():
        np.testing.assert_allclose(law.get("coefficients", law["value"]), TRUE[name], rtol=5e-3, atol=5e-3)
    first, second = result["images"]
    assert first["source"].endswith("images-1.npz") and second["frames"] == [1, 2]
    assert max(first["misfit_rms"], second["misfit_rms"]) < 1e-3
    numbered = {name for i in (1, 2) for name in (f"states-{i}.h5", f"states-{i}.pvd", f"frames-{i}.png")}
    assert numbered <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["images.1.frames=[9]"], "images-2.npz: images[1].frames: found 9; accepted: indices of its 3 frames"),
        (["images.1.domain.boundary=periodic"], "images[1].domain.boundary: found pixels at the two ends"),
        (["images.1.noise=0.1"], "images[1].noise: found 0.1 beside 0.0 of images[0]"),
    ],
)
def test_the_second_series_is_refused(refusal, several, overrides, found):
    assert found in refusal(*overrides, case=several)


@pytest.mark.slow
def test_refusal_by_one_group_is_one_line(several, tmp_path):
    mesh, output = tmp_path / "bad.msh", tmp_path / "out"
    mesh.write_text(SQUARE.format(end=1.2))
    command = [*COMMAND, "invert", several, "--output", output, "--set", f"images.1.domain.mesh={mesh}"]
    status, out, err = finish(start(["mpiexec", "-q", "-n", 2, *command]))
    assert (status, out) == (2, "")
    assert err.startswith(f"{mesh}: images[1].domain.mesh: found 0.1 < x < 1.2")
    assert len(err.splitlines()) == 1
    assert not output.exists()


# --------------------------------------------------------------------------------------------------- several processes


def test_refusal_of_several_ranks_is_one_line(folder, tmp_path):
    mesh, output = tmp_path / "bad.msh", tmp_path / "out"
    mesh.write_text("$MeshFormat\nno mesh\n")
    command = [*COMMAND, "invert", folder / "case.toml", "--output", output, "--set", f"domain.mesh={mesh}"]
    status, out, err = finish(start(["mpiexec", "-q", "-n", 2, *command]))
    assert (status, out) == (2, "")
    assert err.startswith(f"{mesh}: mesh: found unreadable")
    assert len(err.splitlines()) == 1
    assert not output.exists()


def test_results_are_compared_by_the_root_alone(finished, capsys):
    capsys.readouterr()
    command = ("compare", finished / "result.json", finished / "result.json")
    assert run(*command) == 0
    alone, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in alone.splitlines()] == ["law", "mu_h'", "D", "kappa", "kappa"]
    assert alone.count(" 0.000 %") == 2 and "= 1 " in alone
    assert finish(start(["mpiexec", "-q", "-n", 2, *COMMAND, *command])) == (0, alone, "")


def test_models_are_compared(finished, tmp_path, capsys):
    capsys.readouterr()
    assert run("compare-models", finished, finished / "result.json") == 0
    out, err = capsys.readouterr()
    assert err == "" and "a Bayes factor of exp(0), not worth more than a bare mention" in out
    assert run("compare-models", finished, tmp_path) == 2
    assert capsys.readouterr().err.endswith("accepted: the result.json of an inversion\n")


def test_ranks_simulate(folder, tmp_path):
    command = "simulate", folder / "case.toml", "--output"
    status, _, err = finish(start(["mpiexec", "-q", "-n", 2, *COMMAND, *command, tmp_path / "two"]))
    assert (status, err) == (0, "")
    assert run(*command, tmp_path / "one") == 0
    one, two = (ImageSeries.load(tmp_path / name / "images.npz") for name in ("one", "two"))
    np.testing.assert_allclose(two.frames, one.frames, atol=1e-6)


def test_ranks_agree(folder, tmp_path):
    """Both stages on one and on two processes; few iterations, for there may be less than two cores."""
    command = ("invert", folder / "case.toml", *settings("optimizer.max_iterations=5"), "--output")
    assert run(*command, tmp_path / "alone") == 3
    together = tmp_path / "together"
    status, out, err = finish(start(["mpiexec", "-q", "-n", 2, *COMMAND, *command, together]))
    assert status == 3 and re.fullmatch("warning: .*the misfit is no noise.*\n", err)
    assert out == (together / "log.txt").read_text()
    laws, expected = (json.loads((path / "result.json").read_text())["laws"] for path in (together, tmp_path / "alone"))
    for name, law in expected.items():
        key = "coefficients" if "coefficients" in law else "value"
        np.testing.assert_allclose(laws[name][key], law[key], rtol=0, atol=1e-6)
    assert json.loads((together / "progress.json").read_text())["stage"] == "search"
    written = {path.name for path in together.iterdir()}
    assert {"result.json", "curves.csv", "states.pvd", "states.h5", "case.toml", "progress.json"} <= written
    assert (together / "laws.pdf").read_bytes().startswith(b"%PDF")


BROKEN = """
import sys
from mpi4py import MPI
from fe_phaseinv.cli import check, main, session
from fe_phaseinv.core.errors import InputError
def build(*_):
    if MPI.COMM_WORLD.rank == 1:
        raise {error}
    MPI.COMM_WORLD.Barrier()
check.build_problem, session.PATIENCE = build, 0.1
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        ('RuntimeError("broken")', 1, "RuntimeError: broken"),
        pytest.param(
            'InputError("a.msh", "mesh", "holes", "none")',
            2,
            "a.msh: mesh: found holes; accepted: none",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_failure_of_one_rank_stops_all(folder, error, status, line):
    program = BROKEN.format(error=error)
    command = ["mpiexec", "-q", "-n", 2, sys.executable, "-c", program, "check", folder / "case.toml"]
    found, out, err = finish(start(command))
    assert found == status
    assert err.splitlines().count(line) == 1
