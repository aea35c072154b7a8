"""Sequences of which each item follows from the last ones, read again from their end, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from checkpoint_schedules import (
    Copy,
    EndForward,
    Forward,
    Move,
    MultistageCheckpointSchedule,
    Reverse,
    StorageType,
)
from mpi4py import MPI

from fe_phaseinv.core.parallel import any_rank

Item = Sequence[np.ndarray]
"""Arrays of the same shape, such as a state and its change."""


@dataclass(frozen=True)
class Storage:
    """What may be kept of a run for its derivatives.

    Parameters
    ----------
    states : float
        Bytes on each process for states and their changes; checkpoints are kept where they do not all fit. Infinity
        keeps all.
    files : int
        Number of further checkpoints in files, in the folder for temporary files.
    factors : float
        Bytes, on all processes together, for factors of Jacobians; what does not fit is factorised in every sweep.

    Raises
    ------
    ValueError
        Where a value is negative or NaN, or the number of files is not whole.
    """

    states: float = np.inf
    files: int = 0
    factors: float = 2e9

    def __post_init__(self):
        """Refuse what is no size."""
        for name in ("states", "factors"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: found {getattr(self, name)}; accepted: bytes, zero or more")
        if not isinstance(self.files, Integral) or self.files < 0:
            raise ValueError(f"files: found {self.files}; accepted: a whole number, zero or more")


class History:
    """Items 0 to n, computed once to the end, then given from the last one to the first.

    Where they do not fit into memory they are computed again from checkpoints, which are placed by the schedule that
    needs the fewest steps (Griewank and Walther, ACM Trans. Math. Softw. 26, 19 (2000)).

    Parameters
    ----------
    first : sequence of numpy.ndarray
        Item 0.
    count : int
        n, at least 1.
    advance : callable
        Of the number of an item and the items before it, newest first: gives that item.
    window : int
        Most items that `advance` looks at.
    size : int
        Bytes of an item, the same on all processes.
    storage : Storage
        What may be kept.
    comm : mpi4py.MPI.Comm
        Processes that have a part of every item.

    Attributes
    ----------
    count : int
        n.
    computed : int
        Number of computations of an item so far.
    """

    def __init__(
        self,
        first: Item,
        count: int,
        advance: Callable[[int, list[Item]], Item],
        *,
        window: int,
        size: int,
        storage: Storage,
        comm: MPI.Comm,
    ):
        self.count, self.computed = count, 0
        self._items, self._playback = [first], None

        def following(number: int, past: list[Item]) -> Item:
            self.computed += 1
            return advance(number, past)

        if storage.states >= (count + 1) * size:
            for number in range(1, count + 1):
                self._items.append(following(number, self._items[: -window - 1 : -1]))
        else:
            checkpoints = max(int(storage.states // (window * size)), 0 if storage.files else 1)
            schedule = MultistageCheckpointSchedule(count, checkpoints, storage.files)
            self._playback = _Playback(first, following, window, schedule, comm)
            self._playback.to_end()

    def backwards(self) -> Iterator[tuple[int, Item]]:
        """Give number and item from n to 1; where items are computed again, this can be done once. Collective.

        Raises
        ------
        OSError
            Where a file cannot be written or read on some process; all of them raise it.
        """
        if self._playback is not None:
            yield from self._playback.backwards()
            return
        for number in range(self.count, 0, -1):
            yield number, self._items[number]


@dataclass(eq=False)
class _Playback:
    """Follows a schedule of checkpoints, each of which holds the items that the next one needs, newest first."""

    first: Item
    following: Callable[[int, list[Item]], Item]
    window: int
    schedule: MultistageCheckpointSchedule
    comm: MPI.Comm
    past: list[Item] = field(default_factory=list)
    memory: dict[int, list[Item]] = field(default_factory=dict)
    item: Item | None = None

    def __post_init__(self):
        self.actions, self.past = iter(self.schedule), [self.first]
        with _raised_by_all(self.comm):
            self.folder = TemporaryDirectory(prefix="fe_phaseinv-")

    def to_end(self) -> None:
        """Compute all items, storing the first checkpoints."""
        for action in self.actions:
            if isinstance(action, EndForward):
                return
            self._follow(action)

    def backwards(self) -> Iterator[tuple[int, Item]]:
        """Give the items, computing them again."""
        for action in self.actions:
            if isinstance(action, Reverse):
                yield action.n1, self.item
            else:
                self._follow(action)
        self.folder.cleanup()

    def _follow(self, action) -> None:
        if isinstance(action, Copy | Move):
            self.past = self._load(action.n, action.from_storage, isinstance(action, Move))
        elif isinstance(action, Forward):
            if action.write_ics:
                self._store(action.n0, action.storage)
            for number in range(action.n0 + 1, action.n1 + 1):
                self.item = self.following(number, self.past)
                self.past = [self.item, *self.past][: self.window]

    def _file(self, number: int) -> Path:
        return Path(self.folder.name) / f"{number}.npy"

    def _store(self, number: int, where: StorageType) -> None:
        if where is StorageType.DISK:
            with _raised_by_all(self.comm):
                np.save(self._file(number), np.array(self.past))
        else:
            self.memory[number] = self.past

    def _load(self, number: int, where: StorageType, last_time: bool) -> list[Item]:
        if where is StorageType.DISK:
            with _raised_by_all(self.comm):
                return list(np.load(self._file(number)))
        return self.memory.pop(number) if last_time else self.memory[number]


@contextmanager
def _raised_by_all(comm: MPI.Comm) -> Iterator[None]:
    """Raise on all ranks what a file system does to one, or the others would wait for it for ever."""
    error = None
    try:
        yield
    except OSError as caught:
        error = caught
    if any_rank(comm, error is not None):
        raise error or OSError("a checkpoint could not be written or read on another rank")
