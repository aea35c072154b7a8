"""Learn the free energy and the direct correlation function of a growing crystal from five images.

Figure 2(b) of Zhao et al., PRL 124, 060201 (2020): C2 is a quartic polynomial of the wavenumber, which has one peak.
Run by `docker/env.sh run python demos/crystal/demo.py`.
"""

import json
from pathlib import Path

import firedrake as fd

from fe_phaseinv import (
    EvenPowers,
    ImageSeries,
    Powers,
    QuarticCrystal,
    Relation,
    collect,
    invert,
    periodic_mesh,
    pose,
    write,
)

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 32
WAVENUMBER = 10.0  # of the crystal, as the images show it

images = ImageSeries.load(DATA / "pfc_nucleus.npz")
mesh = periodic_mesh(images, CELLS, fd.COMM_WORLD)

mu = Relation("chemical_potential", Powers(3), argument="eta")
correlation = Relation("direct_correlation", EvenPowers(3, WAVENUMBER), argument="k")
model = QuarticCrystal(mu, correlation)

# A peak with which waves of the crystal's length neither grow nor decay.
start = {"chemical_potential": [1.0], "direct_correlation": correlation.basis.peak()}
problem = pose(images, model, mesh, start, boundary="periodic")

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

result = collect(problem, progress, truth=json.loads((DATA / "pfc_nucleus.json").read_text()))
if mesh.comm.rank == 0:
    for path in write(HERE / "out", result):
        print(path)
