"""A growing crystal: its free energy and direct correlation function from five images.

Learnt are a cubic mu_h(eta) and the direct correlation function C2 of the phase-field crystal,
d eta/dt = lap(mu_h(eta) - C2 * eta), where C2 is a quartic polynomial of the wavenumber, which has one peak:
figure 2(b) of Zhao et al., PRL 124, 060201 (2020). It takes more than seven minutes on one core;
the figure is that of a run with degree=2, which took four. Run by
`docker/env.sh run python demos/crystal/demo.py`.
"""

import json
from pathlib import Path

from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import EvenPowers, ImageSeries, InverseProblem, Powers, QuarticCrystal, periodic_mesh

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS = 32
WAVENUMBER = 10.0  # of the crystal, as the images show it

images = ImageSeries.load(DATA / "pfc_nucleus.npz")
mesh = periodic_mesh(images, CELLS, COMM_WORLD)
model = QuarticCrystal(chemical_potential=Powers(3), direct_correlation=EvenPowers(3, WAVENUMBER))

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
