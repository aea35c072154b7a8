"""Learn the laws of a reaction-driven pattern (Allen-Cahn) from five images.

dc/dt = -R0(c) mu: figure 1(c) of Zhao et al., PRL 124, 060201 (2020). Run by
`docker/env.sh run python demos/reaction/demo.py`.
"""

import json
from math import log
from pathlib import Path

import firedrake as fd

from fe_phaseinv import (
    AllenCahn,
    ImageSeries,
    Legendre,
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
CELLS = 24

images = ImageSeries.load(DATA / "ac_full.npz")
mesh = rectangle_mesh(images, CELLS, fd.COMM_WORLD)

# Another equation, the same potential; the kinetic prefactor R0 takes the place of the diffusivity.
mu = Relation("chemical_potential", Legendre(10), known=ideal_entropy)
prefactor = Relation("kinetic_prefactor", Legendre(10), transform=positive)
model = AllenCahn(mu, prefactor)

# The start forms no pattern: coefficients that are not given are zero.
problem = pose(images, model, mesh, start={"gradient_energy": [log(2e-3)]})

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

result = collect(problem, progress, truth=json.loads((DATA / "ac_full.json").read_text()))
if mesh.comm.rank == 0:
    for path in write(HERE / "out", result):
        print(path)
