"""Cahn-Hilliard equation with a gradient energy that depends on the direction."""

from ufl import as_matrix, dot, grad

from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import NumberLaw


class AnisotropicCahnHilliard(CahnHilliard):
    """dc/dt = div(D(c) c grad mu), mu = mu_h(c) - div(K grad c), in the plane.

    The parameters are those of `CahnHilliard` and these; K is positive definite, or no run succeeds. Cahn and Hilliard,
    J. Chem. Phys. 28, 258 (1958), for crystals that are not cubic.

    Parameters
    ----------
    gradient_energy_xx, gradient_energy_yy : Relation, optional
        Entries of K on its diagonal, positive numbers in units of length^2.
    gradient_energy_xy : Relation, optional
        The other entry, a number of either sign.
    """

    laws = (
        *CahnHilliard.laws[:2],
        NumberLaw("gradient_energy_xx", initial=1e-3, positive=True, unit="length^2", symbol="kappa_xx"),
        NumberLaw("gradient_energy_yy", initial=1e-3, positive=True, unit="length^2", symbol="kappa_yy"),
        NumberLaw("gradient_energy_xy", unit="length^2", symbol="kappa_xy"),
    )
    gauge = {"chemical_potential": 1, "diffusivity": -1} | {law.name: 1 for law in laws[2:]}

    def tension(self, c, laws):
        """Return K grad c.

        Parameters
        ----------
        c : ufl.core.expr.Expr
        laws
            As for `residual`.
        """
        mixed = laws.gradient_energy_xy
        return dot(as_matrix([[laws.gradient_energy_xx, mixed], [mixed, laws.gradient_energy_yy]]), grad(c))
