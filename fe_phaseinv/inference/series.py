"""A series of images, how it is solved on each level, and its comparison with predictions in each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from firedrake import MeshGeometry
from mpi4py import MPI

from fe_phaseinv.core.parallel import total
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import Counts
from fe_phaseinv.inference.discretisation import Discretisation, Moving, Probes
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.levels import LevelledExperiment
from fe_phaseinv.inference.moving_experiment import MovingExperiment
from fe_phaseinv.inference.segments import Segment, multiple_shooting, trajectory, uncertain_trajectory
from fe_phaseinv.inference.term import TapedTerm
from fe_phaseinv.observation.starts import Starts

UNRESOLVED = 0.3
"""Coarseness of a clean frame above which modes of the start lower the errors of the laws; below, they raise them."""
INSIDE, INSIDE_NOISE = 1e-3, 0.3
"""A fitted initial field is kept this far inside the model's bounds, or by this share of the noise where that is more:
the entropy makes much of values that noise has brought to a bound."""


FEWEST = 2
"""Frames of the first beginning: one tells too little of the laws of a hidden field."""
_BEGINNING = "first "
INTERVALS, SOME = "intervals", "some intervals"
"""Stages of the intervals between frames: all, and a few that lead to a start for them."""
FEW, MANY = 3, 8
"""Number of those few, where there are so many or more: of five, three saved nothing."""
LEAST_DEGREE = 2
"""Of elements that tell derivatives for those of a higher one."""
COARSE = "coarse"
"""Stage of a trajectory on the coarse discretisation."""


def beginning(stage: str) -> int | None:
    """Return the number of frames of a stage that fits the beginning of a trajectory; None of another one.

    Parameters
    ----------
    stage : str
    """
    count = stage.removeprefix(_BEGINNING)
    return int(count) if count != stage and count.isdecimal() else None


def prepares(stage: str) -> bool:
    """Whether a stage is one of those that may lead to a start for the trajectory.

    Parameters
    ----------
    stage : str
    """
    return stage in (SOME, INTERVALS, COARSE) or beginning(stage) is not None


def beginnings(count: int) -> tuple[str, ...]:
    """Return the stages that fit the beginnings of a trajectory, from the shortest to that of all frames but one.

    Parameters
    ----------
    count : int
        Number of frames.
    """
    return tuple(f"{_BEGINNING}{frames}" for frames in range(FEWEST, count))


@dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """A series of images, and how it is solved.

    Parameters
    ----------
    coarse : Discretisation
        For the intervals, which only lead to a start for the trajectory.
    fine : Discretisation
        For the trajectory.
    frames : tuple of int
        Frames to compare with.
    first_frame : int
        Frame that starts the run.
    held_out : tuple of int
        Frames that are predicted and count for nothing; of a series that is held out as a whole, all.
    term : callable, optional
        A functional that is added to the cost of the trajectory, as in `Settings`.
    moving : Moving, optional
        Where the trajectory has an unknown boundary.
    beside : mpi4py.MPI.Comm, optional
        Ranks with the same series on meshes of their own, which share its runs.
    probes : callable, optional
        Makes what the errors of the fine discretisation are measured with; given whether the coarse elements will do.
    """

    coarse: Discretisation
    fine: Discretisation
    frames: tuple[int, ...]
    first_frame: int = 0
    held_out: tuple[int, ...] = ()
    term: Callable | None = None
    moving: Moving | None = None
    beside: MPI.Comm | None = None
    probes: Callable[[bool], Probes] | None = None

    @property
    def only_predicted(self) -> bool:
        """Whether no frame after the first one counts."""
        return set(self.frames) <= set(self.held_out)

    @property
    def followed(self) -> tuple[int, ...]:
        """Frames of the trajectory: those to compare with, and those held out."""
        return tuple(sorted({*self.frames, *self.held_out}))

    @property
    def images(self) -> ImageSeries:
        """All frames."""
        return self.fine.pixels.images

    @property
    def start_unknown(self) -> bool:
        """Whether the images leave the start open: noisy, or too coarse for elements and pattern. Collective."""
        pixels, space = self.fine.pixels, self.fine.forward.space
        coarser = total(pixels.comm, np.isfinite(pixels.frame(self.first_frame)).sum()) < space.dim()
        return self.images.noise > 0 or (coarser and self.images.coarseness(self.first_frame) > UNRESOLVED)

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values of a fitted field are kept."""
        margin = max(INSIDE, INSIDE_NOISE * self.images.noise)
        low, high = self.fine.forward.model.bounds
        return low + margin, high - margin

    @property
    def counts(self) -> Counts:
        """Work done by both forward models."""
        return self.coarse.forward.counts + self.fine.forward.counts

    @property
    def levelled(self) -> bool:
        """Whether a trajectory can be fitted with derivatives of the coarse discretisation.

        Those of linear elements tell too little. So do those of quadratic ones, or of large steps, where a kernel makes
        waves grow.
        """
        fine = self.fine.forward
        plain = self.moving is None and self.term is None and fine.model.kernel is None
        return plain and LEAST_DEGREE <= self.coarse.forward.degree < fine.degree

    def discretisation(self, stage: str) -> Discretisation:
        """Return how a stage is solved in the end.

        Parameters
        ----------
        stage : str
            One of the preparations, or of the trajectory.
        """
        return self.coarse if prepares(stage) else self.fine

    def trajectory(self, uncertain: bool = False) -> Segment:
        """Return the trajectory from the first frame, fitted as a field, through all others. Collective.

        Parameters
        ----------
        uncertain : bool
            Whether the first frame is compared with, too.
        """
        return trajectory(self.fine.smoother, self.first_frame, self.followed, limits=self.limits, uncertain=uncertain)

    def preparation(self, stage: str, weight: float) -> Experiment:
        """Return the comparison with the images in a stage that leads to a start for the trajectory. Collective.

        Parameters
        ----------
        stage : str
            One of the preparations.
        weight : float
            Of the squared differences.
        """
        how, count = self.coarse, beginning(stage)
        if stage == COARSE:
            return replace(self._coarse, weight=weight)
        if count:
            segments = [trajectory(how.smoother, self.first_frame, self.frames[:count], limits=self.limits)]
        else:
            segments = self._intervals
        if stage == SOME and len(segments) >= MANY:
            segments = [segments[number] for number in np.linspace(0, len(segments) - 1, FEW).round().astype(int)]
        return Experiment(how.forward, how.pixels, segments, weight=weight, beside=self.beside)

    def experiment(self, weight: float, variance: float, exact: bool) -> Experiment | MovingExperiment:
        """Return the comparison of the trajectory with the images. Collective.

        Parameters
        ----------
        weight : float
            Of the squared differences.
        variance : float
            Of a pixel, by which the prior of an unknown boundary is weighted against the misfit.
        exact : bool
            Whether derivatives are those of the fine discretisation.
        """
        still = replace(self._fine, weight=weight)
        if self.moving is not None:
            return MovingExperiment(
                still, self.moving.mesh, lambda mesh: self._moved(mesh, still), variance=variance, limits=self.limits
            )
        if exact:
            return replace(still, term=self.taped_term(), beside=self.beside)
        return LevelledExperiment(
            still.forward,
            still.pixels,
            still.segments,
            field=still.field,
            weight=weight,
            coarse=replace(self._coarse, weight=weight, beside=None),
            own_laws=self.images.noise > 0,
            apart=self.beside,
        )

    @cached_property
    def _intervals(self) -> list[Segment]:
        """Those between all frames."""
        return multiple_shooting(self.coarse.smoother, self.first_frame, self.frames, limits=self.limits)

    @cached_property
    def _fine(self) -> Experiment:
        """The comparison of the trajectory with all frames, with a weight of one."""
        return self._compared(self.fine, self.fine.smoother)

    @cached_property
    def _coarse(self) -> Experiment:
        """The same, with a start that is as smooth, in modes of the same pixels."""
        return self.as_smooth(self.coarse)

    def as_smooth(self, how: Discretisation) -> Experiment:
        """Return the comparison of the trajectory on another level, with a start as smooth as on the fine one.

        Parameters
        ----------
        how : Discretisation
        """
        starts = how.smoother.as_smooth_as(self.fine.smoother, self.first_frame)
        return replace(self._compared(how, starts), beside=self.beside)

    def _compared(self, how: Discretisation, starts: Starts) -> Experiment:
        fit, field = (starts, self.first_frame, self.followed), None
        if self.start_unknown:
            segment, field = uncertain_trajectory(*fit, limits=self.limits)
        else:
            segment = trajectory(*fit, limits=self.limits)
        return Experiment(how.forward, how.pixels, [segment], field=field)

    def _moved(self, mesh: MeshGeometry, still: Experiment) -> Experiment:
        """Return a trajectory on a displaced mesh, with a start that is fitted there, or unknown as it is at rest."""
        how, (segment,) = self.moving.discretise(mesh), still.segments
        if still.field is None:
            segment = trajectory(how.smoother, self.first_frame, self.followed, limits=self.limits)
        return replace(still, forward=how.forward, pixels=how.pixels, segments=[segment])

    def taped_term(self) -> TapedTerm | None:
        """Return the functional that is added to the cost, on a tape of its own. Collective."""
        return self.term and TapedTerm(self.term, self.fine.forward.space, len(self.followed) + 1)
