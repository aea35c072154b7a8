"""Derivatives of the share of one series in the cost, by laws and unknown fields: sweeps over its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from fe_phaseinv.core.parallel import total
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.inference.field_fit import FieldFit
from fe_phaseinv.inference.field_unknowns import FieldUnknowns
from fe_phaseinv.solvers.direct import StepFailed

TOGETHER = 8
"""Vectors that one sweep is done for: a solve for so many takes about as long as two for one."""


class FieldDerivatives:
    """Gradient, blocks of the Gauss-Newton Hessian, and actions of Hessians, of all but the prior of the laws.

    Blocks are named by what they are derivatives by: m stands for the unknowns of the laws, u for the unknown fields
    (as in hIPPYlib; Villa, Petra and Ghattas, ACM Trans. Math. Softw. 47, 16 (2021)). What takes sweeps is computed
    when it is asked for first, and so is asked for on all ranks.

    Parameters
    ----------
    objective : FieldUnknowns
    x : numpy.ndarray, shape (size,)
        Unknowns.
    m : numpy.ndarray, shape (n,)
        Coefficients of all laws.
    run : Trajectory
        With sensitivities.
    fit : FieldFit
        Of the run.

    Raises
    ------
    StepFailed
        On all ranks, where a sensitivity is not finite on any.

    Attributes
    ----------
    sensitivity : float
        Sum of the squares of the derivatives of the pixels by the unknowns of the laws; infinite where there is none.
    H_mm : numpy.ndarray, shape (k, k)
        Gauss-Newton Hessian by the unknowns of the laws alone, from the sensitivities.
    """

    def __init__(
        self,
        objective: FieldUnknowns,
        x: np.ndarray,
        m: np.ndarray,
        *,
        run: Trajectory,
        fit: FieldFit,
    ):
        self.objective, self.x, self.m, self.run, self.fit = objective, x, m, run, fit
        self._chain = objective.coordinates.jacobian(x[objective.laws])
        self._seen_of_laws = self._seen()
        squares = total(objective.pixels.comm, sum(part.T @ part for part in self._seen_of_laws)) * objective.weight
        if not np.isfinite(squares).all():
            raise StepFailed("a sensitivity is not finite")
        self.sensitivity = float(np.trace(squares)) if len(squares) else np.inf
        self.H_mm = squares

    def _seen(self) -> list[np.ndarray]:
        """Return derivatives of the local pixels by the unknowns of the laws, by frame, times roots of the weights."""
        of, into = self.objective, self._chain[self.objective.forward.unknown]
        start = [np.zeros_like(self.run.sensitivities[0])] * of.starts_compared
        return [
            np.sqrt(seen.weight)[:, None] * of.channels.derivatives(derivative) @ into
            for derivative, seen in zip([*start, *self.run.sensitivities], self.fit.differences, strict=True)
        ]

    @cached_property
    def gradient(self) -> np.ndarray:
        """Derivative of the cost, shape (size,): numbers, and local integrals for the fields. Collective."""
        return self.objective.of_field_priors(self.x) + self._by_unknowns(self._g_inputs)

    @cached_property
    def g_m(self) -> np.ndarray:
        """Derivative by all coefficients. Collective."""
        return self._to_all(self._g_inputs)

    @cached_property
    def H_um(self) -> np.ndarray:
        """Gauss-Newton Hessian by unknown fields and laws, shape (local size of the fields, k). Collective."""
        of, loads = self.objective, []
        self._go_there()
        for column in range(len(of.coordinates)):
            pairs = zip(self._seen_of_laws, self.fit.differences, strict=True)
            loads.append(
                [of.weight * of.channels.spread(np.sqrt(seen.weight) * rows[:, column]) for rows, seen in pairs]
            )
        found = [of.of_fields(by) for by in self._adjoints(loads)]
        return np.reshape(found, (len(found), of.size)).T[of.own]

    def action(self, v: np.ndarray, full: bool = False) -> np.ndarray:
        """Return the Hessian of the cost, or its Gauss-Newton part, times a vector. Collective.

        Parameters
        ----------
        v : numpy.ndarray, shape (size,)
            A change of the unknowns.
        full : bool
            Whether to count second derivatives of the forward model, too.
        """
        if not full:
            return self.actions([v])[0]
        of = self.objective
        self._go_there()
        loads = self._loads_of_change(self._changes(v), full)
        found = of.of_field_priors(v) + self._by_unknowns(self._second(loads))
        found[of.laws] += of.coordinates.curvature(self.x[of.laws], self.g_m) @ v[of.laws]
        return found

    def actions(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the Gauss-Newton Hessian of the cost times vectors, by two sweeps for several together. Collective.

        Parameters
        ----------
        vectors : sequence of numpy.ndarray, shape (size,)
            Changes of the unknowns.
        """
        of, found = self.objective, []
        self._go_there()
        for some in _batches(vectors):
            inputs = [self._inputs(v) for v in some]
            frames = self._sweeps.tangents(inputs)
            starts = [of.forward.layout.from_rates(change.start) for change in inputs]
            loads = [
                self._loads_of_change([start, *(frame[:, column] for frame in frames)], full=False)
                for column, start in enumerate(starts)
            ]
            found += [
                of.of_field_priors(v) + self._by_unknowns(by) for v, by in zip(some, self._adjoints(loads), strict=True)
            ]
        return found

    def probes(self, count: int) -> list[np.ndarray]:
        """Return the derivatives that draws of noise of one standard deviation in every pixel would make. Collective.

        Parameters
        ----------
        count : int
            Number of draws; their signs are the same on any number of ranks.
        """
        of = self.objective
        self._go_there()
        loads = [self._loads_of_noise(seed) for seed in range(count)]
        return [of.of_fields(by) * np.sqrt(of.variance) for by in self._adjoints(loads)]

    def derivative_of_probe(self, seed: int, v: np.ndarray) -> np.ndarray:
        """Return the derivative by the unknowns of the probe of a draw times ``v``, shape (size,). Collective.

        Parameters
        ----------
        seed : int
            Of the signs of the noise.
        v : numpy.ndarray, shape (size,)
            A change of the unknowns, in which the laws have no share.
        """
        of = self.objective
        self._go_there()
        self._changes(v)
        of.forward.work.second += 1
        loads = self._of_run(self._loads_of_noise(seed))
        return self._by_unknowns(self._sweeps.second(loads, np.zeros_like(loads))) * np.sqrt(of.variance)

    @cached_property
    def _sweeps(self) -> Sweeps:
        return self.objective.sweeps(self.run)

    @cached_property
    def H_mm_of_term(self) -> np.ndarray:
        """What the user's term adds to `H_mm`, shape (k, k); it need not be positive definite. Collective."""
        of, into = self.objective, self._chain[self.objective.forward.unknown]
        if of.term is None:
            return np.zeros_like(self.H_mm)
        first = of.forward.layout.carried_component
        by_laws = [first(derivative, 0) @ into for derivative in self.run.sensitivities]
        states = of.first_fields([self.run.start, *self.run.states])
        return of.term.share(states, [np.zeros_like(by_laws[0]), *by_laws]).hessian

    @cached_property
    def _loads(self) -> list[np.ndarray]:
        of = self.objective
        loads = [of.weight * of.channels.spread(seen.force) for seen in self.fit.differences]
        return loads if of.term is None else self._with_term(loads, of.term.gradient())

    @cached_property
    def _g_inputs(self) -> Inputs:
        """Derivative of the misfit by the inputs of the run."""
        self._go_there()
        return self._adjoints([self._loads])[0]

    def _inputs(self, v: np.ndarray) -> Inputs:
        """Return how the inputs of the run change to first order with the unknowns."""
        of = self.objective
        coefficients = (self._chain @ v[of.laws])[of.forward.unknown]
        return Inputs(coefficients, of.start(v), of.field(v, "heterogeneity"))

    def _changes(self, v: np.ndarray) -> list[np.ndarray]:
        """Return how the start and the states for the frames change to first order with the unknowns."""
        change = self._inputs(v)
        return [self.objective.forward.layout.from_rates(change.start), *self._sweeps.tangent(change)]

    def _loads_of_change(self, changes: Sequence[np.ndarray], full: bool) -> list[np.ndarray]:
        """Return how the loads change, given what `_changes` gives."""
        of, loads = self.objective, self._loads_of_pixels(changes, full)
        return loads if of.term is None else self._with_term(loads, of.term.curvature(of.first_fields(changes)))

    def _loads_of_pixels(self, changes: Sequence[np.ndarray], full: bool) -> list[np.ndarray]:
        """Return how the loads change with the pixels compared, given what `_changes` gives."""
        of, seen = self.objective, self.fit.differences
        weights = [one.curvature if full else one.weight for one in seen]
        pairs = zip(changes[1 - of.starts_compared :], weights, strict=True)
        return [of.weight * of.channels.spread(weight * of.channels.average(changed)) for changed, weight in pairs]

    def _loads_of_noise(self, seed: int) -> list[np.ndarray]:
        """Return the loads that noise of one standard deviation makes where that of a pixel is one."""
        of, random, found = self.objective, np.random.default_rng(seed), []
        images = of.pixels.images
        for seen in self.fit.differences:
            signs = random.choice([-1.0, 1.0], (images.channels, np.prod(images.shape)))
            noise = np.sqrt(of.weight * seen.weight) * signs[:, of.pixels.rows].ravel()
            found.append(of.channels.spread(noise))
        return found

    def _with_term(self, loads: list[np.ndarray], of_term: list[np.ndarray]) -> list[np.ndarray]:
        """Add the loads of the term, of which that of the start is the first, to those of the frames compared."""
        compared, layout = of_term[1 - self.objective.starts_compared :], self.objective.forward.layout
        for load, other in zip(loads, compared, strict=True):
            layout.component(load, 0)[:] += other
        return loads

    def _go_there(self) -> None:
        """Bring the forward model and the term, which all points share, to this point."""
        self.objective.forward.coefficients.assign(self.m)
        self.objective.set_map(self.x)
        if self.objective.term is not None:
            self.objective.term.value(self.objective.first_fields([self.run.start, *self.run.states]))

    def _adjoints(self, loads: Sequence[Sequence[np.ndarray]]) -> list[Inputs]:
        """Sweep with sets of loads of the frames, of which that of the start comes first where it is compared."""
        self.objective.forward.work.adjoint += len(loads)
        found = []
        for some in _batches(loads):
            by = self._sweeps.adjoints([self._of_run(each) for each in some])
            found += [self._with_start(*pair) for pair in zip(some, by, strict=True)]
        return found

    def _second(self, changes: Sequence[np.ndarray]) -> Inputs:
        """Sweep for the change of the gradient, with those of the loads."""
        self.objective.forward.work.second += 1
        return self._with_start(changes, self._sweeps.second(self._of_run(self._loads), self._of_run(changes)))

    def _of_run(self, loads: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return loads[self.objective.starts_compared :]

    def _with_start(self, loads: Sequence[np.ndarray], by: Inputs) -> Inputs:
        if self.objective.starts_compared:
            by.start[:] += self.objective.forward.layout.rates(loads[0])
        return by

    def _by_unknowns(self, by: Inputs) -> np.ndarray:
        """Return the derivative by all unknowns, of which that by the inputs of the run is given."""
        found = self.objective.of_fields(by)
        found[self.objective.laws] = self._chain.T @ self._to_all(by)
        return found

    def _to_all(self, by: Inputs) -> np.ndarray:
        """Return the derivative by all coefficients, of which some are no unknowns."""
        found = np.zeros(len(self.m))
        found[self.objective.forward.unknown] = by.coefficients
        return found


def _batches(items: Sequence) -> Iterator[Sequence]:
    """Give so many items at a time as one sweep is done for."""
    return (items[first : first + TOGETHER] for first in range(0, len(items), TOGETHER))
