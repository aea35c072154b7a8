"""From images to laws: intervals between frames first, then the whole trajectory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from fe_phaseinv.boundary import from_images
from fe_phaseinv.coordinates import Coordinates, Scaling
from fe_phaseinv.forward import Counts, Forward
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.objective import Linearisation, Objective, intervals, trajectory, uncertain_trajectory
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parallel import total
from fe_phaseinv.parameters import Parameters
from fe_phaseinv.posterior import Laplace
from fe_phaseinv.priors import Prior
from fe_phaseinv.smoothing import Smoother
from fe_phaseinv.stepping.bdf import TimeGrid
from fe_phaseinv.stepping.trajectory import Tolerances
from fe_phaseinv.trust_region import Outcome, State, iterate, start

FIRST_STRENGTH = 1e-4
"""Prior strength to begin with where the program is to choose it."""
FIRST_RADIUS = 1.0
"""First radius of the trust region: coefficients of this size change a law by about as much as kT."""
TOLERANCE = {"intervals": 0.1, "trajectory": 1e-6}
"""Promised reduction of the cost, relative to it, at which a stage ends."""
SAME_STRENGTH = 3.0
"""The strength chosen is taken for converged once it changes by less than this factor."""
ROUGH_TIME = 5.0
"""The intervals are solved with a degree less and a time tolerance larger by this factor."""
INSIDE, INSIDE_NOISE = 1e-3, 0.3
"""A fitted initial field is kept this far inside the model's bounds, or by this share of the noise where that is more:
the entropy makes much of values that noise has brought to a bound."""


def coordinates_for(model, parameters, start: np.ndarray, fixed: np.ndarray) -> Coordinates:
    """Unknowns of a model.

    Parameters
    ----------
    model : CahnHilliard or another model
    parameters : Parameters
    start : numpy.ndarray, shape (n,)
        Starting coefficients.
    fixed : numpy.ndarray of bool, shape (n,)
        Coefficients to keep.
    """
    free = ~fixed
    for name in model.immaterial:
        free[parameters.slices[name].start] = False
    negative = tuple(parameters.slices[name].start + number for name, number in model.negative)
    return Coordinates(np.asarray(start, float), free, _scaling(model, parameters, free, fixed), negative)


def _scaling(model, parameters: Parameters, free: np.ndarray, fixed: np.ndarray) -> Scaling | None:
    """Where the freedom of scale is, if the model has it and nothing that scales is fixed."""
    if model.scaling is None:
        return None
    potential, energy, kinetics = (parameters.slices[name] for name in model.scaling)
    moving = [i for i in range(potential.start, potential.stop) if free[i]]
    whole = not fixed[potential].any() and free[energy.start] and free[kinetics.start]
    return Scaling(tuple(moving), energy.start, kinetics.start) if whole else None


@dataclass(frozen=True, eq=False)
class Discretisation:
    """A forward model with its view of the images, and back."""

    forward: Forward
    pixels: Pixels
    smoother: Smoother


@dataclass(frozen=True, eq=False)
class Problem:
    """Images, forward models, and what is to be learnt.

    Parameters
    ----------
    rough : Discretisation
        For the intervals, which only lead to a start for the trajectory.
    fine : Discretisation
        For the trajectory.
    coordinates : Coordinates
    frames : tuple of int
        Frames to compare with.
    initial : int
        Frame that starts the run.
    strength : float or "auto"
        Of the prior; "auto" takes the variance of a pixel (of its noise, or of what the misfit leaves), so that
        curvatures of order one, in units of kT and of logarithms, are what is expected of the laws.
    """

    rough: Discretisation
    fine: Discretisation
    coordinates: Coordinates
    frames: tuple[int, ...]
    initial: int = 0
    strength: float | Literal["auto"] = "auto"

    @property
    def parameters(self) -> Parameters:
        """Where each law's coefficients are."""
        return self.fine.forward.parameters

    @property
    def noise(self) -> float:
        """Standard deviation of a pixel; zero where it is not known."""
        return self.fine.pixels.images.noise

    @property
    def start_unknown(self) -> bool:
        """Whether the images leave the start of the trajectory open: noisy ones, or coarser ones than the elements."""
        pixels, space = self.fine.pixels, self.fine.forward.space
        return self.noise > 0 or total(pixels.comm, np.isfinite(pixels.frame(self.initial)).sum()) < space.dim()

    @property
    def counts(self) -> Counts:
        """Work done by both forward models."""
        return self.rough.forward.counts + self.fine.forward.counts

    def discretisation(self, stage: str) -> Discretisation:
        """How a stage is solved."""
        return self.rough if stage == "intervals" else self.fine

    def objective(self, stage: str, strength: float) -> Objective:
        """Return the cost of a stage, "intervals" or "trajectory"."""
        how, prior = self.discretisation(stage), self.prior(strength)
        low, high = how.forward.model.bounds
        margin = max(INSIDE, INSIDE_NOISE * self.noise)
        chosen = how.smoother, self.initial, self.frames, (low + margin, high - margin)
        field = None
        if stage == "intervals":
            segments = intervals(*chosen)
        elif self.start_unknown:
            segment, field = uncertain_trajectory(*chosen)
            segments = [segment]
        else:
            segments = trajectory(*chosen)
        return Objective(how.forward, how.pixels, self.coordinates, prior, segments, field)

    def prior(self, strength: float) -> Prior:
        """Return the prior of all laws."""
        return Prior.smooth(self.parameters.relations, self.coordinates.start, strength)

    def posterior(self, progress: Progress) -> Laplace:
        """Uncertainty of the laws at the point that an inversion has reached."""
        prior = self.prior(progress.strength)
        return Laplace.at(self.parameters, self.coordinates, prior, progress.state.point, self.noise)


