"""fe-phaseinv design: the frames from which it chooses, what it says and writes, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_command import COMMAND, finish, start

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.candidates import load_candidates, planned
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.folder import _same
from fe_phaseinv.cli.session import BAD_INPUT, DONE, WORLD
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.informations import candidates

CASE = """
model = "cahn-hilliard"
{top}
[images]
file = "images.npz"
{images}
[domain]
cells = 6
degree = 2
[time]
rtol = 3e-3
[laws.chemical_potential]
size = 3
coefficients = [0.0, -3.0, 0.1]
ideal_entropy = true
[laws.diffusivity]
size = 3
coefficients = [-0.2, -0.3]
[laws.gradient_energy]
initial = 4e-3
{more}
"""
TIMES = [0.0, 0.004, 0.008, 0.012, 0.016]
DESIGN = """
[design]
choose = 2
[[design.experiments]]
noise = 0.02
[[design.experiments]]
name = "off-centre"
mean = 0.45
"""


@pytest.fixture(autouse=True, scope="module")
def quick_figures():
    """Leave out the drawing, which takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
        yield


@pytest.fixture
def folder(tmp_path_factory):
    """The same on all ranks."""
    folder = tmp_path_factory.mktemp("design") if WORLD.rank == 0 else None
    folder = WORLD.bcast(folder)
    if WORLD.rank == 0:
        rng, x = np.random.default_rng(0), (np.arange(24) + 0.5) / 24
        waves = [np.cos(k * np.pi * x) * np.exp(-(k**2) / 18) for k in range(6)]
        field = sum(rng.standard_normal() * np.outer(a, b) for a in waves for b in waves)
        frames = np.array([0.5 + 0.1 * scale * field / field.std() for scale in (1, 1.2, 1.4, 1.6, 1.8)])
        ImageSeries(frames, TIMES, (1, 1), time_unit="h").save(folder / "images.npz")
    WORLD.Barrier()
    return folder


def case(folder, images="noise = 0.05", more="", top=""):
    path = folder / "case.toml"
    if WORLD.rank == 0:
        path.write_text(CASE.format(images=images, more=more, top=top))
    WORLD.Barrier()
    return path


def loaded(path, *overrides):
    return load_candidates(planned(path, read_case(path, overrides)))


def result(path):
    """The result of an inversion that has ended where the case starts."""
    laws = {
        "chemical_potential": {"coefficients": [0.0, -3.0, 0.1]},
        "diffusivity": {"coefficients": [-0.2, -0.3, 0.0]},
        "gradient_energy": {"value": 4e-3},
    }
    path.write_text(json.dumps({"model": "cahn-hilliard", "laws": laws}))


# ------------------------------------------------------------------------------------- the frames from which it chooses


def test_the_frames_of_the_case(folder):
    (plan,) = loaded(case(folder, "noise = 0.05\nframes = [0, 1, 3]"))
    assert (plan.frames, plan.taken, plan.images.noise) == ((1, 3), (), 0.05)
    (plan,) = loaded(case(folder, "noise = 0.05", "[validation]\nframes = [2]"))
    assert plan.frames == (1, 2, 3, 4)


def test_times_of_its_own(folder):
    path = case(folder, more="[design]\ntimes = [0.004, 0.02]\nnoise = 0.01")
    (plan,) = loaded(path)
    assert plan.images.times.tolist() == [0, 0.004, 0.02] and plan.images.noise == 0.01
    np.testing.assert_array_equal(plan.images.frames[1], plan.images.frames[0])
    path = case(folder, "", more="[design]\ncount = 4\nlast = 0.02\nnoise = 0.01")
    assert loaded(path)[0].images.times == pytest.approx([0, 0.005, 0.01, 0.015, 0.02])
    assert len(loaded(path, "design.last=0.03", "images.initial=2")[0].frames) == 4


def test_frames_that_a_result_was_fitted_to_are_known(folder):
    result(folder / "result.json")
    start = 'start = "result.json"'
    path = case(folder, "noise = 0.05\nframes = [0, 1, 3]", top=start)
    (plan,) = loaded(path)
    assert (plan.frames, plan.taken) == ((1, 2, 3, 4), (1, 3))
    (plan,) = loaded(path, "design.times=[0.004, 0.01, 0.02]", "design.noise=0.01")
    assert plan.images.times.tolist() == [0, 0.004, 0.01, 0.012, 0.02] and plan.taken == (1, 3)
    sigma = plan.images.noise / np.sqrt([plan.images.precision(frame)[0, 0] for frame in range(5)])
    assert sigma == pytest.approx([0.05, 0.05, 0.01, 0.05, 0.01])
    whole = case(folder, "noise = 0.05", top=start)
    (plan,) = loaded(whole)
    assert len(plan.taken) == 4 and len(plan.frames) > 20 and plan.images.times[-1] == TIMES[-1]


# ---------------------------------------------------------------------------------------------- what it says and writes


