"""From a case to the objects of the library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mpi4py import MPI

from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.images import Loaded, domain_of
from fe_phaseinv.cli.laws import relation, start_of
from fe_phaseinv.cli.models import refusing_model
from fe_phaseinv.cli.schema import Domain, Kernel
from fe_phaseinv.core.errors import InputError, as_ranges
from fe_phaseinv.core.parallel import on_root, total
from fe_phaseinv.core.spaces import boundary_tags, box, disjoint_tags
from fe_phaseinv.data import meshes
from fe_phaseinv.data.closure import cut_width, doubt_window
from fe_phaseinv.data.displacement import Displacement, displacement
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_files import read_mesh
from fe_phaseinv.data.outline import cells_across, mesh_outline
from fe_phaseinv.data.statistics import median_interface_width
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.laws.bases import EvenPowers
from fe_phaseinv.models.declarations import MEAN
from fe_phaseinv.models.interface import Model
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal, QuarticCrystal
from fe_phaseinv.output.truth import read_truth

DEGREE = 3
PIXELS_PER_CELL, FEWEST_CELLS = {2: 4.5, 3: 3.5}, {2: 24, 3: 6}
"""Defaults by dimension, from the work-precision table of the README and from tests/benchmarks/stacks.py."""
CELLS_PER_WAVE = 4
"""The same where the length of the waves is known."""
CELLS_PER_INTERFACE, FEWEST_COARSE = 1.0, {2: 16, 3: 6}
"""Those of the coarse level of a box, whose elements have half of the degree."""
RESOLVED = 4.0
"""Pixels in the width of an interface from which on there may be fewer of them than on the fine level: narrower ones
leave the start open, of which fewer tell too little."""


def load_truth(case: Case) -> dict[str, Any] | None:
    """Read the true laws that a case names; None where it names none.

    Parameters
    ----------
    case : Case

    Raises
    ------
    InputError
        Where the file is no JSON object, or a formula in it cannot be evaluated.
    """
    return case.truth and read_truth(case.truth, build_model(case).relations)


def build_model(case: Case) -> Model:
    """Build the model with the relations that a case asks for.

    Parameters
    ----------
    case : Case

    Raises
    ------
    InputError
        Where a model in a file refuses them.
    """
    model = case.model_class
    relations = {law.name: relation(law, case.laws[law.name]) for law in model.laws}
    if model is PhaseFieldCrystal and any(isinstance(each.basis, EvenPowers) for each in relations.values()):
        model = QuarticCrystal
    with refusing_model(case.model):
        return model(**relations, **case.options)


def starting_laws(case: Case) -> tuple[dict[str, tuple[float, ...]], list[str]]:
    """Return where the laws start, or stay, and the names of those that stay.

    Parameters
    ----------
    case : Case

    Returns
    -------
    start : dict of float or sequence of float
        By law, a number or the first coefficients; laws of which the case says nothing are left to the model.
    fixed : list of str
    """
    starts = {name: start_of(law) for name, law in case.laws.items()}
    given = {name: start for name, start in starts.items() if np.size(start)}
    return given, [name for name, law in case.laws.items() if law.fixed not in (None, False)]


def given_data(case: Case, index: int = 0) -> dict[str, str | float | Sequence[tuple[float, float]]]:
    """Return what is given in time of a series of images, as `Settings` takes it.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.
    """
    _, drive = case.drive_of(index)
    return case.data | ({} if drive is None else {MEAN: drive.mean if drive.rate is None else drive.rate})


class Built(NamedTuple):
    """The mesh of a series of images.

    Parameters
    ----------
    mesh : firedrake.MeshGeometry
    names : dict of int
        Tags of the parts of its boundary that have a name.
    displacement : Displacement, optional
        How far the boundary may be from where it is.
    coarse_mesh : firedrake.MeshGeometry, optional
        Of the coarse level, where it needs fewer cells.
    """

    mesh: Any
    names: dict[str, int]
    displacement: Displacement | None = None
    coarse_mesh: Any = None


def build_mesh(case: Case, index: int, images: ImageSeries, comm: MPI.Comm) -> Built:
    """Make or read the mesh that a case asks for a series of images. Collective.

    Parameters
    ----------
    case : Case
    index : int
        Of the series.
    images : ImageSeries
    comm : mpi4py.MPI.Comm
        Of the mesh.

    Raises
    ------
    InputError
        Where a mesh file cannot be used, or lies outside the picture.
    """
    key, domain = domain_of(case, index)
    cells = domain.cells or default_cells(images, case.kernels)
    if domain.mesh == "outline":
        cells = domain.cells or max(cells, cells_across(images))
        closed = case.model_class.conserved and domain.boundary == "no-flux"
        width = cut_width(images) if closed else None
        data = on_root(comm, mesh_outline, images, cells, width)
        if domain.boundary == "no-flux":
            doubt_window(images)
        movable = displacement(data, images.pixel) if _is_open(case, domain, images) else None
        return Built(meshes.from_data(data, comm), data.names, movable)
    if not isinstance(domain.mesh, Path):
        make = meshes.periodic_mesh if domain.boundary == "periodic" else meshes.rectangle_mesh
        coarse, tetrahedra = coarse_cells(images, cells, case.kernels), is_by_fields(case)
        coarse_mesh = make(images, coarse, comm, tetrahedra=tetrahedra) if coarse < cells else None
        return Built(make(images, cells, comm, tetrahedra=tetrahedra), {}, coarse_mesh=coarse_mesh)
    data = on_root(comm, read_mesh, domain.mesh)
    mesh = meshes.from_data(data, comm)
    _require_inside(domain.mesh, f"{key}.mesh", mesh, images)
    return Built(mesh, data.names)


def _is_open(case: Case, domain: Domain, images: ImageSeries) -> bool:
    """Whether it is left to the inversion where an outline is: a mask alone does not tell it well."""
    alone = build_model(case).kernel is None and not is_by_fields(case)
    return domain.outline == "learnt" and domain.boundary == "no-flux" and images.coverage is None and alone


def is_by_fields(case: Case) -> bool:
    """Whether maps or whole Hessians are asked for.

    Parameters
    ----------
    case : Case
    """
    return case.heterogeneity is not None or case.optimizer.hessian != "gauss-newton"


def _require_inside(source: Path, key: str, mesh, images: ImageSeries) -> None:
    """Refuse a mesh of another dimension than the images, or that reaches beyond them."""
    if mesh.geometric_dimension != images.dimension or mesh.topological_dimension != images.dimension:
        what = "mesh" if mesh.topological_dimension == mesh.geometric_dimension else "surface"
        found = f"a {what} in {mesh.geometric_dimension} dimensions"
        raise InputError(source, "mesh", found, f"a mesh in {images.dimension}, as the images are")
    low, high = box(mesh)
    corner, margin = np.array(images.origin), 0.5 * np.array(images.pixel)
    if np.any(low < corner - margin) or np.any(high > corner + images.extent + margin):
        accepted = f"a mesh inside the picture, {as_ranges(corner, corner + images.extent)}"
        raise InputError(source, key, as_ranges(low, high), accepted)


def default_cells(images: ImageSeries, kernels: Sequence[Kernel] = ()) -> int:
    """Return the number of elements along the longer side where the user leaves it open.

    Parameters
    ----------
    images : ImageSeries
    kernels : sequence of Kernel
        Sections of laws that tell the length of waves.
    """
    if kernels:
        waves = max(images.extent) * max(kernel.wavenumber for kernel in kernels) / (2 * np.pi)
        return max(FEWEST_CELLS[images.dimension], math.ceil(CELLS_PER_WAVE * waves - 1e-9))
    return max(FEWEST_CELLS[images.dimension], math.ceil(max(images.shape) / PIXELS_PER_CELL[images.dimension]))


def coarse_cells(images: ImageSeries, cells: int, kernels: Sequence[Kernel] = ()) -> int:
    """Return the number of elements along the longer side that show the pattern, at most so many.

    Parameters
    ----------
    images : ImageSeries
    cells : int
        Of the fine level.
    kernels : sequence of Kernel
        Sections of laws that tell the length of waves.
    """
    width = median_interface_width(images.only(0).frames)
    if kernels or not width > RESOLVED:
        return cells
    needed = math.ceil(CELLS_PER_INTERFACE * max(images.shape) / width)
    return min(cells, max(FEWEST_COARSE[images.dimension], needed))


def build_problem(
    case: Case, loaded: Sequence[Loaded], ensemble: SeriesEnsemble, tolerances: Tolerances | None = None
) -> Problem:
    """Build everything that an inversion needs, several series of images side by side on groups of ranks. Collective.

    Parameters
    ----------
    case : Case
    loaded : sequence of tuple
        From `load_images`.
    ensemble : SeriesEnsemble
        That the series are dealt to.
    tolerances : Tolerances, optional
        In place of those of the case.

    Raises
    ------
    InputError
        Where mesh and images do not fit, on all ranks.
    """
    return joint(ensemble.build(lambda i: _build_series(case, i, *loaded[i], ensemble.within, tolerances)), ensemble)


def _build_series(
    case: Case, index: int, images: ImageSeries, frames: tuple[int, ...], comm: MPI.Comm, tolerances: Tolerances | None
) -> Problem:
    """Pose the problem of one series of images."""
    (start, fixed), (key, domain) = starting_laws(case), domain_of(case, index)
    built = build_mesh(case, index, images, comm)
    settings = Settings(
        initial=start,
        fixed=fixed,
        frames=frames,
        validation=sorted({*case.validation.frames}),
        held_out=index in case.validation.images,
        first_frame=case.images[index].initial,
        degree=domain.degree or DEGREE,
        tolerances=tolerances or (case.time.rtol and Tolerances(rtol=case.time.rtol)),
        regularisation=case.prior.strength,
        boundary=domain.boundary,
        tags=_numbers(key, domain, built.mesh, built.names),
        heterogeneity=case.heterogeneity and Matern(case.heterogeneity.deviation, case.heterogeneity.length),
        data=given_data(case, index),
        hessian=case.optimizer.hessian,
        loss=case.images[index].loss,
        displacement=built.displacement,
        coarse_mesh=built.coarse_mesh,
        multiple_shooting=case.start is None,
    )
    with refusing_model(case.model, images.source):
        problem = pose(images, build_model(case), built.mesh, settings)
    _require_data(problem.series[0])
    return problem


def _numbers(key: str, domain: Domain, mesh, names: dict[str, int]) -> tuple[int, ...] | None:
    """Return the numbers of the tags that a case gives by number or name; those that are none are refused."""
    if domain.tags is None:
        return None
    numbers = tuple(names.get(tag, tag) for tag in domain.tags)
    known = dict.fromkeys(boundary_tags(mesh), "")
    known |= {tag: f' ("{name}")' for name, tag in names.items() if tag in known}
    if not set(numbers) <= set(known):
        words = ", ".join(f"{tag}{name}" for tag, name in sorted(known.items()))
        raise InputError(domain.mesh, f"{key}.tags", list(domain.tags), f"tags of the boundary: {words or 'none'}")
    try:
        return disjoint_tags(mesh, numbers)
    except ValueError:
        accepted = "groups of which none shares only some of its sides with another"
        raise InputError(domain.mesh, f"{key}.tags", list(domain.tags), accepted) from None


def _require_data(series: Series) -> None:
    """Refuse frames whose pixels inside the mesh are all NaN."""
    pixels = series.fine.pixels
    for index in (series.first_frame, *series.frames):
        if total(pixels.comm, np.isfinite(pixels.frame(index)).sum()) == 0:
            found = "only NaN inside the mesh"
            raise InputError(pixels.images.source, f"images[{index}]", found, "frames that show a part of the domain")
