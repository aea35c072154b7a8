"""Strong and weak scaling of a forward run, stage by stage: a fixed number of steps on a fixed time grid.

    mpiexec -n 2 python tests/benchmarks/scaling.py 1000000             unknowns of all ranks together (strong)
    mpiexec -n 2 python tests/benchmarks/scaling.py 500000 --weak       unknowns of each rank
    ... --degree 2 --steps 20 --time-step 2e-5 --sensitivities

The options of PETSc choose the solver: PETSC_OPTIONS="-fe_phaseinv_solver direct" or krylov; by default the size does.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD, Function, RectangleMesh, SpatialCoordinate, cos, pi
from firedrake.petsc import PETSc

from fe_phaseinv import CahnHilliard, ForwardModel, Legendre, Relation, ideal_entropy, positive, write_states
from fe_phaseinv.forward.bdf import TimeGrid

LAWS = np.array([0, -3, 0, 0, -0.3, np.log(7.5e-4)])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("unknowns", type=int)
    parser.add_argument("--weak", action="store_true")
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--time-step", type=float, default=2e-5)
    parser.add_argument("--sensitivities", action="store_true")
    return parser.parse_args()


class Stages:
    """Seconds and calls by stage."""

    def __init__(self):
        self.seconds, self.calls = {}, {}

    def watch(self, owner, method, name):
        """Time a method of an object from now on."""
        inner = getattr(owner, method)

        def timed(*args, **options):
            began = time.perf_counter()
            result = inner(*args, **options)
            self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - began
            self.calls[name] = self.calls.get(name, 0) + 1
            return result

        setattr(owner, method, timed)


def main():
    options, show = parse(), PETSc.Sys.Print
    size = options.unknowns * (COMM_WORLD.size if options.weak else 1)
    cells = round(np.sqrt(size / 2) / options.degree)
    began = time.perf_counter()
    mesh = RectangleMesh(cells, cells, 1, 1, quadrilateral=True)
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(3), known=ideal_entropy),
        Relation("diffusivity", Legendre(2), positive),
    )
    unknown = np.array([False, True, True, True, True, True]) & options.sensitivities
    forward = ForwardModel(model, mesh, options.degree, unknown=unknown)
    x, y = SpatialCoordinate(mesh)
    waves = 0.1 * cos(7 * pi * x) * cos(5 * pi * y) + 0.05 * cos(11 * pi * x + y)
    start = Function(forward.space).interpolate(0.5 + waves).dat.data_ro.copy()
    show(f"{2 * forward.space.dim()} unknowns, degree {options.degree}, {COMM_WORLD.size} ranks")
    show(f"set up               {time.perf_counter() - began:8.1f} s")

    step, stages, iterations = forward.step, Stages(), []
    stages.watch(step.operators, "assemble_jacobian", "assembly of Jacobians")
    stages.watch(step.operators, "residual", "assembly of residuals")
    stages.watch(step, "factorise", "Jacobians, set up")
    stages.watch(step, "sensitivity", "sensitivities")
    stages.watch(step, "solve", "solves")
    solve = step.solve

    def counted(rhs):
        solution = solve(rhs)
        iterations.append(step.linear.ksp.getIterationNumber())
        return solution

    step.solve = counted
    times = tuple(options.time_step * np.arange(options.steps + 1))
    grid = TimeGrid(times, tuple(min(3, n + 1) for n in range(options.steps)))
    began = time.perf_counter()
    run = forward.run(LAWS, start, [0, times[-1]], grid=grid, sensitivities=options.sensitivities)
    total = time.perf_counter() - began
    stages.seconds["Jacobians, set up"] -= stages.seconds["assembly of Jacobians"]
    for name, seconds in stages.seconds.items():
        show(f"{name:22} {seconds:8.1f} s in {stages.calls[name]} calls")
    counts = f"iterations of a solve: {min(iterations)} to {max(iterations)}"
    show(f"run of {options.steps} steps      {total:8.1f} s; {counts}")
    began = time.perf_counter()
    folder = COMM_WORLD.bcast(tempfile.mkdtemp() if COMM_WORLD.rank == 0 else None)
    write_states(Path(folder), [forward.part(run.states[-1], "c")], times[-1:])
    show(f"output               {time.perf_counter() - began:8.1f} s")
    memory = COMM_WORLD.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1e6
    size = step.norm(forward.layout.component(run.states[-1], 0))
    show(f"memory               {memory:8.1f} GB on all ranks, norm of c {size:.10f}")


if __name__ == "__main__":
    main()
