"""The Hermite functions, for NumPy arrays."""

import numpy as np


def hermite_functions(size: int, x: np.ndarray) -> np.ndarray:
    """Evaluate the Hermite functions h_0 ... h_{size-1} by the three-term recurrence.

    Parameters
    ----------
    size : int
        Number of functions.
    x : numpy.ndarray
        Their argument, without a unit.

    Returns
    -------
    numpy.ndarray, shape (size, ...)
    """
    values = [np.pi**-0.25 * np.exp(-x * x / 2)]
    values.append(np.sqrt(2.0) * x * values[0])
    for n in range(1, size - 1):
        values.append(np.sqrt(2 / (n + 1)) * x * values[n] - np.sqrt(n / (n + 1)) * values[n - 1])
    return np.array(values[:size])
