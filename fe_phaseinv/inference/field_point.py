"""The cost of laws together with unknown fields at a point, with derivatives as actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.forward.sweeps import Inputs, Sweeps
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.optimisation.newton_cg import steihaug

ELIMINATED, MOST_SOLVES = 0.02, 300
"""Share of a gradient that is left when fields are eliminated, and the most iterations for it."""


@dataclass(frozen=True, eq=False)
class NoPoint:
    """A point at which the model could not be solved."""

    x: np.ndarray
    value: float = np.inf
    misfit_rms: float = np.inf

    def gradient_norm(self) -> float:
        """Norm of a gradient that is not known."""
        return np.nan


@dataclass(frozen=True, eq=False)
class FieldPoint:
    """The cost at a point, with its derivatives as actions.

    Parameters
    ----------
    objective : FieldUnknowns
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

    objective: FieldUnknowns
    x: np.ndarray
    m: np.ndarray
    run: Trajectory
    start: np.ndarray
    replayed: bool = False

    @property
    def whole(self) -> np.ndarray:
        """Unknowns as they are kept: an array that is the same on any number of ranks, with nodes by position."""
        of = self.objective
        return np.concatenate([self.x[of.laws], *(of.order.gather(self.x[part]) for part in of.parts.values())])

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames compared with."""
        return self.objective.segment.frames

    @property
    def grids(self) -> tuple[tuple[TimeGrid, ...], ...]:
        """The time grid, of the only segment of the only series."""
        return ((self.run.grid,),)

    @property
    def fits(self) -> tuple[FieldPoint]:
        """How the laws explain the only series."""
        return (self,)

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
        by_fields[self.objective.laws] = self._chain.T @ self.g_m
        return by_fields + self._fields_of(self._g_inputs)

    @cached_property
    def H_mm(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknowns of the laws alone, shape (n, n), from the sensitivities."""
        of, rows = self.objective, self._seen_of_laws
        prior = self._chain.T @ of.prior.hessian(self.m) @ self._chain
        return total(of.pixels.comm, sum(part.T @ part for part in rows)) + prior

    @cached_property
    def H_um(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknown fields and those of the laws, shape (local size of the fields, n)."""
        of = self.objective
        self._go_there()
        columns = np.empty((len(self.x), len(of.coordinates)))
        for column in range(len(of.coordinates)):
            loads = [of.pixels.spread(rows[:, column]) for rows in self._seen_of_laws]
            columns[:, column] = self._fields_of(self._adjoint(loads))
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
        by = self._second(loads) if full else self._adjoint(loads)
        found = self._of_fields(v)
        found[of.laws] = self._chain.T @ (self._to_all(by) + of.prior.hessian(self.m) @ into)
        if full:
            found[of.laws] += of.coordinates.curvature(self.x[of.laws], self.g_m) @ v[of.laws]
        return found + self._fields_of(by)

    def gradient_norm(self) -> float:
        """Norm of the gradient, as long as the step that its preconditioner would make. Collective."""
        return float(np.sqrt(self.dot(self.gradient, self.precondition(self.gradient))))

    @cached_property
    def hessian(self) -> np.ndarray:
        """Gauss-Newton Hessian by the unknowns of the laws, with the fields eliminated, shape (n, n).

        For some changes of the laws, conjugate gradients give those of the fields that go with them. The Hessian of the
        pairs is positive definite whatever error is left, and too large by no more than the square of it.
        """
        if not self.objective.parts:
            return self.H_mm
        laws, pairs = self.objective.laws, []
        for column in np.linalg.cholesky(self.H_mm).T:
            gradient = np.zeros_like(self.x)
            gradient[laws] = -column
            allowed = ELIMINATED * np.sqrt(self.dot(gradient, self.precondition(gradient)))
            solve = gradient, self.action, self.precondition, self.dot, np.inf, allowed, MOST_SOLVES
            pairs.append(steihaug(*solve)[0].step)
        actions = [self.action(pair) for pair in pairs]
        curvature = np.array([[self.dot(pair, action) for action in actions] for pair in pairs])
        into = np.linalg.inv([pair[laws] for pair in pairs])
        return into @ (0.5 * (curvature + curvature.T)) @ into.T

    def precondition(self, g: np.ndarray) -> np.ndarray:
        """Solve for the laws by Gauss-Newton, and for the fields, once the laws are eliminated, by their priors alone.

        Preconditioned so, the Gauss-Newton Hessian has no eigenvalue below one, and as many that are much larger as the
        images tell of the fields, on any mesh.
        """
        laws, comm = self.objective.laws, self.objective.pixels.comm
        H_mm, rest = cho_solve(self._factored, g[laws]), g.copy()
        rest[laws.stop :] -= self.H_um @ H_mm
        found = self._covariance(rest)
        across = total(comm, self.H_um.T @ found[laws.stop :])
        found[laws] = H_mm - cho_solve(self._factored, across)
        return found

    def _covariance(self, g: np.ndarray) -> np.ndarray:
        """Return what the priors alone make of a derivative by the fields; zero for the laws."""
        found = np.zeros_like(g)
        for name, part in self.objective.parts.items():
            found[part] = self.objective.fields[name].covariance(g[part]) / self.objective.variance
        return found

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Sum of the products, over all ranks."""
        return self.objective.dot(a, b)

    @cached_property
    def _factored(self):
        return cho_factor(self.H_mm)

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
        return self.objective.sweeps(self.run)

    @cached_property
    def _g_inputs(self) -> Inputs:
        """Derivative of the misfit by the inputs of the run."""
        self._go_there()
        return self._adjoint(self._loads)

    @cached_property
    def g_m(self) -> np.ndarray:
        """Derivative of the cost by all coefficients."""
        return self._to_all(self._g_inputs) + self.objective.prior.gradient(self.m)

    def _go_there(self) -> None:
        """Bring the forward model, which all points share, to this one."""
        self.objective.forward.parameters.assign(self.m)
        self.objective.set_map(self.x)

    def _adjoint(self, loads: Sequence[np.ndarray]) -> Inputs:
        """Sweep with loads of the frames, of which that of the start comes first where it is unknown."""
        self.objective.forward.work.adjoint += 1
        return self._with_start(loads, self._sweeps.adjoint(self._of_run(loads)))

    def _second(self, changes: Sequence[np.ndarray]) -> Inputs:
        """Sweep for the change of the gradient, with those of the loads."""
        self.objective.forward.work.second += 1
        return self._with_start(changes, self._sweeps.second(self._of_run(self._loads), self._of_run(changes)))

    def _of_run(self, loads: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return loads[len(self.states) - len(self.run.states) :]

    def _with_start(self, loads: Sequence[np.ndarray], by: Inputs) -> Inputs:
        if len(self.states) > len(self.run.states):
            by.start[:] += loads[0]
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
