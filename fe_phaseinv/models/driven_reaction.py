"""Reaction-driven Allen-Cahn equation with learnt chemical potential, exchange current and gradient energy."""

from ufl import exp

from fe_phaseinv.models.declarations import MEAN, FunctionLaw, NumberLaw, Scalar
from fe_phaseinv.models.mixture import Mixture


class DrivenReaction(Mixture):
    """dc/dt = j0(c) [exp(-a eta) - exp((1 - a) eta)], eta = mu_h(c) - kappa lap c + v(t), with zero normal gradient.

    The overpotential v(t) is such that the mean of c is as given. Butler-Volmer kinetics of the electrochemical
    Allen-Cahn reaction model: Bazant, Acc. Chem. Res. 46, 1144 (2013); Faraday Discuss. 199, 423 (2017).

    Parameters
    ----------
    chemical_potential : Basis, Expansion or Relation
        mu_h(c), in units of kT; a constant that is added to it is v's.
    exchange_current : Basis or Relation
        j0(c), in units of 1/time; a basis is that of its logarithm.
    gradient_energy : Relation, optional
        kappa, a positive number in units of length^2.
    symmetry : Relation, optional
        a, a positive number: 1/2 unless told otherwise.
    """

    laws = (
        FunctionLaw("chemical_potential", constant=False, unit="kT", symbol="mu_h"),
        FunctionLaw("exchange_current", positive=True, unit="1/time", symbol="j0"),
        NumberLaw("gradient_energy", positive=True, unit="length^2", symbol="kappa"),
        NumberLaw("symmetry", initial=0.5, positive=True, fixed=True, symbol="a"),
    )
    gauge = {"chemical_potential": 1, "gradient_energy": 1, "exchange_current": -1}
    gauge_is_exact = False
    scalars = (Scalar("v"),)
    data = (MEAN,)

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form; the arguments are those of `Model.residual`."""
        a, eta = laws.symmetry, fields.mu + at.scalars.v
        reaction = laws.exchange_current(fields.c) * at.map * (exp(-a * eta) - exp((1 - a) * eta))
        return ((rates.c - reaction) * tests.c + self.definition(fields, laws, tests)) * at.dx

    def constraints(self, fields, scalars, laws, at):
        """Return what keeps the mean as given."""
        return {"v": (fields.c - at.mean) * at.dx}
