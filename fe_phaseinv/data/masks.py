"""Masks and maps that lie beside images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import InputError

FULL = (1, 255, 65535)
"""Numbers that a mask may have where it is wholly inside."""
COVERED = 0.5
"""Share of a pixel that lies in the domain from which on it has data."""


def shares(source: str, mask: NDArray) -> NDArray[np.float64]:
    """Return the share of each pixel that a mask says is inside.

    Parameters
    ----------
    source : str
        The file, for errors.
    mask : numpy.ndarray
        Booleans, or numbers from 0 (outside) to 1, 255 or 65535; NaN is outside.

    Raises
    ------
    InputError
        If its numbers are others.
    """
    accepted = "true and false, or numbers from 0 (outside) to 1, 255 or 65535 (inside)"
    if mask.dtype.kind not in "biuf":
        raise InputError(source, "mask", f"{mask.dtype} values", accepted)
    values = np.nan_to_num(mask.astype(float))
    high = values.max(initial=0.0)
    full = next((full for full in FULL if high <= full), np.inf)
    if values.min(initial=0.0) < 0 or not COVERED * full <= high:
        raise InputError(source, "mask", f"numbers from {values.min():g} to {high:g}", accepted)
    return values / full
