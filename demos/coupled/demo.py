"""A hidden order parameter: the laws of two coupled fields from images of one.

A concentration c obeys dc/dt = div(D(c) grad(mu_h(c) + b phi - kappa lap c)); an order parameter phi, which no image
shows, dphi/dt = -L (w(phi) + b c - kappa_phi lap phi), and phi = c at the start. Learnt are mu_h, D, w, L, b and
kappa_phi from eleven images of c. What must be known is where phi starts, which fixes its scale, and kappa (or another
energy): images tell energies up to a common factor alone. They were made by cosine collocation,
`tests/benchmarks/coupled_truth.py`. It takes about a minute and a half on one core, and is run by
`docker/env.sh run python demos/coupled/demo.py`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 20

sys.path.insert(0, str(HERE))
from coupled import Coupled  # noqa: E402

images = ImageSeries.load(DATA / "coupled.npz")
mesh = rectangle_mesh(images, CELLS, COMM_WORLD)

# The order parameter may leave [0, 1], and its potential is learnt wherever it goes.

model = Coupled(Legendre(8) + ideal_entropy, diffusivity=Legendre(6), order_potential=Legendre(6, (-0.2, 1.2)))

# No frame but the first tells where phi starts, so there are no intervals to fit: the first two frames come first, and
# then one more each time. The start: no enthalpy, no potential of phi, half of its true rate and of its coupling.

problem = InverseProblem(images, model, mesh, fixed=["gradient_energy"])

for progress in problem.iterate(max_iterations=80):
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# How near are the laws to the truth, where the fields have been?

truth = json.loads((DATA / "coupled.json").read_text())
solution = problem.solution(progress, truth=truth)
c, phi = np.linspace(0.12, 0.9, 100), np.linspace(-0.05, 1.05, 100)
laws = solution.laws


def error(found, true):
    """Relative L2 error, in per cent."""
    return f"{100 * np.linalg.norm(found - true) / np.linalg.norm(true):.2f} %"


PETSc.Sys.Print("mu_h'", error(laws["chemical_potential"].slope(c), 1 / (c * (1 - c)) - 2.4))
PETSc.Sys.Print("D", error(laws["diffusivity"](c), 1.3 - 0.8 * c))
PETSc.Sys.Print("w", error(laws["order_potential"](phi), 6 * phi * (1 - phi) * (1 - 2 * phi) + 0.9))
PETSc.Sys.Print("w'", error(laws["order_potential"].slope(phi), 6 - 36 * phi + 36 * phi**2))
for name in ("order_rate", "coupling", "order_gradient_energy"):
    PETSc.Sys.Print(name, error(np.array(float(laws[name])), truth[name]))
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
