"""Learn the laws of spinodal decomposition from four images with 10 % noise.

Figure 1(b) of Zhao et al., PRL 124, 060201 (2020). The first image is as noisy as the others, so the field that starts
the run is learnt together with the laws. Run by `docker/env.sh run python demos/noise/demo.py`.
"""

import json
from dataclasses import replace
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
CELLS = 24

# Values outside (0, 1) are fine once the images are known to be noisy.
images = ImageSeries.load(DATA / "ch_noisy.npz")
images = replace(images, noise=images.estimate_noise())
fd.PETSc.Sys.Print(f"standard deviation of a pixel: {images.noise:.4f}")
mesh = rectangle_mesh(images, CELLS, fd.COMM_WORLD)

mu = Relation("chemical_potential", Legendre(10), known=ideal_entropy)
diffusivity = Relation("diffusivity", Legendre(10), transform=positive)
model = CahnHilliard(mu, diffusivity)

# The prior's strength is the variance of a pixel, the field is smoothed by the predicted risk and then estimated.
problem = pose(images, model, mesh, start={"gradient_energy": [log(2e-3)]})

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

result = collect(problem, progress, truth=json.loads((DATA / "ch_full.json").read_text()))
if mesh.comm.rank == 0:
    for path in write(HERE / "out", result):
        print(path)
