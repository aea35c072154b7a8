"""A whole inversion from an exactly known start: seconds and errors of the laws, to be set beside another code's.

The images are made of a NumPy archive with `ts`, `nodes128` (values at the centres of 128 x 128 equal parts of the unit
square, no flux, x along the first axis) and `c0_cos_modes` (of the start, c = 1/2 + sum A_ij cos(i pi x) cos(j pi y)),
simulated with mu_h = log(c/(1-c)) + 3(1-2c), D = 1-c and kappa = 7.5e-4. Prints a JSON line:

    docker/env.sh run [mpiexec -n 2] python tests/benchmarks/whole_inversion.py IMAGES [--cells 24] [--degree 3]
        [--rtol 3e-3] [--pixels 64] [--coarse-cells 20]

`--pixels 1024 --cells 236` has a million unknowns; the ratio is that to one forward run of the finest level.
"""

import argparse
import json
import resource
import sys
from time import perf_counter

import numpy as np
from firedrake import COMM_WORLD
from scipy.fft import dctn

from fe_phaseinv import (
    CahnHilliard,
    ImageSeries,
    InverseProblem,
    Legendre,
    SeriesEnsemble,
    ideal_entropy,
    rectangle_mesh,
)
from fe_phaseinv.cli.dealing import SMALL
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.problem import Problem

KAPPA = 7.5e-4
START = {"chemical_potential": [0, -2.5], "diffusivity": [-0.7], "gradient_energy": 1e-3}


def averages(modes: np.ndarray, pixels: int) -> np.ndarray:
    """Return the averages over pixels of a sum of cosines."""
    edges = np.linspace(0, np.pi, pixels + 1)
    parts = []
    for count in modes.shape:
        k = np.arange(1, count)[:, None]
        rest = np.diff(np.sin(k * edges), axis=1) / (k * np.diff(edges))
        parts.append(np.vstack([np.ones(pixels), rest]))
    return parts[0].T @ modes @ parts[1]


def modes(values: np.ndarray) -> np.ndarray:
    """Return the cosines of which values at the centres of equal parts are the sum."""
    found = dctn(values, norm="forward", type=2)
    found[1:] *= 2
    found[:, 1:] *= 2
    return found


def images(path: str, pixels: int) -> ImageSeries:
    """Read the images, with the start as the first frame."""
    data = np.load(path)
    frames = [0.5 + averages(data["c0_cos_modes"], pixels)]
    frames += [averages(modes(values), pixels) for values in data["nodes128"]]
    return ImageSeries(np.array(frames), np.concatenate([[0.0], data["ts"]]), (1.0, 1.0), (0.0, 0.0))


def forward_seconds(problem: Problem, x: np.ndarray) -> float:
    """Return the time of a forward run without derivatives on the finest level."""
    (series,) = problem.series
    segment, m = series.trajectory(), problem.coordinates.coefficients(x[: len(problem.coordinates)])
    began = perf_counter()
    series.fine.forward.run(m, segment.start, segment.times)
    return perf_counter() - began


def measure(path: str, pixels: int, cells: int, degree: int, rtol: float, coarse_cells: int) -> dict[str, float]:
    """Seconds, iterations and errors of mu_h and D in the gauge of the true kappa, on 0.08 < c < 0.92."""
    model = CahnHilliard(Legendre(10) + ideal_entropy, Legendre(10))
    series = images(path, pixels)
    began = perf_counter()
    groups = (SeriesEnsemble.one_by_one if (degree * cells) ** 2 <= SMALL else SeriesEnsemble.side_by_side)(
        COMM_WORLD, 1
    )
    mesh, coarse_mesh = (rectangle_mesh(series, count, groups.within) for count in (cells, coarse_cells))
    asked = {"degree": degree, "tolerances": Tolerances(rtol=rtol), "initial": START}
    problem = InverseProblem(series, model, mesh, coarse_mesh=coarse_mesh, **asked)
    problem = InverseProblem.joint([problem], groups)
    stages: dict[str, float] = {}
    for progress in problem.iterate():
        stages[progress.stage] = progress.seconds
        if COMM_WORLD.rank == 0:
            print(progress.stage, progress.history[-1], file=sys.stderr, flush=True)
    seconds = perf_counter() - began
    solution = problem.solution(progress)
    laws = solution.laws
    c, scale = np.linspace(0.08, 0.92, 400), KAPPA / float(laws["gradient_energy"])
    found, true = scale * laws["chemical_potential"](c), np.log(c / (1 - c)) + 3 * (1 - 2 * c)
    found, true = found - found.mean(), true - true.mean()
    diffusivity = laws["diffusivity"](c) / scale
    peak = COMM_WORLD.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**20
    forward = forward_seconds(problem.problem, progress.state.point.x)
    return {
        "pixels": pixels,
        "unknowns": 2 * problem.problem.series[0].fine.forward.space.dim(),
        "seconds": seconds,
        "stages": stages,
        "forward": forward,
        "ratio": seconds / forward,
        "gigabytes": peak,
        "ranks": COMM_WORLD.size,
        "iterations": solution.result.iterations,
        "rms": solution.misfit_rms,
        "mu": float(np.linalg.norm(found - true) / np.linalg.norm(true)),
        "D": float(np.sqrt(np.mean((diffusivity / (1 - c) - 1) ** 2))),
        "kappa": abs(1 / scale - 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    for name, default in (("pixels", 64), ("cells", 24), ("degree", 3), ("rtol", 3e-3), ("coarse-cells", 20)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    found = measure(**vars(parser.parse_args()))
    if COMM_WORLD.rank == 0:
        print(json.dumps(found), flush=True)