def pose(
    images: ImageSeries,
    model,
    mesh,
    start: dict[str, Sequence[float]],
    fixed: Sequence[str] = (),
    frames: Sequence[int] | None = None,
    initial: int = 0,
    degree: int = 3,
    tolerances: Tolerances = Tolerances(),  # noqa: B008 (a frozen value)
    strength: float | Literal["auto"] = "auto",
    boundary: Literal["no-flux", "from-images", "periodic"] = "no-flux",
) -> Problem:
    """Ask which laws of a model turn the initial frame into the others.

    Parameters
    ----------
    images : ImageSeries
    model : CahnHilliard or another model
    mesh : firedrake.MeshGeometry
        Inside the picture.
    start : dict of sequence of float
        By law, the first coefficients to start from; the others are zero.
    fixed : sequence of str
        Laws to leave as they start.
    frames : sequence of int, optional
        Frames to compare with; all after the initial one where not given.
    initial : int
        Frame that starts the run.
    degree : int
        Of the elements; the intervals are solved with one less.
    tolerances : Tolerances
        In time; the intervals are solved with a larger one.
    strength : float or "auto"
        Of the prior.
    boundary : str
        "no-flux": nothing passes the boundary, and the normal gradient is zero; "from-images": values and normal
        gradients come from all frames of the images, which show a part of a larger domain; "periodic": the mesh is.

    Raises
    ------
    InputError
        Where the images and the mesh do not fit, or have no data on the boundary.
    """
    parameters = Parameters(model.relations, mesh)
    is_fixed = np.zeros(parameters.size, bool)
    for name in fixed:
        is_fixed[parameters.slices[name]] = True
    coordinates = coordinates_for(model, parameters, parameters.flat(start), is_fixed)

    def discretise(degree: int, tolerances: Tolerances) -> Discretisation:
        cropped = boundary == "from-images"
        outside = from_images(images, mesh, degree) if cropped else None
        forward = Forward(model, mesh, degree, coordinates.free, tolerances, outside)
        pixels = Pixels(images, forward.space)
        return Discretisation(forward, pixels, Smoother(pixels, flat=not cropped))

    return Problem(
        rough=discretise(max(1, degree - 1), replace(tolerances, rtol=ROUGH_TIME * tolerances.rtol)),
        fine=discretise(degree, tolerances),
        coordinates=coordinates,
        frames=tuple(range(initial + 1, len(images.times)) if frames is None else frames),
        initial=initial,
        strength=strength,
    )


@dataclass(frozen=True, eq=False)
class Progress:
    """Where an inversion stands: what decides the rest of it, and its history.

    Parameters
    ----------
    stage : str
    strength : float
        Of the prior.
    state : State
    history : tuple of dict
        One entry for every trial point and for the first point of every stage.
    seconds : float
        Spent so far.
    counts : Counts
        Work done so far.
    """

    stage: str
    strength: float
    state: State
    history: tuple[dict, ...]
    seconds: float
    counts: Counts

    def to_dict(self) -> dict:
        """Plain values from which `resume` goes on."""
        point, state = self.state.point, self.state
        return {
            "stage": self.stage,
            "strength": self.strength,
            "seconds": self.seconds,
            "counts": asdict(self.counts),
            "x": point.x.tolist(),
            "replayed": point.replayed,
            "grids": [{"times": grid.times, "orders": grid.orders} for grid in point.grids],
            "radius": state.radius,
            "iteration": state.iteration,
            "settled": state.settled,
            "history": list(self.history),
        }


