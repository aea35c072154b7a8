"""What scalars with constraints, and floating means, cost a forward run: ratios to the same run without them.

With one scalar: the driven reaction whose overpotential is given in time, as the other run has found it. With two
floating means: coherency strain in a periodic box, where a small weight on the displacement itself holds its mean.
"""

import time
from types import SimpleNamespace

import numpy as np
from firedrake import Function, PeriodicUnitSquareMesh, SpatialCoordinate, UnitSquareMesh, cos, pi
from ufl import dot

from fe_phaseinv import DataInTime, DrivenReaction, Field, ForwardModel, Legendre, StrainCoupled, ideal_entropy

CELLS, PAIRS = 24, 5
TIMES = {"driven": (0.0, 0.5, 1.0), "strain": (0.0, 0.02, 0.05)}
LAWS = {"chemical_potential": [0, -3.0], "gradient_energy": 1e-3}
WEIGHT = 1e-6


class GivenPotential(DrivenReaction):
    """The driven reaction with a given overpotential."""

    scalars, data = (), ("v",)

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form, with the overpotential among the data."""
        given = SimpleNamespace(dx=at.dx, map=at.map, scalars=SimpleNamespace(v=at.v))
        return super().residual(fields, rates, laws, tests, given)

    def constraints(self, fields, scalars, laws, at):
        """Return none."""
        return {}


class HeldStrain(StrainCoupled):
    """Coherency strain with a small weight on the displacement."""

    fields = (*StrainCoupled.fields[:2], Field("u", components=2, rate=False))

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form, with the weight."""
        return super().residual(fields, rates, laws, tests, at) + WEIGHT * dot(fields.u, tests.u) * at.dx


def model(kind):
    """Return a model with few coefficients."""
    return kind(Legendre(2) + ideal_entropy, Legendre(1))


def runs(forward, laws, times, grid=None):
    """Return what runs a model once, on a grid where one is given, and gives its trajectory."""
    x, y = SpatialCoordinate(forward.mesh)
    waves = cos(2 * pi * x) * cos(4 * pi * y) + cos(8 * pi * x) * cos(6 * pi * y)
    start = Function(forward.space).interpolate(0.5 + 0.1 * waves).dat.data_ro.copy()
    m = forward.parameters.from_laws(laws)
    return lambda: forward.run(m, start, times, grid=grid)


def compare(name, bare, bordered):
    """Print the ratio of the times of runs in pairs."""
    ratios = []
    for _ in range(PAIRS):
        seconds = []
        for run in (bare, bordered):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[1] / seconds[0])
    print(f"{name}: {np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)


def main():
    """Compare the pairs of models."""
    mesh = UnitSquareMesh(CELLS, CELLS, quadrilateral=True)
    laws = LAWS | {"exchange_current": [-0.7], "symmetry": 0.5}
    times = TIMES["driven"]
    mean = DataInTime((times[0], times[-1]), np.array([[0.5], [0.62]]))
    driven = ForwardModel(model(DrivenReaction), mesh, 3, data=mean)
    grid = runs(driven, laws, times)().grid
    found = runs(driven, laws, grid.times, grid)()
    bordered = runs(driven, laws, times, grid)
    overpotentials = np.array([state[-1] for state in [found.states[0], *found.states]])
    given = DataInTime(grid.times, overpotentials[:, None])
    bare = runs(ForwardModel(model(GivenPotential), mesh, 3, data=given), laws, times, grid)
    bare()
    compare("one scalar", bare, bordered)

    mesh = PeriodicUnitSquareMesh(CELLS, CELLS, quadrilateral=True)
    laws = LAWS | {"diffusivity": [-0.7], "eigenstrain": 0.5}
    held, floating = (ForwardModel(model(kind), mesh, 3) for kind in (HeldStrain, StrainCoupled))
    times = TIMES["strain"]
    grid = runs(floating, laws, times)().grid
    bare, bordered = runs(held, laws, times, grid), runs(floating, laws, times, grid)
    bare()
    compare("two floating means", bare, bordered)


if __name__ == "__main__":
    main()
