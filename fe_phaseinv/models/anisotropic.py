"""Cahn-Hilliard equation with a gradient energy that depends on the direction."""

from ufl import as_matrix, dot, grad, sqrt

from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import NumberLaw


class AnisotropicCahnHilliard(CahnHilliard):
    """dc/dt = div(D(c) c grad mu), mu = mu_h(c) - div(K grad c), in the plane.

    The parameters are those of `CahnHilliard` and these. Cahn and Hilliard, J. Chem. Phys. 28, 258 (1958), for crystals
    that are not cubic.

    Parameters
    ----------
    gradient_energy_xx, gradient_energy_yy : Relation, optional
        Entries of K on its diagonal, positive numbers in units of length^2.
    gradient_energy_xy : Relation, optional
        The other entry as a share of the root of their product, a number between -1 and 1.
    """

    laws = (
        *CahnHilliard.laws[:2],
        NumberLaw("gradient_energy_xx", positive=True, unit="length^2", symbol="kappa_xx"),
        NumberLaw("gradient_energy_yy", positive=True, unit="length^2", symbol="kappa_yy"),
        NumberLaw("gradient_energy_xy", symbol="kappa_xy/sqrt(kappa_xx kappa_yy)"),
    )
    gauge = {"chemical_potential": 1, "gradient_energy_xx": 1, "gradient_energy_yy": 1, "diffusivity": -1}

    def tension(self, c, laws):
        """Return K grad c.

        Parameters
        ----------
        c : ufl.core.expr.Expr
        laws
            As for `residual`.
        """
        xx, yy = laws.gradient_energy_xx, laws.gradient_energy_yy
        xy = laws.gradient_energy_xy * sqrt(xx * yy)
        return dot(as_matrix([[xx, xy], [xy, yy]]), grad(c))
