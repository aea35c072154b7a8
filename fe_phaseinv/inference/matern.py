"""Gaussian priors of fields: smooth ones of a given size and length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from firedrake import Cofunction, Function, FunctionSpace
from firedrake.adjoint import AutoregressiveCovariance
from pyadjoint import stop_annotating

from fe_phaseinv.solvers.bordered import KSPFactor
from fe_phaseinv.solvers.linear_algebra import product

STEPS = 4
"""Of diffusion: the fewest whose lengths Firedrake knows in the plane, where it gives Matern's smoothness 3."""


@dataclass(frozen=True)
class Matern:
    """What is expected of an unknown field: its deviation from a mean, of Gaussian density.

    Parameters
    ----------
    deviation : float
        Standard deviation at a point, in the units of the field.
    length : float
        Over which values are correlated, in the units of the mesh.

    Raises
    ------
    ValueError
        Where one of them is not positive.
    """

    deviation: float
    length: float

    def __post_init__(self):
        """Refuse what cannot be."""
        if not (self.deviation > 0 and self.length > 0):
            raise ValueError(f"deviation {self.deviation} and length {self.length} of a prior must be positive")


class FieldPrior:
    """A Matern prior on a mesh: Firedrake's covariance operator, with the factors of its matrices.

    Weaver and Mirouze, Q. J. R. Meteorol. Soc. 139, 242 (2013); Lindgren, Rue and Lindstrom, J. R. Stat. Soc. B 73, 423
    (2011). Nothing is prescribed on the boundary, next to which fields vary somewhat more.

    Parameters
    ----------
    matern : Matern
    space : firedrake.FunctionSpace

    Raises
    ------
    ValueError
        On hexahedra, for which Firedrake has no such operator.
    """

    def __init__(self, matern: Matern, space: FunctionSpace):
        if space.mesh().ufl_cell().cellname == "hexahedron":
            raise ValueError("a field on hexahedra can have no prior: tetrahedra are needed")
        self.matern = matern
        self._covariance = AutoregressiveCovariance(space, matern.length, matern.deviation, m=STEPS)
        with stop_annotating():  # the first calls make the factors
            self._covariance.apply_action(Cofunction(space.dual()))
            self._covariance.apply_inverse(Function(space))
        solvers = self._covariance.solver, self._covariance.mass_solver
        self._undiffused, self._unmass = (KSPFactor(solver.snes.getKSP()) for solver in solvers)
        self._diffusion, self._mass = (each.ksp.getOperators()[0] for each in (self._undiffused, self._unmass))
        self._variance = matern.deviation**2 * float(self._covariance.lambda_m)

    def precision(self, field: np.ndarray) -> np.ndarray:
        """Return the inverse of the covariance times a field: local integrals. Collective.

        Parameters
        ----------
        field : numpy.ndarray
            Local nodal values.
        """
        found = product(self._diffusion, field)
        for _ in range(STEPS - 1):
            found = product(self._diffusion, self._unmass.solve(found))
        return found / self._variance

    def covariance(self, integrals: np.ndarray) -> np.ndarray:
        """Return the covariance times a derivative: local nodal values. Collective.

        Parameters
        ----------
        integrals : numpy.ndarray
            Local integrals.
        """
        found = self._undiffused.solve(integrals)
        for _ in range(STEPS - 1):
            found = self._undiffused.solve(product(self._mass, found))
        return found * self._variance

    @property
    def riesz_map(self) -> Callable[[Cofunction], Function]:
        """The covariance, from derivatives to fields, as pyadjoint's controls take it; calls are collective."""
        return self._covariance.apply_action
