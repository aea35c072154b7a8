"""Unknown fields: what a map of the kinetics and a start cost and bring. Prints JSON lines:

python tests/benchmarks/fields.py meshes            iterations by mesh, for the map of demos/heterogeneity
python tests/benchmarks/fields.py start [DRAWS]     errors of the laws with the start smoothed, and learnt as a field
"""

import json
import sys
from dataclasses import replace
from math import log
from pathlib import Path
from time import perf_counter

import numpy as np
from firedrake import COMM_WORLD
from noise import CLEAN, errors

from fe_phaseinv import (
    AllenCahn,
    CahnHilliard,
    ImageSeries,
    Legendre,
    Matern,
    Relation,
    collect,
    ideal_entropy,
    invert,
    pose,
    positive,
    rectangle,
)
from fe_phaseinv.inversion import TOLERANCE
from fe_phaseinv.objective import trajectory
from fe_phaseinv.trust_region import iterate, start

DATA = Path(__file__).parents[2] / "demos" / "data"
MAP = Matern(deviation=0.5, length=0.15)


def laws(size, kinetics):
    """Relations of mu_h and of the kinetics."""
    mu = Relation("chemical_potential", Legendre(size), known=ideal_entropy)
    return mu, Relation(kinetics, Legendre(size), transform=positive)


def meshes(cells=(16, 32, 64)):
    """Iterations of the trust region and of conjugate gradients, and correlation of the map, by the cells of a side."""
    images = ImageSeries.load(DATA / "ac_map.npz", noise=0.05)
    truth = np.load(DATA / "ac_map.npz")["heterogeneity"]
    for count in cells:
        model, mesh = AllenCahn(*laws(6, "kinetic_prefactor")), rectangle(images, count, COMM_WORLD)
        first = {"gradient_energy": [log(1e-3)], "chemical_potential": [0, -3], "kinetic_prefactor": [log(0.2)]}
        problem = pose(images, model, mesh, first, ["gradient_energy"], degree=1, heterogeneity=MAP)
        objective = problem.objective("trajectory", problem.first_strengths)
        began, coordinates = perf_counter(), problem.coordinates
        state = start(objective, objective.begin(coordinates.from_natural(coordinates.start)), 1.0)
        state = replace(state, radius=objective.radius(state.point, 1.0))
        *_, last = iterate(objective, state, TOLERANCE["search"], 40, objective.subproblem)
        found = problem.fine.pixels.average(objective.field(last.point.x, "heterogeneity"))
        yield {
            "cells": count,
            "unknowns": objective.size,
            "iterations": last.iteration,
            "conjugate gradients": objective.subproblem.iterations,
            "correlation": float(np.corrcoef(found, truth.ravel())[0, 1]),
            "seconds": perf_counter() - began,
        }


def starts(draws=3, noise=0.1):
    """Errors of the laws from noisy images, with the start smoothed and with the start learnt as a field."""
    for seed in range(draws):
        draw = noise * np.random.default_rng(2000 + seed).standard_normal(CLEAN.frames.shape)
        images = replace(CLEAN, frames=CLEAN.frames + draw, noise=noise)
        model, mesh = CahnHilliard(*laws(10, "diffusivity")), rectangle(images, 24, COMM_WORLD)
        first = {"gradient_energy": [log(2e-3)]}
        problem = pose(images, model, mesh, first)
        deviation, length = problem.fine.smoother.uncertainty(0)
        by_field = pose(images, model, mesh, first, start_prior=Matern(deviation, length))
        yield {"seed": seed, "smoothed": smoothed(problem), "field": learn(by_field)}


def learn(problem):
    """Errors of the laws that an inversion finds, and its work."""
    *_, progress = invert(problem)
    found = {"iterations": progress.state.iteration, "seconds": progress.seconds}
    return errors(collect(problem, progress, uncertainty=False)) | found


def smoothed(problem):
    """The same with the start that the smoothed first frame gives."""
    *_, progress = invert(problem)
    whole = problem.objective("trajectory", progress.strengths)
    margin = 0.3 * problem.noise
    segments = trajectory(problem.fine.smoother, problem.initial, problem.frames, (margin, 1 - margin))
    objective = type(whole)(whole.forward, whole.pixels, whole.coordinates, whole.prior, segments)
    x = progress.state.point.x[: len(problem.coordinates)]
    *_, last = iterate(objective, start(objective, x, 1.0), TOLERANCE["trajectory"], 50)
    result = collect(problem, replace(progress, state=last), uncertainty=False)
    return errors(result) | {"iterations": last.iteration}


if __name__ == "__main__":
    chosen = {"meshes": meshes, "start": starts}[sys.argv[1]]
    for line in chosen(*map(int, sys.argv[2:])):
        print(json.dumps(line), flush=True)
