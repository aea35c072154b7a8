"""Phase-field crystal equation with learnt chemical potential and direct correlation function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import ufl

from fe_phaseinv.laws.relations import Relation


@dataclass(frozen=True)
class _Crystal:
    chemical_potential: Relation
    direct_correlation: Relation

    name: ClassVar[str] = "phase-field-crystal"
    conserved: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    scaling: ClassVar[None] = None
    freedom: ClassVar[str] = "(mu_h', C2) and (mu_h' + a, C2 + a)"

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The laws, in the order of their coefficients."""
        return self.chemical_potential, self.direct_correlation


@dataclass(frozen=True)
class PhaseFieldCrystal(_Crystal):
    """d eta/dt = lap(mu_h(eta) - C2 * eta) with any direct correlation function C2(k) that decays.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 3. The mobility is in the laws:
    without it the unit of time is open.

    Parameters
    ----------
    chemical_potential : Relation
        mu_h(eta), in units of length^2/time; its constant is immaterial.
    direct_correlation : Relation
        C2(k), in the same units, with the basis `Hermite`.
    """

    fields: ClassVar[tuple[str, ...]] = ("eta",)
    kernel: ClassVar[str] = "direct_correlation"
    immaterial: ClassVar[tuple[str, ...]] = ()
    negative: ClassVar[tuple[tuple[str, int], ...]] = ()

    def residual(self, fields, rate, laws, tests):
        """Integrand of the weak form; the arguments are those of `CahnHilliard.residual`, and C2 gives C2 * eta."""
        (eta,), (v,) = fields, tests
        potential = laws["chemical_potential"](eta) - laws["direct_correlation"](eta)
        return rate * v + ufl.dot(ufl.grad(potential), ufl.grad(v))


@dataclass(frozen=True)
class QuarticCrystal(_Crystal):
    """The phase-field crystal with C2(k) = b0 + b1 (k/k0)^2 + b2 (k/k0)^4, where b2 < 0.

    Zhao et al., equation 3 with the expansion of its Figure 2(b).

    Parameters
    ----------
    chemical_potential : Relation
        As for `PhaseFieldCrystal`.
    direct_correlation : Relation
        With the basis `EvenPowers` of three functions whose scale is k0. Its constant can be exchanged with the slope
        of mu_h and is not learnt.
    """

    fields: ClassVar[tuple[str, ...]] = ("eta", "curvature", "mu")
    kernel: ClassVar[None] = None
    immaterial: ClassVar[tuple[str, ...]] = ("direct_correlation",)
    negative: ClassVar[tuple[tuple[str, int], ...]] = (("direct_correlation", 2),)
    """Coefficients below zero: with the others the equation is ill-posed."""

    def residual(self, fields, rate, laws, tests):
        """Integrand of the weak form, with curvature = -lap(eta)/k0^2; the arguments are those of `CahnHilliard`."""
        (eta, curvature, mu), (v, w, q) = fields, tests
        b0, b1, b2 = laws["direct_correlation"].coefficients
        area = self.direct_correlation.basis.scale**-2
        balance = rate * v + ufl.dot(ufl.grad(mu), ufl.grad(v))
        bending = curvature * w - area * ufl.dot(ufl.grad(eta), ufl.grad(w))
        potential = (mu - laws["chemical_potential"](eta) + b0 * eta + b1 * curvature) * q
        return balance + bending + potential + b2 * area * ufl.dot(ufl.grad(curvature), ufl.grad(q))
