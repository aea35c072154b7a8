"""Unknown fields: what a map of the kinetics and a start cost and bring. Prints JSON lines:

python tests/benchmarks/fields.py meshes            iterations by mesh, for the map of demos/heterogeneity
python tests/benchmarks/fields.py start [DRAWS]     errors of the laws with the start smoothed, and learnt
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
    Objective,
    Relation,
    ideal_entropy,
    positive,
    rectangle_mesh,
)
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.inversion import TOLERANCE
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.optimisation.trust_region import iterate, start
from fe_phaseinv.output.result import collect

DATA = Path(__file__).parents[2] / "demos" / "data"
MAP = Matern(deviation=0.5, length=0.15)


def laws(size, kinetics):
    """Relations of mu_h and of the kinetics."""
    mu = Relation("chemical_potential", Legendre(size), known=ideal_entropy)
    return mu, Relation(kinetics, Legendre(size), transform=positive)


def meshes(cells=(16, 32, 64)):
    """Iterations of the trust region, directions that the images tell of, and correlation of the map, by the cells."""
    images = ImageSeries.load(DATA / "ac_map.npz", noise=0.05)
    truth = np.load(DATA / "ac_map.npz")["heterogeneity"]
    for count in cells:
        model, mesh = AllenCahn(*laws(6, "kinetic_prefactor")), rectangle_mesh(images, count, COMM_WORLD)
        first = {"gradient_energy": [log(1e-3)], "chemical_potential": [0, -3], "kinetic_prefactor": [log(0.2)]}
        settings = Settings(initial=first, fixed=["gradient_energy"], degree=1, heterogeneity=MAP)
        problem = pose(images, model, mesh, settings)
        objective = problem.objective("trajectory", problem.first_regularisation)
        began, coordinates = perf_counter(), problem.coordinates
        state = start(objective, objective.begin(coordinates.from_coefficients(coordinates.start)), 1.0)
        state = replace(state, radius=objective.radius(state.point, 1.0))
        *_, last = iterate(objective, state, TOLERANCE["search"], 40, objective.subproblem)
        (share,) = last.point.shares
        found = share.experiment.pixels.average(share.experiment.field(share.x, "heterogeneity"))
        yield {
            "cells": count,
            "unknowns": len(objective),
            "iterations": last.iteration,
            "directions": len(share.fine_subspace.curvatures),
            "correlation": float(np.corrcoef(found, truth.ravel())[0, 1]),
            "seconds": perf_counter() - began,
        }


def starts(draws=3, noise=0.1):
    """Errors of the laws from noisy images, with the start smoothed and learnt, in modes and as a field.

    An inversion with modes comes first; its priors' regularisation and its laws are what the others begin with.
    """
    for seed in range(draws):
        draw = noise * np.random.default_rng(2000 + seed).standard_normal(CLEAN.frames.shape)
        images = replace(CLEAN, frames=CLEAN.frames + draw, noise=noise)
        model, mesh = CahnHilliard(*laws(10, "diffusivity")), rectangle_mesh(images, 24, COMM_WORLD)
        problem = pose(images, model, mesh, Settings(initial={"gradient_energy": 2e-3}))
        *_, progress = inversion.iterate(problem)
        (series,) = problem.series
        prior = Matern(*series.fine.smoother.uncertainty(series.first_frame))
        by_field = replace(problem, settings=replace(problem.settings, start_prior=prior))
        found = {
            "smoothed": smoothed(problem, progress),
            "field": by_field.objective("trajectory", progress.regularisation),
        }
        yield {"seed": seed, "modes": summary(problem, progress)} | {
            name: summary(problem, minimised(problem, progress, objective)) for name, objective in found.items()
        }


def smoothed(problem, progress):
    """Cost with the start that the smoothed first frame gives."""
    whole, (series,) = problem.objective("trajectory", progress.regularisation), problem.series
    (experiment,) = whole.experiments
    alone = replace(experiment, segments=[series.trajectory()], field=None)
    return Objective([alone], whole.coordinates, whole.prior)


def minimised(problem, progress, objective):
    """Progress at the minimum of another cost, from the laws found."""
    first = start(objective, objective.begin(progress.state.point.x[: len(problem.coordinates)]), 1.0)
    first = replace(first, radius=objective.radius(first.point, 1.0))
    began = perf_counter()
    *_, last = iterate(objective, first, TOLERANCE["trajectory"], 50, objective.subproblem)
    return replace(progress, state=last, seconds=perf_counter() - began)


def summary(problem, progress):
    """Errors of the laws, and the work."""
    work = {"iterations": progress.state.iteration, "seconds": progress.seconds, "rms": progress.state.point.misfit_rms}
    return errors(collect(problem, progress, uncertainty=False)) | work


if __name__ == "__main__":
    chosen = {"meshes": meshes, "start": starts}[sys.argv[1]]
    for line in chosen(*map(int, sys.argv[2:])):
        print(json.dumps(line), flush=True)
