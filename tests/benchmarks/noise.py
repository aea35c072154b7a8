"""Laws from noisy images: errors by noise and prior strength, and how often the 95 % bands cover the truth.

The images are those of demos/data/ch_full.npz from t = 0.015 on, averaged over 2 x 2 pixels, with Gaussian noise.
Prints a JSON line for each figure:

python tests/benchmarks/noise.py strength [SEED]
python tests/benchmarks/noise.py coverage [DRAWS]
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD

from fe_phaseinv import (
    CahnHilliard,
    ImageSeries,
    InverseProblem,
    Legendre,
    ideal_entropy,
    rectangle_mesh,
)

CLEAN = (
    ImageSeries.load(Path(__file__).parents[2] / "demos" / "data" / "ch_full.npz").select([2, 3, 4, 5]).downsample(2)
)
KAPPA = 7.5e-4
LEVELS = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Standard deviations of a pixel."""
FACTORS = (1e-2, 1.0, 1e2)
"""Of the variance of a pixel; with 1 the program chooses."""


def true_slope(c):
    """Return mu_h' of the truth."""
    return 1 / (c * (1 - c)) - 6


def true_diffusivity(c):
    """Return D of the truth."""
    return 1 - c


def learn(noise, seed, factor=1.0):
    """Result of an inversion of a noise draw, and the regularisation of its priors."""
    draw = noise * np.random.default_rng(seed).standard_normal(CLEAN.frames.shape)
    images = replace(CLEAN, frames=CLEAN.frames + draw, noise=noise)
    model = CahnHilliard(Legendre(10) + ideal_entropy, Legendre(10))
    strength = "auto" if factor == 1 else factor * max(noise, 5e-4) ** 2
    mesh, initial = rectangle_mesh(images, 24, COMM_WORLD), {"gradient_energy": 2e-3}
    solution = InverseProblem(images, model, mesh, initial=initial, regularisation=strength).solve()
    return solution.result, solution.progress.regularisation


def errors(result):
    """Relative L2 errors of mu_h' and D in the gauge of the true kappa."""
    laws, c = result.laws, np.linspace(0.12, 0.86, 149)
    scale = KAPPA / float(laws["gradient_energy"](0.0))
    slope, diffusivity = scale * laws["chemical_potential"].slope(c), laws["diffusivity"](c) / scale
    pairs = {"mu_h'": (slope, true_slope(c)), "D": (diffusivity, true_diffusivity(c))}
    return {name: float(np.linalg.norm(a - b) / np.linalg.norm(b)) for name, (a, b) in pairs.items()}


def regularisation(seed=0):
    """Errors by noise and prior strength."""
    for noise in LEVELS:
        for factor in FACTORS:
            result, regularisation = learn(noise, seed, factor)
            yield {"noise": noise, "factor": factor, "regularisation": regularisation, **errors(result)}


def coverage(draws=40, noise=0.1):
    """Share of the noise draws, averaged over c, in which the 95 % bands hold the truth."""
    c = np.linspace(0.12, 0.86, 38)
    inside = {"mu_h'": [], "D": []}
    for seed in range(draws):
        result, regularisation = learn(noise, 1000 + seed)
        laws, posterior = result.laws, result.posterior
        bands = {
            "mu_h'": (*posterior.slope_band(laws["chemical_potential"].relation, c), true_slope(c)),
            "D": (*posterior.band(laws["diffusivity"].relation, c), true_diffusivity(c)),
        }
        for name, (low, high, truth) in bands.items():
            inside[name].append(np.mean((low <= truth) & (truth <= high)))
        shares = {name: float(np.mean(share)) for name, share in inside.items()}
        yield {"draws": seed + 1, "covered": shares, "last": errors(result) | {"regularisation": regularisation}}


if __name__ == "__main__":
    chosen = {"strength": regularisation, "coverage": coverage}[sys.argv[1]]
    for line in chosen(*map(int, sys.argv[2:])):
        print(json.dumps(line), flush=True)
