"""Mesh files of gmsh, of all its versions, by gmsh itself."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.gmsh_session import empty_model

HEADERS = (b"$MeshFormat", b"$NOD", b"$Comments")
"""Files that begin otherwise gmsh might run as scripts."""
START = 10_000
"""Bytes in which a file tells its version."""
BY_ENTITY = 4
"""Version from which groups are made of parts of the geometry; before, each element has a group of its own."""


def read_gmsh(path: Path, accepted: str) -> Any:
    """Read a mesh file of gmsh; an element that is in several groups is listed once for each of them.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    accepted : str
        What would have been accepted.

    Returns
    -------
    meshio.Mesh
        With the groups as meshio gives them, under "gmsh:physical".

    Raises
    ------
    InputError
        If it is no file of gmsh, or gmsh cannot read it.
    """
    with open(path, "rb") as file:
        start = file.read(START)
    if not start.startswith(HEADERS):
        raise InputError(path, "mesh", "unreadable (no file of gmsh)", accepted)
    old = _version(start) < BY_ENTITY
    # With the numbers of groups in place of those of the parts, elements of one part may be in different groups.
    with empty_model({"Mesh.SwitchElementTags": int(old)}) as gmsh:
        try:
            gmsh.merge(str(path))
            return _mesh(gmsh.model, old)
        except Exception as error:  # the class that gmsh raises is this one
            raise InputError(path, "mesh", f"unreadable ({error})", accepted) from None


def _version(start: bytes) -> float:
    """Read the version that a file begins with, 1 where it names none."""
    found = re.search(rb"\$MeshFormat\s+(\d+(?:\.\d+)?)", start)
    return float(found[1]) if found else 1


def _mesh(model: ModuleType, old: bool) -> Any:
    """Take all elements from a model of gmsh."""
    import meshio

    numbers, coordinates, _ = model.mesh.getNodes()
    place = np.full(int(numbers.max(initial=0)) + 1, -1)
    place[numbers.astype(int)] = np.arange(len(numbers))
    blocks, groups, names = [], [], {}
    for dimension, entity in model.getEntities():
        tags = _groups(model, dimension, entity, old)
        names |= {model.getPhysicalName(dimension, tag): np.array([tag, dimension]) for tag in tags}
        for kind, _, nodes in zip(*model.mesh.getElements(dimension, entity), strict=True):
            count = model.mesh.getElementProperties(kind)[3]
            cells = place[nodes.astype(int)].reshape(-1, count)
            for tag in tags or [0]:
                blocks.append((meshio.gmsh.gmsh_to_meshio_type[kind], cells))
                groups.append(np.full(len(cells), tag))
    names.pop("", None)
    return meshio.Mesh(coordinates.reshape(-1, 3), blocks, cell_data={"gmsh:physical": groups}, field_data=names)


def _groups(model: ModuleType, dimension: int, entity: int, old: bool) -> list[int]:
    """Return the groups of the elements of a part."""
    if not old:
        return [abs(int(tag)) for tag in model.getPhysicalGroupsForEntity(dimension, entity)]
    of, parent = model.getParent(dimension, entity)
    while of == dimension:  # a partition's piece of another part
        entity = parent
        of, parent = model.getParent(dimension, entity)
    return [abs(entity)] if entity and of < 0 else []
