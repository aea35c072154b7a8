"""The least squares of which the fit of a frame is made: its pixels, and the roughness of a field."""

from __future__ import annotations

from collections.abc import Sequence

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

from fe_phaseinv.core.parallel import extremes, total
from fe_phaseinv.core.spaces import boundary_measure
from fe_phaseinv.observation.losses import Differences
from fe_phaseinv.observation.pixels import Pixels

PENALTY = 3.0
"""Of kinks between elements, times the squared degree: enough for the method to be stable."""


class FrameEquations:
    """Normal equations of the pixels of a frame that have data, as integrals.

    Parameters
    ----------
    pixels : Pixels
    index : int
        Frame.

    Attributes
    ----------
    data : numpy.ndarray
        Local pixels; NaN where they have no data.
    level : float
        Mean precision of the pixels that have data, in units of 1/noise^2 of the images.
    noise : float
        Standard deviation of a pixel of this precision; zero where it is not known.
    weights : numpy.ndarray
        Of the local pixels: their precision in units of this one, times what `reweight` has found.
    area : float
        Of a pixel.
    weighted : petsc4py.PETSc.Mat
        Averages over the pixels that have data, times their weights.
    normal : petsc4py.PETSc.Mat
        Integrals of the weighted products of averages.
    rhs : petsc4py.PETSc.Vec
        Integrals of the weighted products of averages and data.
    """

    def __init__(self, pixels: Pixels, index: int):
        self.pixels, self.index, self.data = pixels, index, pixels.frame(index)
        self.area, precision = float(np.prod(pixels.images.pixel)), pixels.precision(index)
        whole, count = total(pixels.comm, [precision.sum(), np.isfinite(self.data).sum()])
        self.level = float(whole / count) if whole else 1.0
        self.noise, self._relative = pixels.images.noise / np.sqrt(self.level), precision / self.level
        self._set_weights(self._relative)

    def reweight(self, c: np.ndarray) -> float:
        """Weight the pixels by how far a field is from them, as the loss has it. Collective.

        Parameters
        ----------
        c : numpy.ndarray
            Local nodal values.

        Returns
        -------
        float
            Largest change of a weight.
        """
        before, average = self.weights, self.pixels.average(c)
        seen = Differences.of(average, self.data, self._relative, self.pixels.loss, self.noise)
        self._set_weights(seen.weight)
        return extremes(self.pixels.comm, np.abs(self.weights - before))[1]

    def _set_weights(self, weights: np.ndarray) -> None:
        self.weights, self.weighted = weights, self.pixels.matrix.copy()
        self.rhs, rows = self.weighted.createVecs()
        rows.array[:] = weights
        self.weighted.diagonalScale(L=rows)
        self.normal = self.weighted.transposeMatMult(self.pixels.matrix)
        rows.array[:] = np.nan_to_num(self.data)
        self.weighted.multTranspose(rows, self.rhs)
        self.normal.scale(self.area)
        self.rhs.scale(self.area)


def resolved(shape: tuple[int, ...], length: float) -> float:
    """Return the effective number of parameters of a smooth picture for each of its pixels, from their Fourier modes.

    Parameters
    ----------
    shape : tuple of int
    length : float
        That of the penalty, in pixels.
    """
    squares = sum(np.ix_(*((np.pi * np.arange(n) / n) ** 2 for n in shape)))
    return float(np.mean(1 / (1 + (length**2 * squares) ** 2)))


def roughness(space: FunctionSpace, flat: bool, tags: Sequence[int] | None) -> PETSc.Mat:
    """Return the matrix of the squared second derivatives, by the interior penalty method. Collective.

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
