"""fe-phaseinv sample: on any number of ranks the same, stopped and resumed, and what it refuses."""

import json
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray
from test_command import CASE, TRUTH, random_pattern

from fe_phaseinv.cli import sample as command
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.dealing import draws_dealt
from fe_phaseinv.cli.folder import pose_case, read_progress
from fe_phaseinv.cli.sample import SEED
from fe_phaseinv.cli.session import DONE, INTERRUPTED, WORLD
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.density import PosteriorDensity
from fe_phaseinv.inference.sampling import Method, importance_draw
from fe_phaseinv.output.samples import difference

NOISE, WARM_UP, DRAWS, SAMPLES, CHAINS = 0.01, 3, 26, 12, 2
FEW = ("--draws", DRAWS, "--samples", SAMPLES, "--chains", CHAINS, "--warm-up", WARM_UP)
METHOD = Method("gpcn", SEED, WARM_UP)


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True, scope="module")
def quick_figures():
    """Leave out the drawing into files, which takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of an inversion of noisy images."""
    folder = Path(WORLD.bcast(str(tmp_path_factory.mktemp("sample"))))

    def write() -> None:
        ImageSeries(np.array([random_pattern()] * 3), [0, 0.01, 0.02], (1, 1)).save(folder / "start.npz")
        (folder / "truth.toml").write_text(TRUTH)
        noisy = CASE.replace('images.npz"', f'noisy.npz"\nnoise = {NOISE}').replace("simulated/", "")
        (folder / "case.toml").write_text(noisy)

    on_root(WORLD, write)
    assert run("simulate", folder / "truth.toml", "--output", folder / "simulated") == DONE

    def add_noise() -> None:
        clean = ImageSeries.load(folder / "simulated" / "images.npz")
        noise = NOISE * np.random.default_rng(1).standard_normal(clean.frames.shape)
        replace(clean, frames=clean.frames + noise, noise=NOISE).save(folder / "noisy.npz")

    on_root(WORLD, add_noise)
    assert run("invert", folder / "case.toml", "--output", folder / "out") == DONE
    return folder / "out"


@pytest.fixture(scope="module")
def sampled(finished):
    """Return the same folder with samples, and what was in it before."""
    before = {name: (finished / name).read_bytes() for name in ("result.json", "progress.json")}
    assert run("sample", finished, *FEW) == DONE
    return finished, before


def records(folder: Path, name: str) -> list[dict]:
    """Give the lines of a record after its header."""
    return [json.loads(line) for line in (folder / "sampling" / name).read_text().splitlines()[1:]]


@pytest.mark.parallel([1, 3])
def test_draws_and_chains_are_the_same_on_any_number_of_ranks(sampled):
    """Each rank makes those of others, too, alone and to the last bit."""
    finished, before = sampled
    assert before == {name: (finished / name).read_bytes() for name in before}
    assert "26 of 26 draws\n" in (finished / "log.txt").read_text()
    problem, inputs = pose_case(read_case(finished / "case.toml"), finished, deal=draws_dealt)
    assert problem.ensemble.comm.size == 1
    density = PosteriorDensity.at_end(problem, read_progress(problem, finished, inputs))
    drawn, states = records(finished, "draws.jsonl"), records(finished, "chains.jsonl")
    assert len(drawn) == DRAWS and len(states) == CHAINS * (1 + WARM_UP) + SAMPLES
    for number in (DRAWS - 1, 1):
        assert importance_draw(density.of_coefficients, SEED, number) == drawn[number]["log_weight"]
    for chain in range(CHAINS):
        path = [command._state({k: v for k, v in s.items() if k != "chain"}) for s in states if s["chain"] == chain]
        found = METHOD.following(density.of_unknowns, path[-2], chain)
        assert (found.log_weight, found.probability) == (path[-1].log_weight, path[-1].probability)
        np.testing.assert_array_equal(found.z, path[-1].z)


