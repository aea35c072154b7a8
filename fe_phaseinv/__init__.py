"""Learn the constitutive laws of pattern formation from images, with finite elements."""

__version__ = "0.1.0"

from fe_phaseinv.bases import Constant, EvenPowers, Hermite, Legendre, Powers
from fe_phaseinv.boundary import from_images
from fe_phaseinv.coordinates import Coordinates
from fe_phaseinv.errors import InputError
from fe_phaseinv.experiment import Experiment
from fe_phaseinv.field_objective import FieldObjective
from fe_phaseinv.forward import Forward
from fe_phaseinv.groups import Groups
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.inversion import invert
from fe_phaseinv.matern import Matern
from fe_phaseinv.meshes import from_file, outlined, periodic, rectangle
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal, QuarticCrystal
from fe_phaseinv.objective import Objective
from fe_phaseinv.observation import Pixels
from fe_phaseinv.posterior import Laplace
from fe_phaseinv.problem import Problem, joint, pose
from fe_phaseinv.reduced_objective import ReducedObjective
from fe_phaseinv.relations import Law, Relation, ideal_entropy, identity, positive
from fe_phaseinv.report import write
from fe_phaseinv.result import Result, collect
from fe_phaseinv.states import onto, read_states, write_states
from fe_phaseinv.tape import coefficient_functions, run_on_tape

__all__ = [
    "AllenCahn",
    "CahnHilliard",
    "Constant",
    "Coordinates",
    "EvenPowers",
    "Experiment",
    "FieldObjective",
    "Forward",
    "Groups",
    "Hermite",
    "ImageSeries",
    "InputError",
    "Laplace",
    "Law",
    "Legendre",
    "Matern",
    "Objective",
    "PhaseFieldCrystal",
    "QuarticCrystal",
    "Pixels",
    "Powers",
    "Problem",
    "ReducedObjective",
    "Relation",
    "Result",
    "coefficient_functions",
    "collect",
    "from_file",
    "from_images",
    "ideal_entropy",
    "identity",
    "invert",
    "joint",
    "onto",
    "outlined",
    "periodic",
    "pose",
    "positive",
    "read_states",
    "rectangle",
    "run_on_tape",
    "write",
    "write_states",
]
