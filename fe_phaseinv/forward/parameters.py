"""Coefficients of the laws: where each is in one flat array, and the functions that hold them in a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from firedrake import Function, VectorFunctionSpace

from fe_phaseinv.laws.relations import Law, Relation


class CoefficientLayout:
    """Where the coefficients of several laws are in one flat array.

    Parameters
    ----------
    relations : sequence of Relation
        The flat array holds their coefficients in this order.

    Attributes
    ----------
    slices : dict of slice
        By law, its part of the flat array.
    size : int
        Number of all coefficients.
    """

    def __init__(self, relations: Sequence[Relation]):
        self.relations = tuple(relations)
        ends = np.cumsum([0] + [relation.basis.size for relation in relations])
        self.slices = {r.name: slice(int(a), int(b)) for r, a, b in zip(relations, ends, ends[1:], strict=False)}
        self.size = int(ends[-1])

    def flat(self, coefficients: Mapping[str, Sequence[float]]) -> np.ndarray:
        """Return the flat array of coefficients by law; those not given are zero.

        Parameters
        ----------
        coefficients : mapping of sequence of float
            By law, its first coefficients.

        Returns
        -------
        numpy.ndarray, shape (size,)

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

    def from_laws(self, laws: Mapping[str, float | Sequence[float]]) -> np.ndarray:
        """Return the flat array of laws as a user gives them, all of them.

        Parameters
        ----------
        laws : mapping of float or of sequence of float
            By law, a number (kappa, not its logarithm) or the first coefficients, as for `Relation.coefficients`.

        Returns
        -------
        numpy.ndarray, shape (size,)

        Raises
        ------
        ValueError
            Where a law is missing or unknown, or is given by what it cannot be.
        """
        if {*laws} != {*self.slices}:
            raise ValueError(f"laws: found {', '.join(laws) or 'none'}; accepted: all of {', '.join(self.slices)}")
        return np.concatenate([relation.coefficients(laws[relation.name]) for relation in self.relations])

    def laws(self, m: np.ndarray) -> dict[str, Law]:
        """Return the laws by name.

        Parameters
        ----------
        m : numpy.ndarray, shape (size,)
            Flat array of coefficients.
        """
        return {r.name: Law(r, m[self.slices[r.name]]) for r in self.relations}

    def local(self, chosen: np.ndarray) -> dict[str, list[int]]:
        """Return, for every law, which of its coefficients a boolean flat array chooses.

        Parameters
        ----------
        chosen : numpy.ndarray of bool, shape (size,)
            Which coefficients are chosen.
        """
        return {name: [int(i) for i in np.flatnonzero(chosen[part])] for name, part in self.slices.items()}


class CoefficientFunctions:
    """The coefficients of several laws as functions of the real space, which a form can hold.

    Parameters
    ----------
    layout : CoefficientLayout
        Where they are in a flat array.
    mesh : firedrake.MeshGeometry
        Mesh of the form.

    Attributes
    ----------
    functions : dict of firedrake.Function
        By law, a vector-valued function of the real space.
    """

    def __init__(self, layout: CoefficientLayout, mesh):
        self.layout = layout
        self.functions = {
            r.name: Function(VectorFunctionSpace(mesh, "R", 0, dim=r.basis.size), name=r.name) for r in layout.relations
        }

    def assign(self, m: np.ndarray) -> None:
        """Write a flat array into the functions.

        Parameters
        ----------
        m : numpy.ndarray, shape (size,)
            The same on all ranks.
        """
        for name, part in self.layout.slices.items():
            self.functions[name].dat.data_wo[:] = m[part]

    def values(self) -> np.ndarray:
        """Return the flat array that the functions hold."""
        return np.concatenate([function.dat.data_ro.ravel() for function in self.functions.values()])
