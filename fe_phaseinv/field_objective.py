"""The cost of laws together with unknown fields, at explicit points, with actions in place of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.coordinates import Coordinates
from fe_phaseinv.forward import Forward
from fe_phaseinv.matern import FieldPrior
from fe_phaseinv.objective import MOST_STEPS, Segment
from fe_phaseinv.observation import Pixels
from fe_phaseinv.parallel import total
from fe_phaseinv.priors import Prior
from fe_phaseinv.stepping.adjoint import Inputs, Sweeps, Weighted
from fe_phaseinv.stepping.bdf import TimeGrid
from fe_phaseinv.stepping.history import Storage
from fe_phaseinv.stepping.step import StepFailed
from fe_phaseinv.stepping.trajectory import Trajectory


class FieldObjective:
    """Half the squared difference between predicted and given pixels, plus the priors of laws and fields.

    The unknowns are an array on each rank: those of the laws (`Coordinates`), the same on all ranks, then the local
    nodal values of each unknown field: the deviation of the start from the segment's, and the map h, with which the
    kinetics are multiplied by exp(h).

    Parameters
    ----------
    forward : Forward
        Of a model whose laws are local; heterogeneous where the map is unknown.
    pixels : Pixels
    coordinates : Coordinates
    prior : Prior
        Of the laws, in units of the squared misfit.
    segment : Segment
        Where the start is unknown, its own frame is the first of the segment's frames.
    variance : float
        Of a pixel, by which the priors of the fields are weighted against the misfit.
    start, heterogeneity : FieldPrior, optional
        Priors of the fields that are unknown.
    storage : Storage
        What may be kept of a run.

    Raises
    ------
    ValueError
        Where a map is to be learnt by a model without one, or a law is not local.
    """

    def __init__(
        self,
        forward: Forward,
        pixels: Pixels,
        coordinates: Coordinates,
        prior: Prior,
        segment: Segment,
        variance: float,
        start: FieldPrior | None = None,
        heterogeneity: FieldPrior | None = None,
        storage: Storage = Storage(),  # noqa: B008 (a frozen value)
    ):
        if (heterogeneity is None) != (forward.heterogeneity is None):
            raise ValueError("a map goes with a Forward that is heterogeneous, and with no other")
        self.forward, self.pixels, self.coordinates, self.prior = forward, pixels, coordinates, prior
        self.segment, self.variance, self.storage = segment, variance, storage
        self.fields = {"start": start, "heterogeneity": heterogeneity}
        self.fields = {name: field for name, field in self.fields.items() if field is not None}
        self.weighted = Weighted(forward.step)
        self.laws, nodes = slice(len(coordinates)), forward.step.shape[0]
        ends = len(coordinates) + nodes * np.arange(len(self.fields) + 1)
        self.parts = {name: slice(a, b) for name, a, b in zip(self.fields, ends, ends[1:], strict=False)}
        self.size = int(ends[-1])

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Share of a step from x that the unknowns allow."""
        return self.coordinates.allowed(x[self.laws], step[self.laws])

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Sum of the products of unknowns, or of unknowns and derivatives by them, over all ranks."""
        fields = slice(self.laws.stop, None)
        return float(a[self.laws] @ b[self.laws] + total(self.pixels.comm, a[fields] @ b[fields]))

    def field(self, x: np.ndarray, name: str) -> np.ndarray:
        """Local nodal values of a field; zero where it is not among the unknowns."""
        return x[self.parts[name]] if name in self.parts else np.zeros(self.forward.step.shape[0])

    def at(self, x: np.ndarray, like: FieldPoint | None = None) -> FieldPoint | NoPoint:
        """Evaluate the cost, and what its derivatives need.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        like : FieldPoint, optional
            A point whose time grid is to be used.
        """
        laws = x[self.laws]
        if not self.coordinates.admissible(laws):
            return NoPoint(x)
        m = self.coordinates.natural(laws)
        if not self.prior.admits(m):
            return NoPoint(x)
        self.set_map(x)
        start = self.segment.start + self.field(x, "start")
        try:
            run = self.forward.run(
                m,
                start,
                self.segment.times,
                like.run.grid if like else None,
                sensitivities=True,
                record=self.forward.steps_in(self.storage),
                max_steps=MOST_STEPS,
            )
        except StepFailed:
            return NoPoint(x)
        return FieldPoint(self, x, m, run, start, like is not None)

    def set_map(self, x: np.ndarray) -> None:
        """Write the map into the forward model."""
        if "heterogeneity" in self.parts:
            self.forward.heterogeneity.dat.data_wo[:] = self.field(x, "heterogeneity")


@dataclass(frozen=True, eq=False)
class NoPoint:
    """A point at which the model could not be solved."""

    x: np.ndarray
    value: float = np.inf


@dataclass(frozen=True, eq=False)
class FieldPoint:
    """The cost at a point, with its derivatives as actions.

    Parameters
    ----------
    objective : FieldObjective
    x : numpy.ndarray, shape (size,)
        Unknowns.
    m : numpy.ndarray, shape (n,)
        Coefficients of all laws.
    run : Trajectory
        With sensitivities.
    start : numpy.ndarray
        Local nodal values of c at the start.
    replayed : bool
        Whether the time grid was given rather than chosen.
    """

    objective: FieldObjective
    x: np.ndarray
    m: np.ndarray
    run: Trajectory
    start: np.ndarray
    replayed: bool = False

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames compared with."""
        return self.objective.segment.frames

    @property
    def grids(self) -> tuple[TimeGrid, ...]:
        """The time grid, of the only segment."""
        return (self.run.grid,)

    @property
    def states(self) -> list[np.ndarray]:
        """Local nodal values that are compared with the frames."""
        return [self.start, *self.run.states] if "start" in self.objective.parts else self.run.states

    @cached_property
    def predictions(self) -> list[np.ndarray]:
        """Local pixels predicted."""
        return [self.objective.pixels.average(state) for state in self.states]

    @cached_property
    def misfit(self) -> float:
        """Half the sum of the squared differences."""
        return 0.5 * float(total(self.objective.pixels.comm, sum(np.nansum(r**2) for r in self._differences)))

    @cached_property
    def pixels(self) -> int:
        """Number of differences."""
        return int(total(self.objective.pixels.comm, sum(np.isfinite(r).sum() for r in self._differences)))

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images."""
        return float(np.sqrt(2 * self.misfit / self.pixels))

    @cached_property
    def value(self) -> float:
        """Cost: misfit + priors."""
        of, prior = self.objective, self._of_fields(self.x)
        fields = slice(of.laws.stop, None)
        by_fields = 0.5 * total(of.pixels.comm, prior[fields] @ self.x[fields])
        return self.misfit + of.prior.value(self.m) + float(by_fields)

    @cached_property
    def gradient(self) -> np.ndarray:
        """Derivative of the cost, shape (size,): numbers, and local integrals for the fields."""
        by_fields = self._of_fields(self.x)
        by_fields[self.objective.laws] = self._chain.T @ self._by_laws
        return by_fields + self._fields_of(self._by_inputs)

    @cached_property
    def by_laws(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknowns of the laws alone, shape (n, n), from the sensitivities."""
        of, rows = self.objective, self._seen_of_laws
        prior = self._chain.T @ of.prior.hessian(self.m) @ self._chain
        return total(of.pixels.comm, sum(part.T @ part for part in rows)) + prior

    @cached_property
    def by_both(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknown fields and those of the laws, shape (local size of the fields, n)."""
        of = self.objective
        self._go_there()
        columns = np.empty((len(self.x), len(of.coordinates)))
        for column in range(len(of.coordinates)):
            loads = [of.pixels.spread(rows[:, column]) for rows in self._seen_of_laws]
            columns[:, column] = self._fields_of(self._sweep(self._sweeps.adjoint, loads))
        return columns[of.laws.stop :]

    def action(self, v: np.ndarray, full: bool = False) -> np.ndarray:
        """Hessian of the cost, or its Gauss-Newton part, times v.

        Parameters
        ----------
        v : numpy.ndarray, shape (size,)
            A change of the unknowns.
        full : bool
            Whether to count second derivatives of the forward model, too.
        """
        of = self.objective
        self._go_there()
        into = self._chain @ v[of.laws]
        change = Inputs(into[of.forward.unknown], of.field(v, "start"), of.field(v, "heterogeneity"))
        changes = self._sweeps.tangent(change)
        changes = [change.start, *changes] if "start" in of.parts else changes
        pairs = zip(changes, self._differences, strict=True)
        loads = [of.pixels.spread(np.where(np.isfinite(r), of.pixels.average(c), np.nan)) for c, r in pairs]
        by = self._sweep(self._sweeps.second, self._loads, loads) if full else self._sweep(self._sweeps.adjoint, loads)
        found = self._of_fields(v)
        found[of.laws] = self._chain.T @ (self._to_all(by) + of.prior.hessian(self.m) @ into)
        if full:
            found[of.laws] += of.coordinates.curvature(self.x[of.laws], self._by_laws) @ v[of.laws]
        return found + self._fields_of(by)

    def precondition(self, g: np.ndarray) -> np.ndarray:
        """Solve for the laws by Gauss-Newton, and for the fields, once the laws are eliminated, by their priors alone.

        Preconditioned so, the Gauss-Newton Hessian has no eigenvalue below one, and as many that are much larger as the
        images tell of the fields, on any mesh.
        """
        of, fields = self.objective, slice(self.objective.laws.stop, None)
        found = np.empty_like(g)
        laws = cho_solve(self._factored, g[of.laws])
        found[fields] = g[fields] - self.by_both @ laws
        for name, part in of.parts.items():
            found[part] = of.fields[name].covariance(found[part]) / of.variance
        found[of.laws] = laws - cho_solve(self._factored, total(of.pixels.comm, self.by_both.T @ found[fields]))
        return found

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Sum of the products, over all ranks."""
        return self.objective.dot(a, b)

    @cached_property
    def _factored(self):
        return cho_factor(self.by_laws)

    @cached_property
    def _chain(self) -> np.ndarray:
        """Derivative of all coefficients by the unknowns."""
        return self.objective.coordinates.jacobian(self.x[self.objective.laws])

    @cached_property
    def _seen_of_laws(self) -> list[np.ndarray]:
        """Derivatives of the local pixels by the unknowns of the laws, by frame; zero where there is no data."""
        of, into = self.objective, self._chain[self.objective.forward.unknown]
        start = [np.zeros_like(self.run.sensitivities[0])] * (len(self.states) - len(self.run.states))
        derivatives = [*start, *self.run.sensitivities]
        return [
            np.where(np.isfinite(difference)[:, None], of.pixels.average(derivative), 0.0) @ into
            for derivative, difference in zip(derivatives, self._differences, strict=True)
        ]

    @cached_property
    def _differences(self) -> list[np.ndarray]:
        pixels = self.objective.pixels
        return [p - pixels.frame(frame) for p, frame in zip(self.predictions, self.frames, strict=True)]

    @cached_property
    def _loads(self) -> list[np.ndarray]:
        return [self.objective.pixels.spread(difference) for difference in self._differences]

    @cached_property
    def _sweeps(self) -> Sweeps:
        of = self.objective
        return Sweeps(of.weighted, of.forward.integrator, self.run, of.storage)

    @cached_property
    def _by_inputs(self) -> Inputs:
        """Derivative of the misfit by the inputs of the run."""
        self._go_there()
        return self._sweep(self._sweeps.adjoint, self._loads)

    @cached_property
    def _by_laws(self) -> np.ndarray:
        """Derivative of the cost by all coefficients."""
        return self._to_all(self._by_inputs) + self.objective.prior.gradient(self.m)

    def _go_there(self) -> None:
        """Bring the forward model, which all points share, to this one."""
        self.objective.forward.parameters.assign(self.m)
        self.objective.set_map(self.x)

    def _sweep(self, sweep: Callable[..., Inputs], *loads: Sequence[np.ndarray]) -> Inputs:
        """Sweep with loads of the frames, of which that of the start comes first where it is unknown."""
        skipped = len(self.states) - len(self.run.states)
        by = sweep(*(load[skipped:] for load in loads))
        if skipped:
            by.start[:] += loads[-1][0]
        return by

    def _to_all(self, by: Inputs) -> np.ndarray:
        """Return the derivative by all coefficients, of which some are no unknowns."""
        found = np.zeros(len(self.m))
        found[self.objective.forward.unknown] = by.coefficients
        return found

    def _fields_of(self, by: Inputs) -> np.ndarray:
        """Return the derivative by the unknown fields, as part of that by all unknowns."""
        found = np.zeros_like(self.x)
        for name, part in self.objective.parts.items():
            found[part] = getattr(by, name)
        return found

    def _of_fields(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative of the priors of the fields at x, or their Hessian times x."""
        found = np.zeros_like(x)
        for name, part in self.objective.parts.items():
            found[part] = self.objective.variance * self.objective.fields[name].precision(x[part])
        return found
