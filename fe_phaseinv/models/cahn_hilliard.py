"""Cahn-Hilliard equation with learnt chemical potential, diffusivity and gradient energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import ufl

from fe_phaseinv.laws.bases import Constant
from fe_phaseinv.laws.relations import ENTROPY_CUT, Relation, positive


def kept_positive(c):
    """Return c, continued below `ENTROPY_CUT` by an exponential: with a negative mobility nothing can be solved."""
    cut = ENTROPY_CUT
    return ufl.conditional(ufl.gt(c, cut), c, cut * ufl.exp((ufl.min_value(c, cut) - cut) / cut))


@dataclass(frozen=True)
class CahnHilliard:
    """dc/dt = div(D(c) c grad mu), mu = mu_h(c) - kappa lap c, with no flux and zero normal gradient.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 1.

    Parameters
    ----------
    chemical_potential : Relation
        mu_h(c), in units of kT; its constant is immaterial.
    diffusivity : Relation
        D(c), in units of length^2/time.
    gradient_energy : Relation
        kappa, in units of length^2.
    weighted : bool
        Whether the mobility is D(c) c, as that of particles which move independently; otherwise it is D(c) alone.
    """

    chemical_potential: Relation
    diffusivity: Relation
    gradient_energy: Relation = Relation("gradient_energy", Constant(), positive)
    weighted: bool = True

    name: ClassVar[str] = "cahn-hilliard"
    fields: ClassVar[tuple[str, ...]] = ("c", "mu")
    """The first field is the one that the images show and that carries the time derivative."""
    kernel: ClassVar[None] = None
    """A law that is a function of the wavenumber, by which the first field is convolved."""
    conserved: ClassVar[bool] = True
    """Whether the integral of the first field changes by what passes the boundary alone."""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    immaterial: ClassVar[tuple[str, ...]] = ("chemical_potential",)
    """Laws whose constant changes nothing."""
    scaling: ClassVar[tuple[str, str, str]] = ("chemical_potential", "gradient_energy", "diffusivity")
    """The laws (mu_h, kappa, D) that (s mu_h, s kappa, D/s) leave the dynamics unchanged."""
    freedom: ClassVar[str] = "(mu_h, kappa, D) and (s mu_h, s kappa, D/s)"
    negative: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Coefficients below zero, by law and number."""

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The laws, in the order of their coefficients."""
        return self.chemical_potential, self.diffusivity, self.gradient_energy

    def residual(self, fields, rate, laws, tests):
        """Integrand of the weak form.

        Parameters
        ----------
        fields : tuple of ufl.core.expr.Expr
            c and mu.
        rate : ufl.core.expr.Expr
            dc/dt.
        laws : dict of callable
            By name: c -> value, as UFL.
        tests : tuple of ufl.core.expr.Expr
            Test functions of the two equations.
        """
        (c, mu), (v, q) = fields, tests
        mobility = laws["diffusivity"](c) * (kept_positive(c) if self.weighted else 1)
        kappa = laws["gradient_energy"](c)
        balance = rate * v + mobility * ufl.dot(ufl.grad(mu), ufl.grad(v))
        potential = (mu - laws["chemical_potential"](c)) * q - kappa * ufl.dot(ufl.grad(c), ufl.grad(q))
        return balance + potential

    def boundary(self, fields, slope, laws, tests):
        """Integrand over the boundary where the normal gradient of c is not zero but a given slope."""
        return laws["gradient_energy"](fields[0]) * slope * tests[1]
