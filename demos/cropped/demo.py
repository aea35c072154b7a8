"""Learn the laws of spinodal decomposition from images that show a part of a larger domain.

Figure 1(d) of Zhao et al., PRL 124, 060201 (2020): the concentration and its normal gradient on the boundary come from
all 26 images, interpolated in time; five of them are fitted. Run by `docker/env.sh run python demos/cropped/demo.py`.
"""

import json
from math import log
from pathlib import Path

import firedrake as fd

from fe_phaseinv import (
    CahnHilliard,
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
CELLS = 22

images = ImageSeries.load(DATA / "ch_crop.npz")
mesh = rectangle_mesh(images, CELLS, fd.COMM_WORLD)

mu = Relation("chemical_potential", Legendre(10), known=ideal_entropy)
diffusivity = Relation("diffusivity", Legendre(10), transform=positive)
model = CahnHilliard(mu, diffusivity)

start = {"gradient_energy": [log(2e-3)]}
problem = pose(images, model, mesh, start, frames=[6, 12, 18, 25], boundary="from-images")

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

result = collect(problem, progress, truth=json.loads((DATA / "ch_crop.json").read_text()))
if mesh.comm.rank == 0:
    for path in write(HERE / "out", result):
        print(path)
