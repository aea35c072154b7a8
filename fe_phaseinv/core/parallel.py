"""What happens on the root rank alone, and what is shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def on_root(comm, call: Callable, *args):
    """Run call(*args) on rank 0 and give its result, or its exception, to all ranks."""
    result = error = None
    if comm.rank == 0:
        try:
            result = call(*args)
        except Exception as caught:  # every rank must hear of it, or the others wait for ever
            error = caught
    result, error = comm.bcast((result, error))
    if error is not None:
        raise error
    return result


def total(comm, values):
    """Sum of a float or an array over the ranks, the same on all."""
    array = np.asarray(values, dtype=float, order="C")
    result = np.empty_like(array)
    comm.Allreduce(array, result)
    return result if array.ndim else float(result)


def extremes(comm, values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest of the values on all ranks, apart from NaN."""
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    return comm.allreduce(float(low), op=min), comm.allreduce(float(high), op=max)
