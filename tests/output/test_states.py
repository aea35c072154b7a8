"""States in files, and from one mesh to another, on 1 and 3 ranks."""

import h5py
import numpy as np
import pytest
from firedrake import BoxMesh, Function, FunctionSpace, RectangleMesh, SpatialCoordinate, errornorm
from mpi4py.MPI import COMM_WORLD, MAX

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.output.states import onto, read_states, write_states

TIMES = (0.0, 0.25, 1.0)
ranks = pytest.mark.parallel([1, 3])


def triangles(cells):
    return RectangleMesh(4 * cells, 3 * cells, 2.0, 1.0, comm=COMM_WORLD)


def quadrilaterals(cells):
    return RectangleMesh(4 * cells, 3 * cells, 2.0, 1.0, quadrilateral=True, comm=COMM_WORLD)


def hexahedra(cells):
    return BoxMesh(4 * cells, 3 * cells, 2, 2.0, 1.0, 1.0, hexahedral=True, comm=COMM_WORLD)


def field(space, time):
    x, y, *_ = SpatialCoordinate(space.mesh())
    return Function(space, name="c").interpolate(x**3 + time * y)


@ranks
@pytest.mark.parametrize("mesh", [triangles, quadrilaterals, hexahedra])
def test_states_are_read_back_and_brought_to_another_mesh(tmp_path, mesh):
    folder = COMM_WORLD.bcast(tmp_path) / "out"
    space = FunctionSpace(mesh(1), "CG", 3)
    write_states(folder, [field(space, time) for time in TIMES], TIMES)
    assert (folder / "states.pvd").read_text().count("<DataSet") == 3
    assert len([path for path in (folder / "states").iterdir() if path.suffix in (".vtu", ".pvtu")]) >= 3
    times, fields = read_states(folder / "states.h5", COMM_WORLD)
    assert times == TIMES
    for time, c in zip(times, fields, strict=True):
        assert errornorm(field(c.function_space(), time), c) < 1e-12
    finer = FunctionSpace(mesh(2), "CG", 3)
    difference = onto(fields[2], finer).dat.data_ro - field(finer, 1.0).dat.data_ro
    assert COMM_WORLD.allreduce(np.abs(difference).max(initial=0), op=MAX) < 1e-10


@ranks
def test_other_files_are_refused(tmp_path):
    folder = COMM_WORLD.bcast(tmp_path)
    space = FunctionSpace(triangles(1), "CG", 1)
    write_states(folder, [field(space, 0.0)], TIMES[:1])
    if COMM_WORLD.rank == 0:
        (folder / "text.h5").write_text("text")
        with h5py.File(folder / "table.h5", "w", driver="core") as file:
            file["table"] = 1.0
    COMM_WORLD.barrier()
    for name, key, found in (
        ("nowhere.h5", "c", "No such file"),
        ("text.h5", "c", "unreadable content"),
        ("table.h5", "c", "only table; accepted: a checkpoint with states of c"),
        ("states.h5", "eta", "none (.*); accepted: a checkpoint with states of eta"),
    ):
        with pytest.raises(InputError, match=f"{name}: file: found {found}") as caught:
            read_states(folder / name, COMM_WORLD, key)
        assert len(str(caught.value).splitlines()) == 1
