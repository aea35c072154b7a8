"""Learn the constitutive laws of pattern formation from images, with finite elements."""

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.version import __version__
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import mesh_from_file, outline_mesh, periodic_mesh, rectangle_mesh
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.tape import coefficient_functions, run_on_tape
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.inversion import invert
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem, joint, pose
from fe_phaseinv.inference.reduced_objective import ReducedObjective
from fe_phaseinv.laws.bases import ConstantBasis, EvenPowers, Hermite, Legendre, Powers
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.relations import Law, Relation, ideal_entropy, identity, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal, QuarticCrystal
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.output.report import write
from fe_phaseinv.output.result import Result, collect
from fe_phaseinv.output.states import onto, read_states, write_states

__all__ = [
    "__version__",
    "AllenCahn",
    "CahnHilliard",
    "ConstantBasis",
    "Coordinates",
    "EvenPowers",
    "Experiment",
    "FieldObjective",
    "ForwardModel",
    "SeriesEnsemble",
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
    "mesh_from_file",
    "from_images",
    "ideal_entropy",
    "identity",
    "invert",
    "joint",
    "onto",
    "outline_mesh",
    "periodic_mesh",
    "pose",
    "positive",
    "read_states",
    "rectangle_mesh",
    "run_on_tape",
    "write",
    "write_states",
]
