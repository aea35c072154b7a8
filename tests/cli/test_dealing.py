"""How ranks are dealt to the series of a case."""

import pytest
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.dealing import draws_dealt, runs_dealt
from fe_phaseinv.core.parallel import on_root

CASE = """
model = "cahn-hilliard"
[images]
file = "images.npz"
[laws.diffusivity]
size = 2
[laws.gradient_energy]
initial = 4e-3
[laws.chemical_potential]
ideal_entropy = true
"""


@pytest.mark.parallel([1, 3])
@pytest.mark.parametrize(
    ("overrides", "sharing"),
    [
        ([], True),
        (["domain.cells=100"], False),
        (["domain.cells=40", "domain.degree=4"], True),
        (["heterogeneity.length=0.1", "heterogeneity.deviation=0.3"], False),
        (["optimizer.hessian='newton'"], False),
    ],
)
def test_ranks_share_the_runs_of_small_meshes(tmp_path_factory, movie, overrides, sharing):
    folder = on_root(COMM_WORLD, tmp_path_factory.mktemp, "case")
    on_root(COMM_WORLD, (folder / "case.toml").write_text, CASE)
    on_root(COMM_WORLD, movie.save, folder / "images.npz")
    case = read_case(folder / "case.toml", overrides)
    groups = runs_dealt(case, [(movie, (1, 2))], COMM_WORLD)
    assert (groups.beside is not None) == (sharing and COMM_WORLD.size > 1)
    assert groups.within.size == (1 if sharing else COMM_WORLD.size)
    assert COMM_WORLD.allgather(list(groups.own)) == [[0]] * COMM_WORLD.size
    assert COMM_WORLD.allreduce(groups.first) == (1 if sharing else COMM_WORLD.size)
    alone = draws_dealt(case, [(movie, (1, 2))], COMM_WORLD)
    assert alone.comm.size == (COMM_WORLD.size if "domain.cells=100" in overrides else 1)
    assert (alone.within, alone.beside, list(alone.own)) == (alone.comm, None, [0])
