"""Errors of the laws learnt inside outlines, of several shapes, sizes and conventions about the pixels at the edge.

Finite volumes on cells a quarter of a pixel wide, inside of an exact shape, make the images. Prints one JSON line for
each set (minutes each): python tests/benchmarks/outlines.py FOLDER [SHAPE-CONVENTION ...]
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from truths import errors, evolve, operators

from fe_phaseinv.cli.command import main
from fe_phaseinv.data.images import ImageSeries

FINE = 4
"""Cells of the simulation along a pixel."""
TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "1 - c", "kappa": 7.5e-4}
TIMES = [0, 0.01, 0.015, 0.025, 0.05]
BEFORE = 0.005
"""Time that the pattern has before the first frame."""
SHAPES = {
    "ellipse": (64, lambda x, y: np.hypot((x - 0.51) / 0.42, (y - 0.5) / 0.3) < 1),
    "triangle": (64, lambda x, y: np.hypot(x - 0.5, y - 0.45) < 0.3 + 0.07 * np.cos(3 * np.arctan2(x - 0.5, y - 0.45))),
    "dumbbell": (64, lambda x, y: np.hypot(np.abs(x - 0.5) - 0.22, y - 0.5) < 0.2 - 0.05 * (np.abs(x - 0.5) < 0.1)),
    "platelet": (64, lambda x, y: ((x - 0.5) / 0.235) ** 4 + ((y - 0.503) / 0.047) ** 4 < 1),
    "small": (64, lambda x, y: np.hypot((x - 0.49) / 0.14, (y - 0.52) / 0.1) < 1),
}
"""Pixels along the square, and what is inside."""
CASE = """model = "cahn-hilliard"
truth = "{name}.json"
[images]
file = "{name}.npz"
[domain]
mesh = "outline"
[laws.chemical_potential]
size = 10
ideal_entropy = true
[laws.diffusivity]
size = 10
[laws.gradient_energy]
initial = 2e-3
[optimizer]
max_iterations = 20
"""


def simulate(shape):
    """Average over each pixel of what is inside, and the share of it that is."""
    pixels, inside = SHAPES[shape]
    n = FINE * pixels
    x, y = np.meshgrid(*2 * [(np.arange(n) + 0.5) / n])
    inside = inside(x, y)
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((n, n)), 0.02 * n, mode="reflect")
    start = 0.5 + 0.05 * (noise - noise[inside].mean()) / noise[inside].std()
    run = evolve(TRUTH, start[inside], [0, *np.add(BEFORE, TIMES)], *operators(inside))[1:]
    frames = np.zeros((len(TIMES), n, n))
    frames[:, inside] = run

    def averaged(fine):
        return fine.reshape(*fine.shape[:-2], pixels, FINE, pixels, FINE).mean((-3, -1))

    coverage = averaged(inside.astype(float))
    with np.errstate(invalid="ignore"):
        return averaged(frames) / coverage, coverage


def convention(frames, coverage, name):
    """Write what a picture shows at the edge: whole pixels alone, those half inside, or what zeros around dilute."""
    kept = {"whole": coverage > 1 - 1e-9, "centre": coverage >= 0.5, "soft": coverage > 0, "zeros": coverage >= 0.5}[
        name
    ]
    return np.where(kept, frames, 0.0 if name == "zeros" else np.nan)


def measure(folder, name):
    """Invert a set and compare."""
    shape, kept = name.split("-")
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / f"{shape}.npz"
    if not raw.exists():
        frames, coverage = simulate(shape)
        np.savez(raw, frames=frames, coverage=coverage)
    with np.load(raw) as data:
        ImageSeries(convention(data["frames"], data["coverage"], kept), TIMES, (1.0, 1.0)).save(folder / f"{name}.npz")
    (folder / f"{name}.json").write_text(json.dumps(TRUTH))
    (folder / f"{name}.toml").write_text(CASE.format(name=name))
    status = main(["invert", str(folder / f"{name}.toml"), "--output", str(folder / name)])
    result = json.loads((folder / name / "result.json").read_text())
    return {"set": name, "status": status, **errors(TRUTH, result)}


if __name__ == "__main__":
    every = [f"{shape}-{kept}" for shape in SHAPES for kept in ("whole", "centre", "zeros")]
    for chosen in sys.argv[2:] or every:
        print(json.dumps(measure(Path(sys.argv[1]), chosen)), flush=True)
