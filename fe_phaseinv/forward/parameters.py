"""Coefficients of the laws: by law, as one flat array, and as functions in a form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import Function, VectorFunctionSpace

from fe_phaseinv.laws.relations import Law, Relation


class Parameters:
    """The coefficients of several laws.

    Parameters
    ----------
    relations : sequence of Relation
        The flat array holds their coefficients in this order.
    mesh : firedrake.MeshGeometry
    """

    def __init__(self, relations: Sequence[Relation], mesh):
        self.relations = tuple(relations)
        ends = np.cumsum([0] + [relation.basis.size for relation in relations])
        self.slices = {r.name: slice(a, b) for r, a, b in zip(relations, ends, ends[1:], strict=False)}
        self.size = int(ends[-1])
        self.functions = {
            r.name: Function(VectorFunctionSpace(mesh, "R", 0, dim=r.basis.size), name=r.name) for r in relations
        }

    def flat(self, coefficients: dict[str, Sequence[float]]) -> np.ndarray:
        """Give the flat array of coefficients by law; those not given are zero.

        Raises
        ------
        ValueError
            Where a law is not one of these, or more coefficients are given than it has.
        """
        m = np.zeros(self.size)
        for name, values in coefficients.items():
            if name not in self.slices:
                raise ValueError(f"no law {name!r} among {', '.join(self.slices)}")
            part = m[self.slices[name]]
            if len(values) > len(part):
                raise ValueError(f"{len(values)} coefficients for {name}, which has {len(part)}")
            part[: len(values)] = values
        return m

    def assign(self, m: np.ndarray) -> None:
        """Write a flat array into the functions."""
        for name, part in self.slices.items():
            self.functions[name].dat.data_wo[:] = m[part]

    def laws(self, m: np.ndarray) -> dict[str, Law]:
        """Return the laws by name."""
        return {r.name: Law(r, m[self.slices[r.name]]) for r in self.relations}

    def local(self, chosen: np.ndarray) -> dict[str, list[int]]:
        """For every law, which of its coefficients a boolean flat array chooses."""
        return {name: [int(i) for i in np.flatnonzero(chosen[part])] for name, part in self.slices.items()}
