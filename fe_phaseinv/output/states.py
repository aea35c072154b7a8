"""Fields over time as files, and from one mesh to another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
from firedrake import CheckpointFile, Function, FunctionSpace, VTKFile
from mpi4py import MPI

from fe_phaseinv.core.errors import InputError, refusing_unreadable
from fe_phaseinv.core.parallel import on_root


def write_states(folder: Path, fields: Sequence[Function], times: Sequence[float], file: str = "states") -> None:
    """Write a field over time for ParaView (states.pvd) and for Firedrake (states.h5). Collective.

    In the checkpoint the function has the name of the first one, the indices 0 to n-1, and a timestepping history with
    their times.

    Parameters
    ----------
    folder : pathlib.Path
        Made where it is missing.
    fields : sequence of firedrake.Function
        Scalar ones in one space, one for each time.
    times : sequence of float
    file : str
        Name of the files, without its ending.
    """
    space, name = fields[0].function_space(), fields[0].name()
    mesh = space.mesh()
    on_root(mesh.comm, lambda: folder.mkdir(parents=True, exist_ok=True))
    pictures = VTKFile(str(folder / f"{file}.pvd"), comm=mesh.comm)
    c = Function(space, name=name)
    with CheckpointFile(str(folder / f"{file}.h5"), "w", comm=mesh.comm) as checkpoint:
        checkpoint.save_mesh(mesh)
        for index, (field, time) in enumerate(zip(fields, times, strict=True)):
            c.assign(field)
            pictures.write(c, time=float(time))
            checkpoint.save_function(c, idx=index, timestepping_info={"time": float(time)})


def read_states(path: str | os.PathLike, comm: MPI.Comm, name: str = "c") -> tuple[tuple[float, ...], list[Function]]:
    """Read the checkpoint of `write_states`, on any number of ranks. Collective.

    Parameters
    ----------
    path : str or os.PathLike
        A file states.h5.
    comm : mpi4py.MPI.Comm
        For the mesh, which comes from the file.
    name : str
        Of the field.

    Returns
    -------
    times : tuple of float
    fields : list of firedrake.Function
        One for each of them.

    Raises
    ------
    InputError
        Where the file is missing, or holds no such field.
    """
    accepted = f"a checkpoint with states of {name}"
    on_root(comm, _require_checkpoint, path, accepted)
    try:
        with CheckpointFile(str(path), "r", comm=comm) as checkpoint:
            mesh = checkpoint.load_mesh()
            history = checkpoint.get_timestepping_history(mesh, name)
            fields = [checkpoint.load_function(mesh, name, idx=int(index)) for index in history["index"]]
    except (KeyError, RuntimeError) as error:
        raise InputError(path, "file", f"none ({type(error).__name__}: {error})", accepted) from error
    return tuple(map(float, history["time"])), fields


def _require_checkpoint(path: str | os.PathLike, accepted: str) -> None:
    with refusing_unreadable(path, accepted):
        Path(path).open("rb").close()  # says in fewer words that there is none
        with h5py.File(path, "r") as file:
            if "topologies" not in file:
                raise InputError(path, "file", f"only {', '.join(file) or 'nothing'}", accepted)


def onto(field: Function, space: FunctionSpace) -> Function:
    """Return a field in a space on another mesh of the same domain. Collective.

    Parameters
    ----------
    field : firedrake.Function
        A scalar one.
    space : firedrake.FunctionSpace
    """
    return Function(space).interpolate(field)
