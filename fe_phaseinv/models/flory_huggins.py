"""Cahn-Hilliard equation for mixtures of chain molecules, whose lengths may be learnt."""

from fe_phaseinv.laws.relations import extended_log
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import FunctionLaw, NumberLaw


class FloryHuggins(CahnHilliard):
    """Cahn-Hilliard with the entropy of chains that mix: mu_h = log(c)/N1 - log(1 - c)/N2 + the excess that is learnt.

    The parameters are those of `CahnHilliard`, where the chemical potential is the excess alone, and these. With one
    parameter of interaction it is a line, ``Legendre(2)``: chi (1 - 2 c), and a constant that changes nothing. Where
    both lengths and kappa are learnt, no image tells their scale: N1, N2 and D go with the inverse of kappa. In units
    of kT per site of the lattice: Flory, J. Chem. Phys. 10, 51 (1942); Huggins, J. Phys. Chem. 46, 151 (1942).

    Parameters
    ----------
    chain_length : Relation, optional
        N1, a positive number: sites that a molecule of the species with the share c takes.
    solvent_chain_length : Relation, optional
        N2, a positive number: those of a molecule of the other species.
    """

    laws = (
        FunctionLaw("chemical_potential", constant=False, excess=True, unit="kT", symbol="mu_ex"),
        *CahnHilliard.laws[1:],
        NumberLaw("chain_length", positive=True, fixed=True, symbol="N1"),
        NumberLaw("solvent_chain_length", positive=True, fixed=True, symbol="N2"),
    )

    def potential(self, c, laws):
        """Return the homogeneous part of mu; the arguments are those of `Mixture.potential`."""
        entropy = extended_log(c) / laws.chain_length - extended_log(1.0 - c) / laws.solvent_chain_length
        return entropy + super().potential(c, laws)
