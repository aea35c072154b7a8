"""Mesh files of the kinds that meshio reads, and XDMF files of several grids."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fe_phaseinv.core.errors import InputError

TAGS = ("gmsh:physical", "medit:ref")
"""Names under which meshio gives the numbers of groups; where there is neither, a single array of integers is taken."""
GRIDS = (".xdmf", ".xmf")
"""Suffixes of files that may hold several grids, of which meshio reads one."""
INCLUDE = "{http://www.w3.org/2001/XInclude}include"


def read_meshio(path: Path, accepted: str) -> Any:
    """Read a mesh file through meshio, in silence.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    accepted : str
        What would have been accepted.

    Returns
    -------
    meshio.Mesh

    Raises
    ------
    InputError
        If meshio cannot read it.
    """
    import meshio

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            return _read_grids(path) if path.suffix in GRIDS else meshio.read(path)
        except (Exception, SystemExit) as error:  # meshio ends the process where no reader wants a file
            raise InputError(path, "mesh", f"unreadable ({error or type(error).__name__})", accepted) from None


def groups_of(mesh: Any) -> list[np.ndarray]:
    """Return the number of its group for each element of each block, zero where there is none.

    Parameters
    ----------
    mesh : meshio.Mesh
    """
    known = [key for key in TAGS if key in mesh.cell_data]
    numbered = [key for key, arrays in mesh.cell_data.items() if all(np.asarray(a).dtype.kind in "iu" for a in arrays)]
    if known or len(numbered) == 1:
        return [np.ravel(array).astype(int) for array in mesh.cell_data[(known or numbered)[0]]]
    return [np.zeros(len(block.data), int) for block in mesh.cells]


def _read_grids(path: Path) -> Any:
    """Read all grids of an XDMF file, such as cells and their marked sides, as one mesh."""
    import meshio
    from meshio.xdmf.main import XdmfReader

    root = ElementTree.parse(path).getroot()
    grids = [grid for grid in root.iter("Grid") if grid.find("Grid") is None]
    if len(grids) < 2:
        return meshio.read(path)
    reader = XdmfReader(path)
    read = reader.read_xdmf2 if root.get("Version", "").startswith("2") else reader.read_xdmf3
    meshes = [read(_alone(grid, grids[0])) for grid in grids]
    points, blocks, groups = meshes[0].points, [], []
    for mesh in meshes:
        same = np.array_equal(mesh.points, meshes[0].points)
        first = 0 if same else len(points)
        points = points if same else np.vstack([points, mesh.points])
        blocks += [(block.type, block.data + first) for block in mesh.cells]
        groups += groups_of(mesh)
    return meshio.Mesh(points, blocks, cell_data={TAGS[0]: groups})


def _alone(grid: ElementTree.Element, first: ElementTree.Element) -> ElementTree.Element:
    """Return a document of one grid; what it shares with the first is copied, and its kinds are in meshio's words."""
    own = deepcopy(grid)
    for include in own.findall(INCLUDE):
        name = include.get("xpointer", "").rstrip(")").rpartition("/")[2]
        own.remove(include)
        own.insert(0, first.find(name))
    for time in own.findall("Time"):
        own.remove(time)
    for topology in own.findall("Topology"):
        for key in {"Type", "TopologyType"} & set(topology.keys()):
            topology.set(key, topology.get(key).capitalize())
    root = ElementTree.Element("Xdmf")
    ElementTree.SubElement(root, "Domain").append(own)
    return root
