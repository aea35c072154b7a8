"""The models that the package brings along, by name."""

from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.anisotropic import AnisotropicCahnHilliard
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.driven_reaction import DrivenReaction
from fe_phaseinv.models.flory_huggins import FloryHuggins
from fe_phaseinv.models.interface import Model
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal
from fe_phaseinv.models.strain_coupled import StrainCoupled

_MODELS = (
    CahnHilliard,
    AllenCahn,
    PhaseFieldCrystal,
    DrivenReaction,
    StrainCoupled,
    FloryHuggins,
    AnisotropicCahnHilliard,
)
BUILT_IN: dict[str, type[Model]] = {model.name: model for model in _MODELS}
"""Of the phase-field crystal the one with any correlation function, whose fields are fewer."""
