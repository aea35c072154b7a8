"""From pixels to finite elements: smooth fields that show given frames, as far as their noise allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from firedrake import (
    CellSize,
    FacetNormal,
    FunctionSpace,
    TestFunction,
    TrialFunction,
    assemble,
    avg,
    dot,
    dS,
    ds,
    dx,
    grad,
    inner,
    jump,
)
from firedrake.petsc import PETSc
from scipy.optimize import minimize_scalar

from fe_phaseinv.core.parallel import extremes, total
from fe_phaseinv.core.spaces import boundary_measure, boundary_nodes, node_positions
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.solvers.linear_algebra import dense, direct_solver

SMOOTHING = 0.15
"""Length below which a fitted field is smooth, in pixels: short enough to reproduce clean pixels."""
LENGTHS = (SMOOTHING, 32.0)
"""Between which it is chosen for noisy ones."""
OVERSHOOT, TRIALS = 0.1, 5
"""Share of the range of clean pixels by which their fit may exceed it, and how many lengths up to a pixel are tried."""
PENALTY = 3.0
"""Of kinks between elements, times the squared degree: enough for the method to be stable."""
BLOCK, MOST_BLOCKS = 6.0, 400
"""Side of the blocks of pixels that an unknown field follows, in smoothing lengths, and the most there may be."""


@dataclass(frozen=True, eq=False)
class UnknownField:
    """A field to be estimated together with the laws: base + modes q, with a Gaussian prior that wants it smooth.

    Parameters
    ----------
    base : numpy.ndarray, shape (local size,)
    modes : numpy.ndarray, shape (local size, k)
    slope : numpy.ndarray, shape (k,)
    precision : numpy.ndarray, shape (k, k)
        The prior's share in the cost is slope q + q precision q / 2, up to a constant.
    """

    base: np.ndarray
    modes: np.ndarray
    slope: np.ndarray
    precision: np.ndarray

    def at(self, q: np.ndarray) -> np.ndarray:
        """Local nodal values."""
        return self.base + self.modes @ q

    def value(self, q: np.ndarray) -> float:
        """Share of the prior in the cost."""
        return float(self.slope @ q + 0.5 * q @ self.precision @ q)

    def gradient(self, q: np.ndarray) -> np.ndarray:
        """Return the derivative of `value`, shape (k,)."""
        return self.slope + self.precision @ q


class Smoother:
    """Fits fields to frames: least squares of the pixels plus ell^4 times the squared second derivatives.

    Parameters
    ----------
    pixels : Pixels
    flat : bool
        Whether the normal gradient of the fields is to vanish on the boundary. Otherwise it is free, clean and
        complete frames are interpolated, which keeps its order up to the boundary, and unknown fields are known there.
    tags : sequence of int, optional
        Of the parts of the boundary where it is free, in place of the whole of it.
    """

    def __init__(self, pixels: Pixels, flat: bool = True, tags: Sequence[int] | None = None):
        self.pixels, self.flat, self.tags = pixels, flat, tags
        self.dimension = pixels.images.dimension
        self.size = float(np.prod(pixels.images.pixel) ** (1 / self.dimension))
        self._roughness = _roughness(pixels.space, flat, tags)

    def fit(self, index: int, limits: tuple[float, float] | None = None) -> np.ndarray:
        """Nodal values of a field for a frame.

        Clean pixels are reproduced (ell = SMOOTHING pixels, or more where the field would leave their range); for
        noisy ones ell is that of the smallest predicted risk, Mallows' Cp: the sum of the squared differences plus
        2 noise^2 times the effective number of parameters.

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
        images = self.pixels.images
        if not self.flat and images.noise == 0 and np.isfinite(images.frames[index]).all():
            c = images.interpolate(index, node_positions(self.pixels.space))
        else:
            equations = _Equations(self.pixels, index)
            c = self._solve(equations, self._length(equations))
        return c if limits is None else np.clip(c, *limits)

    def unknown(self, index: int, limits: tuple[float, float] | None = None) -> UnknownField:
        """Field of a frame that is to be estimated further.

        Its modes are the fits of the frame's blocks of pixels, one at a time; what is finer than they are stays as it
        is fitted. Together with the squared differences from this frame the prior is what `fit` minimises for noisy
        pixels, and for clean ones as long as that keeps their range.
        """
        equations, comm = _Equations(self.pixels, index), self.pixels.comm
        length = self._length(equations)
        base = self._solve(equations, length)
        smooth = length if self.pixels.images.noise else SMOOTHING * self.size
        most = np.prod(self.pixels.images.shape) / MOST_BLOCKS
        side = max(BLOCK * smooth / self.size, most ** (1 / self.dimension))
        blocks = self.pixels.blocks(int(np.ceil(side)))
        rhs = equations.weighted.transposeMatMult(dense(comm, np.asfortranarray(blocks)))
        modes, system = np.zeros((base.size, blocks.shape[1]), order="F"), self._system(equations, side * self.size)
        if not self.flat:
            known = boundary_nodes(self.pixels.space, self.tags)
            rhs.getDenseArray()[known] = 0.0
            system.zeroRowsColumns(system.getOwnershipRange()[0] + known)
        direct_solver(system).matSolve(rhs, dense(comm, modes))
        modes *= equations.area
        rough = self._roughness.matMult(dense(comm, modes)).getDenseArray() * (smooth**4 / equations.area)
        base = base if limits is None else np.clip(base, *limits)
        return UnknownField(base, modes, total(comm, rough.T @ base), total(comm, modes.T @ rough))

    def uncertainty(self, index: int) -> tuple[float, float]:
        """Return the standard deviation of the error of a noisy frame's fit, and the length of its correlation.

        Where the smallest risk is, the noise that is left and the details that are lost are about as large.
        """
        length = self._length(_Equations(self.pixels, index))
        left = _resolved(self.pixels.images.shape, length / self.size)
        return self.pixels.images.noise * float(np.sqrt(2 * left)), 2 * length

    def _length(self, equations: _Equations) -> float:
        """Choose ell for a frame."""
        images, noise = self.pixels.images, self.pixels.images.noise
        if not noise:
            lengths = self.size * np.geomspace(SMOOTHING, 1.0, TRIALS)
            return next((ell for ell in lengths if self._keeps_range(equations, ell)), lengths[-1])
        used = total(self.pixels.comm, np.isfinite(equations.data).sum())

        def risk(log_length: float) -> float:
            difference = self.pixels.average(self._solve(equations, np.exp(log_length))) - equations.data
            squares = total(self.pixels.comm, np.nansum(difference**2))
            return squares + 2 * noise**2 * used * _resolved(images.shape, np.exp(log_length) / self.size)

        bounds = np.log(self.size * np.array(LENGTHS))
        return float(np.exp(minimize_scalar(risk, bounds=bounds, method="bounded", options={"xatol": 0.05}).x))

    def _keeps_range(self, equations: _Equations, length: float) -> bool:
        """Whether a fit exceeds the range of its pixels by little: where these are coarse, it may overshoot."""
        low, high = extremes(self.pixels.comm, equations.data)
        least, most = extremes(self.pixels.comm, self._solve(equations, length))
        margin = OVERSHOOT * (high - low) + 1e-9
        return low - margin <= least and most <= high + margin

    def _solve(self, equations: _Equations, length: float) -> np.ndarray:
        solution = equations.rhs.duplicate()
        direct_solver(self._system(equations, length)).solve(equations.rhs, solution)
        return solution.array.copy()

    def _system(self, equations: _Equations, length: float) -> PETSc.Mat:
        system = self._roughness.copy()
        system.scale(length**4)
        system.axpy(1.0, equations.normal)
        return system


