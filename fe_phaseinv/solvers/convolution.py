"""Convolution with kernels that are known by their Fourier transform, on any mesh."""

from __future__ import annotations

import numpy as np
from firedrake import Function, FunctionSpace, VectorFunctionSpace, split

from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.solvers.spectra import spectrum


class Convolution:
    """h_n * eta for all functions h_n(k) of a law, and the law C2 * eta itself.

    The boundary is that of the mesh: periodic, or with a vanishing normal gradient, as if the field were reflected.

    Parameters
    ----------
    relation : Relation
        C2(k), with a basis whose functions decay, as `Hermite`.
    coefficients : firedrake.Function
        Coefficients of C2, in the real space.
    space : firedrake.FunctionSpace
        Space of eta.
    """

    def __init__(self, relation: Relation, coefficients: Function, space: FunctionSpace):
        size = relation.basis.size
        self.coefficients = coefficients
        self.functions = Function(VectorFunctionSpace(space.mesh(), space.ufl_element(), dim=size))
        self.change = Function(space)
        self._spectrum = spectrum(relation, space)

    def field(self):
        """Return C2 * eta as UFL, for the eta of the last `update`, plus any change."""
        parts = zip(self.coefficients, split(self.functions), strict=True)
        return sum(d * part for d, part in parts) + self.change

    def update(self, eta: np.ndarray) -> None:
        """Convolve a field with every function. Collective.

        Parameters
        ----------
        eta : numpy.ndarray, shape (nodes,)
            Local nodal values.
        """
        self.functions.dat.data_wo.reshape(len(eta), -1)[:] = self._spectrum.convolve_each(eta)

    def apply(self, columns: np.ndarray, roughly: bool = False) -> np.ndarray:
        """Return C2 * every column. Collective.

        Parameters
        ----------
        columns : numpy.ndarray, shape (nodes, columns)
            Local nodal values of fields.
        roughly : bool
            Whether an error of `ROUGH` is allowed.

        Returns
        -------
        numpy.ndarray, shape (nodes, columns)
        """
        convolve = self._spectrum.convolve_roughly if roughly else self._spectrum.convolve
        return convolve(self.coefficients.dat.data_ro.flatten(), columns)
