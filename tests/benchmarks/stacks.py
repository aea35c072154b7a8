"""Errors of the laws learnt from stacks of 24 x 24 x 24 pixels, and the time it takes.

The stacks are simulated with finite volumes on cells half a pixel wide, small steps and a constant implicit part that
cosine transforms diagonalise: another discretisation than the one that is fitted. Prints one JSON line for each set:
mpiexec -n 2 python tests/benchmarks/stacks.py FOLDER [NAME ...] [KEY=VALUE ...], where keys replace those of the case.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter
from truths import errors, prepare

from fe_phaseinv.cli.command import main
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.output.truth import evaluate_formula

PIXELS = 24
SETS = {
    "falling": {
        "truth": {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "exp(-c)", "kappa": 3e-3},
        "start": {"mean": 0.5, "seed": 21},
        "times": [0, 0.012, 0.018, 0.026, 0.04],
    },
    "asymmetric": {
        "truth": {"mu": "log(c/(1-c)) + 2.8*(1-2*c) + 0.3*(6*c**2-6*c+1)", "D": "0.6*exp(0.5*c)", "kappa": 2.5e-3},
        "start": {"mean": 0.48, "seed": 22},
        "times": [0, 0.02, 0.03, 0.045, 0.07],
    },
}
CASE = """model = "cahn-hilliard"
truth = "{name}.json"
[images]
file = "{name}.npz"
[laws.chemical_potential]
size = 4
ideal_entropy = true
[laws.diffusivity]
size = 2
[laws.gradient_energy]
initial = 6e-3
"""
STEP, IMPLICIT = 1e-5, 1.0
"""Of time, and of the constant mobility that is taken implicitly."""


def simulate(truth, start, times):
    """Frames of Cahn-Hilliard with zero flux on the unit cube, by SBDF2."""
    n = 2 * PIXELS
    noise = gaussian_filter(np.random.default_rng(start["seed"]).standard_normal((n, n, n)), 3, mode="reflect")
    c = before = start["mean"] + 0.03 * (noise - noise.mean()) / noise.std()
    side = -((2 * n * np.sin(np.pi * np.arange(n) / (2 * n))) ** 2)
    laplacian = side[:, None, None] + side[:, None] + side
    stiff = -IMPLICIT * truth["kappa"] * laplacian**2

    def rate(c):
        """Time derivative but for the implicit part, as cosines."""
        curved = idctn(laplacian * dctn(c))
        mu = evaluate_formula(truth["mu"], "c", c) - truth["kappa"] * curved
        mobility = evaluate_formula(truth["D"], "c", c) * c
        change = np.zeros_like(c)
        for axis in range(3):
            middle = np.moveaxis(mobility, axis, 0)
            flux = n * np.diff(np.moveaxis(mu, axis, 0), axis=0) * 0.5 * (middle[1:] + middle[:-1])
            change += np.moveaxis(n * np.diff(flux, axis=0, prepend=0, append=0), 0, axis)
        return dctn(change) - stiff * dctn(c)

    frames, earlier, step = [c], None, 0
    for end in np.round(np.array(times[1:]) / STEP).astype(int):
        while step < end:
            now = rate(c)
            if earlier is None:
                following = idctn((dctn(c) + STEP * now) / (1 - STEP * stiff))
            else:
                known = (4 * dctn(c) - dctn(before) + 2 * STEP * (2 * now - earlier)) / 3
                following = idctn(known / (1 - 2 / 3 * STEP * stiff))
            before, c, earlier, step = c, following, now, step + 1
        frames.append(c)
    pixels = np.array(frames).reshape(-1, PIXELS, 2, PIXELS, 2, PIXELS, 2).mean((2, 4, 6))
    return ImageSeries(pixels, np.array(times, float), (1.0, 1.0, 1.0))


def measure(folder, name, overrides):
    """Invert a set and compare."""
    on_root(COMM_WORLD, prepare, folder, name, SETS[name], simulate, CASE)
    output, began = folder / "-".join([name, *overrides]).replace(".", "_"), time.perf_counter()
    replaced = [item for override in overrides for item in ("--set", override)]
    status = main(["invert", str(folder / f"{name}.toml"), "--output", str(output), *replaced])
    seconds = time.perf_counter() - began
    found = errors(SETS[name]["truth"], json.loads((output / "result.json").read_text()))
    ranks = COMM_WORLD.size
    return {"set": name, "overrides": overrides, "ranks": ranks, "status": status, "seconds": seconds, **found}


if __name__ == "__main__":
    overrides = [argument for argument in sys.argv[2:] if "=" in argument]
    for chosen in [argument for argument in sys.argv[2:] if "=" not in argument] or SETS:
        line = measure(Path(sys.argv[1]), chosen, overrides)
        if COMM_WORLD.rank == 0:
            print(json.dumps(line), flush=True)
