"""A whole inversion from an exactly known start: seconds and errors of the laws, to be set beside another code's.

The images are a NumPy archive with `ts`, `pixmean64` (averages over 64 x 64 pixels of the unit square, no flux, x along
the first axis) and `c0_cos_modes` (those of the start, c = 1/2 + sum A_ij cos(i pi x) cos(j pi y)), simulated with
mu_h = log(c/(1-c)) + 3(1-2c), D = 1-c and kappa = 7.5e-4. Prints a JSON line:

mpiexec -n 2 python tests/benchmarks/whole_inversion.py IMAGES [CELLS [DEGREE [RTOL]]]
"""

import json
import sys
from time import perf_counter

import numpy as np
from firedrake import COMM_WORLD

from fe_phaseinv import (
    CahnHilliard,
    ImageSeries,
    InverseProblem,
    Legendre,
    SeriesEnsemble,
    ideal_entropy,
    rectangle_mesh,
)
from fe_phaseinv.forward.trajectory import Tolerances

KAPPA, PIXELS = 7.5e-4, 64
START = {"chemical_potential": [0, -2.5], "diffusivity": [-0.7], "gradient_energy": 1e-3}


def averages(modes):
    """Return the averages over pixels of a sum of cosines."""
    edges = np.linspace(0, np.pi, PIXELS + 1)
    parts = []
    for count in modes.shape:
        k = np.arange(1, count)[:, None]
        rest = np.diff(np.sin(k * edges), axis=1) / (k * np.diff(edges))
        parts.append(np.vstack([np.ones(PIXELS), rest]))
    return 0.5 + parts[0].T @ modes @ parts[1]


def images(path):
    """Read the images, with the start as the first frame."""
    data = np.load(path)
    frames = np.concatenate([averages(data["c0_cos_modes"])[None], data["pixmean64"]])
    return ImageSeries(frames, np.concatenate([[0.0], data["ts"]]), (1.0, 1.0), (0.0, 0.0))


def measure(path, cells=24, degree=3, rtol=3e-3):
    """Seconds, iterations and errors of mu_h and D in the gauge of the true kappa, on 0.08 < c < 0.92."""
    model = CahnHilliard(Legendre(10) + ideal_entropy, Legendre(10))
    series = images(path)
    began = perf_counter()
    groups = SeriesEnsemble.one_by_one(COMM_WORLD, 1)
    mesh = rectangle_mesh(series, int(cells), groups.within)
    tolerances = Tolerances(rtol=float(rtol))
    problem = InverseProblem(series, model, mesh, initial=START, degree=int(degree), tolerances=tolerances)
    solution = InverseProblem.joint([problem], groups).solve()
    seconds, laws = perf_counter() - began, solution.laws
    c, scale = np.linspace(0.08, 0.92, 400), KAPPA / float(laws["gradient_energy"])
    found, true = scale * laws["chemical_potential"](c), np.log(c / (1 - c)) + 3 * (1 - 2 * c)
    found, true = found - found.mean(), true - true.mean()
    diffusivity = laws["diffusivity"](c) / scale
    return {
        "seconds": seconds,
        "ranks": COMM_WORLD.size,
        "iterations": solution.result.iterations,
        "rms": solution.misfit_rms,
        "mu": float(np.linalg.norm(found - true) / np.linalg.norm(true)),
        "D": float(np.sqrt(np.mean((diffusivity / (1 - c) - 1) ** 2))),
        "kappa": abs(1 / scale - 1),
    }


if __name__ == "__main__":
    found = measure(*sys.argv[1:])
    if COMM_WORLD.rank == 0:
        print(json.dumps(found), flush=True)
