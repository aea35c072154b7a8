"""Six particles: the laws that they share, and where the reaction of each is fast or slow.

Learnt are mu_h(c), j0(c) and kappa of dc/dt = j0(c) exp(h(x)) [exp(-eta/2) - exp(eta/2)], eta = mu_h(c) - kappa lap c
+ v(t), from seven images of each particle with 7 % noise, together with the map h, the start and the overpotential v(t)
of each, as for the particles of lithium iron phosphate in Zhao et al., Nature 621, 289 (2023). The sixth image of each
is held out, and predicted. It is run by `docker/env.sh run mpiexec -n 2 python demos/particles/demo.py`.
"""

import json
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from firedrake.petsc import PETSc

from fe_phaseinv import (
    DrivenReaction,
    ImageSeries,
    InverseProblem,
    Legendre,
    Matern,
    SeriesEnsemble,
    ideal_entropy,
    outline_mesh,
)

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
CELLS, PARTICLES = 24, range(1, 7)

files = [DATA / f"particle_{number}.npz" for number in PARTICLES]
movies = [ImageSeries.load(file, noise=0.07) for file in files]
model = DrivenReaction(chemical_potential=Legendre(6) + ideal_entropy, exchange_current=Legendre(6))

# Ranks share the particles out among them: each takes its own, with its own mesh.

groups = SeriesEnsemble.side_by_side(COMM_WORLD, len(movies))
own = [
    InverseProblem(
        movies[index],
        model,
        outline_mesh(movies[index], CELLS, groups.within),
        initial={"gradient_energy": 2e-3},
        validation=[5],
        heterogeneity=Matern(deviation=0.4, length=0.15),
    )
    for index in groups.own
]
problem = InverseProblem.joint(own, groups)

for progress in problem.iterate():
    step = progress.history[-1]
    PETSc.Sys.Print("{stage:>10} {iteration:3d}   misfit rms {misfit_rms:.5f}   {seconds:6.1f} s".format(**step))

# How well do the maps agree with those that the images were made with, and the held-out images with their predictions?

truth = json.loads((DATA / "particles.json").read_text())
solution = problem.solution(progress, truth=truth)
correlations = []
for file, images in zip(files, solution.result.images, strict=True):
    seen, true_map = np.isfinite(images.map.value), np.load(file)["map"]
    correlations.append(np.corrcoef(images.map.value[seen], true_map[seen])[0, 1])
    PETSc.Sys.Print(f"{file.name}: correlation of the map with the truth {correlations[-1]:.3f}")
PETSc.Sys.Print(f"held-out images: {solution.result.validation.standardised:.3f} standard deviations of the noise")
for path in solution.write(HERE / "out"):
    PETSc.Sys.Print(path)
