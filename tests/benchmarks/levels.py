"""A whole inversion over one forward run of its finest level, stage by stage; its laws are written for scoring.

    docker/env.sh run [mpiexec -n 2] python tests/benchmarks/levels.py CASE OUT [KEY=VALUE ...]

Prints a JSON line: seconds of each stage and in all, trial points, runs, and the ratio.
"""

import json
import sys
import time
from pathlib import Path

from firedrake import COMM_WORLD

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.dealing import runs_dealt
from fe_phaseinv.cli.images import load_images
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.output.files import write_values
from fe_phaseinv.output.result import collect

REPETITIONS = 3


def forward_seconds(problem, progress) -> float:
    """Return the shortest time of a forward run without derivatives, at the laws learnt."""
    (series,) = problem.series
    segment, m = (
        series.trajectory(),
        problem.coordinates.coefficients(progress.state.point.x[: len(problem.coordinates)]),
    )
    found = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        series.fine.forward.run(m, segment.start, segment.times)
        found.append(time.perf_counter() - began)
    return min(found)


def main(path: str, out: str, *overrides: str) -> None:
    """Invert a case with one series of images."""
    case = read_case(path, list(overrides))
    loaded = load_images(case)
    problem, stages = build_problem(case, loaded, runs_dealt(case, loaded, COMM_WORLD)), {}
    for progress in iterate(problem):
        stages[progress.stage] = round(progress.seconds - sum(stages.values()) + stages.get(progress.stage, 0.0), 2)
    folder, counts = Path(out), progress.counts
    on_root(COMM_WORLD, lambda: folder.mkdir(parents=True, exist_ok=True))
    on_root(COMM_WORLD, write_values, folder, collect(problem, progress))
    forward = forward_seconds(problem, progress)
    found = {
        "case": Path(path).stem,
        "ranks": COMM_WORLD.size,
        "outcome": progress.state.outcome.name,
        "exact": progress.task.exact,
        "iterations": progress.state.iteration,
        "runs": counts.forward,
        "with sensitivities": counts.tangent,
        "stages": stages,
        "seconds": round(progress.seconds, 1),
        "forward": round(forward, 2),
        "ratio": round(progress.seconds / forward, 1),
    }
    if COMM_WORLD.rank == 0:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
