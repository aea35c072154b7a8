"""Cahn-Hilliard equation with coherency strain, of which no image shows the displacement."""

from ufl import Identity, as_matrix, grad, inner, sym, tr

from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import Field, NumberLaw


class StrainCoupled(CahnHilliard):
    """Cahn-Hilliard with the elastic energy of a misfit e0 (c - mean): cubic stiffness, plane strain, small strains.

    The parameters are those of `CahnHilliard` and these. Cahn, Acta Metall. 9, 795 (1961); Khachaturyan, Theory of
    Structural Transformations in Solids (1983).

    Parameters
    ----------
    eigenstrain : Relation, optional
        e0, a positive number.
    stiffness : tuple of float
        C11, C12 and C44 along the axes, in units of kT per volume of the potential.
    """

    fields = (*CahnHilliard.fields, Field("u", components=2, rate=False, floating=True))
    laws = (*CahnHilliard.laws, NumberLaw("eigenstrain", initial=0.1, positive=True, symbol="e0"))
    options = ("weighted", "stiffness")
    stiffness = (2.3, 1.35, 1.17)
    gauge = CahnHilliard.gauge | {"eigenstrain": 0.5}

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form of c, mu and u; the arguments are those of `Model.residual`."""
        strain = sym(grad(fields.u)) - laws.eigenstrain * (fields.c - at.start_mean) * Identity(2)
        stress = self.stress(strain)
        elastic = laws.eigenstrain * tr(stress) * tests.mu + inner(stress, sym(grad(tests.u)))
        return super().residual(fields, rates, laws, tests, at) + elastic * at.dx

    def stress(self, strain):
        """Return the stress of a strain.

        Parameters
        ----------
        strain : ufl.core.expr.Expr
            A symmetric tensor, shape (2, 2).
        """
        c11, c12, c44 = self.stiffness
        shear = 2 * c44 * strain[0, 1]
        first = c11 * strain[0, 0] + c12 * strain[1, 1]
        return as_matrix([[first, shear], [shear, c12 * strain[0, 0] + c11 * strain[1, 1]]])
