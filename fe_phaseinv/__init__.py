"""Learn the constitutive laws of pattern formation from images, with finite elements."""

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.core.version import __version__
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import mesh_from_file, outline_mesh, periodic_mesh, rectangle_mesh
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.given import BoundaryData, DataInTime
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.tape import coefficient_functions, run_on_tape
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_experiment import FieldExperiment
from fe_phaseinv.inference.field_objective import FieldObjective
from fe_phaseinv.inference.informations import candidates, told
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.inference.objective import Objective
from fe_phaseinv.inference.optimal_design import Candidates
from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.reduced_objective import ReducedObjective
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.variations import Variation, varied
from fe_phaseinv.inference.verification import Check, verify, verify_fields
from fe_phaseinv.inverse_problem import InverseProblem
from fe_phaseinv.laws.bases import Basis, ConstantBasis, EvenPowers, Hermite, Legendre, Powers
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import Law, Relation, density_entropy, ideal_entropy, identity, positive
from fe_phaseinv.models.allen_cahn import AllenCahn
from fe_phaseinv.models.anisotropic import AnisotropicCahnHilliard
from fe_phaseinv.models.cahn_hilliard import CahnHilliard
from fe_phaseinv.models.declarations import Dirichlet, Field, FunctionLaw, KernelLaw, NumberLaw, Scalar
from fe_phaseinv.models.driven_reaction import DrivenReaction
from fe_phaseinv.models.flory_huggins import FloryHuggins
from fe_phaseinv.models.interface import Model
from fe_phaseinv.models.phase_field_crystal import PhaseFieldCrystal, QuarticCrystal
from fe_phaseinv.models.strain_coupled import StrainCoupled
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output.result import Result
from fe_phaseinv.output.solution import Solution
from fe_phaseinv.output.states import onto, read_states, write_states
from fe_phaseinv.solvers.direct import StepFailed

__all__ = [
    "__version__",
    "AllenCahn",
    "AnisotropicCahnHilliard",
    "Basis",
    "BoundaryData",
    "CahnHilliard",
    "Candidates",
    "Check",
    "ConstantBasis",
    "Coordinates",
    "DataInTime",
    "DataWarning",
    "Dirichlet",
    "DrivenReaction",
    "EvenPowers",
    "Field",
    "FieldExperiment",
    "FieldObjective",
    "FloryHuggins",
    "ForwardModel",
    "FunctionLaw",
    "Hermite",
    "ImageSeries",
    "InputError",
    "InverseProblem",
    "KernelLaw",
    "Laplace",
    "Law",
    "Legendre",
    "Matern",
    "Model",
    "NumberLaw",
    "Objective",
    "Outcome",
    "PhaseFieldCrystal",
    "Pixels",
    "Powers",
    "Prior",
    "Problem",
    "Progress",
    "QuarticCrystal",
    "ReducedObjective",
    "Relation",
    "Result",
    "Scalar",
    "SeriesEnsemble",
    "Settings",
    "Solution",
    "StepFailed",
    "Storage",
    "StrainCoupled",
    "TensorProduct",
    "TimeGrid",
    "Tolerances",
    "Variation",
    "candidates",
    "coefficient_functions",
    "density_entropy",
    "from_images",
    "ideal_entropy",
    "identity",
    "mesh_from_file",
    "onto",
    "outline_mesh",
    "periodic_mesh",
    "positive",
    "read_states",
    "rectangle_mesh",
    "run_on_tape",
    "told",
    "varied",
    "verify",
    "verify_fields",
    "write_states",
]
