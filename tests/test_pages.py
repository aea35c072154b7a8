"""README and pages: nothing in them that does not hold, as far as a test can tell."""

import re
import shlex
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from firedrake.adjoint import pause_annotation
from pyadjoint import Tape, set_working_tape
from test_architecture import ABOVE, GROUND, ROOT, STOREYS
from test_demos import DEMOS, run_shortened

from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import _parser
from fe_phaseinv.inference.inversion import posterior

PAGES = DEMOS / "pages"
SOURCES = [ROOT / "README.md", *sorted(PAGES.glob("*.md"))]
TEXTS = {path.name: path.read_text() for path in SOURCES if path.name != "keys.md"}
GENERATED = ("api/index.rst", "gallery/index.md", "keys.md")
"""Pages that the build makes, besides one for each room and each demo."""
BIG = 150e3
pages = pytest.mark.parametrize("name", TEXTS)


def snippets(name, language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXTS[name])


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pages
def test_python_compiles(name):
    compile("\n".join(snippets(name, "python")), name, "exec")


@pages
def test_commands_are_understood(name):
    lines = [line for block in snippets(name, "sh") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True)
        if "fe-phaseinv" in words[:-1] and words[1] != "build":
            _parser().parse_args(words[len(words) - words[::-1].index("fe-phaseinv") :])
        elif words[0] == "docker/env.sh":
            assert f"  {words[1]}) " in (ROOT / "docker" / "env.sh").read_text()


@pages
def test_cases_are_accepted(name, tmp_path):
    (tmp_path / "data").symlink_to(DEMOS / "data")
    (tmp_path / "case").mkdir()
    for text in snippets(name, "toml"):
        (tmp_path / "case" / "case.toml").write_text(text)
        read_case(tmp_path / "case" / "case.toml")


def is_generated(path):
    """Whether the build of the pages makes a page, from a room or a demo that is there."""
    if path.parent == PAGES / "api" and path.stem in {*GROUND, *ABOVE, *STOREYS}:
        return True
    if path.parent == PAGES / "gallery" and (DEMOS / path.stem / "demo.py").exists():
        return True
    return path in [PAGES / name for name in GENERATED]


@pages
def test_links_lead_somewhere(name):
    folder = ROOT if name == "README.md" else PAGES
    prose = re.sub(r"(?ms)^```.*?^```$", "", TEXTS[name])
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose):
        path = (folder / target).resolve()
        assert target.startswith("https://") or path.exists() or is_generated(path), target


@pages
def test_files_that_are_named_exist(name):
    """Paths in backticks are those of the repository, or of the package."""
    for quoted in re.findall(r"`([\w./-]+/[\w./-]+)[^`\n]*`", TEXTS[name]):
        if quoted.split("/")[0] in ("out", "A") or "_build" in quoted or "case.toml" in quoted:
            continue
        assert any((folder / quoted).exists() for folder in (ROOT, ROOT / "fe_phaseinv")), quoted


def test_the_picture_of_the_rooms_is_that_of_the_architecture():
    names = {}
    for text in ET.parse(PAGES / "rooms.svg").iter("{http://www.w3.org/2000/svg}text"):
        if text.get("class") == "name":
            names[text.text.replace("fe_phaseinv", "")] = float(text.get("y"))
    assert set(names) == {*GROUND, *ABOVE, *STOREYS}
    heights = [names[room] for room in STOREYS]
    assert heights == sorted(heights, reverse=True)
    assert min(names[room] for room in (*GROUND, *ABOVE)) > max(heights)
    assert all(names[room] < names[other] for room, others in ABOVE.items() for other in others)


def test_every_demo_is_in_the_gallery_with_a_figure():
    shown = (PAGES / "generate.py").read_text()
    for path in DEMOS.glob("*/demo.py"):
        assert re.search(rf"\bDEMOS = .*\b{path.parent.name}\b", shown)
        figures = list(path.parent.glob("*.png"))
        assert figures
        assert all(figure.stat().st_size < BIG for figure in figures)


SHORTENED = {
    ", 24, ": ", 6, ",
    "Legendre(10)": "Legendre(3)",
    "frames=[2, 3, 4, 5]": "frames=[3], first_frame=2",
    "solve()": "solve(max_iterations=1)",
    ', solution.band("diffusivity", 0.3))': ")",  # one iteration explains too little for bands
}


def test_scripts(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (script,) = snippets("README.md", "python")
    names = run_shortened(ROOT / "README.md", script, SHORTENED | {'"out"': f'"{tmp_path}"'})
    assert (tmp_path / "laws.pdf").stat().st_size > 1000
    watched, solved, planned, penalised, on_tape, together = snippets("in_python.md", "python")
    exec(watched.replace("iterate()", "iterate(max_iterations=1)"), names)
    solution = names["solution"]
    bands = posterior(solution.problem, solution.progress)
    names["solution"] = replace(solution, result=replace(solution.result, posterior=bands))
    exec(solved, names)
    assert np.all(names["lower"] < names["upper"])
    exec(planned, names)
    plan = names["plan"]
    assert len(names["best"].chosen) == 2 and names["best"].value <= (1 + 1e-9) * plan.deviation(plan.evenly(2))
    exec(penalised, names)
    assert names["penalised"].problem.settings.term is names["term"]
    with set_working_tape(Tape()):
        exec(on_tape, names)
        pause_annotation()
    assert all(np.abs(part.dat.data_ro).max() > 0 for part in (*names["gradient"], *names["action"]))
    names["movies"] = [names["images"].select(frames) for frames in ([2, 3], [3, 4, 5])]
    exec(together.replace(", 24, ", ", 6, "), names)
    assert [series.frames for series in names["together"].problem.series] == [(1,), (1, 2)]
    (again,) = snippets("domains.md", "python")
    exec(again.replace('"out/', f'"{tmp_path}/').replace(", 32, ", ", 6, "), names)
    assert names["start"].function_space() == names["finer"].space


def test_the_script_that_reads_images(tmp_path, monkeypatch):
    (tmp_path / "demos").symlink_to(DEMOS)
    monkeypatch.chdir(tmp_path)
    (script,), names = snippets("images.md", "python"), {}
    exec(script, names)
    assert names["hours"].times[1] == pytest.approx(5 / 60)
    assert 0 < names["hours"].mask.sum() < names["hours"].mask.size
    assert (names["small"].shape, names["small"].unit) == ((48, 48), "um")
    assert np.nanmax(np.abs(names["images"].frames - names["frames"])) < 1 / 223


def test_scripts_that_extend():
    names = run_shortened(PAGES / "extending.md", "\n".join(snippets("extending.md", "python")), {"12, 12": "6, 6"})
    assert [law.name for law in names["model"].laws] == ["chemical_potential", "diffusivity", "gradient_energy"]
    basis, z = names["Bernstein"](4), np.linspace(0, 1, 5)
    np.testing.assert_allclose(sum(basis.functions(z)), 1)
    np.testing.assert_allclose(basis.roughness() @ np.ones(4), 0, atol=1e-12)
    assert len(names["states"]) == 2
