"""Spinodal decomposition: its laws from five images.

Learnt are the chemical potential mu_h(c), the diffusivity D(c) and the gradient energy kappa of the Cahn-Hilliard
equation, dc/dt = div(D(c) c grad(mu_h(c) - kappa lap c)), from five images of 128 x 128 pixels: figure 1(a) of Zhao et
al., PRL 124, 060201 (2020). It takes about two minutes on two cores, and is run by `docker/env.sh demo`, or
`docker/env.sh run mpiexec -n 2 python demos/spinodal/demo.py`. The same without Python:
`docker/env.sh run fe-phaseinv invert demos/spinodal/case.toml --output demos/spinodal/out`.
"""

import json
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import CahnHilliard, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 24

# The images are pixel averages of the concentration, row 0 at the bottom. The first one starts the run.

images = ImageSeries.load(DATA / "ch_full.npz")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)

# What is unknown: mu_h(c) beyond the entropy of ideal mixing, log D(c), and kappa.

model = CahnHilliard(chemical_potential=Legendre(10) + ideal_entropy, diffusivity=Legendre(10))

# The laws to start from form no pattern: coefficients that are not given are zero.

problem = InverseProblem(images, model, mesh, initial={"gradient_energy": 2e-3}, frames=[2, 3, 4, 5])

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.

truth = json.loads((DATA / "ch_full.json").read_text())
solution = problem.solution(progress, truth=truth)
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
