"""What frames would tell of the laws that a problem starts from: one run with sensitivities for each experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from fe_phaseinv.core.parallel import extremes, total
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.optimal_design import Aim, Candidates, Information
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Relation, positive
from fe_phaseinv.models.declarations import WAVENUMBER, FunctionLaw

POINTS, GRID = 101, 21
"""Number of arguments at which a law is to be known, and of a law of two along either."""
FURTHEST = 1.75
"""Multiple of its wavenumber up to which a kernel is to be known: shorter waves decay before they are seen."""


@dataclass(frozen=True, eq=False)
class Told:
    """What the frames of a series tell at given laws.

    Parameters
    ----------
    information : Information
    experiment : Experiment
        That of which it is.
    start : numpy.ndarray
        State at the start, as `StateLayout` has it.
    span : tuple of float
        Smallest and largest value that the first channel shows.
    """

    information: Information
    experiment: Experiment
    start: np.ndarray
    span: tuple[float, float]


def told(problem: Problem, series: Series, taken: Sequence[int] = ()) -> Told:
    """Run the laws that a problem starts from through a series, whose pixels need not be known. Collective.

    The start is unknown, as the noise leaves it, and shown by its own frame. A boundary that may be displaced counts
    as known, and so does what is given in time.

    Parameters
    ----------
    problem : Problem
        Of the laws.
    series : Series
        Of this problem, or of one that differs from it in the experiment alone.
    taken : sequence of int
        Frames that are there in any case; the others are those that may be taken.

    Raises
    ------
    StepFailed
        On all ranks, where the equations cannot be solved with these laws.
    ValueError
        Where the noise of the pixels is not known.
    """
    if not series.images.noise:
        raise ValueError("noise: found 0; accepted: a standard deviation of the pixels, which decides what they tell")
    coordinates = problem.coordinates
    experiment = replace(series, moving=None, term=None).experiment(1.0, 0.0, exact=True)
    (segment,), q = experiment.segments, np.zeros(experiment.modes)
    (run,) = runs = experiment.solve(coordinates.start, q)
    x = coordinates.from_coefficients(coordinates.start)
    into = block_diag(coordinates.jacobian(x)[coordinates.free], np.eye(len(q)))
    seen, span = {}, (np.inf, -np.inf)
    for frame, state, rows in zip(segment.frames, run.states, experiment.derivatives(runs), strict=True):
        precision = _precision(experiment, frame)
        seen[frame] = into.T @ _squares(experiment, rows * np.sqrt(precision)[:, None]) @ into
        span = _wider(span, experiment, state, precision)
    _, _, of_start = experiment.prior_at(q)
    always = (series.first_frame, *taken)
    base = block_diag(np.zeros((len(x),) * 2), of_start) / series.images.noise**2
    may_be = [frame for frame in segment.frames if frame not in always]
    information = Information(
        laws=len(x),
        base=base + sum(seen[frame] for frame in always),
        frames=np.array([seen[frame] for frame in may_be]).reshape(-1, *base.shape),
        times=series.images.times[may_be],
        began=float(series.images.times[series.first_frame]),
    )
    return Told(information, experiment, run.start, span)


def candidates(problem: Problem, taken: Sequence[Sequence[int]] = ()) -> Candidates:
    """Return all frames of a problem as such that may be taken. Collective.

    Parameters
    ----------
    problem : Problem
        All of whose series are on all ranks.
    taken : sequence of sequence of int, optional
        For each series, frames that are there in any case.

    Raises
    ------
    StepFailed
        On all ranks, where the equations cannot be solved with the laws that the problem starts from.
    ValueError
        Where the noise of the pixels is not known, or the prior leaves laws open.
    """
    taken = taken or [()] * len(problem.series)
    every = [told(problem, *pair) for pair in zip(problem.series, taken, strict=True)]
    return among(problem, every)


def among(problem: Problem, every: Sequence[Told]) -> Candidates:
    """Return the frames of experiments as such that may be taken.

    Parameters
    ----------
    problem : Problem
    every : sequence of Told
        What frames tell, one for each experiment. The laws are to be known where the first of them shows values.

    Raises
    ------
    ValueError
        Where the prior leaves laws open.
    """
    coordinates = problem.coordinates
    chain = coordinates.jacobian(coordinates.from_coefficients(coordinates.start))
    variance = problem.noise**2
    given = problem.settings.regularisation
    weights = (variance if given == "auto" else given,) * len(problem.parameters.relations)
    prior = chain.T @ problem.prior(weights).hessian(coordinates.start) @ chain / variance
    return Candidates(
        prior=prior, experiments=tuple(one.information for one in every), aims=_aims(problem, chain, every[0].span)
    )


def _precision(experiment: Experiment, frame: int) -> np.ndarray:
    """Return the inverse variances of the local pixels of a frame, channel by channel."""
    return experiment.channels.precision(frame) / experiment.pixels.images.noise**2


def _squares(experiment: Experiment, rows: np.ndarray) -> np.ndarray:
    return total(experiment.pixels.comm, rows.T @ rows)


def _wider(
    span: tuple[float, float], experiment: Experiment, state: np.ndarray, precision: np.ndarray
) -> tuple[float, float]:
    """Return a span that holds what the first channel shows of a state, too."""
    channels = experiment.pixels.images.channels
    shown, counts = (np.split(values, channels)[0] for values in (experiment.channels.average(state), precision))
    low, high = extremes(experiment.pixels.comm, shown[counts > 0])
    return min(low, span[0]), max(high, span[1])


def _aims(problem: Problem, chain: np.ndarray, span: tuple[float, float]) -> tuple[Aim, ...]:
    """Return what is to be known of each law that is not."""
    found = []
    for relation in problem.parameters.relations:
        declared, part = problem.model.declared(relation.name), problem.parameters.slices[relation.name]
        slope = isinstance(declared, FunctionLaw) and declared.has_slope
        arguments = _arguments(problem.model, relation, span)
        size = _size(relation, problem.coordinates.start[part], arguments, slope)
        rows = _functions(relation, arguments, slope) @ chain[part] / size
        if rows.any():
            found.append(Aim(name=relation.name, arguments=arguments, rows=rows, slope=slope))
    return tuple(found)


def _arguments(model, relation: Relation, span: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Return where a law is to be known: over the range of the data, of wavenumbers, or where a basis is meant for."""
    if isinstance(relation.basis, ConstantBasis):
        return (np.zeros(1),)
    if relation.argument == WAVENUMBER:
        return (np.linspace(0.0, FURTHEST * relation.basis.scale, POINTS),)
    names = relation.argument.split(", ")
    bases = (relation.basis,) if len(names) == 1 else (relation.basis.first, relation.basis.second)
    of_data = model.fields[0].name
    ends = [
        span if name == of_data or not basis.interval else basis.interval
        for name, basis in zip(names, bases, strict=True)
    ]
    if len(ends) == 1:
        return (np.linspace(*ends[0], POINTS),)
    return tuple(axis.ravel() for axis in np.meshgrid(*(np.linspace(*pair, GRID) for pair in ends), indexing="ij"))


def _functions(relation: Relation, arguments: tuple[np.ndarray, ...], slope: bool) -> np.ndarray:
    """Return the basis functions, or their slopes, shape (points, size)."""
    basis, z = relation.basis, arguments if len(arguments) > 1 else arguments[0]
    return np.transpose(basis.slopes(z) if slope else np.array(basis.functions(z)))


def _size(relation: Relation, m: np.ndarray, arguments: tuple[np.ndarray, ...], slope: bool) -> float:
    """Return the typical size of a law, or of its slope; one of a law whose logarithm is expanded, or that is zero."""
    if relation.transform is positive:
        return 1.0
    values = relation.slope(m, *arguments) if slope else relation(m, *arguments)
    return float(np.sqrt(np.mean(np.square(values)))) or 1.0
