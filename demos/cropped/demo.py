"""A window: the laws of spinodal decomposition from images that show a part of a larger sample.

Learnt are mu_h(c), D(c) and kappa from five images; the concentration and its normal gradient on the boundary come from
all 26 images, interpolated in time: figure 1(d) of Zhao et al., PRL 124, 060201 (2020). It takes about one and a half
minutes on one core, and is run by `docker/env.sh run python demos/cropped/demo.py`.
"""

import json
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import CahnHilliard, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 22

images = ImageSeries.load(DATA / "ch_crop.npz")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)
model = CahnHilliard(chemical_potential=Legendre(10) + ideal_entropy, diffusivity=Legendre(10))

# Nothing but the boundary condition says that the window is no wall of the sample.

problem = InverseProblem(
    images, model, mesh, initial={"gradient_energy": 2e-3}, frames=[6, 12, 18, 25], boundary="from-images"
)

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.

truth = json.loads((DATA / "ch_crop.json").read_text())
solution = problem.solution(progress, truth=truth)
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
