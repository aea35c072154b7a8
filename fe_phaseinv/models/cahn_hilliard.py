"""Cahn-Hilliard equation with learnt chemical potential, diffusivity and gradient energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import ufl

from fe_phaseinv.laws.bases import Basis, Expansion
from fe_phaseinv.laws.relations import ENTROPY_CUT, Relation
from fe_phaseinv.models.interface import FunctionLaw, Model, NumberLaw


def kept_positive(c):
    """Return c, continued below `ENTROPY_CUT` by an exponential: with a negative mobility nothing can be solved.

    Parameters
    ----------
    c : ufl.core.expr.Expr
    """
    cut = ENTROPY_CUT
    return ufl.conditional(ufl.gt(c, cut), c, cut * ufl.exp((ufl.min_value(c, cut) - cut) / cut))


@dataclass(frozen=True)
class CahnHilliard(Model):
    """dc/dt = div(D(c) c grad mu), mu = mu_h(c) - kappa lap c, with no flux and zero normal gradient.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 1.

    Parameters
    ----------
    chemical_potential : Basis, Expansion or Relation
        mu_h(c), in units of kT; a constant that is added to it changes nothing.
    diffusivity : Basis or Relation
        D(c), in units of length^2/time; a basis is that of its logarithm.
    gradient_energy : Relation, optional
        kappa, a positive number in units of length^2.
    weighted : bool
        Whether the mobility is D(c) c, as that of particles which move independently; otherwise it is D(c) alone.

    Raises
    ------
    ValueError
        Where a law is none of these, or a relation has the name of another law.
    """

    chemical_potential: Basis | Expansion | Relation
    diffusivity: Basis | Relation
    gradient_energy: Relation | None = None
    weighted: bool = True

    name: ClassVar[str] = "cahn-hilliard"
    fields: ClassVar[tuple[str, ...]] = ("c", "mu")
    laws: ClassVar[tuple[FunctionLaw | NumberLaw, ...]] = (
        FunctionLaw("chemical_potential", constant=False),
        FunctionLaw("diffusivity", positive=True),
        NumberLaw("gradient_energy", initial=1e-3),
    )
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    conserved: ClassVar[bool] = True
    kinetics: ClassVar[str] = "diffusivity"
    gauge: ClassVar[dict[str, int]] = {"chemical_potential": 1, "gradient_energy": 1, "diffusivity": -1}
    scale: ClassVar[str] = "gradient_energy"
    invariance: ClassVar[str] = "(mu_h, kappa, D) and (s mu_h, s kappa, D/s)"

    def residual(self, fields, rate, laws, tests):
        """Return the integrand of the weak form of c and mu; the arguments are those of `Model.residual`."""
        (c, mu), (v, q) = fields, tests
        mobility = laws["diffusivity"](c) * (kept_positive(c) if self.weighted else 1)
        kappa = laws["gradient_energy"](c)
        balance = rate * v + mobility * ufl.dot(ufl.grad(mu), ufl.grad(v))
        potential = (mu - laws["chemical_potential"](c)) * q - kappa * ufl.dot(ufl.grad(c), ufl.grad(q))
        return balance + potential

    def boundary(self, fields, slope, laws, tests):
        """Return the integrand over the boundary where the normal gradient of c is a given slope."""
        return laws["gradient_energy"](fields[0]) * slope * tests[1]
