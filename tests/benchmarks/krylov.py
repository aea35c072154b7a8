"""Iterations of the solver for large steps: elements, sizes and time steps; seconds to make it ready and to solve.

    docker/env.sh run python tests/benchmarks/krylov.py 10000 100000 1000000 [ELEMENT ...] [prescribed]

The states are smooth waves about c = 1/2, where the homogeneous energy is concave, and the same waves ten times as
high. A count is that of a solve, then of a transposed one, to a residual of 1e-8. With "prescribed", c and its normal
gradient are on the boundary.
"""

import sys
import time

import numpy as np
from firedrake import COMM_WORLD, Function, RectangleMesh, SpatialCoordinate, cos, pi
from firedrake.petsc import PETSc

from fe_phaseinv import CahnHilliard, ForwardModel, Legendre, Relation, ideal_entropy, positive

LAWS = np.array([0, -3, 0, np.log(0.5), np.log(7.5e-4)])
ELEMENTS = {"Q1": (1, True), "P1": (1, False), "Q2": (2, True), "P2": (2, False), "Q3": (3, True), "P3": (3, False)}
TIME_STEPS = 1e-6, 1e-5, 1e-4, 1e-3


def counts(step, state, time_step):
    step.set_state(state)
    step.set_rate(1 / time_step, np.zeros(step.layout.nodes))
    began = time.perf_counter()
    step.factorise()
    ready = time.perf_counter() - began
    jacobian, _ = step.linear.ksp.getOperators()
    solution, rhs = jacobian.createVecs()
    solution.array[:] = state
    jacobian.mult(solution, rhs)
    rhs.array[:] *= 1 + 0.3 * np.random.default_rng(COMM_WORLD.rank).standard_normal(rhs.array.size)
    rhs.array[step.operators.prescribed] = 0.0
    found, began = [], time.perf_counter()
    for solve in (step.linear.ksp.solve, step.linear.ksp.solveTranspose):
        solve(rhs, solution)
        found.append(str(step.linear.ksp.getIterationNumber()))
        rhs.array[:] = state
    return f"{'/'.join(found)} ({ready:.2f} + {(time.perf_counter() - began) / 2:.2f} s)"


def main():
    PETSc.Options("fe_phaseinv_").setValue("solver", "krylov")
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy), Relation("diffusivity", Legendre(1), positive)
    )
    chosen = [argument for argument in sys.argv[1:] if argument in ELEMENTS] or ELEMENTS
    outside = (lambda time: 0.5) if "prescribed" in sys.argv else None
    for unknowns in map(int, filter(str.isdecimal, sys.argv[1:])):
        for name in chosen:
            degree, quadrilateral = ELEMENTS[name]
            cells = round(np.sqrt(unknowns / 2) / degree)
            mesh = RectangleMesh(cells, cells, 1, 1, quadrilateral=quadrilateral)
            forward = ForwardModel(model, mesh, degree, boundary_data=outside)
            forward.coefficients.assign(LAWS)
            x, y = SpatialCoordinate(forward.mesh)
            waves = cos(7 * pi * x) * cos(5 * pi * y) + 0.5 * cos(11 * pi * x) * cos(3 * pi * y)
            for height in (0.02, 0.2):
                pattern = Function(forward.space).interpolate(0.5 + height * waves)
                state = forward.layout.from_rates(pattern.dat.data_ro.copy())
                row = ", ".join(counts(forward.step, state, time_step) for time_step in TIME_STEPS)
                PETSc.Sys.Print(f"{2 * forward.space.dim():8d} {name} height {height}: {row}", flush=True)
            del forward


if __name__ == "__main__":
    main()
