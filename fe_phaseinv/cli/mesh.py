"""fe-phaseinv mesh."""

from __future__ import annotations

import argparse

from fe_phaseinv.cli.build import default_cells
from fe_phaseinv.cli.folder import WRITABLE
from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.background import without_background
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_data import MeshData
from fe_phaseinv.data.mesh_files import write_mesh
from fe_phaseinv.data.outline import cells_across, mesh_outline


def mesh(options: argparse.Namespace, session: Session) -> int:
    """Mesh the domain that images show, and write it. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `images` and `output`, and the number of `cells` or None.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    data = on_root(WORLD, _make, options)
    log.info("%d triangles, %d sides on the boundary; wrote %s", len(data.cells), len(data.facets), options.output)
    return DONE


def _make(options: argparse.Namespace) -> MeshData:
    images, path = without_background(ImageSeries.load(options.images)), options.output
    data = mesh_outline(images, options.cells or max(default_cells(images), cells_across(images)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mesh(path, data)
    except OSError as error:
        raise InputError(path, "--output", error.strerror, WRITABLE) from error
    return data
