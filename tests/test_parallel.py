"""What happens on the root alone, and what is shared."""

import numpy as np
import pytest
from mpi4py.MPI import COMM_WORLD

from fe_phaseinv.errors import InputError
from fe_phaseinv.parallel import on_root, total

ranks = pytest.mark.parallel([1, 3])


@ranks
def test_only_the_root_calls_and_all_have_the_result():
    calls = []

    def call(*arguments):
        calls.append(arguments)
        return {"rank": COMM_WORLD.rank, "sum": sum(arguments)}

    assert on_root(COMM_WORLD, call, 2, 3) == {"rank": 0, "sum": 5}
    assert calls == ([(2, 3)] if COMM_WORLD.rank == 0 else [])


@ranks
def test_an_exception_reaches_all():
    def call():
        assert COMM_WORLD.rank == 0
        raise InputError("case.toml", "key", 3, "text")

    with pytest.raises(InputError, match="^case.toml: key: found 3; accepted: text$"):
        on_root(COMM_WORLD, call)
    assert on_root(COMM_WORLD, lambda: None) is None


@ranks
def test_total():
    n, rank = COMM_WORLD.size, COMM_WORLD.rank
    assert total(COMM_WORLD, rank + 0.5) == n * (n - 1) / 2 + n / 2
    assert isinstance(total(COMM_WORLD, 1), float)
    for array in (np.arange(6).reshape(2, 3), np.ones((4, 2)).T, np.arange(5.0)[::2], np.zeros((0, 2))):
        found = total(COMM_WORLD, (rank + 1) * array)
        np.testing.assert_array_equal(found, n * (n + 1) / 2 * array)
        assert found.dtype == float
