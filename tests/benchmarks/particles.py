"""Particles that share laws, each with a map and a start of its own: seconds by their number and by ranks.

    docker/env.sh run [mpiexec -n 2] python tests/benchmarks/particles.py [PARTICLES] [ITERATIONS]

Prints a JSON line for the first of demos/particles, whose laws are compared between numbers of ranks.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from firedrake import COMM_WORLD

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.dealing import runs_dealt
from fe_phaseinv.cli.images import load_images
from fe_phaseinv.inference.inversion import iterate

CASE = Path(__file__).parents[2] / "demos" / "particles" / "case.toml"


def main(particles: int = 6, iterations: int = 2) -> None:
    """Do some iterations, of which the preparations and the compilation of forms are not timed."""
    case = read_case(CASE)
    case = replace(case, images=case.images[:particles])
    loaded = load_images(case)
    problem, began = build_problem(case, loaded, runs_dealt(case, loaded, COMM_WORLD)), None
    for progress in iterate(problem):
        if began is None and progress.stage not in problem.preparations:
            began, first = time.perf_counter(), progress.state.iteration
        if began is not None and progress.state.iteration == first + iterations:
            break
    point = progress.state.point
    laws = problem.coordinates.coefficients(point.x[: len(problem.coordinates)])
    found = {
        "particles": particles,
        "ranks": COMM_WORLD.size,
        "iterations": progress.state.iteration - first,
        "seconds": round(time.perf_counter() - began, 1),
        "cost": point.value,
        "laws": laws.tolist(),
    }
    if COMM_WORLD.rank == 0:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
