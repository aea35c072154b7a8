"""What models of mixtures share: the chemical potential as a field of its own."""

from ufl import dot, grad

from fe_phaseinv.models.declarations import Field
from fe_phaseinv.models.interface import Model


class Mixture(Model):
    """mu = mu_h(c) - kappa lap c, for models that say what mu does to c.

    A subclass has the laws `chemical_potential` and `gradient_energy`, or its own `potential` and `tension`.
    """

    fields = Field("c", bounds=(0.0, 1.0)), Field("mu", rate=False)

    def definition(self, fields, laws, tests):
        """Return the integrand of the equation that defines mu.

        Parameters
        ----------
        fields, laws, tests
            As for `residual`.
        """
        difference = fields.mu - self.potential(fields.c, laws)
        return difference * tests.mu - dot(self.tension(fields.c, laws), grad(tests.mu))

    def potential(self, c, laws):
        """Return the homogeneous part of mu.

        Parameters
        ----------
        c : ufl.core.expr.Expr
        laws : namespace
            As for `residual`.
        """
        return laws.chemical_potential(c)

    def tension(self, c, laws):
        """Return kappa grad c.

        Parameters
        ----------
        c : ufl.core.expr.Expr
        laws : namespace
            As for `residual`.
        """
        return laws.gradient_energy * grad(c)

    def boundary(self, fields, given, laws, tests, at):
        """Return the integrand over the boundary where c and its normal gradient are given.

        Parameters
        ----------
        fields, laws, tests, at
            As for `residual`.
        given : firedrake.Function
            The field whose values and normal gradient hold.
        """
        return dot(self.tension(given, laws), at.normal) * tests.mu
