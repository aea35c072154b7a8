"""Work in gmsh that leaves a session of the user's as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from fe_phaseinv.core.errors import InputError

MODEL = "fe_phaseinv"
"""Name of the model of gmsh that is there while it works."""
OPTIONS = {"General.Terminal": 0, "General.NumThreads": 1, "General.AbortOnError": 2}
"""Options of gmsh in all that is done here; failing calls raise."""
PACKAGES = {"libGLU.so.1": "libglu1-mesa (Debian, Ubuntu) or mesa-libGLU (Fedora), installed"}
"""Packages of the system that hold a library which gmsh loads."""


def import_gmsh() -> ModuleType:
    """Import gmsh.

    Raises
    ------
    InputError
        If a library of the system that it loads is not installed.
    """
    try:
        import gmsh
    except OSError as error:
        library, _, found = str(error).partition(": ")
        accepted = PACKAGES.get(library, "the package of the system that holds it, installed")
        raise InputError("gmsh", library, found, accepted) from None
    return gmsh


@contextmanager
def empty_model(options: dict[str, float]) -> Iterator[ModuleType]:
    """Give gmsh with an empty model; a session of the user's is afterwards as it was, and goes on.

    Parameters
    ----------
    options : dict of float
        Options of gmsh while the model is there, besides `OPTIONS`.
    """
    gmsh = import_gmsh()
    ours = not gmsh.isInitialized()
    if ours:
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    options = OPTIONS | options
    before, current = {name: gmsh.option.getNumber(name) for name in options}, gmsh.model.getCurrent()
    views = set(gmsh.view.getTags())
    try:
        for name, value in options.items():
            gmsh.option.setNumber(name, value)
        gmsh.model.add(MODEL)
        try:
            yield gmsh
        finally:
            gmsh.model.remove()
            gmsh.model.setCurrent(current)
    finally:
        for view in set(gmsh.view.getTags()) - views:  # of data beside a mesh in a file
            gmsh.view.remove(view)
        for name, value in before.items():
            gmsh.option.setNumber(name, value)
        if ours:
            gmsh.finalize()