@pytest.mark.parallel([1, 3])
def test_what_is_written(sampled):
    finished, _ = sampled
    content = json.loads((finished / "sampling.json").read_text())
    assert content["importance"]["draws"] == DRAWS and np.isfinite(content["importance"]["k_hat"])
    assert content["samples"]["runs"] == CHAINS * (1 + WARM_UP) + SAMPLES and content["samples"]["samples"] == SAMPLES
    for name, law in json.loads((finished / "result.json").read_text())["laws"].items():
        bands = content["laws"][name]
        assert np.shape(bands["laplace"]["lower"]) == np.shape(bands["samples"]["upper"]) == np.shape(law["value"])
        pairs = [[np.array(bands[kind][end]) for end in ("lower", "upper")] for kind in ("samples", "laplace")]
        if np.ndim(law["value"]):
            assert bands["samples"]["difference"] == pytest.approx(difference(*pairs))
    with xarray.open_datatree(finished / "samples.nc", engine="h5netcdf") as tree:
        assert tree["posterior"]["diffusivity"].shape == (CHAINS, SAMPLES // CHAINS, 3)
        assert tree["posterior"]["gradient_energy"].dims == ("chain", "draw")
        assert tree["sample_stats"]["lp"].shape == (CHAINS, SAMPLES // CHAINS)
        assert tree["laplace"]["log_weight"].shape == (1, DRAWS)
        kappa = json.loads((finished / "result.json").read_text())["laws"]["gradient_energy"]["value"]
        assert float(tree["laplace"]["gradient_energy"].mean()) == pytest.approx(kappa, rel=0.2)


def test_stopped_at_any_moment_and_resumed(sampled, monkeypatch):
    """After a line that was cut short; the records are those of a run that nothing disturbed, to the last bit."""
    (finished, _), append, left = sampled, command._append, []
    out = finished.parent / "stopped"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "sampling")

    def cut(path, lines):
        append(path, lines)
        left.append(path)
        if len(left) in (DRAWS // 2, DRAWS + 4):
            path.write_text(path.read_text()[:-20])
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "_append", cut)
    for expected in (INTERRUPTED, INTERRUPTED, DONE):
        assert run("sample", out, *FEW, "--resume") == expected
    assert records(out, "draws.jsonl") == records(finished, "draws.jsonl")
    states = [{(s["chain"], s["number"]): s for s in records(of, "chains.jsonl")} for of in (out, finished)]
    assert states[0] == states[1]
    former = json.loads((finished / "sampling.json").read_text())
    assert json.loads((out / "sampling.json").read_text()) == former


@pytest.mark.parametrize(
    ("change", "options", "found"),
    [
        ("progress.json", (), "OUT: found no progress.json; accepted: the folder of an inversion that has converged"),
        ("result.json", (), "OUT: found no result.json"),
        ("case.toml", (), "OUT: found no case.toml"),
        ("status", (), "result.json: status: found max_iterations reached; accepted: the folder of an inversion"),
        ("map", (), "case.toml: case: found a map; accepted: laws"),
        ("", ("--samples", 7), "--samples: found 7; accepted: 0, or at least 4 for each of 4 chains"),
        ("record", ("--resume",), "draws.jsonl: file: found those with another x, regularisation, seed; accepted: the"),
        ("broken", ("--resume",), "draws.jsonl: file: found unreadable content"),
        ("", ("--draws", 3), "argument --draws: found 3; accepted: an integer >= 25"),
        ("", ("--chains", "x"), "argument --chains: found x; accepted: an integer >= 2"),
        ("", ("--method", "gibbs"), "argument --method: invalid choice"),
    ],
)
def test_what_is_refused(finished, tmp_path, capsys, change, options, found):
    out = finished.parent / tmp_path.name
    shutil.copytree(finished, out, ignore=shutil.ignore_patterns("sampling*", "samples.nc"))
    result = json.loads((out / "result.json").read_text())
    if (out / change).is_file():
        (out / change).unlink()
    elif change == "status":
        (out / "result.json").write_text(json.dumps(result | {"status": "max_iterations reached"}))
    elif change == "map":
        text = (out / "case.toml").read_text()
        (out / "case.toml").write_text(f"{text}\n[heterogeneity]\ndeviation = 0.3\nlength = 0.3\n")
    elif change in ("record", "broken"):
        (out / "sampling").mkdir()
        (out / "sampling" / "draws.jsonl").write_text('{"seed": 1}\n' if change == "record" else "{\n")
    before = {path: path.is_file() and path.read_bytes() for path in out.rglob("*")}
    capsys.readouterr()
    try:
        assert run("sample", out, *options) == 2
    except SystemExit as caught:
        assert caught.code == 2
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1 and found in text
    assert {path: path.is_file() and path.read_bytes() for path in out.rglob("*")} == before


def test_a_missing_package_is_named(finished, capsys, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "arviz_base" else Namespace())
    capsys.readouterr()
    assert run("sample", finished) == 2
    assert 'found no arviz_base; accepted: what pip install "fe_phaseinv[sampling]"' in capsys.readouterr().err
