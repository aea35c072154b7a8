"""Cahn-Hilliard equation with learnt chemical potential, diffusivity and gradient energy."""

from ufl import conditional, dot, exp, grad, gt, min_value

from fe_phaseinv.laws.relations import ENTROPY_CUT
from fe_phaseinv.models.declarations import FunctionLaw, NumberLaw
from fe_phaseinv.models.mixture import Mixture


def kept_positive(c):
    """Return c, continued below `ENTROPY_CUT` by an exponential: with a negative mobility nothing can be solved.

    Parameters
    ----------
    c : ufl.core.expr.Expr
    """
    cut = ENTROPY_CUT
    return conditional(gt(c, cut), c, cut * exp((min_value(c, cut) - cut) / cut))


class CahnHilliard(Mixture):
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
    """

    laws = (
        FunctionLaw("chemical_potential", constant=False, unit="kT", symbol="mu_h"),
        FunctionLaw("diffusivity", positive=True, unit="length^2/time", symbol="D"),
        NumberLaw("gradient_energy", positive=True, unit="length^2", symbol="kappa"),
    )
    options = ("weighted",)
    weighted = True
    conserved = True
    gauge = {"chemical_potential": 1, "gradient_energy": 1, "diffusivity": -1}

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form of c and mu; the arguments are those of `Model.residual`."""
        c, v = fields.c, tests.c
        mobility = laws.diffusivity(c) * at.map * (kept_positive(c) if self.weighted else 1)
        balance = rates.c * v + mobility * dot(grad(fields.mu), grad(v))
        return (balance + self.definition(fields, laws, tests)) * at.dx
