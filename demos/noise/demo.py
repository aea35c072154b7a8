"""Noise: the laws of spinodal decomposition from images with 10 % of it.

Learnt are mu_h(c), D(c) and kappa, with bands, from five images of which the first one is as noisy as the others, so
the field that starts the run is learnt together with the laws: figure 1(b) of Zhao et al., PRL 124, 060201 (2020). It
takes about one and a half minutes on one core, and is run by `docker/env.sh run python demos/noise/demo.py`.
"""

import json
from dataclasses import replace
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import CahnHilliard, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 24

# Values outside (0, 1) are fine once the images are known to be noisy.

images = ImageSeries.load(DATA / "ch_noisy.npz")
images = replace(images, noise=images.estimate_noise())
PETSc.Sys.Print(f"standard deviation of a pixel: {images.noise:.4f}")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)
model = CahnHilliard(chemical_potential=Legendre(10) + ideal_entropy, diffusivity=Legendre(10))

# The weight of the prior is the variance of a pixel, the field is smoothed by the predicted risk and then estimated.

problem = InverseProblem(images, model, mesh, initial={"gradient_energy": 2e-3})

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.

truth = json.loads((DATA / "ch_full.json").read_text())
solution = problem.solution(progress, truth=truth)
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
