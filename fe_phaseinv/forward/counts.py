"""How much a forward model has done."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass
class Counts:
    """Work done so far: runs without and with sensitivities, what these took, and sweeps backwards."""

    forward: int = 0
    tangent: int = 0
    steps: int = 0
    factorisations: int = 0
    seconds_forward: float = 0.0
    seconds_sensitivities: float = 0.0
    adjoint: int = 0
    second: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Work of two forward models together."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))
