"""Allen-Cahn equation with learnt chemical potential, kinetic prefactor and gradient energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import ufl

from fe_phaseinv.laws.bases import Constant
from fe_phaseinv.laws.relations import Relation, positive


@dataclass(frozen=True)
class AllenCahn:
    """dc/dt = -R0(c) mu, mu = mu_h(c) - kappa lap c, with zero normal gradient.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 2.

    Parameters
    ----------
    chemical_potential : Relation
        mu_h(c), in units of kT.
    kinetic_prefactor : Relation
        R0(c), in units of 1/time.
    gradient_energy : Relation
        kappa, in units of length^2.
    """

    chemical_potential: Relation
    kinetic_prefactor: Relation
    gradient_energy: Relation = Relation("gradient_energy", Constant(), positive)

    name: ClassVar[str] = "allen-cahn"
    fields: ClassVar[tuple[str, ...]] = ("c",)
    kernel: ClassVar[None] = None
    conserved: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    immaterial: ClassVar[tuple[str, ...]] = ()
    scaling: ClassVar[tuple[str, str, str]] = ("chemical_potential", "gradient_energy", "kinetic_prefactor")
    """The laws (mu_h, kappa, R0) that (s mu_h, s kappa, R0/s) leave the dynamics unchanged."""
    freedom: ClassVar[str] = "(mu_h, kappa, R0) and (s mu_h, s kappa, R0/s)"
    negative: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Coefficients below zero, by law and number."""

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The laws, in the order of their coefficients."""
        return self.chemical_potential, self.kinetic_prefactor, self.gradient_energy

    def residual(self, fields, rate, laws, tests):
        """Integrand of the weak form; the arguments are those of `CahnHilliard.residual`."""
        (c,), (v,) = fields, tests
        weighted = laws["kinetic_prefactor"](c) * v
        gradient = laws["gradient_energy"](c) * ufl.dot(ufl.grad(c), ufl.grad(weighted))
        return rate * v + laws["chemical_potential"](c) * weighted + gradient

    def boundary(self, fields, slope, laws, tests):
        """Integrand over the boundary where the normal gradient of c is not zero but a given slope."""
        (c,), (v,) = fields, tests
        return -laws["gradient_energy"](c) * laws["kinetic_prefactor"](c) * slope * v
