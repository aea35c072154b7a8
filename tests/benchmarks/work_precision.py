"""Work and precision of a forward run at the true laws: the misfit that no inversion can beat, by degree and cells.

python tests/benchmarks/work_precision.py [IMAGES.npz]      (laws as in demos/data/ch_full.json)
"""

import sys
import time
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD

from fe_phaseinv import (
    CahnHilliard,
    ForwardModel,
    ImageSeries,
    Legendre,
    Pixels,
    Relation,
    ideal_entropy,
    positive,
    rectangle_mesh,
)
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.observation.smoothing import Smoother

DATA = Path(__file__).parents[2] / "demos" / "data" / "ch_full.npz"
TRIALS = [(1, 64, 3e-3), (1, 128, 3e-3), (2, 24, 3e-3), (2, 32, 3e-3), (2, 48, 3e-3), (3, 16, 3e-3), (3, 24, 3e-3)]
TRIALS += [(3, 32, 3e-3), (4, 16, 3e-3), (3, 24, 1e-2), (3, 24, 1e-3)]


def true_laws(parameters):
    """log D is fitted where the concentrations are: 1 - c has no logarithm at 1."""
    z = np.linspace(0.03, 0.97, 200)
    functions = np.array(Legendre(10).functions(z)).T
    diffusivity = np.linalg.lstsq(functions, np.log(1 - z))[0]
    return parameters.flat(
        {"chemical_potential": [0, -3], "diffusivity": diffusivity, "gradient_energy": [np.log(7.5e-4)]}
    )


def main():
    images = ImageSeries.load(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(10), known=ideal_entropy),
        Relation("diffusivity", Legendre(10), positive),
    )
    print("| degree | cells | rtol | unknowns | steps | seconds | rms, all frames | rms, last frame |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for degree, cells, rtol in TRIALS:
        mesh = rectangle_mesh(images, cells, COMM_WORLD)
        forward = ForwardModel(model, mesh, degree, tolerances=Tolerances(rtol=rtol))
        pixels = Pixels(images, forward.space)
        m, start = true_laws(forward.parameters), Smoother(pixels).fit(0, (1e-3, 1 - 1e-3))
        forward.run(m, start, images.times[:2])
        began = time.perf_counter()
        run = forward.run(m, start, images.times)
        seconds = time.perf_counter() - began
        fields = [forward.layout.component(state, 0) for state in run.states]
        squares = [np.nanmean((pixels.average(c) - pixels.frame(i)) ** 2) for i, c in enumerate(fields, start=1)]
        print(
            f"| {degree} | {cells} | {rtol:g} | {2 * forward.space.dim()} | {len(run.grid.orders)} | {seconds:.1f} | "
            f"{np.sqrt(np.mean(squares)):.4f} | {np.sqrt(squares[-1]):.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