def resume(problem: Problem, saved: dict) -> Progress:
    """Rebuild the progress that `Progress.to_dict` recorded."""
    objective = problem.objective(saved["stage"], saved["strength"])
    x = np.array(saved["x"])
    grids = tuple(TimeGrid(tuple(grid["times"]), tuple(grid["orders"])) for grid in saved["grids"])
    point = objective.at(x, Linearisation.on_grids(x, grids) if saved["replayed"] else None)
    state = State(point, saved["radius"], saved["iteration"], saved["settled"])
    counts = Counts(**saved["counts"])
    return Progress(saved["stage"], saved["strength"], state, tuple(saved["history"]), saved["seconds"], counts)


def invert(problem: Problem, max_iterations: int = 50, progress: Progress | None = None) -> Iterator[Progress]:
    """Learn the laws; gives the progress after every trial point, the last one with an outcome.

    Parameters
    ----------
    problem : Problem
    max_iterations : int
        Largest number of trial points in all stages together.
    progress : Progress, optional
        Where to go on.
    """
    run = _Run(problem, time.perf_counter(), progress)
    if progress is None:
        strength = FIRST_STRENGTH if problem.strength == "auto" else problem.strength
        stage = "intervals" if len(problem.frames) > 1 else "trajectory"
        x = problem.coordinates.from_natural(problem.coordinates.start)
        objective = problem.objective(stage, strength)
        progress = run.begin(objective, stage, strength, x, FIRST_RADIUS)
        yield progress
    else:
        objective = problem.objective(progress.stage, progress.strength)
    while True:
        stage, strength = progress.stage, progress.strength
        for state in iterate(objective, progress.state, TOLERANCE[stage], max_iterations):
            progress = run.record(stage, strength, state, progress)
            if state.outcome is None:
                yield progress
        following = _next_stage(problem, progress)
        if following is None:
            yield progress
            return
        objective = problem.objective(*following)
        progress = run.begin(objective, *following, progress.state.point.x, progress.state.radius, progress)
        yield progress


@dataclass(frozen=True, eq=False)
class _Run:
    """Keeps the books of an inversion that began, or went on from some progress, at a time."""

    problem: Problem
    began: float
    resumed: Progress | None

    def begin(
        self,
        objective: Objective,
        stage: str,
        strength: float,
        x: np.ndarray,
        radius: float,
        before: Progress | None = None,
    ) -> Progress:
        state = start(objective, np.pad(x, (0, len(objective) - len(x))), radius)
        if before:
            state = replace(state, iteration=before.state.iteration)
        return self.record(stage, strength, state, before, new_stage=True)

    def record(
        self, stage: str, strength: float, state: State, before: Progress | None, new_stage: bool = False
    ) -> Progress:
        seconds, counts = time.perf_counter() - self.began, self.problem.counts
        if self.resumed:
            seconds, counts = seconds + self.resumed.seconds, counts + self.resumed.counts
        history = before.history if before else ()
        if new_stage or state.iteration > before.state.iteration:
            history = (*history, _entry(stage, state, seconds))
        return Progress(stage, strength, state, history, seconds, counts)


def _next_stage(problem: Problem, progress: Progress) -> tuple[str, float] | None:
    if progress.state.outcome in (Outcome.NO_START, Outcome.MAX_ITERATIONS):
        return None
    strength = progress.strength
    if problem.strength == "auto":
        strength = problem.posterior(progress).deviation ** 2
    if progress.stage == "intervals":
        return "trajectory", strength
    if abs(np.log(strength / progress.strength)) > np.log(SAME_STRENGTH):
        return "trajectory", strength
    return None


def _entry(stage: str, state: State, seconds: float) -> dict:
    point = state.point
    return {
        "iteration": state.iteration,
        "stage": stage,
        "cost": point.value,
        "misfit_rms": point.misfit_rms,
        "gradient_norm": float(np.linalg.norm(point.gradient)),
        "radius": state.radius,
        "accepted": state.accepted,
        "seconds": seconds,
    }
