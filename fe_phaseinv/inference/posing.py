"""From images, a model and a mesh to a problem; and several problems joined to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from firedrake import FunctionSpace

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import total
from fe_phaseinv.core.spaces import disjoint_tags
from fe_phaseinv.data.closure import doubt_balance
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.moving import MovingMesh
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.parameters import CoefficientLayout
from fe_phaseinv.forward.trajectory import QUIET, Tolerances
from fe_phaseinv.inference.discretisation import Discretisation, Moving, Probes
from fe_phaseinv.inference.drive import data_in_time, mean_at
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.typical import typical_scales
from fe_phaseinv.laws.coordinates import Coordinates, Gauge
from fe_phaseinv.laws.relations import identity
from fe_phaseinv.observation.boundary import from_images
from fe_phaseinv.observation.channels import require_channels
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother
from fe_phaseinv.observation.starts import Starts

NOISE_SHARE, LOOSE = 0.1, 3e-3
"""The error of a step may be this share of the noise of a pixel, as far as this relative tolerance."""
COARSE_TIME, COARSE_NEWTON = 1.5e-2, 1e-2
"""Relative tolerance in time, and that of Newton's method as a share of it, with half the degree: of intervals, which
only lead to a start, and where derivatives of trajectories need not be exact."""


def pose(images: ImageSeries, model, mesh, settings: Settings) -> Problem:
    """Ask which laws of a model turn the first frame into the others. Collective.

    Parameters
    ----------
    images : ImageSeries
    model : Model
    mesh : firedrake.MeshGeometry
        Inside the picture.
    settings : Settings

    Raises
    ------
    InputError
        Where the images and the mesh do not fit, or have no data on the boundary.
    ValueError
        Where a setting does not go with the model, the images or the mesh.
    """
    frames, held_out = _frames(images, settings)
    followed = sorted({*frames, *held_out})
    _require_noise(images, settings)
    _require_mesh(mesh, settings)
    if settings.tags is not None:
        settings = replace(settings, tags=disjoint_tags(mesh, settings.tags))
    parameters = CoefficientLayout(model.relations)
    typical = model.typical(typical_scales(images, (settings.first_frame, *frames)))
    start, fixed = _start(model, parameters, settings, typical)
    coordinates = coordinates_for(model, parameters, start, fixed, typical)
    fine = settings.tolerances or _tolerances(images)
    coarse = _coarser(fine)
    smoothers = _smoothers(images, mesh, settings.degree, settings)
    rough_smoothers = _smoothers(images, settings.coarse_mesh or mesh, (settings.degree + 1) // 2, settings)
    data = data_in_time(images, model, smoothers[0], (settings.first_frame, *followed), settings.data)

    def discretise(
        smoothers: tuple[Smoother, ...],
        tolerances: Tolerances,
        heterogeneous: bool = False,
        displaced: np.ndarray | None = None,
    ) -> Discretisation:
        space = smoothers[0].pixels.space
        degree = space.ufl_element().degree()
        forward = ForwardModel(
            model,
            space.mesh(),
            degree=degree,
            unknown=coordinates.free,
            tolerances=tolerances,
            boundary_data=_boundary_data(images, space.mesh(), degree, settings),
            heterogeneous=heterogeneous,
            data=data,
            displaced=displaced,
        )
        require_channels(images, forward)
        pixels = smoothers[0].pixels.showing(images).without(held_out)
        return Discretisation(forward, pixels, Starts(smoothers, forward, mean_at(images, model, data)))

    def moving() -> Moving:
        moved, held = MovingMesh(mesh, settings.displacement), [one.held(settings.first_frame) for one in smoothers]
        return Moving(moved, lambda there: discretise(_moved(held, there), fine, displaced=moved.fields))

    def probes(by_coarse: bool) -> Probes:
        elements = discretise(_smoothers(images, mesh, settings.degree + 1, settings), fine)
        return Probes(elements, discretise(rough_smoothers if by_coarse else smoothers, fine))

    if model.conserved and settings.boundary == "no-flux":
        _doubt_balance(smoothers[0].pixels)
    series = Series(
        coarse=discretise(rough_smoothers, coarse),
        fine=discretise(smoothers, fine, settings.heterogeneity is not None),
        frames=frames,
        held_out=held_out,
        first_frame=settings.first_frame,
        term=settings.term,
        moving=moving() if settings.displacement and not settings.held_out else None,
        probes=None if settings.heterogeneity or settings.displacement else probes,
    )
    return Problem(
        series=(series,),
        ensemble=SeriesEnsemble.together(mesh.comm),
        noises=(images.noise,),
        coordinates=coordinates,
        settings=settings,
    )


def coordinates_for(
    model, parameters: CoefficientLayout, start: np.ndarray, fixed: np.ndarray, typical: Mapping[str, float]
) -> Coordinates:
    """Return the unknowns of a model's laws.

    Parameters
    ----------
    model : Model
    parameters : CoefficientLayout
        Of its laws.
    start : numpy.ndarray, shape (n,)
        Starting coefficients.
    fixed : numpy.ndarray of bool, shape (n,)
        Coefficients to keep.
    typical : mapping of float
        Typical value of each law.
    """
    free, scales = ~fixed, np.ones(len(start))
    for relation in model.relations:
        part = parameters.slices[relation.name]
        if relation.transform is identity:
            scales[part] = typical[relation.name]
        if relation.name in model.free_constants and relation.basis.constant is not None:
            free[part.start + relation.basis.constant] = False
        free[part][relation.absent] = False
    negative = tuple(parameters.slices[name].start + number for name, number in model.negative)
    return Coordinates(np.asarray(start, float), free, _gauge(model, parameters, free, fixed), negative, scales)


def _smoothers(images: ImageSeries, mesh, degree: int, settings: Settings) -> tuple[Smoother, ...]:
    """Return what fits fields of some degree to each channel."""
    flat = settings.boundary != "from-images"
    pixels = Pixels(images, FunctionSpace(mesh, "CG", degree), settings.loss)
    channels = (pixels.showing(images.only(channel)) for channel in range(images.channels))
    return tuple(Smoother(channel, flat=flat, tags=settings.tags) for channel in channels)


def _moved(smoothers: Sequence[Smoother], mesh) -> tuple[Smoother, ...]:
    """Return what fits fields to the same pixels on a displaced mesh."""
    pixels = smoothers[0].pixels.moved(mesh)
    return tuple(smoother.on(pixels.showing(smoother.pixels.images)) for smoother in smoothers)


def joint(problems: Sequence[Problem], ensemble: SeriesEnsemble | None = None) -> Problem:
    """Ask which laws explain several series of images at once. Collective.

    The squared differences of a series are weighted by the inverse of the variance of its noise. The regularisation
    and the starting laws are those of the first problem.

    Parameters
    ----------
    problems : sequence of Problem
        From `pose`, one for each series, with the same laws. With an ensemble those of `ensemble.own`, on meshes of
        `ensemble.within`.
    ensemble : SeriesEnsemble, optional
        Groups that work side by side; all ranks take one series after the other where not given.

    Raises
    ------
    InputError
        Where the noise of some series is known and that of others is not, or their units are others.
    ValueError
        Where the laws, or the priors of maps and starts, differ, or all series are held out.
    """
    series = tuple(series for problem in problems for series in problem.series)
    ensemble = ensemble or SeriesEnsemble.together(problems[0].ensemble.comm, len(series))
    if all(ensemble.gather([one.only_predicted for one in series])):
        raise ValueError("held_out: found all series of images; accepted: some of them")
    asked = ensemble.gather([_laws_of(problem) for problem in problems])
    for laws in asked:
        _require_same(asked[0], laws)
    first = ensemble.gather([problem.coordinates for problem in problems])[0]
    noises = _noises(ensemble, series)
    series = tuple(replace(one, beside=ensemble.beside) for one in series)
    return replace(problems[0], series=series, ensemble=ensemble, noises=noises, coordinates=first)


def _noises(ensemble: SeriesEnsemble, series: Sequence[Series]) -> tuple[float, ...]:
    """Return the noise of all series, and refuse such as are not measured alike. Collective."""
    told = [(image.source, image.noise, (image.unit, image.time_unit)) for image in (one.images for one in series)]
    (first, loud, units), *others = images = ensemble.gather(told)
    for source, noise, measured in others:
        if (noise > 0) != (loud > 0):
            accepted = "noise of all the series, or of none"
            raise InputError(source, "noise", f"{noise:g} beside {loud:g} of {first}", accepted)
        if measured != units:
            found, accepted = (" and ".join(map(repr, each)) for each in (measured, units))
            raise InputError(source, "unit and time_unit", found, f"{accepted}, those of {first}")
    return tuple(noise for _, noise, _ in images)


def _frames(images: ImageSeries, settings: Settings) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the frames to fit, all of them after the first one but for those held out, and these.

    Of a series that is held out as a whole all frames are fitted, but count for nothing.
    """
    count, first, held_out = len(images.times), settings.first_frame, tuple(settings.validation)
    chosen = range(first + 1, count) if settings.frames is None else settings.frames
    if settings.held_out:
        held_out = tuple(chosen)
    frames = tuple(frame for frame in chosen if settings.held_out or frame not in held_out)
    accepted = f"indices after the first_frame {first}, below the {count} of {images.source}"
    if not frames or frames[-1] >= count or frames[0] <= first:
        beside = f" but for the validation {list(held_out)}" if held_out else ""
        raise ValueError(f"frames: found {list(chosen)}{beside}; accepted: {accepted}")
    if held_out and (held_out[-1] >= count or held_out[0] <= first):
        raise ValueError(f"validation: found {list(held_out)}; accepted: {accepted}")
    return frames, held_out


