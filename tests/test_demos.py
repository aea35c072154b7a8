"""The demos, shortened by replacements that must each apply."""

import json
from pathlib import Path

import numpy as np
import pytest

from fe_phaseinv.cli.build import starting_laws
from fe_phaseinv.cli.case import read_case

DEMOS = Path(__file__).parents[1] / "demos"


def run_shortened(path, source, replacements):
    for old, new in replacements.items():
        assert old in source, f"{old!r} is no longer in {path.name}"
        source = source.replace(old, new)
    names = {"__name__": "__main__", "__file__": str(path)}
    exec(compile(source, str(path), "exec"), names)
    return names


def test_spinodal(tmp_path, capsys):
    path = DEMOS / "spinodal" / "demo.py"
    names = run_shortened(
        path,
        path.read_text(),
        {
            "CELLS = 24": "CELLS = 12",
            'ch_full.npz")': 'ch_full.npz").downsample(4)',
            "Legendre(10)": "Legendre(3)",
            "frames=[2, 3, 4, 5]": "frames=[2, 3]",
            "problem.iterate()": "problem.iterate(max_iterations=4)",
            'HERE / "out"': f'Path("{tmp_path}")',
        },
    )
    summary = json.loads((tmp_path / "result.json").read_text())
    assert summary["iterations"] == 4
    costs = [entry["misfit_rms"] for entry in summary["history"] if entry["stage"] == "intervals"]
    assert costs[-1] < 0.9 * costs[0]
    assert str(tmp_path / "laws.png") in capsys.readouterr().out
    assert len(names["problem"].problem.coordinates) == 6


@pytest.mark.parametrize(
    ("name", "replacements"),
    [
        ("reaction", {"CELLS = 24": "CELLS = 8", 'ac_full.npz")': 'ac_full.npz").downsample(4).select([0, 1, 2])'}),
        ("noise", {"CELLS = 24": "CELLS = 8", "estimate_noise())": "estimate_noise()).downsample(4)"}),
        (
            "cropped",
            {
                "CELLS = 22": "CELLS = 8",
                'ch_crop.npz")': 'ch_crop.npz").downsample(4)',
                "frames=[6, 12, 18, 25]": "frames=[2, 4]",
            },
        ),
    ],
)
def test_examples_of_the_paper(name, replacements, tmp_path):
    path = DEMOS / name / "demo.py"
    common = {
        "Legendre(10)": "Legendre(3)",
        "problem.iterate()": "problem.iterate(max_iterations=2)",
        'HERE / "out"': f'Path("{tmp_path}")',
    }
    run_shortened(path, path.read_text(), replacements | common)
    summary = json.loads((tmp_path / "result.json").read_text())
    costs = [entry["misfit_rms"] for entry in summary["history"] if entry["stage"] == "intervals"]
    assert costs[-1] < 0.99 * costs[0]
    assert (tmp_path / "laws.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("name", "replacements", "stage"),
    [
        ("own_physics", {"CELLS = 20": "CELLS = 8", 'kawasaki.npz")': 'kawasaki.npz").downsample(2)'}, "intervals"),
        (
            "coupled",
            {
                "CELLS = 20": "CELLS = 8",
                'coupled.npz")': 'coupled.npz").select([0, 1, 2, 3])',
                "Legendre(8)": "Legendre(3)",
                "Legendre(6)": "Legendre(2)",
                "max_iterations=80": "max_iterations=3",
            },
            "first 2",
        ),
    ],
)
def test_models_in_files(name, replacements, stage, tmp_path):
    path = DEMOS / name / "demo.py"
    common = {'HERE / "out"': f'Path("{tmp_path}")'}
    if name == "own_physics":
        common |= {"Legendre(10)": "Legendre(3)", "problem.iterate()": "problem.iterate(max_iterations=3)"}
    run_shortened(path, path.read_text(), replacements | common)
    summary = json.loads((tmp_path / "result.json").read_text())
    costs = [entry["misfit_rms"] for entry in summary["history"] if entry["stage"] == stage]
    assert costs[-1] < 0.9 * costs[0]
    assert (tmp_path / "laws.png").stat().st_size > 1000


def test_the_tutorial_is_short_and_its_case_is_accepted():
    assert len((DEMOS / "own_physics" / "ohta_kawasaki.py").read_text().splitlines()) <= 40
    initial, kept = starting_laws(read_case(DEMOS / "own_physics" / "case.toml"))
    assert (initial["repulsion"], kept) == (5.0, [])


