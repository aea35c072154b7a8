"""Cost of derivatives by sweeps, in forward runs: gradient, Hessian action, Gauss-Newton action.

Cahn-Hilliard on the unit square, quadratic elements on 64 x 64 cells, on the adaptive grid of its forward run; each
figure is the best of a few repetitions. Prints a JSON line: python tests/benchmarks/tape.py [CELLS [DEGREE]]
"""

import json
import resource
import sys
from math import log
from time import perf_counter

import numpy as np
from firedrake import COMM_WORLD, SpatialCoordinate, UnitSquareMesh, assemble, cos, interpolate, pi

from fe_phaseinv import CahnHilliard, ForwardModel, Legendre, Relation, ideal_entropy, positive
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.weighted import Weighted

TIMES = (0.0, 0.01, 0.015, 0.02, 0.03, 0.05)
REPETITIONS = 3


def timed(call):
    """Return the shortest time of a call, and its last result."""
    times = []
    for _ in range(REPETITIONS):
        began = perf_counter()
        result = call()
        times.append(perf_counter() - began)
    return min(times), result


def measure(cells=64, degree=2):
    """Ratios to the forward run."""
    mesh = UnitSquareMesh(cells, cells, quadrilateral=True, comm=COMM_WORLD)
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(10), known=ideal_entropy),
        Relation("diffusivity", Legendre(10), transform=positive),
    )
    forward = ForwardModel(model, mesh, degree)
    m = forward.parameters.flat(
        {"chemical_potential": [0, -3], "diffusivity": [log(0.5), -0.5], "gradient_energy": [log(7.5e-4)]}
    )
    x, y = SpatialCoordinate(mesh)
    waves = cos(6 * pi * x) * cos(4 * pi * y) + cos(2 * pi * x) * cos(8 * pi * y)
    start = assemble(interpolate(0.5 + 0.02 * waves, forward.space)).dat.data_ro.copy()
    grid = forward.run(m, start, TIMES).grid
    whole, _ = timed(lambda: forward.run(m, start, TIMES, grid=grid))
    recorded, trajectory = timed(lambda: forward.run(m, start, TIMES, grid=grid, record=1000))
    sensitivities, _ = timed(lambda: forward.run(m, start, TIMES, grid=grid, sensitivities=True))
    rng = np.random.default_rng(0)
    weights = [forward.layout.from_rates(1e-3 * rng.standard_normal(len(start))) for _ in TIMES[1:]]
    change = Inputs(rng.standard_normal(forward.parameters.size), np.zeros_like(start), np.zeros_like(start))
    weighted = Weighted(forward.step)
    found = {"unknowns": 2 * forward.space.dim(), "steps": len(grid.orders), "forward_seconds": whole}
    found["recorded"] = recorded / whole
    found["21 sensitivities"] = sensitivities / whole
    for name, factors in (("refactorised", 0), ("kept", np.inf)):
        sweeps = Sweeps(weighted, forward.integrator, trajectory, Storage(factors=factors))

        def full(sweeps=sweeps):
            sweeps.tangent(change)
            sweeps.second(weights, weights)

        def gauss_newton(sweeps=sweeps):
            sweeps.tangent(change)
            sweeps.adjoint(weights)

        full()  # compiles the kernels, and factorises what is kept
        found[name] = {
            "gradient": timed(lambda sweeps=sweeps: sweeps.adjoint(weights))[0] / whole,
            "Hessian action": timed(full)[0] / whole,
            "Gauss-Newton action": timed(gauss_newton)[0] / whole,
        }
    return found | {"peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))), flush=True)
