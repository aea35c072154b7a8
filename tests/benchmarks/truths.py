"""Errors of the laws learnt from images of other truths and seeds, simulated with finite volumes.

Cell-centred finite volumes on cells half a pixel wide and SciPy's BDF: another discretisation than the one that is
fitted. Prints one JSON line for each set (minutes each): python tests/benchmarks/truths.py FOLDER [NAME ...]
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.integrate import solve_ivp
from scipy.ndimage import gaussian_filter

from fe_phaseinv.cli.command import main
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.output.truth import evaluate_formula

PIXELS = 128
STEP = 1e-6
"""Of the central differences that differentiate formulas."""
SETS = {
    "steep-diffusivity": {
        "truth": {"mu": "log(c/(1-c)) + 2.8*(1-2*c)", "D": "exp(-2*c)", "kappa": 6e-4},
        "start": {"mean": 0.5, "seed": 11},
        "times": [0, 0.016, 0.024, 0.032, 0.048, 0.08],
    },
    "asymmetric": {
        "truth": {"mu": "log(c/(1-c)) + 3.2*(1-2*c) + 0.4*(6*c**2-6*c+1)", "D": "0.4+0.8*c", "kappa": 1e-3},
        "start": {"mean": 0.5, "seed": 12},
        "times": [0, 0.006, 0.009, 0.012, 0.018, 0.03],
    },
    "off-centre": {
        "truth": {"mu": "log(c/(1-c)) + 3*(1-2*c)", "D": "(1-c)*(1+c)", "kappa": 7.5e-4},
        "start": {"mean": 0.45, "seed": 13},
        "times": [0, 0.01, 0.015, 0.02, 0.03, 0.05],
    },
}
CASE = """model = "cahn-hilliard"
truth = "{name}.json"
[images]
file = "{name}.npz"
frames = [0, 2, 3, 4, 5]
[laws.chemical_potential]
size = 10
ideal_entropy = true
[laws.diffusivity]
size = 10
[laws.gradient_energy]
initial = 2e-3
"""


def simulate(truth, start, times):
    """Frames of Cahn-Hilliard with zero flux on the unit square."""
    n = 2 * PIXELS
    noise = gaussian_filter(np.random.default_rng(start["seed"]).standard_normal((n, n)), 5, mode="reflect")
    c0 = start["mean"] + 0.03 * (noise - noise.mean()) / noise.std()
    difference = n * sp.diags([-1.0, 1.0], [0, 1], (n - 1, n))
    gradient = sp.vstack([sp.kron(sp.eye(n), difference), sp.kron(difference, sp.eye(n))]).tocsr()
    average, laplacian = 0.5 / n * abs(gradient), -gradient.T @ gradient

    def potential(c):
        return evaluate_formula(truth["mu"], "c", c)

    def mobility(c):
        return evaluate_formula(truth["D"], "c", c) * c

    def slope(law, c):
        return sp.diags((law(c + STEP) - law(c - STEP)) / (2 * STEP))

    def rate(_, c):
        mu = potential(c) - truth["kappa"] * (laplacian @ c)
        return -(gradient.T @ (mobility(average @ c) * (gradient @ mu)))

    def jacobian(_, c):
        faces, mu = average @ c, potential(c) - truth["kappa"] * (laplacian @ c)
        by_potential = sp.diags(mobility(faces)) @ gradient @ (slope(potential, c) - truth["kappa"] * laplacian)
        by_mobility = sp.diags(gradient @ mu) @ slope(mobility, faces) @ average
        return -(gradient.T @ (by_potential + by_mobility)).tocsc()

    run = solve_ivp(rate, (0, times[-1]), c0.ravel(), "BDF", times, jac=jacobian, rtol=1e-6, atol=1e-8)
    frames = run.y.T.reshape(-1, PIXELS, 2, PIXELS, 2).mean((2, 4))
    return ImageSeries(frames, np.array(times, float), (1.0, 1.0))


def errors(truth, result):
    """Relative L2 errors in the gauge of the true kappa."""
    laws = result["laws"]
    kappa = laws["gradient_energy"]["value"]
    scale = truth["kappa"] / kappa
    found = {"kappa": abs(kappa / truth["kappa"] - 1), "rms": result["misfit_rms"], "iterations": result["iterations"]}

    def compare(name, curve, low, high, true):
        c = np.array(laws[name]["z"])
        inside = (c > low) & (c < high)
        wanted = true(c[inside])
        return float(np.linalg.norm(curve[inside] - wanted) / np.linalg.norm(wanted))

    def true_slope(c):
        ahead, behind = (evaluate_formula(truth["mu"], "c", c + h) for h in (STEP, -STEP))
        return (ahead - behind) / (2 * STEP)

    slope = scale * np.array(laws["chemical_potential"]["slope"])
    found["mu_h'"] = compare("chemical_potential", slope, 0.12, 0.86, true_slope)
    diffusivity = np.array(laws["diffusivity"]["value"]) / scale
    found["D"] = compare("diffusivity", diffusivity, 0.15, 0.85, lambda c: evaluate_formula(truth["D"], "c", c))
    return found


def prepare(folder, name, wanted, simulate, case):
    """Simulate a set where its images are not there yet, and write its truth and its case."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{name}.npz").exists():
        simulate(**wanted).save(folder / f"{name}.npz")
    (folder / f"{name}.json").write_text(json.dumps(wanted["truth"]))
    (folder / f"{name}.toml").write_text(case.format(name=name))


def measure(folder, name):
    """Invert a set and compare."""
    wanted = SETS[name]
    prepare(folder, name, wanted, simulate, CASE)
    status = main(["invert", str(folder / f"{name}.toml"), "--output", str(folder / name)])
    result = json.loads((folder / name / "result.json").read_text())
    return {"set": name, "status": status, **errors(wanted["truth"], result)}


if __name__ == "__main__":
    for chosen in sys.argv[2:] or SETS:
        print(json.dumps(measure(Path(sys.argv[1]), chosen)), flush=True)
