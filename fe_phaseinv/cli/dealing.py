"""How the ranks share the work of a case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpi4py import MPI

from fe_phaseinv.cli.build import DEGREE, default_cells, is_by_fields
from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.images import Loaded, domain_of
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_files import read_mesh
from fe_phaseinv.inference.ensemble import SeriesEnsemble

SMALL = 50_000
"""Nodes of a mesh up to which two ranks solve hardly faster than one, and share runs instead."""


def runs_dealt(case: Case, loaded: Sequence[Loaded], comm: MPI.Comm) -> SeriesEnsemble:
    """Return groups of ranks for an inversion: where meshes are small, of one rank each, that share runs. Collective.

    Parameters
    ----------
    case : Case
    loaded : sequence of tuple
        From `load_images`.
    comm : mpi4py.MPI.Comm
    """
    one_by_one = not is_by_fields(case) and _are_small(case, loaded, comm)
    return (SeriesEnsemble.one_by_one if one_by_one else SeriesEnsemble.side_by_side)(comm, len(loaded))


def draws_dealt(case: Case, loaded: Sequence[Loaded], comm: MPI.Comm) -> SeriesEnsemble:
    """Return the ranks that make a draw: where meshes are small, each of them alone, else all together. Collective.

    Parameters
    ----------
    case : Case
    loaded : sequence of tuple
        From `load_images`.
    comm : mpi4py.MPI.Comm
    """
    return SeriesEnsemble.together(MPI.COMM_SELF if _are_small(case, loaded, comm) else comm, len(loaded))


def _are_small(case: Case, loaded: Sequence[Loaded], comm: MPI.Comm) -> bool:
    """Whether there are several ranks, and no mesh with which they would do more together than each of them alone."""
    if comm.size == 1:
        return False
    return on_root(comm, lambda: all(_is_small(case, index, images) for index, (images, _) in enumerate(loaded)))


def _is_small(case: Case, index: int, images: ImageSeries) -> bool:
    """Whether the mesh of a series has few nodes, as far as one can tell without it."""
    _, domain = domain_of(case, index)
    degree, cells = domain.degree or DEGREE, domain.cells or default_cells(images, case.kernels)
    vertices = len(read_mesh(domain.mesh).points) if isinstance(domain.mesh, Path) else cells**images.dimension
    return vertices * degree**images.dimension <= SMALL