def _require_noise(images: ImageSeries, settings: Settings) -> None:
    """Refuse a loss that depends on the noise where that is not known."""
    if settings.loss != "squares" and images.noise == 0:
        accepted = "with a noise that is known or estimated, in units of which differences are large"
        raise InputError(images.source, "loss", f"{settings.loss!r} without a noise", accepted)


def _doubt_balance(pixels: Pixels) -> None:
    """Say where the sum of the pixels inside a mesh that is not the whole picture changes. Collective."""
    inside = np.isfinite(pixels.picture(np.zeros(len(pixels.inside))))
    frames = np.where(inside & pixels.images.mask, pixels.images.frames, np.nan)
    if inside.ndim == 2 and not inside.all() and np.isfinite(frames).any():
        doubt_balance(replace(pixels.images, frames=frames, coverage=None))


def _require_mesh(mesh, settings: Settings) -> None:
    """Refuse a mesh with a boundary where it is to be periodic. Collective."""
    if settings.boundary == "periodic":
        facets = total(mesh.comm, mesh.exterior_facets.set.size)
        if facets:
            raise ValueError(
                f"boundary: found 'periodic' and {facets:.0f} sides on a boundary; accepted: a periodic mesh"
            )


def _start(
    model, parameters: CoefficientLayout, settings: Settings, typical: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients to start from, and which of them stay."""
    relations = {relation.name: relation for relation in model.relations}
    for key, names in (("initial", settings.initial), ("fixed", settings.fixed)):
        for name in names:
            if name not in relations:
                raise ValueError(f"{key}: found {name!r}; accepted: laws of {model.name}: {', '.join(relations)}")
    initial = {**model.starts(typical, settings.initial), **settings.initial}
    start, fixed = np.zeros(parameters.size), np.zeros(parameters.size, bool)
    for name, part in parameters.slices.items():
        start[part] = relations[name].coefficients(initial.get(name, ()))
        fixed[part] = name in settings.fixed or (name in model.kept and name not in settings.initial)
    return start, fixed


def _boundary_data(images: ImageSeries, mesh, degree: int, settings: Settings) -> BoundaryData | None:
    if settings.boundary != "from-images":
        return None
    return from_images(images, mesh, degree, settings.tags, settings.loss)


def _tolerances(images: ImageSeries) -> Tolerances:
    """Return the accuracy in time that images deserve: errors that clean ones do not show, or noise hides."""
    noise = images.noise / max(np.nanstd(images.frames), QUIET)
    return Tolerances(rtol=float(np.clip(NOISE_SHARE * noise, Tolerances.rtol, LOOSE)))


def _coarser(fine: Tolerances) -> Tolerances:
    """Return the accuracy in time of the coarse level; nonlinear solves as tight as asked for where that is tighter."""
    newton = COARSE_NEWTON if fine.newton >= Tolerances.newton else fine.newton
    return replace(fine, rtol=max(COARSE_TIME, fine.rtol), newton=newton)


def _gauge(model, parameters: CoefficientLayout, free: np.ndarray, fixed: np.ndarray) -> Gauge | None:
    """Where the gauge acts, if the model has one that moves no law which is fixed."""
    if model.gauge is None or model.scale is None:
        return None
    potential, logs = [], []
    for relation in model.relations:
        part, exponent = parameters.slices[relation.name], model.gauge.get(relation.name, 0)
        if not exponent or relation.name == model.scale:
            continue
        if relation.transform is identity:
            if exponent != 1 or fixed[part].any():
                return None
            potential += [i for i in range(part.start, part.stop) if free[i]]
        else:
            constant = relation.basis.constant
            if constant is None or not free[part.start + constant]:
                return None
            logs.append((part.start + constant, exponent))
    log_energy = parameters.slices[model.scale].start
    return Gauge(tuple(potential), log_energy, tuple(logs)) if free[log_energy] else None


def _laws_of(problem: Problem) -> dict[str, object]:
    """Return what is the same in problems with the same laws, apart from their regularisation."""
    initial, model = problem.settings.initial, problem.model
    relations = {relation.name: relation.description for relation in model.relations}
    relations |= {name: getattr(model, name) for name in model.options}
    learnt = {f"initial {name}": np.asarray(start).tolist() for name, start in initial.items()}
    learnt["free"] = problem.coordinates.free.tolist()
    learnt |= {key: getattr(problem.settings, key) for key in ("heterogeneity", "start_prior", "hessian")}
    return {"model": f"{type(model).__qualname__} {model.name}"} | relations | learnt


def _require_same(first: dict[str, object], other: dict[str, object]) -> None:
    """Refuse laws that differ from those of the first problem."""
    for key in first | other:
        if first.get(key) != other.get(key):
            found = f"{other.get(key)} beside {first.get(key)}"
            raise ValueError(f"{key}: found {found}; accepted: the same model and laws, learnt from the same start")
