"""Sequences read from their end: every item once and right, in the memory allowed."""

import numpy as np
import pytest
from mpi4py.MPI import COMM_SELF, COMM_WORLD

from fe_phaseinv.forward.checkpoints import History, Storage

WINDOW = 3
FIRST = (np.array([1.0, 0.5]), np.array([2.0, 0.1]))
SIZE = 32


def advance(number, past):
    assert 1 <= len(past) == min(number, WINDOW)
    a, b = (0.3 * sum(part) for part in zip(*past, strict=True))
    return a + 0.1 * b + number, b - 0.1 * a


def history(count, storage, comm=COMM_SELF):
    return History(FIRST, count, advance, window=WINDOW, size=SIZE, storage=storage, comm=comm)


def expected(count):
    items = [FIRST]
    for number in range(1, count + 1):
        items.append(advance(number, items[: -WINDOW - 1 : -1]))
    return items


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("checkpoints", [1, 2, 5])
@pytest.mark.parametrize("disk", [0, 3])
def test_items_come_back_from_checkpoints(count, checkpoints, disk):
    memory = 0 if disk and checkpoints == 1 else checkpoints * WINDOW * SIZE
    found = list(history(count, Storage(min(memory, count * SIZE), disk)).backwards())
    assert [number for number, _ in found] == list(range(count, 0, -1))
    for number, item in found:
        np.testing.assert_array_equal(item, expected(count)[number])


def test_more_memory_saves_work():
    work = []
    for checkpoints in (1, 3, 8):
        items = history(40, Storage(checkpoints * WINDOW * SIZE))
        list(items.backwards())
        work.append(items.computed)
    assert work[0] > 3 * work[1] > 3 * work[2] > 3 * 40


@pytest.mark.parallel(3)
def test_a_file_that_one_rank_cannot_write_is_an_error_on_all(monkeypatch):
    def full(*_):
        raise OSError("no space left")

    if COMM_WORLD.rank == 1:
        monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space left" if COMM_WORLD.rank == 1 else "on another rank"):
        history(9, Storage(0, 2), COMM_WORLD)


def test_everything_in_memory_is_computed_once_and_read_twice():
    items = history(9, Storage())
    for _ in range(2):
        assert len(list(items.backwards())) == 9
    assert items.computed == 9
