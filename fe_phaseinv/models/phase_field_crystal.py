"""Phase-field crystal equation with learnt chemical potential and direct correlation function."""

from __future__ import annotations

import numpy as np
from ufl import dot, grad

from fe_phaseinv.laws.bases import EvenPowers
from fe_phaseinv.models.declarations import Field, FunctionLaw, KernelLaw
from fe_phaseinv.models.interface import Model

DENSITIES = (-0.7, 2.0)
"""Where the start is a line, as far as the basis can: a polynomial fitted to less of it falls beyond."""
RELAXATION = 100.0
"""Both laws are larger than what the change of a pattern shows by about this factor, for they almost cancel each other
in its waves: in the growing nucleus of the demo by 70, with laws of height one."""


class _Crystal(Model):
    name = "phase-field-crystal"
    conserved = True
    exchange = "chemical_potential", "direct_correlation"

    def typical(self, scales):
        """Return the typical values of the laws; the argument is that of `Model.typical`."""
        return {name: RELAXATION * value for name, value in super().typical(scales).items()}

    def starts(self, typical, given):
        """Return laws with which waves of the crystal neither grow nor decay: mu_h' has the height of C2's peak.

        The arguments are those of `Model.starts`.
        """
        eta = np.linspace(*DENSITIES, 101)
        potential, kernel, height = self.chemical_potential, self.direct_correlation, typical["chemical_potential"]
        if potential.name in given:
            height = float(potential.slope(potential.coefficients(given[potential.name]), np.zeros(1))[0])
        elif kernel.name in given:
            height = float(kernel(kernel.coefficients(given[kernel.name]), kernel.basis.scale))
        wanted = height * eta if potential.known is None else height * eta - potential.known(eta)
        line = np.linalg.lstsq(np.transpose(potential.basis.functions(eta)), wanted)[0]
        return {"chemical_potential": line, "direct_correlation": height * kernel.basis.peak()}


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

    name = _Crystal.name
    fields = (Field("eta"),)
    laws = (
        FunctionLaw("chemical_potential", of="eta", constant=False, unit="length^2/time", symbol="mu_h"),
        KernelLaw("direct_correlation", unit="length^2/time", symbol="C2"),
    )

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form; the arguments are those of `Model.residual`, and C2 gives C2 * eta."""
        potential = laws.chemical_potential(fields.eta) - laws.direct_correlation(fields.eta)
        return (rates.eta * tests.eta + dot(grad(potential), grad(tests.eta))) * at.dx


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
    *laws, **others
        The two by place or by name.

    Raises
    ------
    ValueError
        Where a law is none of these, a relation has the name of another law, or C2 another basis.
    """

    name = _Crystal.name
    fields = Field("eta"), Field("curvature", rate=False), Field("mu", rate=False)
    laws = (
        FunctionLaw("chemical_potential", of="eta", constant=False, unit="length^2/time", symbol="mu_h"),
        FunctionLaw("direct_correlation", of="k", constant=False, unit="length^2/time", symbol="C2"),
    )
    negative = (("direct_correlation", 2),)
    """With another sign the equation is ill-posed."""

    def __init__(self, *laws, **others):
        super().__init__(*laws, **others)
        basis = self.direct_correlation.basis
        if not isinstance(basis, EvenPowers) or basis.size != 3:
            raise ValueError(f"direct_correlation: found the basis {basis}; accepted: EvenPowers of three functions")

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form, with curvature = -lap(eta)/k0^2; arguments as for `Model.residual`."""
        (eta, curvature, mu), (v, w, q) = fields, tests
        b0, b1, b2 = laws.direct_correlation.coefficients
        area = self.direct_correlation.basis.scale**-2
        balance = rates.eta * v + dot(grad(mu), grad(v))
        bending = curvature * w - area * dot(grad(eta), grad(w))
        potential = (mu - laws.chemical_potential(eta) + b0 * eta + b1 * curvature) * q
        return (balance + bending + potential + b2 * area * dot(grad(curvature), grad(q))) * at.dx
