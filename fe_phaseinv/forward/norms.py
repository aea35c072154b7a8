"""Means, norms and ranges of a field over the domain, the same on all ranks."""

from __future__ import annotations

import numpy as np
from firedrake import FunctionSpace, TestFunction, assemble, dx
from mpi4py import MPI

from fe_phaseinv.core.parallel import total


class LumpedNorm:
    """Root mean square over the domain, by the lumped masses of the nodes.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        Scalar space of the field.
    quadrature : int
        Degree of the quadrature.

    Attributes
    ----------
    mean_weights : numpy.ndarray, shape (nodes,)
        Weights of the nodal values in the mean.
    """

    def __init__(self, space: FunctionSpace, quadrature: int):
        self.comm = space.mesh().comm
        integrals = assemble(TestFunction(space) * dx(degree=quadrature)).dat.data_ro.copy()
        self._masses = np.abs(integrals)  # rounding leaves some below zero
        self._volume = total(self.comm, self._masses.sum())
        self.mean_weights = integrals / total(self.comm, integrals.sum())

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of arrays over the ranks. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            The addend of this rank.
        """
        return total(self.comm, values)

    def mean(self, values: np.ndarray) -> float | np.ndarray:
        """Return the mean over the domain of a local array, or of each column. Collective.

        Parameters
        ----------
        values : numpy.ndarray, shape (nodes,) or (nodes, columns)
            Local nodal values.
        """
        return total(self.comm, self.mean_weights @ values)

    def __call__(self, c: np.ndarray) -> float:
        """Return the root mean square of a local array. Collective."""
        return float(np.sqrt(total(self.comm, self._masses @ c**2) / self._volume))

    def fluctuation(self, c: np.ndarray) -> float:
        """Return the root mean square deviation from the mean. Collective.

        Parameters
        ----------
        c : numpy.ndarray, shape (nodes,)
            Local nodal values.
        """
        mean = total(self.comm, self._masses @ c) / self._volume
        return self(c - mean)

    def range(self, c: np.ndarray) -> tuple[float, float]:
        """Return the smallest and the largest nodal value, both NaN where any is not finite. Collective.

        Parameters
        ----------
        c : numpy.ndarray, shape (nodes,)
            Local nodal values.
        """
        low, high = c.min(initial=np.inf), c.max(initial=-np.inf)
        # The smallest of several numbers may not be the NaN among them.
        local = np.full(2, -np.inf) if np.isnan(low) else np.array([low, -high])
        extremes = np.empty(2)
        self.comm.Allreduce(local, extremes, op=MPI.MIN)
        low, high = float(extremes[0]), -float(extremes[1])
        return (np.nan, np.nan) if low == -np.inf or high == np.inf else (low, high)