def test_design(folder, capfd):
    path = case(folder, more=DESIGN)
    assert main(["design", str(path), "--output", str(folder / "out")]) == DONE
    out, err = capfd.readouterr()
    found = json.loads((folder / "out" / "design.json").read_text())
    again = planned(path, read_case(path))
    pairs = [(one.images, one.frames) for one in load_candidates(again)]
    plan = candidates(build_problem(again, pairs, SeriesEnsemble.together(WORLD, 1)))
    # What follows may fail on one rank: nothing in it is collective.
    assert err == ""
    if WORLD.rank == 0:
        assert out.splitlines()[0].startswith(
            "cahn-hilliard: 4 frames that may be taken, noise of 0.05; no frame is known"
        )
        assert "Best 2 of 4 frames, most information (D-optimal): t = " in out and "To know D within 5 %: " in out
        names = {file.name for file in (folder / "out").iterdir()}
        assert names == {".lock", "case.toml", "design.json", "design.pdf", "design.png", "log.txt"}
    else:
        assert out == ""
    assert found["sets"]["all"]["information"] == pytest.approx(plan.gain(range(4)), rel=1e-3)
    assert found["sets"]["all"]["deviations"] == pytest.approx(plan.deviations(range(4)), rel=1e-2)
    assert found["choices"]["D"]["chosen"] == list(plan.choice(2).chosen)
    first, *others = found["experiments"]
    assert first["name"] == "noise 0.02"
    assert {one["name"] for one in others} == {"as the case has it", "off-centre"}
    assert found["candidates"][0]["alone"] == pytest.approx(plan.gain((0,)), rel=1e-3)
    assert [length["law"] for length in found["lengths"]] == ["chemical_potential", "diffusivity", "gradient_energy"]


def test_ranks_design_alike(folder):
    path = case(folder, more=DESIGN)
    command = (*COMMAND, "design", path, "--output")
    found = []
    for ranks in ((), ("mpiexec", "-q", "-n", 3)):
        status, _, err = finish(start([*ranks, *command, folder / f"out{len(ranks)}"]))
        assert (status, err) == (0, "")
        found.append(json.loads((folder / f"out{len(ranks)}" / "design.json").read_text()))
    alone, together = (each["sets"]["all"]["deviations"] for each in found)
    assert together == pytest.approx(alone, rel=1e-5)
    assert found[0]["choices"]["D"]["chosen"] == found[1]["choices"]["D"]["chosen"]


def test_what_is_asked_of_a_design_does_not_make_a_case_another_one(folder):
    one, other = read_case(case(folder)), read_case(case(folder, more=DESIGN))
    assert one != other and _same(one, other)
    assert read_case(folder / "case.toml").design.experiments[1].mean == 0.45
    text = folder / "again.toml"
    text.write_text(other.text(folder))
    assert read_case(text) == other


# ----------------------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["design.frame=3"], "design.frame: found an unknown key (nearest: "),
        (["design.choose=0"], "design.choose: found 0; accepted: an integer > 0"),
        (["design.times=[0.1]", "design.count=3"], "design.count: found count beside times; accepted: one of the two"),
        (
            ["design.times=[0.2, 0.1]"],
            "design.times: found [0.2, 0.1]; accepted: increasing times after 0, the initial",
        ),
        (["design.times=[]"], "design.times: found []; accepted: "),
        (["design.last=0.0"], "design.last: found 0; accepted: a time after 0, the initial"),
        (["images.noise=0"], "design.noise: found nothing; accepted: a standard deviation of the noise"),
        (["design.experiments=[{speed=2}]"], "design.experiments: speed: found 2; accepted: none, for nothing drives"),
        (["design.experiments=[{speeds=2}]"], "design.experiments.speeds: found an unknown key (nearest: speed)"),
        (["design.experiments=[{}, {}]"], "design.experiments[0].name: found the same again; accepted: names of"),
        (["design.experiments=[{times=[2, 1]}]"], "design.experiments.times: found [2.0, 1.0]; accepted: times that"),
        (["prior.strength=0"], 'prior.strength: found 0; accepted: "auto", or a number > 0'),
        (["heterogeneity={deviation=0.3, length=0.2}"], "heterogeneity: found a section; accepted: none, of a case"),
        (["design.count=3", "domain.boundary=from-images"], 'accepted: "no-flux" or "periodic", where design.last are'),
    ],
)
def test_what_is_refused(folder, capsys, overrides, found):
    path = case(folder)
    before = sorted(folder.rglob("*"))
    settings = [word for text in overrides for word in ("--set", text)]
    assert main(["design", str(path), "--output", str(folder / "out"), *settings]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert found in err and sorted(folder.rglob("*")) == before


def test_times_that_are_all_there_are_refused(folder):
    result(folder / "result.json")
    path = case(folder, "noise = 0.05", "[design]\ntimes = [0.004, 0.008]", 'start = "result.json"')
    with pytest.raises(InputError, match="design.times: found .* accepted: times of frames that are not there yet"):
        loaded(path)
    assert replace(read_case(path).design, times=None) == read_case(path, ["design={}"]).design
