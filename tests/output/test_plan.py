"""A plan in words, as values and as a figure."""

import json

import numpy as np
import pytest
from test_files import COEFFICIENTS, MODEL, RELATIONS

from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.inference.optimal_design import Aim, Candidates, Information
from fe_phaseinv.output.plan import Compared, Plan
from fe_phaseinv.output.plan_figure import draw_plan, write_plan


def made(experiments=1, within=0.05, compared=2):
    rng, unknown = np.random.default_rng(2), len(COEFFICIENTS)
    z = np.linspace(0.1, 0.9, 11)
    aims = tuple(
        Aim(name=name, arguments=(where,), rows=rng.standard_normal((len(where), unknown)), slope=slope)
        for name, where, slope in (
            ("chemical_potential", z, True),
            ("diffusivity", z, False),
            ("gradient_energy", z[:1], False),
        )
    )
    rows = rng.standard_normal((5, 40, unknown))
    one = Information(
        laws=unknown,
        base=np.zeros((unknown, unknown)),
        frames=30 * np.einsum("fri,frj->fij", rows, rows),
        times=np.arange(1.0, 6.0),
    )
    candidates = Candidates(prior=np.eye(unknown), experiments=(one,) * experiments, aims=aims)
    deviations = candidates.deviations((0, 1))
    return Plan(
        model=MODEL,
        laws=CoefficientLayout(RELATIONS).laws(COEFFICIENTS),
        candidates=candidates,
        names=("first", "second")[:experiments],
        noise=0.02,
        choose=2,
        within=within,
        choices={name: candidates.choice(2, name, beyond=4) for name in ("D", "A")},
        alone=tuple(candidates.gain([number]) for number in range(len(candidates))),
        lengths=candidates.lengths(within, 2),
        compared=(Compared("mean 0.4", (1.0, 2.0), 12.3, deviations), Compared("own", (3.0,), 9.8, deviations))[
            :compared
        ],
        time_unit="h",
    )


def test_words():
    words = "\n".join(made().sentences())
    assert "Best 2 of 5 frames, most information (D-optimal): t = " in words and " h; " in words
    assert "least mean variance of the laws (A-optimal)" in words
    assert words.count(" nats)") == 4
    assert "2 evenly spaced" in words and "mu_h'" in words and "kappa" in words
    assert "1. mean 0.4: 12.3 nats (t = 1, 2 h); mu_h' " in words
    assert "Experiments" not in "\n".join(made(compared=1).sentences())


def test_how_long_a_movie_must_be_in_words():
    never = [line for line in made(within=1e-6).sentences() if line.startswith("To know")]
    assert len(never) == 3 and all(line.endswith(": not with all frames up to 5 h.") for line in never)
    at_once = [line for line in made(within=100.0).sentences() if line.startswith("To know D")]
    assert at_once == ["To know D within 1e+04 %: all frames up to 1 h, or the best 2 up to 1 h."]


def test_frames_of_several_series_are_named():
    plan = made(experiments=2)
    assert plan.label(7) == "3 of second" and len(plan.alone) == 10


def test_files(tmp_path, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    plan = made()
    assert [path.name for path in write_plan(tmp_path, plan)] == ["design.json", "design.png", "design.pdf"]
    found = json.loads((tmp_path / "design.json").read_text())
    assert found["sets"]["all"]["information"] == pytest.approx(plan.candidates.gain(range(5)))
    assert found["choices"]["A"]["value"] == pytest.approx(plan.candidates.deviation(plan.choices["A"].chosen))
    assert found["lengths"][0].keys() == {"law", "whole", "few"} and found["words"] == plan.sentences()


def test_figure():
    figure = draw_plan(made())
    figure.canvas.draw()
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 5 and "expected 95 % band of $D(c)$, +- % of its size" in titles
