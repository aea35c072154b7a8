"""Learn the laws of spinodal decomposition from five images.

The same as `fe-phaseinv invert demos/spinodal/case.toml --output demos/spinodal/out`, in Python. Run by
`docker/env.sh demo`, or `docker/env.sh run mpiexec -n 2 python demos/spinodal/demo.py`.
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
    write_states,
)

HERE = Path(__file__).parent
CELLS = 24

# The images: pixel averages of the concentration, row 0 at the bottom. The first one starts the run.
images = ImageSeries.load(HERE.parent / "data" / "ch_full.npz")
mesh = rectangle_mesh(images, CELLS, fd.COMM_WORLD)

# What is unknown: mu_h(c) beyond the entropy of ideal mixing, log D(c), and kappa.
mu = Relation("chemical_potential", Legendre(10), known=ideal_entropy)
diffusivity = Relation("diffusivity", Legendre(10), transform=positive)
model = CahnHilliard(mu, diffusivity)

# The start forms no pattern: coefficients that are not given are zero.
problem = pose(images, model, mesh, start={"gradient_energy": [log(2e-3)]}, frames=[2, 3, 4, 5])

for progress in invert(problem):
    step = progress.history[-1]
    fd.PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.
truth = json.loads((HERE.parent / "data" / "ch_full.json").read_text())
result = collect(problem, progress, truth=truth)
space = problem.series[0].discretisation(progress.stage).forward.space
write_states(HERE / "out", space, progress.state.point.fits[0].states, result.images[0].times)
if mesh.comm.rank == 0:
    for path in write(HERE / "out", result):
        print(path)