@pytest.mark.slow
def test_map(tmp_path, capsys):
    path = DEMOS / "heterogeneity" / "demo.py"
    replacements = {
        "CELLS = 16": "CELLS = 12",
        "problem.iterate()": "problem.iterate(max_iterations=7)",
        "problem.solution(progress, ": "problem.solution(progress, uncertainty=False, ",
        'HERE / "out"': f'Path("{tmp_path}")',
    }
    names = run_shortened(path, path.read_text(), replacements)
    assert names["correlation"] > 0.3
    assert str(tmp_path / "heterogeneity.png") in capsys.readouterr().out
    kept = np.load(tmp_path / "heterogeneity.npz")
    np.testing.assert_array_equal(kept["heterogeneity"], names["solution"].result.images[0].map.value)


@pytest.mark.slow
def test_particles(tmp_path, capsys):
    """Each particle has its files."""
    path = DEMOS / "particles" / "demo.py"
    replacements = {
        "CELLS, PARTICLES = 24, range(1, 7)": "CELLS, PARTICLES = 10, (1, 3)",
        "Legendre(6)": "Legendre(3)",
        "validation=[5]": "validation=[5], degree=2, multiple_shooting=False",
        "problem.iterate()": "problem.iterate(max_iterations=2)",
        "problem.solution(progress, ": "problem.solution(progress, uncertainty=False, ",
        'HERE / "out"': f'Path("{tmp_path}")',
    }
    names = run_shortened(path, path.read_text(), replacements)
    written = json.loads((tmp_path / "result.json").read_text())
    costs = [entry["cost"] for entry in written["history"] if entry["stage"] == "search"]
    assert len(costs) > 1 and costs[-1] < 0.9 * costs[0]
    assert [images["validation"]["frames"] for images in written["images"]] == [[5], [5]]
    assert f"held-out images: {written['validation']['standardised']:.3f} standard" in capsys.readouterr().out
    for number, images in enumerate(names["solution"].result.images, 1):
        kept = np.load(tmp_path / f"heterogeneity-{number}.npz")
        np.testing.assert_array_equal(kept["heterogeneity"], images.map.value)
        names_of_files = (f"heterogeneity-{number}.png", f"frames-{number}.png", f"scalars-{number}.csv")
        assert all((tmp_path / file).exists() for file in (*names_of_files, f"states-{number}.h5"))


def test_the_case_of_the_particles_is_accepted():
    case = read_case(DEMOS / "particles" / "case.toml")
    assert len(case.images) == 6 and case.validation.frames == (5,) and case.heterogeneity.length == 0.15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["crystal", "correlation"])
def test_crystals(name, tmp_path):
    path = DEMOS / name / "demo.py"
    replacements = {
        "CELLS = 32": "CELLS = 12",
        'pfc_nucleus.npz")': 'pfc_nucleus.npz").downsample(4).select([0, 1])',
        "Hermite(10," if name == "correlation" else "Powers(3)": "Hermite(6," if name == "correlation" else "Powers(2)",
        "problem.iterate()": "problem.iterate(max_iterations=4)",
        'HERE / "out"': f'Path("{tmp_path}")',
    }
    run_shortened(path, path.read_text(), replacements)
    summary = json.loads((tmp_path / "result.json").read_text())
    costs = [entry["misfit_rms"] for entry in summary["history"]]
    assert costs[-1] < 0.9 * costs[0]
    assert (tmp_path / "laws.png").stat().st_size > 1000


def test_pfhub(tmp_path, capsys):
    path = DEMOS / "pfhub" / "demo.py"
    replacements = {
        'DOMAINS = ("1a", "1b", "1c", "1d")': 'DOMAINS = ("1b", "1d")',
        "SIZE, DEGREE = 4.0, 3": "SIZE, DEGREE = 12.0, 2",
        "[1.0, 5.0, 20.0, 100.0], 1e6": "[1.0, 2.0], 5.0",
        'HERE / "out"': f'Path("{tmp_path}")',
    }
    names = run_shortened(path, path.read_text(), replacements)
    assert "1b: 2450 unknowns" in capsys.readouterr().out
    energies = {}
    for domain, when, energy in names["rows"]:
        energies.setdefault(domain, []).append(float(energy))
        if (domain, when) == ("1b", "1"):
            assert float(energy) == pytest.approx(318.84, rel=2e-3)
    assert all(np.all(np.diff(values) < 0) for values in energies.values())
    assert (tmp_path / "energies.png").stat().st_size > 1000
