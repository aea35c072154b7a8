"""Laws and the fields of one series that are unknown together, as arrays, and what the cost of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Self

import numpy as np

from fe_phaseinv.core.parallel import total
from fe_phaseinv.core.spaces import NodeOrder
from fe_phaseinv.forward.checkpoints import Storage
from fe_phaseinv.forward.inputs import Inputs
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.forward.sweeps import Sweeps
from fe_phaseinv.forward.trajectory import Trajectory
from fe_phaseinv.forward.weighted import Weighted
from fe_phaseinv.inference.matern import FieldPrior
from fe_phaseinv.inference.segments import Segment
from fe_phaseinv.inference.term import TapedTerm
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.models.declarations import MEAN
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.observation.pixels import Pixels


class FieldUnknowns:
    """Unknowns as an array on each rank, with images, models and priors.

    First come the unknowns of the laws (`Coordinates`), the same on all ranks, then the local nodal values of each
    unknown field: the deviation of the start from the segment's, and the map h, with which the kinetics are multiplied
    by exp(h).

    Parameters
    ----------
    forward : ForwardModel
        Of a model whose laws are local; heterogeneous where the map is unknown.
    pixels : Pixels
    coordinates : Coordinates
    segment : Segment
        Where the start is unknown, its own frame is the first of the segment's frames.
    variance : float
        Of a pixel, by which the priors of the fields are weighted against the misfit.
    weight : float
        Of the squared differences in the cost.
    start, heterogeneity : FieldPrior, optional
        Priors of the fields that are unknown.
    term : TapedTerm, optional
        A functional that is added to the cost.
    storage : Storage
        What may be kept of a run.

    Raises
    ------
    ValueError
        Where a map is to be learnt by a model without one, or a law is not local.
    """

    def __init__(
        self,
        forward: ForwardModel,
        pixels: Pixels,
        coordinates: Coordinates,
        *,
        segment: Segment,
        variance: float,
        weight: float = 1.0,
        start: FieldPrior | None = None,
        heterogeneity: FieldPrior | None = None,
        term: TapedTerm | None = None,
        storage: Storage = Storage(),  # noqa: B008 (a frozen value)
    ):
        if (heterogeneity is None) != (forward.heterogeneity is None):
            raise ValueError("a map goes with a ForwardModel that is heterogeneous, and with no other")
        self.forward, self.pixels, self.coordinates = forward, pixels, coordinates
        self.segment, self.variance, self.weight, self.term, self.storage = segment, variance, weight, term, storage
        fields = {"start": start, "heterogeneity": heterogeneity}
        self.fields = {name: field for name, field in fields.items() if field is not None}
        self.weighted, self._latest, self.channels = Weighted(forward.step), None, Channels(pixels, forward)
        self.laws, nodes = slice(len(coordinates)), forward.layout.nodes
        self._mean_given = MEAN in forward.model.data
        ends = len(coordinates) + nodes * np.arange(len(self.fields) + 1)
        self.parts = {name: slice(a, b) for name, a, b in zip(self.fields, ends, ends[1:], strict=False)}
        self.size = int(ends[-1])

    @property
    def starts_compared(self) -> int:
        """Number of starts among what is compared with the frames: one where it is unknown, or none."""
        return int("start" in self.parts)

    def sweeps(self, run: Trajectory) -> Sweeps:
        """Return sweeps over a run; those over the one before keep nothing any more: points are left for good.

        Parameters
        ----------
        run : Trajectory
        """
        self.forget()
        self._latest = Sweeps(self.weighted, self.forward.integrator, run, self.storage)
        return self._latest

    def with_variance(self, variance: float) -> Self:
        """Return the same with another variance of a pixel.

        Parameters
        ----------
        variance : float
        """
        other = copy(self)
        other.variance = variance
        return other

    def forget(self) -> None:
        """Free what the latest sweeps keep; what is needed again is computed again."""
        if self._latest is not None:
            self._latest.forget()

    @property
    def own(self) -> slice:
        """Where the unknown fields are."""
        return slice(self.laws.stop, None)

    def gathered(self, x: np.ndarray) -> np.ndarray:
        """Return the unknown fields as they are kept, the same on any number of ranks. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        """
        return np.concatenate([np.zeros(0), *(self.order.gather(x[part]) for part in self.parts.values())])

    def scattered(self, fields: np.ndarray) -> np.ndarray:
        """Return the local unknown fields of those that are kept. Collective.

        Parameters
        ----------
        fields : numpy.ndarray
            From `gathered`.
        """
        whole = np.split(fields, max(len(self.parts), 1))
        return np.concatenate([np.zeros(0), *(self.order.scatter(field) for field in whole if field.size)])

    @property
    def dimension(self) -> int:
        """Number of values in the unknown fields, of all ranks."""
        return len(self.parts) * self.forward.space.dim()

    @cached_property
    def order(self) -> NodeOrder:
        """Order of the nodes in which fields are kept. Collective."""
        return NodeOrder(self.forward.space)

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the sum of the products of unknown fields, or of such and derivatives by them. Collective.

        Parameters
        ----------
        a, b : numpy.ndarray, shape (size,)
            Of which the share of the laws does not count.
        """
        return float(total(self.pixels.comm, a[self.own] @ b[self.own]))

    def field(self, x: np.ndarray, name: str) -> np.ndarray:
        """Return local nodal values of a field; zero where it is not among the unknowns.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        name : str
            "start" or "heterogeneity".
        """
        return x[self.parts[name]] if name in self.parts else np.zeros(self.forward.layout.nodes)

    def set_map(self, x: np.ndarray) -> None:
        """Write the map into the forward model.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        """
        if "heterogeneity" in self.parts:
            self.forward.heterogeneity.dat.data_wo[:] = self.field(x, "heterogeneity")

    def of_fields(self, by: Inputs) -> np.ndarray:
        """Return the derivative by the unknown fields, as part of that by all unknowns, shape (size,). Collective.

        Parameters
        ----------
        by : Inputs
            Derivatives by the inputs of a run.
        """
        found = np.zeros(self.size)
        for name, part in self.parts.items():
            found[part] = getattr(by, name)[: self.forward.layout.nodes]
        if self._mean_given and "start" in self.parts:
            start, norm = self.parts["start"], self.forward.step.norm
            found[start] -= norm.total(found[start].sum()) * norm.mean_weights
        return found

    def first_fields(self, states: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the first field of states, of which the user's term is a functional.

        Parameters
        ----------
        states : sequence of numpy.ndarray, shape (size,)
            As `StateLayout` has them.
        """
        return [self.forward.layout.component(state, 0) for state in states]

    def start(self, x: np.ndarray) -> np.ndarray:
        """Return the change of the start that unknowns, or a change of them, make. Collective.

        It is one of all components with rates; where the model is given the mean in time, the start keeps it.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        """
        first = self.field(x, "start")
        if self._mean_given:
            first = first - self.forward.step.norm.mean(first)
        return np.pad(first, (0, len(self.segment.start) - len(first)))

    def value_of_field_priors(self, x: np.ndarray) -> float:
        """Return the share of the priors of the fields in the cost. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        """
        return 0.5 * self.dot(self.of_field_priors(x), x)

    def of_field_priors(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative of the priors of the fields, or their Hessian times a vector. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Where the derivative is, or the vector.
        """
        found = np.zeros_like(x)
        for name, part in self.parts.items():
            found[part] = self.variance * self.fields[name].precision(x[part])
        return found

    def covariance(self, g: np.ndarray) -> np.ndarray:
        """Return what the priors alone make of a derivative by the fields; zero for the laws. Collective.

        Parameters
        ----------
        g : numpy.ndarray, shape (size,)
            Derivative by the unknowns.
        """
        found = np.zeros_like(g)
        for name, part in self.parts.items():
            found[part] = self.fields[name].covariance(g[part]) / self.variance
        return found
