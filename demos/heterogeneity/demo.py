"""Learn where a reaction is fast and where it is slow, together with its laws, from five noisy images.

dc/dt = -R0(c) exp(h(x)) mu: the map h is a field of its own, as for the particles of lithium iron phosphate in Zhao et
al., Nature 621, 289 (2023). Run by `docker/env.sh run python demos/heterogeneity/demo.py`.
"""

import json
from math import log
from pathlib import Path

import firedrake as fd
import numpy as np

from fe_phaseinv import (
    AllenCahn,
    ImageSeries,
    Legendre,
    Matern,
    Relation,
    collect,
    ideal_entropy,
    invert,
    pose,
    positive,
    rectangle_mesh,
    write,
)

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 16

images = ImageSeries.load(DATA / "ac_map.npz", noise=0.05)
mesh = rectangle_mesh(images, CELLS, fd.COMM_WORLD)
mu = Relation("chemical_potential", Legendre(6), known=ideal_entropy)
prefactor = Relation("kinetic_prefactor", Legendre(6), transform=positive)

# What is expected of the map: factors of about exp(0.5), over about a seventh of the picture. The start of noisy images
# is an unknown field as well; its prior follows from the noise.
problem = pose(
    images,
    AllenCahn(mu, prefactor),
    mesh,
    start={"gradient_energy": [log(1e-3)], "kinetic_prefactor": [log(0.2)]},
    fixed=["gradient_energy"],
    degree=2,
    heterogeneity=Matern(deviation=0.5, length=0.15),
)

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

result = collect(problem, progress, truth=json.loads((DATA / "ac_map.json").read_text()))
true_map = np.load(DATA / "ac_map.npz")["heterogeneity"]
if mesh.comm.rank == 0:
    correlation = np.corrcoef(result.heterogeneity.ravel(), true_map.ravel())[0, 1]
    print(f"correlation of the map with the truth: {correlation:.3f}")
    for path in write(HERE / "out", result):
        print(path)
