"""Groups of ranks that work side by side, each on series of images of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from firedrake import Ensemble
from mpi4py import MPI

from fe_phaseinv.core.parallel import on_each


@dataclass(frozen=True, eq=False)
class SeriesEnsemble:
    """Ranks in groups of the same size, among which series of images are dealt: `together` or `side_by_side`.

    Where there are more groups than series, several have the same one, and share the work of it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All ranks.
    within : mpi4py.MPI.Comm
        Those of this rank's group, on which the meshes of its series are built.
    count : int
        Number of series.
    ensemble : firedrake.Ensemble, optional
        Which owns `within` where there are several groups.
    beside : mpi4py.MPI.Comm, optional
        This rank and those of other groups with the same series.
    """

    comm: MPI.Comm
    within: MPI.Comm
    count: int
    _: KW_ONLY
    ensemble: Ensemble | None = None
    beside: MPI.Comm | None = None

    @classmethod
    def together(cls, comm: MPI.Comm, count: int = 1) -> SeriesEnsemble:
        """Return one group, which takes the series one after the other.

        Parameters
        ----------
        comm : mpi4py.MPI.Comm
            All ranks.
        count : int
            Number of series.
        """
        return cls(comm, comm, count)

    @classmethod
    def side_by_side(cls, comm: MPI.Comm, count: int) -> SeriesEnsemble:
        """Return as many groups as ranks can be divided into, and no more than there are series. Collective.

        Parameters
        ----------
        comm : mpi4py.MPI.Comm
            All ranks.
        count : int
            Number of series.
        """
        number = max(n for n in range(1, min(comm.size, count) + 1) if comm.size % n == 0)
        if number == 1:
            return cls.together(comm, count)
        ensemble = Ensemble(comm, comm.size // number)
        return cls(comm, ensemble.comm, count, ensemble=ensemble)

    @classmethod
    def one_by_one(cls, comm: MPI.Comm, count: int) -> SeriesEnsemble:
        """Return a group for each rank, as many for each of the series, or those of `side_by_side`. Collective.

        Ranks share the runs of a series, not its mesh: for small ones, which are solved on two ranks no faster than on
        one.

        Parameters
        ----------
        comm : mpi4py.MPI.Comm
            All ranks.
        count : int
            Number of series.
        """
        if comm.size <= count or comm.size % count:
            return cls.side_by_side(comm, count)
        ensemble = Ensemble(comm, 1)
        beside = comm.Split(comm.rank % count, comm.rank)
        return cls(comm, ensemble.comm, count, ensemble=ensemble, beside=beside)

    @property
    def number(self) -> int:
        """Number of groups."""
        return self.comm.size // self.within.size

    @property
    def own(self) -> range:
        """Indices of the series of this rank's group."""
        return range(self._group % self._different, self.count, self._different)

    @property
    def first(self) -> bool:
        """Whether no group before this rank's has the same series."""
        return self._group < self._different

    @property
    def _group(self) -> int:
        return self.comm.rank // self.within.size

    @property
    def _different(self) -> int:
        """Number of groups with different series."""
        return min(self.number, self.count)

    def gather(self, values: Sequence[Any]) -> list[Any]:
        """Return a value of each series, in their order and the same on all ranks. Collective.

        Parameters
        ----------
        values : sequence
            Of the own series, the same on all ranks of a group. That of the first rank that has it reaches all others.
        """
        if self.number == 1:
            return list(values)
        own = dict(zip(self.own, values, strict=True))
        first = [index % self._different * self.within.size for index in range(self.count)]
        return [self.comm.bcast(own.get(index), root=rank) for index, rank in enumerate(first)]

    def of_groups(self, value: Any) -> list[Any]:
        """Return a value of each group, the same on all ranks. Collective.

        Parameters
        ----------
        value : object
            Of this group, the same on all of its ranks.
        """
        return self.comm.allgather(value)[:: self.within.size]

    def build(self, make: Callable[[int], Any]) -> list[Any]:
        """Return what a function makes of each of the own series. Collective.

        Parameters
        ----------
        make : callable
            Of the index of a series. Within a group it raises on all ranks or on none.

        Raises
        ------
        BaseException
            Whatever `make` raises in any group, on all ranks. Where it cannot be pickled, other ranks raise a
            RuntimeError with its text.
        """
        if self.number == 1:
            return [make(index) for index in self.own]
        made = []
        on_each(self.comm, lambda: made.extend(make(index) for index in self.own))  # what is made stays where it is
        return made
