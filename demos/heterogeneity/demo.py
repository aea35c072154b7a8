"""A map of the kinetics: where a reaction is fast and where it is slow, and its laws.

Learnt are a map h(x), the chemical potential mu_h(c) and the kinetic prefactor R0(c) of
dc/dt = -R0(c) exp(h(x)) (mu_h(c) - kappa lap c), with kappa known, from five images with 5 % noise, as for the
particles of lithium iron phosphate in Zhao et al., Nature 621, 289 (2023). It takes about five minutes on one core, and
is run by `docker/env.sh run python demos/heterogeneity/demo.py`.
"""

import json
from math import log
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import AllenCahn, ImageSeries, InverseProblem, Legendre, Matern, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 16

images = ImageSeries.load(DATA / "ac_map.npz", noise=0.05)
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)
model = AllenCahn(chemical_potential=Legendre(6) + ideal_entropy, kinetic_prefactor=Legendre(6))

# What is expected of the map: factors of about exp(0.5), over about a seventh of the picture. The start of noisy images
# is an unknown field as well; its prior follows from the noise.

problem = InverseProblem(
    images,
    model,
    mesh,
    initial={"gradient_energy": 1e-3, "kinetic_prefactor": [log(0.2)]},
    fixed=["gradient_energy"],
    degree=2,
    heterogeneity=Matern(deviation=0.5, length=0.15),
)

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# How well does the map agree with the one that the images were made with?

truth = json.loads((DATA / "ac_map.json").read_text())
solution = problem.solution(progress, truth=truth)
true_map = np.load(DATA / "ac_map.npz")["heterogeneity"]
correlation = np.corrcoef(solution.result.images[0].map.value.ravel(), true_map.ravel())[0, 1]
PETSc.Sys.Print(f"correlation of the map with the truth: {correlation:.3f}")
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
