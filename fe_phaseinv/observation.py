"""Between finite elements and pixels: averages over pixels, and fields that have given averages."""

from __future__ import annotations

import numpy as np
from firedrake import (
    CellSize,
    FacetNormal,
    Function,
    FunctionSpace,
    TestFunction,
    TrialFunction,
    VertexOnlyMesh,
    assemble,
    avg,
    dot,
    dS,
    ds,
    dx,
    grad,
    inner,
    interpolate,
    jump,
)
from firedrake.petsc import PETSc
from mpi4py import MPI
from scipy.optimize import minimize_scalar

from fe_phaseinv.errors import InputError
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.linear_algebra import dense, direct_solver
from fe_phaseinv.parallel import total

SMOOTHING = 0.25
"""Length below which a fitted field is smooth, in pixels: short enough to reproduce clean pixels."""
LENGTHS = (SMOOTHING, 32.0)
"""Between which it is chosen for noisy ones."""
PENALTY = 3.0
"""Of kinks between elements, times the squared degree: enough for the method to be stable."""


class Pixels:
    """Averages of a finite element function over the pixels of an image series, as a sparse matrix.

    Only pixels that are wholly inside the mesh count. Rows are distributed; frames are split accordingly.

    Parameters
    ----------
    images : ImageSeries
    space : firedrake.FunctionSpace
        Scalar space of the function.
    flat : bool
        Whether fields fitted to the pixels have no normal gradient on the boundary.

    Raises
    ------
    InputError
        Where no pixel lies inside the mesh.
    """

    def __init__(self, images: ImageSeries, space: FunctionSpace, flat: bool = True):
        self.images, self.space = images, space
        self.comm = space.mesh().comm
        points, per_pixel = _sample(images, space.mesh())
        vertices = VertexOnlyMesh(
            space.mesh(), points, missing_points_behaviour="ignore", tolerance=1e-6, redundant=True
        )
        values = assemble(interpolate(TrialFunction(space), FunctionSpace(vertices, "DG", 0))).petscmat
        owned = vertices.coordinates.dat.data_ro
        self.matrix = _averaging(images, owned, per_pixel, self.comm).matMult(values)
        first, last = self.matrix.getOwnershipRange()
        ones, rows = self.matrix.createVecs()
        ones.set(1.0)
        self.matrix.mult(ones, rows)
        self.inside = rows.array > 1 - 1e-9
        self.rows = slice(first, last)
        if total(self.comm, self.inside.sum()) == 0:
            raise InputError(images.source, "extent", _box(images), "a picture that overlaps the mesh")
        self.roughness = _roughness(space, flat)

    def frame(self, index: int) -> np.ndarray:
        """Local pixels of one frame; NaN where they do not count."""
        return np.where(self.inside, self.images.frames[index].ravel()[self.rows], np.nan)

    def average(self, c: np.ndarray) -> np.ndarray:
        """Local pixels of a local array of nodal values, shape (rows,) or (rows, columns)."""
        if c.ndim == 1:
            nodes, rows = self.matrix.createVecs()
            nodes.array[:] = c
            self.matrix.mult(nodes, rows)
            return rows.array.copy()
        block = dense(self.comm, np.asfortranarray(c))
        return self.matrix.matMult(block).getDenseArray()[:, : c.shape[1]].copy()

    def picture(self, local: np.ndarray) -> np.ndarray:
        """Return the whole picture from its local pixels, shape (ny, nx), the same on all ranks."""
        picture = np.zeros(self.images.shape).ravel()
        picture[self.rows] = np.where(self.inside, local, np.nan)
        return total(self.comm, picture).reshape(self.images.shape)

    def fit(self, index: int, limits: tuple[float, float] | None = None) -> np.ndarray:
        """Nodal values of a smooth field whose pixel averages are those of a frame, as far as its noise allows.

        Minimises the mean squared difference plus ell^4 times that of the second derivatives. Clean pixels are
        reproduced (ell = SMOOTHING pixels); for noisy ones ell is that of the smallest predicted risk, Mallows' Cp:
        the sum of the squared differences plus 2 noise^2 times the effective number of parameters.

        Parameters
        ----------
        index : int
            Frame.
        limits : tuple of float, optional
            Values are kept between them.

        Returns
        -------
        numpy.ndarray
            Local array.
        """
        data = self.frame(index)
        smoother = _Smoother(self, data, self.roughness)
        pixel, noise = np.sqrt(np.prod(self.images.pixel)), self.images.noise
        length = SMOOTHING * pixel
        if noise:
            used = total(self.comm, np.isfinite(data).sum())

            def risk(log_length: float) -> float:
                difference = self.average(smoother(np.exp(log_length))) - data
                squares = total(self.comm, np.nansum(difference**2))
                return squares + 2 * noise**2 * used * _resolved(self.images.shape, np.exp(log_length) / pixel)

            bounds = np.log(pixel * np.array(LENGTHS))
            length = np.exp(minimize_scalar(risk, bounds=bounds, method="bounded", options={"xatol": 0.05}).x)
        c = smoother(length)
        return c if limits is None else np.clip(c, *limits)


