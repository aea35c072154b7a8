"""A growing crystal: any direct correlation function from five images.

Learnt are a cubic mu_h(eta) and the direct correlation function C2 of the phase-field crystal, which is a sum of ten
Hermite functions of the wavenumber; the shaded bands are the estimated errors: figure 2(d) of Zhao et al., PRL 124,
060201 (2020). It takes more than seven minutes on one core; the figure is that of a run with frames=[1, 2], which took
three. Run by `docker/env.sh run python demos/correlation/demo.py`.
"""

import json
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import Hermite, ImageSeries, InverseProblem, PhaseFieldCrystal, Powers, periodic_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 32
WAVENUMBER = 10.0  # of the crystal, as the images show it

images = ImageSeries.load(DATA / "pfc_nucleus.npz")
mesh = periodic_mesh(images, CELLS, COMM_WORLD)
model = PhaseFieldCrystal(chemical_potential=Powers(3), direct_correlation=Hermite(10, WAVENUMBER))

# The laws to start from have a peak with which waves of the crystal's length neither grow nor decay.

initial = {"chemical_potential": [1.0], "direct_correlation": model.direct_correlation.basis.peak()}
problem = InverseProblem(images, model, mesh, initial=initial, boundary="periodic")

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# The figures show the truth as well.

truth = json.loads((DATA / "pfc_nucleus.json").read_text())
solution = problem.solution(progress, truth=truth)
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
