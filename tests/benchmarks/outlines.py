"""Errors of the laws learnt inside outlines, of several shapes, sizes and conventions about the pixels at the edge.

Fine cubic elements inside of an exact shape make the images: staircases of finite volumes would have errors as large as
those of an outline. Prints one JSON line for each set (a minute each): python tests/benchmarks/outlines.py FOLDER
[SHAPE-CONVENTION ...]
"""

import json
import sys
from pathlib import Path

import numpy as np
from contourpy import contour_generator
from firedrake import COMM_WORLD, Function
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter
from truths import errors

from fe_phaseinv import CahnHilliard, ForwardModel, Legendre, ideal_entropy
from fe_phaseinv.cli.command import main
from fe_phaseinv.core.spaces import node_positions
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import from_data
from fe_phaseinv.data.triangulation import triangulate
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.observation.pixels import Pixels

SIZE, FINE = 1 / 64, 2048
"""Size of the elements of the simulation, and points along the square that tell what is inside."""
TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "0.5*exp(1-2*c)", "kappa": 7.5e-4}
LAWS = {"chemical_potential": [0, -3], "diffusivity": [np.log(0.5), -1], "gradient_energy": TRUTH["kappa"]}
TIMES = [0, 0.01, 0.015, 0.025, 0.05]
BEFORE = 0.005
"""Time that the pattern has before the first frame."""
SHAPES = {
    "ellipse": (64, lambda x, y: np.hypot((x - 0.51) / 0.42, (y - 0.5) / 0.3)),
    "triangle": (64, lambda x, y: np.hypot(x - 0.5, y - 0.5) / (0.3 + 0.06 * np.cos(3 * np.arctan2(y - 0.5, x - 0.5)))),
    "dumbbell": (64, lambda x, y: ((y - 0.5) / (0.13 + 0.4 * (x - 0.5) ** 2)) ** 2 + ((x - 0.5) / 0.42) ** 6),
    "platelet": (64, lambda x, y: ((0.8 * x + 0.6 * y - 0.7) / 0.235) ** 4 + ((0.8 * y - 0.6 * x - 0.1) / 0.047) ** 4),
    "small": (64, lambda x, y: np.hypot((x - 0.49) / 0.14, (y - 0.52) / 0.1)),
}
"""Pixels along the square, and what is below 1 inside."""
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
    pixels, level = SHAPES[shape]
    places = (np.arange(FINE) + 0.5) / FINE
    level = level(*np.meshgrid(places, places))
    ring = max(contour_generator(places, places, -level).lines(-1), key=len)
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(ring, axis=0).T))]
    at = np.linspace(0, length[-1], round(length[-1] / SIZE) + 1)[:-1]
    polygon = np.column_stack([np.interp(at, length, values) for values in ring.T])
    mesh = from_data(triangulate(shape, [[polygon]], SIZE), COMM_WORLD)
    model = CahnHilliard(Legendre(2) + ideal_entropy, diffusivity=Legendre(2))
    forward = ForwardModel(model, mesh, tolerances=Tolerances(rtol=1e-4))
    start = Function(forward.space)
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((256, 256)), 5, mode="wrap")
    nodes = np.linspace(0, 1, 256)
    values = RegularGridInterpolator((nodes, nodes), noise / noise.std(), method="cubic")(node_positions(forward.space))
    start.dat.data_wo[:] = 0.5 + 0.05 * (values - values.mean()) / values.std()
    fields = forward.solve(LAWS, start, [0, *np.add(BEFORE, TIMES)])
    blocks = np.arange(FINE) * pixels // FINE
    coverage = np.zeros((pixels, pixels))
    np.add.at(coverage, tuple(np.meshgrid(blocks, blocks, indexing="ij")), level < 1)
    coverage /= np.bincount(blocks)[0] ** 2
    coverage = np.minimum(coverage, 1)
    shown = ImageSeries(np.full((1, pixels, pixels), 0.5), [0], (1, 1), coverage=coverage)
    averages = Pixels(shown, forward.space)
    return np.array([averages.picture(averages.average(field.dat.data_ro)) for field in fields]), coverage


def convention(frames, coverage, name):
    """Keep whole pixels alone, or those half inside, with NaN or zeros around them."""
    least = {"whole": 1 - 1e-9, "centre": 0.5, "zeros": 0.5}[name]
    return np.where(coverage >= least, frames, 0.0 if name == "zeros" else np.nan)


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
    every = [f"{shape}-{kept}" for shape in SHAPES for kept in ("whole", "centre")]
    for chosen in sys.argv[2:] or every:
        print(json.dumps(measure(Path(sys.argv[1]), chosen)), flush=True)
