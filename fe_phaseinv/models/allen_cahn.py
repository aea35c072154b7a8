"""Allen-Cahn equation with learnt chemical potential, kinetic prefactor and gradient energy."""

from ufl import dot, grad

from fe_phaseinv.models.declarations import Field, FunctionLaw, NumberLaw
from fe_phaseinv.models.interface import Model


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
    """

    fields = (Field("c", bounds=(0.0, 1.0)),)
    laws = (
        FunctionLaw("chemical_potential", unit="kT", symbol="mu_h"),
        FunctionLaw("kinetic_prefactor", positive=True, unit="1/time", symbol="R0"),
        NumberLaw("gradient_energy", positive=True, unit="length^2", symbol="kappa"),
    )
    gauge = {"chemical_potential": 1, "gradient_energy": 1, "kinetic_prefactor": -1}

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form; the arguments are those of `Model.residual`."""
        c, v = fields.c, tests.c
        weighted = laws.kinetic_prefactor(c) * at.map * v
        potential = laws.chemical_potential(c) * weighted + laws.gradient_energy * dot(grad(c), grad(weighted))
        return (rates.c * v + potential) * at.dx

    def boundary(self, fields, given, laws, tests, at):
        """Return the integrand over the boundary where c and its normal gradient are given.

        Parameters
        ----------
        fields, laws, tests, at
            As for `residual`.
        given : firedrake.Function
            The field whose values and normal gradient hold.
        """
        return -laws.gradient_energy * laws.kinetic_prefactor(fields.c) * at.map * dot(grad(given), at.normal) * tests.c
