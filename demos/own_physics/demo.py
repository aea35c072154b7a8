"""Your own physics: phase separation with a repulsion of long range, from a weak form in a file of 28 lines.

The equation is dc/dt = div(D(c) c grad mu) - alpha (c - mean), mu = mu_h(c) - kappa lap c (Ohta and Kawasaki,
Macromolecules 19, 2621, 1986), which the package does not bring along: `demos/own_physics/ohta_kawasaki.py` says it.
Learnt are mu_h(c), D(c), kappa and the repulsion alpha, from six images of 48 x 48 pixels. It takes two minutes on one
core, and is run by `docker/env.sh run python demos/own_physics/demo.py`. The same without Python:
`docker/env.sh run fe-phaseinv invert demos/own_physics/case.toml --output demos/own_physics/out`.
"""

import json
import sys
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 20

# The model is a class in a file of its own: its fields, its laws, and its weak form in UFL.

sys.path.insert(0, str(HERE))
from ohta_kawasaki import OhtaKawasaki  # noqa: E402

images = ImageSeries.load(DATA / "ohta_kawasaki.npz")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)

# What it declares as functions is given a basis here. Numbers need none.

model = OhtaKawasaki(chemical_potential=Legendre(10) + ideal_entropy, diffusivity=Legendre(10))

# The laws to start from form no pattern, and repel four times too little.

problem = InverseProblem(images, model, mesh, initial={"gradient_energy": 2e-3, "repulsion": 5.0})

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# How near are they to the truth? The figures show it as well.

truth = json.loads((DATA / "ohta_kawasaki.json").read_text())
solution = problem.solution(progress, truth=truth)
repulsion = float(solution.laws["repulsion"])
low, high = (end.item() for end in solution.band("repulsion", 0.5))
PETSc.Sys.Print(f"repulsion {repulsion:.3f}, band {low:.3f} to {high:.3f}, truth {truth['repulsion']:g}")
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
