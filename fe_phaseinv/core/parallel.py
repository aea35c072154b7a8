"""What happens on the root rank alone, and what is shared."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import ArrayLike


def on_root(comm: MPI.Comm, call: Callable[..., Any], *args: Any) -> Any:
    """Run a call on rank 0 and give its result, or its exception, to all ranks. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks that hear of it.
    call : callable
        What rank 0 calls. Its result is pickled.
    *args : object
        Arguments of the call.

    Returns
    -------
    object
        The result of the call, a copy on each rank.

    Raises
    ------
    BaseException
        Whatever the call raises, interruptions included, on all ranks. Where it cannot be pickled, the other ranks
        raise a RuntimeError with its text.
    """
    message, own_error = _attempted(call, *args) if comm.rank == 0 else (None, None)
    result, error = pickle.loads(comm.bcast(message))
    if error is not None:
        raise own_error or error
    return result


def dealt(comm: MPI.Comm | None, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make each call on one of the ranks, which take turns, and give all results to all of them. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
        The ranks; where there is none, this one makes all calls.
    calls : sequence of callable
        As many on all ranks. Results are pickled.

    Raises
    ------
    BaseException
        Whatever one of the calls raises, on all ranks. Where it cannot be pickled, other ranks raise a RuntimeError
        with its text.
    """
    if comm is None:
        return [call() for call in calls]
    parts = on_each(comm, lambda: [call() for call in calls[comm.rank :: comm.size]])
    return [parts[number % comm.size][number // comm.size] for number in range(len(calls))]


def on_each(comm: MPI.Comm, call: Callable[[], Any]) -> list[Any]:
    """Make a call on each rank, and give the results of all, in the order of the ranks, to all of them. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks.
    call : callable
        Its results are pickled.

    Raises
    ------
    BaseException
        Whatever the call raises on one of the ranks, on all. Where it cannot be pickled, other ranks raise a
        RuntimeError with its text.
    """
    message, own_error = _attempted(call)
    results, errors = zip(*map(pickle.loads, comm.allgather(message)), strict=True)
    for error in filter(None, (own_error, *errors)):
        raise error
    return list(results)


def _attempted(call: Callable[..., Any], *args: Any) -> tuple[bytes, BaseException | None]:
    """Return the pickled pair of the result of a call and of the exception it raised, and this exception itself."""
    try:
        return pickle.dumps((call(*args), None)), None
    except BaseException as caught:  # every rank must hear of it, or the others wait for ever
        return _packed_error(caught), caught


def _packed_error(error: BaseException) -> bytes:
    """Pickle the pair of None and an exception so that it can be unpickled: itself, or else its text."""
    try:
        message = pickle.dumps((None, error))
        if isinstance(pickle.loads(message)[1], type(error)):
            return message
    except Exception:  # its class is local, or its constructor takes other arguments than it keeps
        pass
    return pickle.dumps((None, RuntimeError(f"another rank raised {type(error).__name__}: {error}")))


def any_rank(comm: MPI.Comm, flag: bool) -> bool:
    """Say whether a flag is set on at least one rank. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks that are asked.
    flag : bool
        The flag of this rank.

    Returns
    -------
    bool
        The same on all ranks.
    """
    return comm.allreduce(bool(flag), op=MPI.LOR)


def total(comm: MPI.Comm, values: ArrayLike) -> float | np.ndarray:
    """Sum a float or an array over the ranks. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks that sum.
    values : array_like
        The addend of this rank, of the same shape on all ranks; NaN on one rank is NaN in the sum.

    Returns
    -------
    float or numpy.ndarray
        The sum as float64, the same on all ranks; a float where the addend has no axes.
    """
    array = np.asarray(values, dtype=float, order="C")
    result = np.empty_like(array)
    comm.Allreduce(array, result)
    return result if array.ndim else float(result)


def extremes(comm: MPI.Comm, values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest finite value on all ranks. Collective.

    NaN and infinities are ignored. A caller for whom they are a failure asks `any_rank` first.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks that compare.
    values : numpy.ndarray
        Values of this rank, possibly none.

    Returns
    -------
    low, high : float
        The same on all ranks; infinity and minus infinity where no value is finite.
    """
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    return comm.allreduce(float(low), op=min), comm.allreduce(float(high), op=max)
