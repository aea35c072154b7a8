"""A reaction-driven pattern (Allen-Cahn): its laws from five images.

Learnt are the chemical potential mu_h(c), the kinetic prefactor R0(c) and the gradient energy kappa of
dc/dt = -R0(c) (mu_h(c) - kappa lap c), from five images of 128 x 128 pixels: figure 1(c) of Zhao et al., PRL 124,
060201 (2020). It takes about one minute on one core, and is run by `docker/env.sh run python demos/reaction/demo.py`.
"""

import json
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import AllenCahn, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 24

images = ImageSeries.load(DATA / "ac_full.npz")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)

# Another equation, the same potential; the kinetic prefactor R0 takes the place of the diffusivity.

model = AllenCahn(chemical_potential=Legendre(10) + ideal_entropy, kinetic_prefactor=Legendre(10))

# The laws to start from form no pattern: coefficients that are not given are zero.

problem = InverseProblem(images, model, mesh, initial={"gradient_energy": 2e-3})

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.

truth = json.loads((DATA / "ac_full.json").read_text())
solution = problem.solution(progress, truth=truth)
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
