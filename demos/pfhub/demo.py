"""PFHub benchmark 1: the free energy of spinodal decomposition on four domains.

Nothing is learnt: the laws are given, and the forward model solves dc/dt = div(M grad(f'(c) - kappa lap c)) with
f = 5 (c - 0.3)^2 (0.7 - c)^2, M = 5 and kappa = 2 on a periodic square of side 200 (1a), the same without flux (1b), a
T (1c) and a sphere of radius 100 (1d), as Jokisaari et al., Comput. Mater. Sci. 126, 139 (2017), ask for. It takes
about 50 minutes on one core, of which the sphere takes 38; the figure is that of 1a and 1c with elements of size 5, in
three and a half. Run by `docker/env.sh run python demos/pfhub/demo.py`, or under mpiexec.
"""

import csv
import time
from pathlib import Path

import firedrake as fd
import numpy as np
from firedrake import acos, atan2, cos, sqrt
from matplotlib.figure import Figure

from fe_phaseinv import CahnHilliard, ConstantBasis, ForwardModel, Legendre, mesh_from_file, write_states

HERE = Path(__file__).parent
OUT = HERE / "out"
DOMAINS = ("1a", "1b", "1c", "1d")
SIZE, DEGREE = 4.0, 3  # of the elements
FIRST, LAST = [1.0, 5.0, 20.0, 100.0], 1e6
M, KAPPA = 5.0, 2.0
TIMES = [*FIRST, *np.geomspace(FIRST[-1], LAST, 9)[1:]]


def mesh_of(domain):
    """Mesh of a domain, whose elements have about the size."""
    cells = round(200 / SIZE)
    if domain == "1a":
        return fd.PeriodicRectangleMesh(cells, cells, 200, 200, quadrilateral=True)
    if domain == "1b":
        return fd.RectangleMesh(cells, cells, 200, 200, quadrilateral=True)
    if domain == "1c":
        return mesh_from_file(HERE.parents[1] / "meshes" / "t_shape.msh", fd.COMM_WORLD)
    # Every refinement halves the edges of an icosahedron, 105 long. The triangles are curved as the sphere is.
    return fd.IcosahedralSphereMesh(100, refinement_level=round(np.log2(105 / SIZE)), degree=DEGREE)


def start_of(domain, mesh):
    """Concentration at the start."""
    if domain == "1d":
        x, y, z = fd.SpatialCoordinate(mesh)
        t, p = acos(z / sqrt(x**2 + y**2 + z**2)), atan2(y, x)
        waves = cos(8 * t) * cos(15 * p) + (cos(12 * t) * cos(10 * p)) ** 2
        return 0.5 + 0.05 * (waves + cos(2.5 * t - 1.5 * p) * cos(7 * t - 2 * p))
    x, y = fd.SpatialCoordinate(mesh)
    waves = cos(0.105 * x) * cos(0.11 * y) + (cos(0.13 * x) * cos(0.087 * y)) ** 2
    return 0.5 + 0.01 * (waves + cos(0.025 * x - 0.15 * y) * cos(0.07 * x - 0.02 * y))


# The laws: f' is a cubic polynomial of c, here in Legendre polynomials, and the mobility a number.

slope = np.polynomial.Polynomial.fromroots([0.3, 0.5, 0.7]) * 20
potential = slope.convert(kind=np.polynomial.Legendre, domain=[0, 1])
model = CahnHilliard(chemical_potential=Legendre(4), diffusivity=ConstantBasis(), weighted=False)
laws = {"chemical_potential": potential.coef, "diffusivity": [np.log(M)], "gradient_energy": [np.log(KAPPA)]}

rows = []
for domain in DOMAINS:
    began = time.perf_counter()
    mesh = mesh_of(domain)
    forward = ForwardModel(model, mesh, DEGREE, unknown=np.zeros(6, bool))
    c = fd.Function(forward.space).interpolate(start_of(domain, mesh))
    energy = (5 * (c - 0.3) ** 2 * (0.7 - c) ** 2 + KAPPA / 2 * fd.dot(fd.grad(c), fd.grad(c))) * fd.dx
    run = forward.run(forward.parameters.flat(laws), c.dat.data_ro.copy(), [0.0, *TIMES])
    fields, energies = [forward.part(state, "c") for state in (run.start, *run.states)], []
    for field in fields:
        c.assign(field)
        energies.append(fd.assemble(energy))
    seconds = time.perf_counter() - began
    write_states(OUT / domain, fields, [0.0, *TIMES])
    for when, value in zip([0.0, *TIMES], energies, strict=True):
        rows.append([domain, f"{when:g}", f"{value:.6g}"])
    fd.PETSc.Sys.Print(
        f"{domain}: {forward.space.dim() * 2} unknowns, {len(run.grid.orders)} steps, "
        f"{forward.counts.factorisations} factorisations, {seconds:.0f} s; energy "
        + ", ".join(f"{value:.5g} at {when:g}" for when, value in zip(TIMES, energies[1:], strict=True))
    )

if mesh.comm.rank == 0:
    with open(OUT / "energies.csv", "w", newline="") as file:
        csv.writer(file).writerows([["domain", "t", "energy"], *rows])
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for domain in DOMAINS:
        axes.loglog(*np.array([row[1:] for row in rows if row[0] == domain][1:], float).T, "o-", label=domain)
    axes.set(xlabel="t", ylabel="free energy")
    axes.legend(frameon=False)
    figure.savefig(OUT / "energies.png", dpi=150)