class _Smoother:
    """Least-squares fit of a frame's pixels with a penalty of given length."""

    def __init__(self, pixels: Pixels, data: np.ndarray, roughness: PETSc.Mat):
        counted = np.isfinite(data)
        weights = pixels.matrix.createVecs()[1]
        weights.array[:] = counted
        weighted = pixels.matrix.copy()
        weighted.diagonalScale(L=weights)
        self.rhs = weighted.createVecs()[0]
        weights.array[:] = np.where(counted, data, 0.0)
        weighted.multTranspose(weights, self.rhs)
        area = np.prod(pixels.images.pixel)
        self.normal = weighted.transposeMatMult(weighted)
        self.normal.scale(area)
        self.rhs.scale(area)
        self.roughness = roughness

    def __call__(self, length: float) -> np.ndarray:
        system = self.roughness.copy()
        system.scale(length**4)
        system.axpy(1.0, self.normal)
        solution = self.rhs.duplicate()
        direct_solver(system).solve(self.rhs, solution)
        return solution.array.copy()


def _resolved(shape: tuple[int, int], length: float) -> float:
    """Effective number of parameters of a smooth picture for each of its pixels, from their Fourier modes.

    Parameters
    ----------
    shape : tuple of int
    length : float
        That of the penalty, in pixels.
    """
    ky, kx = (np.pi * np.arange(n) / n for n in shape)
    return float(np.mean(1 / (1 + (length**2 * (kx**2 + ky[:, None] ** 2)) ** 2)))


def _roughness(space: FunctionSpace, flat: bool) -> PETSc.Mat:
    """Matrix of the squared second derivatives, by the interior penalty method of continuous elements.

    Parameters
    ----------
    space : firedrake.FunctionSpace
    flat : bool
        Whether the normal gradient is to vanish on the boundary; otherwise it is free.

    Notes
    -----
    Brenner and Sung, J. Sci. Comput. 22, 83 (2005).
    """
    u, v = TrialFunction(space), TestFunction(space)
    n, h = FacetNormal(space.mesh()), CellSize(space.mesh())
    penalty = PENALTY * space.ufl_element().embedded_superdegree ** 2

    def curvature(f):
        return dot(n, dot(grad(grad(f)), n))

    def kink(f):
        return jump(grad(f), n)

    form = inner(grad(grad(u)), grad(grad(v))) * dx
    form += (penalty / avg(h) * kink(u) * kink(v) - avg(curvature(u)) * kink(v) - avg(curvature(v)) * kink(u)) * dS
    if flat:
        slope_u, slope_v = dot(n, grad(u)), dot(n, grad(v))
        form += (penalty / h * slope_u * slope_v - curvature(u) * slope_v - curvature(v) * slope_u) * ds
    return assemble(form, mat_type="aij").petscmat


def _sample(images: ImageSeries, mesh) -> tuple[np.ndarray, int]:
    """Two by two Gauss points in each of the equal parts of every pixel, and the number of points in a pixel.

    The parts are no larger than the smallest cell, so that a pixel that spans many cells is still averaged well.
    """
    sizes = Function(FunctionSpace(mesh, "DG", 0)).interpolate(mesh.cell_sizes).dat.data_ro
    smallest = mesh.comm.allreduce(float(sizes.min(initial=np.inf)), op=MPI.MIN)
    parts = int(np.clip(np.ceil(max(images.pixel) / smallest), 1, 8))
    offsets = ((np.arange(parts)[:, None] + 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)) / parts).ravel()
    ny, nx = images.shape
    x = images.origin[0] + images.pixel[0] * (np.arange(nx)[:, None] + offsets).ravel()
    y = images.origin[1] + images.pixel[1] * (np.arange(ny)[:, None] + offsets).ravel()
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), offsets.size**2


def _averaging(images: ImageSeries, points: np.ndarray, per_pixel: int, comm) -> PETSc.Mat:
    """Matrix from values at the owned points to averages over pixels."""
    nx = images.shape[1]
    column, row = ((points - images.origin) // images.pixel).astype(PETSc.IntType).T
    matrix = PETSc.Mat().createAIJ((np.prod(images.shape), (len(points), None)), nnz=per_pixel, comm=comm)
    matrix.setOption(PETSc.Mat.Option.NEW_NONZERO_ALLOCATION_ERR, False)
    first = matrix.getOwnershipRangeColumn()[0]
    for offset, pixel in enumerate(row * nx + column):
        matrix.setValue(pixel, first + offset, 1 / per_pixel)
    matrix.assemble()
    return matrix


def _box(images: ImageSeries) -> str:
    (x0, y0), (lx, ly) = images.origin, images.extent
    return f"pixels in {x0:g} < x < {x0 + lx:g}, {y0:g} < y < {y0 + ly:g}, none of them inside the mesh"
