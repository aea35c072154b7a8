"""Allen-Cahn equation with learnt chemical potential, kinetic prefactor and gradient energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import ufl

from fe_phaseinv.laws.bases import Basis, Expansion
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.models.interface import FunctionLaw, Model, NumberLaw


@dataclass(frozen=True)
class AllenCahn(Model):
    """dc/dt = -R0(c) mu, mu = mu_h(c) - kappa lap c, with zero normal gradient.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 2.

    Parameters
    ----------
    chemical_potential : Basis, Expansion or Relation
        mu_h(c), in units of kT.
    kinetic_prefactor : Basis or Relation
        R0(c), in units of 1/time; a basis is that of its logarithm.
    gradient_energy : Relation, optional
        kappa, a positive number in units of length^2.

    Raises
    ------
    ValueError
        Where a law is none of these, or a relation has the name of another law.
    """

    chemical_potential: Basis | Expansion | Relation
    kinetic_prefactor: Basis | Relation
    gradient_energy: Relation | None = None

    name: ClassVar[str] = "allen-cahn"
    fields: ClassVar[tuple[str, ...]] = ("c",)
    laws: ClassVar[tuple[FunctionLaw | NumberLaw, ...]] = (
        FunctionLaw("chemical_potential"),
        FunctionLaw("kinetic_prefactor", positive=True),
        NumberLaw("gradient_energy", initial=1e-3),
    )
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinetics: ClassVar[str] = "kinetic_prefactor"
    gauge: ClassVar[dict[str, int]] = {"chemical_potential": 1, "gradient_energy": 1, "kinetic_prefactor": -1}
    scale: ClassVar[str] = "gradient_energy"
    invariance: ClassVar[str] = "(mu_h, kappa, R0) and (s mu_h, s kappa, R0/s)"

    def residual(self, fields, rate, laws, tests):
        """Integrand of the weak form; the arguments are those of `Model.residual`."""
        (c,), (v,) = fields, tests
        weighted = laws["kinetic_prefactor"](c) * v
        gradient = laws["gradient_energy"](c) * ufl.dot(ufl.grad(c), ufl.grad(weighted))
        return rate * v + laws["chemical_potential"](c) * weighted + gradient

    def boundary(self, fields, slope, laws, tests):
        """Integrand over the boundary where the normal gradient of c is a given slope."""
        (c,), (v,) = fields, tests
        return -laws["gradient_energy"](c) * laws["kinetic_prefactor"](c) * slope * v
