"""Whether the frames that a design recommends are good ones: 4 of the 25 of a noisy movie against random sets of 4.

The movie is simulated with finite volumes (truths.py), and the design has the laws that made it. Deviations that are
expected, and errors, are root mean squares over the laws, each relative to its size. Linearised errors are those of one
Gauss-Newton step from the true laws, for many draws of the noise; with INVERSIONS > 0 so many random sets, and those
that are recommended, are fitted to one draw as well. Prints one JSON line:

python tests/benchmarks/design.py FOLDER [INVERSIONS [DRAWS]]    # FOLDER for the movie, whose simulation takes minutes
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from scipy.linalg import block_diag
from truths import simulate

from fe_phaseinv import CahnHilliard, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh
from fe_phaseinv.inference.informations import among, told

CELLS, NOISE = 20, 0.02
TRUTH = {"mu": "log(c/(1-c)) + 3*(1-2*c) + 0.4*(6*c**2-6*c+1)", "D": "exp(-1.2*c)", "kappa": 1e-3}
LAWS = {"chemical_potential": [0.0, -3.0, 0.4], "diffusivity": [-0.6, -0.6], "gradient_energy": 1e-3}
"""The same as coefficients."""
TIMES, CHOOSE, SETS = np.linspace(0, 0.05, 26), 4, 200


def posed(images, **settings):
    """Return the problem, whose laws start where they truly are, with a prior for curvatures of order one."""
    model = CahnHilliard(Legendre(8) + ideal_entropy, Legendre(8))
    mesh = rectangle_mesh(images, CELLS, COMM_WORLD)
    settings = {"initial": LAWS, "regularisation": NOISE**2, "multiple_shooting": False} | settings
    return InverseProblem(images, model, mesh, **settings)


def errors_of(aims, changes):
    """Return the root mean square over all laws of changes of the unknowns, shape (unknowns, ...)."""
    squares = [np.mean(np.tensordot(aim.rows, changes, 1) ** 2, axis=0) for aim in aims]
    return np.sqrt(np.mean(squares, axis=0))


def gradients(problem, own, rng, draws):
    """Return the gradient of the cost by each frame, the first one too, and by the priors, for draws of the noise."""
    experiment, coordinates = own.experiment, problem.coordinates
    (run,) = runs = experiment.solve(coordinates.start, np.zeros(experiment.modes))
    chain = coordinates.jacobian(coordinates.from_coefficients(coordinates.start))
    into, found = block_diag(chain[coordinates.free], np.eye(experiment.modes)), []
    frames = experiment.segments[0].frames
    for frame, state, rows in zip(frames, run.states, experiment.derivatives(runs), strict=True):
        left = experiment.channels.average(state) - experiment.pixels.frame(frame)
        noisy = left[:, None] - NOISE * rng.standard_normal((len(left), draws))
        found.append(into.T @ rows.T @ noisy / NOISE**2)
    prior = problem.prior(problem.first_regularisation).gradient(coordinates.start)
    by_priors = np.concatenate([chain.T @ prior, experiment.field.gradient(np.zeros(experiment.modes))]) / NOISE**2
    return np.array(found), by_priors


def linearised(plan, first, frames, by_priors, chosen):
    """Return the errors of a step from the true laws with some frames, one for each draw of the noise."""
    (one,) = plan.experiments
    hessian = one.base + one.frames[list(chosen)].sum(axis=0)
    hessian[: one.laws, : one.laws] += plan.prior
    gradient = first + frames[list(chosen)].sum(axis=0) + by_priors[:, None]
    return errors_of(plan.aims, -np.linalg.solve(hessian, gradient)[: one.laws])


def inverted(images, plan, chosen):
    """Return the error of the laws fitted to some frames, how that ended, and the seconds that it took."""
    began = time.perf_counter()
    solution = posed(images, frames=[1 + number for number in chosen]).solve(uncertainty=False)
    coordinates, laws = solution.problem.coordinates, solution.laws.values()
    x = coordinates.from_coefficients(np.concatenate([law.coefficients for law in laws]))
    true = coordinates.from_coefficients(coordinates.start)
    return float(errors_of(plan.aims, x - true)), solution.status, time.perf_counter() - began


def movie(folder):
    """Return the clean movie of 64 x 64 pixels, simulated where it is not there yet."""
    file = folder / "movie.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        simulate(TRUTH, {"mean": 0.5, "seed": 21}, TIMES).save(file)
    return ImageSeries.load(file).downsample(2)


def measure(folder, inversions=11, draws=200):
    """Compare the recommended sets with random ones."""
    clean = movie(folder)
    problem = posed(replace(clean, noise=NOISE)).problem
    own = told(problem, problem.series[0])
    plan, rng = among(problem, [own]), np.random.default_rng(0)
    began = time.perf_counter()
    best = {criterion: plan.choice(CHOOSE, criterion) for criterion in ("D", "A")}
    seconds = time.perf_counter() - began
    sets = [tuple(sorted(rng.choice(len(plan), CHOOSE, replace=False).tolist())) for _ in range(SETS)]
    (first, *frames), by_priors = gradients(problem, own, rng, draws)
    frames = np.array(frames)

    def realised(chosen):
        return float(np.sqrt(np.mean(linearised(plan, first, frames, by_priors, chosen) ** 2)))

    expected, errors = [plan.deviation(s) for s in sets], [realised(s) for s in sets]
    gains = [plan.gain(s) for s in sets]
    line = {"frames": {name: TIMES[1:][list(c.chosen)].tolist() for name, c in best.items()}, "seconds": seconds}
    line |= {"modes": len(plan.experiments[0].base) - plan.experiments[0].laws}
    line["information"] = {"D": best["D"].value, "best random": max(gains), "median": float(np.median(gains))}
    line["expected"] = {name: plan.deviation(c.chosen) for name, c in best.items()}
    line["expected"] |= {"best random": min(expected), "median": float(np.median(expected))}
    line["expected"] |= {"evenly": plan.deviation(plan.evenly(CHOOSE)), "all": plan.deviation(range(len(plan)))}
    line["linearised"] = {name: realised(c.chosen) for name, c in best.items()}
    line["linearised"] |= {"best random": min(errors), "median": float(np.median(errors))}
    line["linearised"] |= {"evenly": realised(plan.evenly(CHOOSE))}
    if inversions:
        noise = NOISE * np.random.default_rng(1).standard_normal(clean.frames.shape)
        images = replace(clean, frames=clean.frames + noise, noise=NOISE)
        found = []
        for chosen in (best["A"].chosen, best["D"].chosen, *sets[:inversions]):
            found.append(inverted(images, plan, chosen))
            print(chosen, *found[-1], file=sys.stderr, flush=True)
        by_a, by_d, *others = [error for error, _, _ in found]
        line["inverted"] = {"A": by_a, "D": by_d, "random": sorted(others), "median": float(np.median(others))}
        line["inverted"] |= {"statuses": sorted({s for _, s, _ in found}), "seconds": sum(t for _, _, t in found)}
    return line


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), *map(int, sys.argv[2:]))), flush=True)
