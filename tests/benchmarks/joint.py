"""Errors of the laws learnt from two series of images each alone, and jointly.

The sets: "early" are the first two images, 128 x 128 pixels, of runs of mean 0.35 and 0.65 simulated with finite
volumes (`truths.py`), each of which shows the laws on a part of the range alone (c from 0.22 to 0.58, and from 0.39 to
0.76); "clean" are late ones of mean 0.4 and 0.6, and "means" the same of 64 x 64 pixels with 5 % and 10 % noise;
"draws" two draws of 10 % noise on ch_full.npz of the demos from t = 0.015 on, averaged over 2 x 2 pixels. Errors are
relative ones in the gauge of the true kappa, on the same range for all. Prints a JSON line for each inversion:

mpiexec -n 2 python tests/benchmarks/joint.py FOLDER [SET [DRAW ...]]
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import truths
from firedrake import COMM_WORLD

from fe_phaseinv.cli.command import main
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive

TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "1-c", "kappa": 7.5e-4}
FULL = Path(__file__).parents[2] / "demos" / "data" / "ch_full.npz"
TIMES = [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06]
LATE, EARLY = [4, 6, 7, 8], [0, 1]
SETS = {"early": (0.0, 0.0), "clean": (0.0, 0.0), "means": (0.05, 0.1), "draws": (0.1, 0.1)}
"""Standard deviations of the noise of a pixel."""
SEEN = {"early": (0.23, 0.75)}
RANGE = 0.12, 0.86
"""Of c, for the errors."""
CASE = """model = "cahn-hilliard"
[laws.chemical_potential]
size = 10
ideal_entropy = true
[laws.diffusivity]
size = 10
[laws.gradient_energy]
initial = 2e-3
"""


def without_noise(name, folder):
    """Return two series, those to be noisy of 64 x 64 pixels."""
    if name == "draws":
        return [ImageSeries.load(FULL).select([2, 3, 4, 5]).downsample(2)] * 2
    chosen, means = (EARLY, (0.35, 0.65)) if name == "early" else (LATE, (0.4, 0.6))
    series = [
        run(folder / f"mean-{mean}.npz", mean, seed).select(chosen) for mean, seed in zip(means, (21, 22), strict=True)
    ]
    return [images.downsample(2) for images in series] if name == "means" else series


def run(file, mean, seed):
    """Return a run of the truth, simulated where its file is not there yet."""
    if not file.exists():
        truths.simulate(TRUTH, {"mean": mean, "seed": seed}, TIMES).save(file)
    return ImageSeries.load(file)


def prepare(folder, name, draw):
    """Write the images and the cases of a draw of the noise of a set."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, (images, noise) in enumerate(zip(without_noise(name, folder), SETS[name], strict=True), 1):
        normal = np.random.default_rng(100 * (draw + 1) + number).standard_normal(images.frames.shape)
        file = folder / f"{name}-{draw}-{number}.npz"
        replace(images, frames=images.frames + noise * normal).save(file)
        parts.append(f'[[images]]\nfile = "{file.name}"\nnoise = {noise}\n')
    for label, chosen in (("1", parts[:1]), ("2", parts[1:]), ("joint", parts)):
        (folder / f"{name}-{draw}-{label}.toml").write_text(CASE + "".join(chosen))


def errors(result, low, high):
    """Return errors of the laws for low < c < high, by their coefficients."""
    laws, c = result["laws"], np.linspace(low, high, 149)
    scale = TRUTH["kappa"] / laws["gradient_energy"]["value"]
    mu, diffusivity = (laws[name]["coefficients"] for name in ("chemical_potential", "diffusivity"))
    slope = scale * Relation("mu", Legendre(len(mu)), known=ideal_entropy).slope(np.array(mu), c)
    kinetics = Relation("D", Legendre(len(diffusivity)), positive)(np.array(diffusivity), c) / scale
    pairs = {"mu_h'": (slope, 1 / (c * (1 - c)) - 6), "D": (kinetics, 1 - c)}
    found = {name: float(np.linalg.norm(a - b) / np.linalg.norm(b)) for name, (a, b) in pairs.items()}
    return found | {"kappa": abs(1 / scale - 1), "rms": result["misfit_rms"], "iterations": result["iterations"]}


def measure(folder, name, draw):
    """Invert each series alone, and both, and compare with the truth."""
    on_root(COMM_WORLD, prepare, folder, name, draw)
    for label in ("1", "2", "joint"):
        output = folder / f"{name}-{draw}-{label}"
        status = main(["invert", str(output.with_suffix(".toml")), "--output", str(output)])
        result = json.loads((output / "result.json").read_text())
        yield {"set": name, "draw": draw, "series": label, "status": status, **errors(result, *SEEN.get(name, RANGE))}


if __name__ == "__main__":
    place, *chosen = sys.argv[1:]
    for name in chosen[:1] or SETS:
        for draw in map(int, chosen[1:] or [0]):
            for line in measure(Path(place), name, draw):
                if COMM_WORLD.rank == 0:
                    print(json.dumps(line | {"ranks": COMM_WORLD.size}), flush=True)
