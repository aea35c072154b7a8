"""Phase-field crystal equation with learnt chemical potential and direct correlation function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import ufl

from fe_phaseinv.laws.bases import Basis, EvenPowers, Expansion
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.models.interface import FunctionLaw, Model


@dataclass(frozen=True)
class _Crystal(Model):
    chemical_potential: Basis | Expansion | Relation
    direct_correlation: Basis | Relation

    name: ClassVar[str] = "phase-field-crystal"
    bounds: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    conserved: ClassVar[bool] = True
    invariance: ClassVar[str] = "(mu_h', C2) and (mu_h' + a, C2 + a)"

    @property
    def starts(self) -> dict[str, np.ndarray]:
        """Laws with which waves of the crystal neither grow nor decay: mu_h' is one, and so is the peak of C2."""
        eta = np.linspace(-1.0, 1.0, 101)
        line = np.linalg.lstsq(np.transpose(self.chemical_potential.basis.functions(eta)), eta)[0]
        return {"chemical_potential": line, "direct_correlation": self.direct_correlation.basis.peak()}


@dataclass(frozen=True)
class PhaseFieldCrystal(_Crystal):
    """d eta/dt = lap(mu_h(eta) - C2 * eta) with any direct correlation function C2(k) that decays.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020), equation 3. The mobility is in the laws:
    without it the unit of time is open.

    Parameters
    ----------
    chemical_potential : Basis, Expansion or Relation
        mu_h(eta), in units of length^2/time; a constant that is added to it changes nothing.
    direct_correlation : Basis or Relation
        C2(k), in the same units, with the basis `Hermite`.

    Raises
    ------
    ValueError
        Where a law is none of these, or a relation has the name of another law.
    """

    fields: ClassVar[tuple[str, ...]] = ("eta",)
    laws: ClassVar[tuple[FunctionLaw, ...]] = (
        FunctionLaw("chemical_potential", of="eta", constant=False),
        FunctionLaw("direct_correlation", of="k"),
    )
    kernel: ClassVar[str] = "direct_correlation"

    def residual(self, fields, rate, laws, tests):
        """Return the integrand of the weak form; the arguments are those of `Model.residual`, and C2 gives C2 * eta."""
        (eta,), (v,) = fields, tests
        potential = laws["chemical_potential"](eta) - laws["direct_correlation"](eta)
        return rate * v + ufl.dot(ufl.grad(potential), ufl.grad(v))


@dataclass(frozen=True)
class QuarticCrystal(_Crystal):
    """The phase-field crystal with C2(k) = b0 + b1 (k/k0)^2 + b2 (k/k0)^4, where b2 < 0.

    Zhao et al., equation 3 with the expansion of its Figure 2(b).

    Parameters
    ----------
    chemical_potential : Basis, Expansion or Relation
        As for `PhaseFieldCrystal`.
    direct_correlation : Basis or Relation
        With the basis `EvenPowers` of three functions whose scale is k0. Its constant can be exchanged with the slope
        of mu_h and is not learnt.

    Raises
    ------
    ValueError
        Where a law is none of these, a relation has the name of another law, or C2 another basis.
    """

    fields: ClassVar[tuple[str, ...]] = ("eta", "curvature", "mu")
    laws: ClassVar[tuple[FunctionLaw, ...]] = (
        FunctionLaw("chemical_potential", of="eta", constant=False),
        FunctionLaw("direct_correlation", of="k", constant=False),
    )
    negative: ClassVar[tuple[tuple[str, int], ...]] = (("direct_correlation", 2),)
    """With another sign the equation is ill-posed."""

    def __post_init__(self):
        """Refuse other bases than that of a quartic."""
        super().__post_init__()
        basis = self.direct_correlation.basis
        if not isinstance(basis, EvenPowers) or basis.size != 3:
            raise ValueError(f"direct_correlation: found the basis {basis}; accepted: EvenPowers of three functions")

    def residual(self, fields, rate, laws, tests):
        """Return the integrand of the weak form, with curvature = -lap(eta)/k0^2; arguments as for `Model.residual`."""
        (eta, curvature, mu), (v, w, q) = fields, tests
        b0, b1, b2 = laws["direct_correlation"].coefficients
        area = self.direct_correlation.basis.scale**-2
        balance = rate * v + ufl.dot(ufl.grad(mu), ufl.grad(v))
        bending = curvature * w - area * ufl.dot(ufl.grad(eta), ufl.grad(w))
        potential = (mu - laws["chemical_potential"](eta) + b0 * eta + b1 * curvature) * q
        return balance + bending + potential + b2 * area * ufl.dot(ufl.grad(curvature), ufl.grad(q))
