"""From pixels to finite elements: smooth fields that show given frames, as far as their noise allows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from firedrake.petsc import PETSc
from scipy.optimize import minimize_scalar

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import any_rank, extremes, total
from fe_phaseinv.core.spaces import boundary_nodes, node_positions
from fe_phaseinv.observation.frame_equations import FrameEquations, resolved, roughness
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.unknown_field import UnknownField
from fe_phaseinv.solvers.direct import StepFailed, checked_direct_solver
from fe_phaseinv.solvers.linear_algebra import dense

SMOOTHING = 0.15
"""Length below which a fitted field is smooth, in pixels: short enough to reproduce clean pixels."""
LENGTHS = (SMOOTHING, 32.0)
"""Between which it is chosen for noisy ones."""
OVERSHOOT, TRIALS = 0.1, 5
"""Share of the range of clean pixels by which their fit may exceed it, and how many lengths up to a pixel are tried."""
REWEIGHTED, MOST_REWEIGHTED = 0.02, 20
"""Change of a weight at which iterated least squares end, and the most iterations."""
BLOCK, MOST_BLOCKS, MOST_CLEAN = 6.0, 400, {2: 64, 3: 216}
"""Side of the blocks of pixels that an unknown field follows, in smoothing lengths, and the most there may be; and that
for clean pixels by dimension, which leave less open: with four times as many the laws were no better."""


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
    length : float, optional
        Of the smoothing of all frames, ell; chosen for each of them where not given.
    """

    def __init__(
        self,
        pixels: Pixels,
        flat: bool = True,
        tags: Sequence[int] | None = None,
        length: float | None = None,
    ):
        self.pixels, self.flat, self.tags, self.length = pixels, flat, tags, length
        self._lengths: dict[int, float] = {}
        self.dimension = pixels.images.dimension
        self.size = float(np.prod(pixels.images.pixel) ** (1 / self.dimension))

    @cached_property
    def _roughness(self) -> PETSc.Mat:
        return roughness(self.pixels.space, self.flat, self.tags)

    def fit(self, index: int, limits: tuple[float, float] | None = None) -> np.ndarray:
        """Fit a field to a frame. Collective.

        Clean pixels are reproduced (ell = SMOOTHING pixels, or more where the field would leave their range); for
        noisy ones ell is that of the smallest predicted risk, Mallows' Cp: the sum of the squared differences plus
        2 noise^2 times the effective number of parameters. Where the loss of the pixels is not that of squares, their
        weights are those of iterated least squares.

        Parameters
        ----------
        index : int
            Frame.
        limits : tuple of float, optional
            Values are kept between them.

        Returns
        -------
        numpy.ndarray
            Local nodal values.

        Raises
        ------
        InputError
            Where no field can be fitted to the frame.
        """
        images = self.pixels.images
        if not self.flat and images.noise == 0 and np.isfinite(images.picture(index)).all():
            c = images.interpolate(index, node_positions(self.pixels.space))
        else:
            c = self._solve(*self._posed(index))
        return c if limits is None else np.clip(c, *limits)

    def unknown(self, index: int, limits: tuple[float, float] | None = None) -> UnknownField:
        """Fit a field to a frame that is to be estimated further. Collective.

        Its modes are the fits of the frame's blocks of pixels, one at a time; what is finer than they are stays as it
        is fitted. Together with the squared differences from this frame the prior is what `fit` minimises for noisy
        pixels, and for clean ones as long as that keeps their range.

        Parameters
        ----------
        index : int
            Frame.
        limits : tuple of float, optional
            Values of the base are kept between them.

        Raises
        ------
        InputError
            Where no field can be fitted to the frame.
        """
        (equations, length), comm = self._posed(index), self.pixels.comm
        base = self._solve(equations, length)
        smooth = length if self.pixels.images.noise else SMOOTHING * self.size
        modes = self._modes(equations, self._side(smooth))
        rough = self._roughness.matMult(dense(comm, modes)).getDenseArray()
        rough *= equations.level * smooth**4 / equations.area
        base = base if limits is None else np.clip(base, *limits)
        slope, precision = total(comm, rough.T @ base), total(comm, modes.T @ rough)
        return UnknownField(base=base, modes=modes, slope=slope, precision=precision)

    def held(self, index: int) -> Smoother:
        """Return what fits all frames as smoothly as one of them. Collective.

        Parameters
        ----------
        index : int
            Frame.
        """
        return Smoother(self.pixels, self.flat, self.tags, self._posed(index)[1])

    def on(self, pixels: Pixels) -> Smoother:
        """Return what fits fields on another mesh in the same way.

        Parameters
        ----------
        pixels : Pixels
            Seen on that mesh.
        """
        return Smoother(pixels, self.flat, self.tags, self.length)

    def uncertainty(self, index: int) -> tuple[float, float]:
        """Return how uncertain a noisy frame's fit is. Collective.

        Where the smallest risk is, the noise that is left and the details that are lost are about as large.

        Parameters
        ----------
        index : int
            Frame.

        Returns
        -------
        deviation : float
            Standard deviation of the error.
        length : float
            Length of its correlation.
        """
        equations, length = self._posed(index)
        left = resolved(self.pixels.images.shape, length / self.size)
        return equations.noise * float(np.sqrt(2 * left)), 2 * length

    def _side(self, smooth: float) -> float:
        """Return the side of the blocks that an unknown field follows, in pixels, by its smoothing length."""
        images = self.pixels.images
        fewest = np.prod(images.shape) / (MOST_BLOCKS if images.noise else MOST_CLEAN[self.dimension])
        return max(BLOCK * smooth / self.size, fewest ** (1 / self.dimension))

    def _modes(self, equations: FrameEquations, side: float) -> np.ndarray:
        """Return the fits of blocks of pixels, as smooth as these are large; zero where the field is known."""
        comm, blocks = self.pixels.comm, self.pixels.blocks(int(np.ceil(side)))
        loads = equations.weighted.transposeMatMult(dense(comm, np.asfortranarray(blocks)))
        system = self._system(equations, side * self.size)
        if not self.flat:
            known = boundary_nodes(self.pixels.space, self.tags)
            loads.getDenseArray()[known] = 0.0
            system.zeroRowsColumns(system.getOwnershipRange()[0] + known)
        modes = np.zeros((loads.getLocalSize()[0], blocks.shape[1]), order="F")
        self._factorised(system, equations).matSolve(loads, dense(comm, modes))
        modes *= equations.area
        return modes

    def _posed(self, index: int) -> tuple[FrameEquations, float]:
        """Return the equations of a frame and its ell; a loss other than squares weights pixels by iteration."""
        equations = FrameEquations(self.pixels, index)
        if self.pixels.loss != "squares":
            self._reweight(equations, self.size)
        if index not in self._lengths:
            self._lengths[index] = self.length or self._length(equations)
        length = self._lengths[index]
        if self.pixels.loss != "squares":
            self._reweight(equations, length)
        return equations, length

    def _reweight(self, equations: FrameEquations, length: float) -> None:
        """Find the weights at which a fit of some smoothness stays as it is."""
        for _ in range(MOST_REWEIGHTED):
            if equations.reweight(self._solve(equations, length)) < REWEIGHTED:
                return

    def _length(self, equations: FrameEquations) -> float:
        """Choose ell for a frame."""
        images, noise = self.pixels.images, equations.noise
        if not noise:
            lengths = self.size * np.geomspace(SMOOTHING, 1.0, TRIALS)
            return next((ell for ell in lengths if self._keeps_range(equations, ell)), lengths[-1])
        used = total(self.pixels.comm, equations.weights.sum())

        def risk(log_length: float) -> float:
            difference = self.pixels.average(self._solve(equations, np.exp(log_length))) - equations.data
            squares = total(self.pixels.comm, np.nansum(equations.weights * difference**2))
            return squares + 2 * noise**2 * used * resolved(images.shape, np.exp(log_length) / self.size)

        bounds = np.log(self.size * np.array(LENGTHS))
        return float(np.exp(minimize_scalar(risk, bounds=bounds, method="bounded", options={"xatol": 0.05}).x))

    def _keeps_range(self, equations: FrameEquations, length: float) -> bool:
        """Whether a fit exceeds the range of its pixels by little: where these are coarse, it may overshoot."""
        low, high = extremes(self.pixels.comm, equations.data)
        least, most = extremes(self.pixels.comm, self._solve(equations, length))
        margin = OVERSHOOT * (high - low) + 1e-9
        return low - margin <= least and most <= high + margin

    def _solve(self, equations: FrameEquations, length: float) -> np.ndarray:
        """Return the fit of some smoothness, local nodal values."""
        solution = equations.rhs.duplicate()
        self._factorised(self._system(equations, length), equations).solve(equations.rhs, solution)
        if any_rank(self.pixels.comm, not np.isfinite(solution.array).all()):
            raise self._refusal(equations, "the solution is not finite")
        return solution.array.copy()

    def _factorised(self, system: PETSc.Mat, equations: FrameEquations) -> PETSc.KSP:
        try:
            return checked_direct_solver(system)
        except StepFailed as failure:
            raise self._refusal(equations, str(failure)) from failure

    def _refusal(self, equations: FrameEquations, why: str) -> InputError:
        found = f"a frame to which no field can be fitted ({why})"
        accepted = "frames with pixels inside the mesh, and a mesh without degenerate cells"
        return InputError(self.pixels.images.source, f"images[{equations.index}]", found, accepted)

    def _system(self, equations: FrameEquations, length: float) -> PETSc.Mat:
        system = self._roughness.copy()
        system.scale(length**4)
        system.axpy(1.0, equations.normal)
        return system
