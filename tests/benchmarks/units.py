"""One movie in units of its own, in micrometres and hours, in metres and seconds, and by a calendar: the same laws?

    docker/env.sh run python tests/benchmarks/units.py [IMAGES]

IMAGES shows phases that separate (Cahn-Hilliard); by default a demo's, averaged over 2 x 2 pixels. No law is given a
start.
"""

import sys
from dataclasses import replace

import numpy as np
from firedrake import COMM_WORLD

from fe_phaseinv import CahnHilliard, ImageSeries, InverseProblem, Legendre, ideal_entropy, rectangle_mesh

VERSIONS = {
    "own units": (1.0, 1.0, 0.0),
    "50 um, 28 h": (50.0, 1e5 / 3600, 0.0),
    "5e-5 m, 1e5 s": (5e-5, 1e5, 0.0),
    "the same, by a calendar": (5e-5, 1e5, 1.7e9),
}
"""Length and time of one unit, and the time of the first frame."""


def solved(images: ImageSeries):
    """Learn the laws of a movie."""
    model = CahnHilliard(Legendre(6) + ideal_entropy, diffusivity=Legendre(4))
    return InverseProblem(images, model, rectangle_mesh(images, 24, COMM_WORLD)).solve()


def main() -> None:
    """Print how far the laws of each version are from those of the first."""
    path = sys.argv[1] if len(sys.argv) > 1 else "demos/data/ch_full.npz"
    images = ImageSeries.load(path)
    if len(sys.argv) == 1:
        images = images.select([0, 2, 3, 4, 5]).downsample(2)
    c, first = np.linspace(0.2, 0.8, 61), None
    for name, (length, time, began) in VERSIONS.items():
        extent = tuple(length * size for size in images.extent)
        solution = solved(replace(images, extent=extent, times=began + time * images.times))
        laws, area = solution.laws, length**2
        found = {
            "mu_h'": laws["chemical_potential"].slope(c),
            "D": laws["diffusivity"](c) * time / area,
            "kappa": float(laws["gradient_energy"]) / area,
        }
        first = first or found
        far = ", ".join(f"{law} {np.max(np.abs(found[law] / first[law] - 1)):.1e}" for law in found)
        if COMM_WORLD.rank == 0:
            print(f"{name:>24}: {solution.result.iterations} iterations, {far}", flush=True)


if __name__ == "__main__":
    main()
