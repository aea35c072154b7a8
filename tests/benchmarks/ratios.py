"""Ratios of the forward model on one machine, in one run: sensitivities / forward, and forward / stock solver.

The stock solver is what a Firedrake user writes by hand: NonlinearVariationalSolver on the same weak form, mesh and
fixed backward Euler steps, Newton with a factorisation in every iteration. Prints one JSON line for each comparison:
python tests/benchmarks/ratios.py [repetitions]
"""

import json
import sys
import time
from types import SimpleNamespace as Named

import numpy as np
from firedrake import (
    Constant,
    Function,
    MixedFunctionSpace,
    NonlinearVariationalProblem,
    NonlinearVariationalSolver,
    SpatialCoordinate,
    TestFunctions,
    UnitSquareMesh,
    cos,
    dx,
    pi,
    split,
)

from fe_phaseinv import CahnHilliard, ForwardModel, Legendre, Relation, ideal_entropy, positive
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.trajectory import Tolerances

STOCK = {
    "snes_type": "newtonls",
    "snes_linesearch_type": "basic",
    "snes_rtol": 1e-8,
    "snes_atol": 1e-10,
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
}


def setting(cells, degree, size, quadrilateral):
    """A forward model with 2 size + 1 coefficients, truth-like laws and a smooth start."""
    mesh = UnitSquareMesh(cells, cells, quadrilateral=quadrilateral)
    potential = Relation("chemical_potential", Legendre(size), known=ideal_entropy)
    model = CahnHilliard(potential, Relation("diffusivity", Legendre(size), positive))
    forward = ForwardModel(model, mesh, degree, tolerances=Tolerances(newton=1e-4))
    laws = {"chemical_potential": [0, -3], "diffusivity": [np.log(0.5), -0.5], "gradient_energy": [np.log(7.5e-4)]}
    x, y = SpatialCoordinate(mesh)
    start = Function(forward.space).interpolate(
        0.5 + 0.02 * cos(6 * pi * x) * cos(4 * pi * y) + 0.02 * cos(2 * pi * x) * cos(8 * pi * y)
    )
    return forward, forward.parameters.flat(laws), start


def median_seconds(call, repetitions):
    """Median wall time, after a first call that is not counted."""
    call()
    spent = []
    for _ in range(repetitions):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))


def sensitivities(repetitions, cells=24, degree=3):
    """ForwardModel with the sensitivities of 21 coefficients / forward alone, on the adaptive grid of a run."""
    forward, m, start = setting(cells, degree, 10, quadrilateral=True)
    values, times = start.dat.data_ro.copy(), (0.0, 0.01, 0.02, 0.05)
    grid = forward.run(m, values, times).grid
    alone = median_seconds(lambda: forward.run(m, values, times, grid=grid), repetitions)
    carried = median_seconds(lambda: forward.run(m, values, times, grid=grid, sensitivities=True), repetitions)
    return {
        "comparison": "forward with 21 sensitivities / forward",
        "unknowns": 2 * forward.space.dim(),
        "steps": len(grid.orders),
        "forward": alone,
        "with sensitivities": carried,
        "ratio": carried / alone,
    }


def stock(repetitions, cells=32, degree=2, steps=20, step=5e-4, size=6):
    """ForwardModel / stock solver on the same twenty backward Euler steps."""
    forward, m, start = setting(cells, degree, size, quadrilateral=False)
    grid = TimeGrid(tuple(step * i for i in range(steps + 1)), (1,) * steps)
    values, times = start.dat.data_ro.copy(), (0.0, grid.times[-1])
    space = MixedFunctionSpace([forward.space] * 2)
    new, old = Function(space), Function(space)
    forward.coefficients.assign(m)
    (c, mu), (before, _), (v, q) = split(new), split(old), TestFunctions(space)
    fields, tests, rates = Named(c=c, mu=mu), Named(c=v, mu=q), Named(c=(c - before) / Constant(step))
    at = Named(dx=dx(degree=2 * degree), map=1)
    form = forward.model.residual(fields, rates, forward.step.forms.weak.laws, tests, at)
    solver = NonlinearVariationalSolver(NonlinearVariationalProblem(form, new), solver_parameters=STOCK)

    def march():
        old.assign(0)
        old.sub(0).assign(start)
        new.assign(old)
        for _ in range(steps):
            solver.solve()
            old.assign(new)

    ours = median_seconds(lambda: forward.run(m, values, times, grid=grid), repetitions)
    theirs = median_seconds(march, repetitions)
    last = forward.run(m, values, times, grid=grid).states[-1]
    difference = forward.layout.component(last, 0) - new.subfunctions[0].dat.data_ro
    return {
        "comparison": "forward / stock solver, same time grid",
        "unknowns": space.dim(),
        "steps": steps,
        "forward": ours,
        "stock": theirs,
        "largest difference": float(np.abs(difference).max()),
        "ratio": ours / theirs,
    }


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for compare in (sensitivities, stock):
        print(json.dumps(compare(count)), flush=True)
