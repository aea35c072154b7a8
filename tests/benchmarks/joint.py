"""Errors of the laws learnt from two series of images each alone, and jointly.

The sets: "draws" are two draws of 10 % noise on demos/data/ch_full.npz from t = 0.015 on, averaged over 2 x 2 pixels;
"means" are two runs of the same truth from other random fields, of mean 0.4 and 0.6, simulated with finite volumes
(`truths.py`) and seen with 5 % and 10 % noise; "clean" are the same runs without noise. Prints a JSON line for each
inversion (minutes each): mpiexec -n 2 python tests/benchmarks/joint.py FOLDER [SET [DRAW ...]]
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import truths
from firedrake import COMM_WORLD

from fe_phaseinv.cli import main
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.parallel import on_root

TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "1-c", "kappa": 7.5e-4}
FULL = Path(__file__).parents[2] / "demos" / "data" / "ch_full.npz"
TIMES = [0, 0.02, 0.03, 0.04, 0.06]
SETS = {"draws": (0.1, 0.1), "means": (0.05, 0.1), "clean": (0.0, 0.0)}
"""Standard deviations of the noise of a pixel."""
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
    """Return two series of 64 x 64 pixels."""
    if name == "draws":
        return [ImageSeries.load(FULL).select([2, 3, 4, 5]).downsample(2)] * 2
    return [run(folder / f"mean-{mean}.npz", mean, seed) for mean, seed in ((0.4, 21), (0.6, 22))]


def run(file, mean, seed):
    """Return a run of the truth, simulated where its file is not there yet."""
    if not file.exists():
        truths.simulate(TRUTH, {"mean": mean, "seed": seed}, TIMES).downsample(2).save(file)
    return ImageSeries.load(file).select([1, 2, 3, 4])


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


def measure(folder, name, draw):
    """Invert each series alone, and both, and compare with the truth."""
    on_root(COMM_WORLD, prepare, folder, name, draw)
    for label in ("1", "2", "joint"):
        output = folder / f"{name}-{draw}-{label}"
        status = main(["invert", str(output.with_suffix(".toml")), "--output", str(output)])
        result = json.loads((output / "result.json").read_text())
        yield {"set": name, "draw": draw, "series": label, "status": status, **truths.errors(TRUTH, result)}


if __name__ == "__main__":
    place, *chosen = sys.argv[1:]
    for name in chosen[:1] or SETS:
        for draw in map(int, chosen[1:] or [0]):
            for line in measure(Path(place), name, draw):
                if COMM_WORLD.rank == 0:
                    print(json.dumps(line | {"ranks": COMM_WORLD.size}), flush=True)