class _Equations:
    """Normal equations of the pixels of a frame that have data, as integrals."""

    def __init__(self, pixels: Pixels, index: int):
        self.data, self.area = pixels.frame(index), float(np.prod(pixels.images.pixel))
        self.weighted = pixels.matrix.copy()
        self.rhs, rows = self.weighted.createVecs()
        rows.array[:] = np.isfinite(self.data)
        self.weighted.diagonalScale(L=rows)
        self.normal = self.weighted.transposeMatMult(self.weighted)
        rows.array[:] = np.nan_to_num(self.data)
        self.weighted.multTranspose(rows, self.rhs)
        self.normal.scale(self.area)
        self.rhs.scale(self.area)


def _resolved(shape: tuple[int, ...], length: float) -> float:
    """Effective number of parameters of a smooth picture for each of its pixels, from their Fourier modes.

    Parameters
    ----------
    shape : tuple of int
    length : float
        That of the penalty, in pixels.
    """
    squares = sum(np.ix_(*((np.pi * np.arange(n) / n) ** 2 for n in shape)))
    return float(np.mean(1 / (1 + (length**2 * squares) ** 2)))


def _roughness(space: FunctionSpace, flat: bool, tags: Sequence[int] | None) -> PETSc.Mat:
    """Matrix of the squared second derivatives, by the interior penalty method of continuous elements.

    Parameters
    ----------
    space : firedrake.FunctionSpace
    flat : bool
        Whether the normal gradient is to vanish on the boundary; otherwise it is free.
    tags : sequence of int, optional
        Of the parts of the boundary where it is free then, in place of the whole of it.

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
    if flat or tags is not None:
        slope_u, slope_v = dot(n, grad(u)), dot(n, grad(v))
        kept_flat = penalty / h * slope_u * slope_v - curvature(u) * slope_v - curvature(v) * slope_u
        form += kept_flat * ds
        if not flat:
            form -= kept_flat * boundary_measure(tags)
    return assemble(form, mat_type="aij").petscmat
