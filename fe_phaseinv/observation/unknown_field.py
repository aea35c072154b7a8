"""A start that is estimated together with the laws, in few modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class UnknownField:
    """A field to be estimated together with the laws: base + modes q, with a Gaussian prior that wants it smooth.

    Parameters
    ----------
    base : numpy.ndarray, shape (local size,)
    modes : numpy.ndarray, shape (local size, k)
    slope : numpy.ndarray, shape (k,)
    precision : numpy.ndarray, shape (k, k)
        The prior's share in the cost is slope q + q precision q / 2, up to a constant.
    """

    base: np.ndarray
    modes: np.ndarray
    slope: np.ndarray
    precision: np.ndarray

    def at(self, q: np.ndarray) -> np.ndarray:
        """Return local nodal values.

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes.
        """
        return self.base + self.modes @ q

    def value(self, q: np.ndarray) -> float:
        """Return the share of the prior in the cost.

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes.
        """
        return float(self.slope @ q + 0.5 * q @ self.precision @ q)

    def gradient(self, q: np.ndarray) -> np.ndarray:
        """Return the derivative of `value`, shape (k,).

        Parameters
        ----------
        q : numpy.ndarray, shape (k,)
            Shares of the modes.
        """
        return self.slope + self.precision @ q
