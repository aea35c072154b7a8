"""From a case to the objects of the library."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
from mpi4py import MPI

from fe_phaseinv import meshes
from fe_phaseinv.bases import Legendre
from fe_phaseinv.case import Case
from fe_phaseinv.errors import InputError
from fe_phaseinv.forward import Forward
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.inversion import Discretisation, Problem, coordinates_for
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parameters import Parameters
from fe_phaseinv.relations import Relation, ideal_entropy, positive
from fe_phaseinv.stepping.trajectory import Tolerances

DEGREE = 3
PIXELS_PER_CELL, FEWEST_CELLS = 5.34, 16
"""Defaults from the work-precision table of the README."""
ROUGH_TIME = 5.0
"""The intervals are solved with a degree less and a time tolerance larger by this factor."""


def load_images(case: Case) -> tuple[ImageSeries, tuple[int, ...]]:
    """Read and check the images of a case.

    Parameters
    ----------
    case : Case

    Returns
    -------
    images : ImageSeries
        All frames of the file.
    frames : tuple of int
        Those after the initial one, to compare with.

    Raises
    ------
    InputError
        Where file, frames or values are not what the case says.
    """
    images = ImageSeries.load(case.images.file, noise=case.images.noise)
    count = len(images.times)
    chosen = range(count) if case.images.frames is None else case.images.frames
    for key, indices in (("frames", chosen), ("initial", [case.images.initial])):
        for index in indices:
            if not 0 <= index < count:
                raise InputError(case.images.file, f"images.{key}", index, f"indices of its {count} frames, from 0")
    frames = tuple(sorted({index for index in chosen if index > case.images.initial}))
    if not frames:
        raise InputError(
            case.images.file,
            "images.frames",
            list(chosen),
            f"at least one frame after the initial {case.images.initial}",
        )
    images.select([case.images.initial, *frames]).require_concentration()
    return images, frames


def build_model(case: Case) -> CahnHilliard:
    """The model with the relations that a case asks for."""
    potential, diffusivity = case.laws.chemical_potential, case.laws.diffusivity
    return CahnHilliard(
        Relation(
            "chemical_potential",
            Legendre(potential.size),
            known=ideal_entropy if potential.ideal_entropy else None,
        ),
        Relation("diffusivity", Legendre(diffusivity.size), positive),
    )


def starting_coefficients(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Flat coefficients to start from (or to stay at), and which are fixed."""
    start, fixed = [], []
    for law in (case.laws.chemical_potential, case.laws.diffusivity):
        start += [*law.coefficients, *[0.0] * (law.size - len(law.coefficients))]
        fixed += [law.fixed] * law.size
    energy = case.laws.gradient_energy
    start.append(math.log(energy.initial if energy.fixed is None else energy.fixed))
    fixed.append(energy.fixed is not None)
    return np.array(start), np.array(fixed)


def build_mesh(case: Case, images: ImageSeries, comm: MPI.Comm):
    """The mesh that a case asks for.

    Raises
    ------
    InputError
        Where a mesh file cannot be used, or lies outside the picture.
    """
    if not isinstance(case.domain.mesh, Path):
        return meshes.rectangle(images, case.domain.cells or default_cells(images), comm)
    mesh = meshes.from_file(case.domain.mesh, comm)
    low, high = meshes.box(mesh)
    corner = np.array(images.origin)
    margin = 0.5 * np.array(images.pixel)
    if np.any(low < corner - margin) or np.any(high > corner + images.extent + margin):
        found = f"{low[0]:g} < x < {high[0]:g}, {low[1]:g} < y < {high[1]:g}"
        end = corner + images.extent
        raise InputError(
            case.domain.mesh,
            "domain.mesh",
            found,
            f"a mesh inside the picture, {corner[0]:g} < x < {end[0]:g}, {corner[1]:g} < y < {end[1]:g}",
        )
    return mesh


def default_cells(images: ImageSeries) -> int:
    """Number of elements along the longer side where the case leaves it open."""
    return max(FEWEST_CELLS, math.ceil(max(images.shape) / PIXELS_PER_CELL))


def build_problem(
    case: Case, images: ImageSeries, frames: tuple[int, ...], comm: MPI.Comm, tolerances: Tolerances | None = None
) -> Problem:
    """Everything that an inversion needs.

    Parameters
    ----------
    case : Case
    images, frames
        From `load_images`.
    comm : mpi4py.MPI.Comm
    tolerances : Tolerances, optional
        In place of those of the case.

    Raises
    ------
    InputError
        Where mesh and images do not fit.
    """
    model = build_model(case)
    mesh = build_mesh(case, images, comm)
    start, fixed = starting_coefficients(case)
    coordinates = coordinates_for(model, Parameters(model.relations, mesh), start, fixed)
    degree = case.domain.degree or DEGREE
    fine = tolerances or (Tolerances() if case.time.rtol is None else Tolerances(rtol=case.time.rtol))
    rough = dataclasses.replace(fine, rtol=ROUGH_TIME * fine.rtol)

    def discretise(degree: int, tolerances: Tolerances) -> Discretisation:
        forward = Forward(model, mesh, degree, coordinates.free, tolerances)
        return Discretisation(forward, Pixels(images, forward.space))

    return Problem(
        rough=discretise(max(1, degree - 1), rough),
        fine=discretise(degree, fine),
        coordinates=coordinates,
        frames=frames,
        initial=case.images.initial,
        strength=case.prior.strength,
    )
