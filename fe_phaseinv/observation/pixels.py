"""From finite elements to pixels: averages over pixels."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import reduce

import numpy as np
from firedrake import (
    FunctionSpace,
    MeshGeometry,
    TrialFunction,
    VectorFunctionSpace,
    VertexOnlyMesh,
    assemble,
    grad,
    interpolate,
)
from firedrake.petsc import PETSc

from fe_phaseinv.core.errors import InputError, as_ranges
from fe_phaseinv.core.parallel import total
from fe_phaseinv.data.images import COVERED, ImageSeries
from fe_phaseinv.forward.displaced import Displaced
from fe_phaseinv.observation.losses import Loss
from fe_phaseinv.observation.samples import Samples, samples
from fe_phaseinv.solvers.linear_algebra import product

WHOLE = 1 - 1e-9
"""Share of a pixel that is inside the mesh from which on it is all of it."""
EXACT, BEYOND = 1e-6, 0.5
"""Shares of a cell beyond a boundary up to which points are in the mesh, and in one that is displaced: fields are
continued so far, for a pixel that lost point after point would make the cost jump."""


class Pixels:
    """Averages of a finite element function over the pixels of an image series, as a sparse matrix.

    Only pixels that are wholly inside the mesh count; where the coverage of the images tells that they show the average
    over their part of the domain, those that are inside by half, too. Rows are distributed; frames are split
    accordingly.

    Parameters
    ----------
    images : ImageSeries
    space : firedrake.FunctionSpace
        Scalar space of the function.
    loss : str
        How differences from the frames count, one of `fe_phaseinv.observation.losses.LOSSES`.

    Raises
    ------
    InputError
        Where no pixel lies inside the mesh.
    """

    def __init__(self, images: ImageSeries, space: FunctionSpace, loss: Loss = "squares"):
        self.images, self.loss, self.held_out = images, loss, frozenset()
        self._samples = samples(images, space.mesh())
        self._find(space, lambda shares: shares > (WHOLE if images.coverage is None else COVERED))
        if total(self.comm, self.inside.sum()) == 0:
            raise InputError(images.source, "extent", _box(images), "a picture that overlaps the mesh")

    def moved(self, mesh: MeshGeometry) -> Pixels:
        """Return the same pixels on a mesh that is displaced. Collective.

        Those that count still do, and no others.

        Parameters
        ----------
        mesh : firedrake.MeshGeometry
            The other mesh.
        """
        other = copy(self)
        space = FunctionSpace(mesh, self.space.ufl_element())
        other._find(space, lambda shares: self.inside & (shares > COVERED), BEYOND)
        return other

    def showing(self, images: ImageSeries) -> Pixels:
        """Return the same pixels with other images of the same shape and place.

        Parameters
        ----------
        images : ImageSeries
            The other images.
        """
        other = copy(self)
        other.images = images
        return other

    def without(self, frames: Iterable[int]) -> Pixels:
        """Return the same pixels, of which none of some frames counts.

        Parameters
        ----------
        frames : iterable of int
            Frames that are held out.
        """
        other = copy(self)
        other.held_out = frozenset(frames)
        return other

    def frame(self, index: int, channel: int = 0) -> np.ndarray:
        """Return local pixels of one frame; NaN where they do not count.

        Parameters
        ----------
        index : int
            Frame.
        channel : int
            Of the frame.
        """
        counts = self.inside & (index not in self.held_out)
        return np.where(counts, self.images.picture(index, channel).ravel()[self.rows], np.nan)

    def precision(self, index: int, channel: int = 0) -> np.ndarray:
        """Return the precision of the local pixels of one frame, in units of 1/noise^2; zero where they do not count.

        Parameters
        ----------
        index : int
            Frame.
        channel : int
            Of the frame.
        """
        counts = np.isfinite(self.frame(index, channel))
        return np.where(counts, self.images.precision(index, channel).ravel()[self.rows], 0.0)

    def _find(self, space: FunctionSpace, counts: Callable[[np.ndarray], np.ndarray], tolerance: float = EXACT) -> None:
        """Find the pixels in a mesh; those count of which a function says so, by the share of each that is inside."""
        self.space, self.comm, self._scale = space, space.mesh().comm, None
        self._tolerance, self._only = tolerance, None
        if len(self._samples) == 1:
            self._only = self._view(*self._samples)
        self.matrix = self.averages_of(TrialFunction(space))
        self.rows = slice(*self.matrix.getOwnershipRange())
        ones, shares = self.matrix.createVecs()
        ones.set(1.0)
        self.matrix.mult(ones, shares)
        self.inside = counts(shares.array)
        shares.array[:] = np.where(self.inside, 1 / np.maximum(shares.array, COVERED), 0.0)
        self._scale = shares
        self.matrix.diagonalScale(L=shares)

    def _views(self) -> Iterator[tuple[FunctionSpace, PETSc.Mat]]:
        """Give the spaces of values at points, and the matrices from these to averages, of some pixels at a time."""
        if self._only:
            yield self._only
            return
        for sample in self._samples:
            yield self._view(sample)
            gc.collect()  # meshes refer to themselves, and many of them are large
            PETSc.garbage_cleanup(self.comm)

    def _view(self, sample: Samples) -> tuple[FunctionSpace, PETSc.Mat]:
        points = sample.points(self.images) if self.comm.rank == 0 else np.empty((0, self.images.dimension))
        vertices = VertexOnlyMesh(
            self.space.mesh(), points, missing_points_behaviour="ignore", tolerance=self._tolerance, redundant=True
        )
        matrix = _averaging(self.images, vertices.coordinates.dat.data_ro, sample.per_pixel, self.comm)
        return FunctionSpace(vertices, "DG", 0), matrix

    def averages_of(self, expression) -> PETSc.Mat:
        """Return the matrix to averages over pixels of an expression, linear in a trial function. Collective.

        Parameters
        ----------
        expression : ufl.core.expr.Expr
            A number at each place.
        """
        matrices = (by.matMult(assemble(interpolate(expression, space)).petscmat) for space, by in self._views())
        whole = reduce(_sum, matrices)
        if self._scale is not None:
            whole.diagonalScale(L=self._scale)
        return whole

    def average(self, c: np.ndarray) -> np.ndarray:
        """Return local pixels of a function, or of several, shape (rows,) or (rows, columns). Collective.

        Parameters
        ----------
        c : numpy.ndarray, shape (nodes,) or (nodes, columns)
            Local nodal values.
        """
        return product(self.matrix, c).copy()

    def carried(self, expression, displaced: Displaced) -> np.ndarray:
        """Return the derivatives of averages by displacements that an expression goes along with. Collective.

        Parameters
        ----------
        expression : ufl.core.expr.Expr
            A number at each place.
        displaced : Displaced
            The mesh and its displacements.

        Returns
        -------
        numpy.ndarray, shape (rows, k)
            Local pixels.
        """
        whole = 0.0
        for space, averaging in self._views():
            vectors = VectorFunctionSpace(space.mesh(), "DG", 0, dim=self.images.dimension)
            slopes = assemble(interpolate(grad(expression), vectors)).dat.data_ro
            whole = whole - product(averaging, np.einsum("nd,ndk->nk", slopes, displaced.at(space)))
        return whole * self._scale.array[:, None]

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return the transpose of `average` times pixels: a local array, shape (nodes,). Collective.

        Parameters
        ----------
        rows : numpy.ndarray, shape (rows,)
            Local pixels; those that are NaN do not count.
        """
        return product(self.matrix, np.nan_to_num(rows), transposed=True)

    def picture(self, local: np.ndarray) -> np.ndarray:
        """Return the whole picture, shape (ny, nx) or (nz, ny, nx), the same on all ranks. Collective.

        Parameters
        ----------
        local : numpy.ndarray, shape (rows,)
            Local pixels.
        """
        picture = np.zeros(self.images.shape).ravel()
        picture[self.rows] = np.where(self.inside, local, np.nan)
        return total(self.comm, picture).reshape(self.images.shape)

    def blocks(self, side: int) -> np.ndarray:
        """Return local rows of the indicators of blocks of pixels, shape (rows, blocks).

        Parameters
        ----------
        side : int
            Number of pixels of a block in each direction.
        """
        counts = [-(-count // side) for count in self.images.shape]
        places = np.unravel_index(np.arange(self.rows.start, self.rows.stop), self.images.shape)
        number = np.ravel_multi_index([place // side for place in places], counts)
        return np.equal.outer(number, np.arange(np.prod(counts))).astype(float)


def _sum(whole: PETSc.Mat, part: PETSc.Mat) -> PETSc.Mat:
    """Add a matrix to another one."""
    whole.axpy(1.0, part, PETSc.Mat.Structure.DIFFERENT_NONZERO_PATTERN)
    return whole


def _averaging(images: ImageSeries, points: np.ndarray, per_pixel: int, comm) -> PETSc.Mat:
    """Matrix from values at the owned points to averages over pixels."""
    places = ((points - images.origin) // images.pixel).astype(PETSc.IntType).T
    pixels = np.ravel_multi_index(places[::-1], images.shape).astype(PETSc.IntType)
    matrix = PETSc.Mat().create(comm)
    matrix.setSizes((np.prod(images.shape), (len(points), None)))
    matrix.setType("aij")
    matrix.setUp()
    first, _ = matrix.getOwnershipRangeColumn()
    matrix.setPreallocationCOO(pixels, np.arange(first, first + len(points), dtype=PETSc.IntType))
    matrix.setValuesCOO(np.full(len(points), 1 / per_pixel))
    return matrix


def _box(images: ImageSeries) -> str:
    return f"pixels in {as_ranges(images.origin, np.add(images.origin, images.extent))}, none of them inside the mesh"
