"""Laws and the unknown fields of several series, as one array on each rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.field_experiment import FieldExperiment
from fe_phaseinv.laws.priors import Prior


class JointUnknowns:
    """Unknowns as an array on each rank, with the series that they are of.

    First come the unknowns of the laws (`Coordinates`), the same on all ranks, then the local nodal values of the
    unknown fields of the series of this rank's group. Those of other groups are nowhere here.

    Parameters
    ----------
    experiments : sequence of FieldExperiment
        Those of this rank's group, with the same laws.
    prior : Prior
        Of the laws, in units of the squared misfit.
    ensemble : SeriesEnsemble, optional
        That the experiments are dealt to; all of them to all ranks where not given.
    """

    def __init__(self, experiments: Sequence[FieldExperiment], prior: Prior, ensemble: SeriesEnsemble | None = None):
        self.experiments, self.prior = tuple(experiments), prior
        first = self.experiments[0]
        self.coordinates, self.laws = first.coordinates, first.laws
        self.ensemble = ensemble or SeriesEnsemble.together(first.pixels.comm, len(self.experiments))
        sizes = [experiment.size - self.laws.stop for experiment in self.experiments]
        self.ends = self.laws.stop + np.cumsum([0, *sizes])

    def __len__(self) -> int:
        """Return the number of unknowns on this rank."""
        return int(self.ends[-1])

    @property
    def parts(self) -> list[tuple[FieldExperiment, str, slice]]:
        """The own unknown fields: of which experiment, their names, and where they are."""
        return [
            (experiment, name, slice(begin + part.start - self.laws.stop, begin + part.stop - self.laws.stop))
            for experiment, begin in zip(self.experiments, self.ends[:-1].tolist(), strict=True)
            for name, part in experiment.parts.items()
        ]

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the unknowns of each own series: of the laws, then of its fields.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns, or a change of them.
        """
        return [np.concatenate([x[self.laws], fields]) for fields in np.split(x, self.ends[:-1])[1:]]

    def begin(self, laws: np.ndarray) -> np.ndarray:
        """Return the unknowns with those of the laws as given, and the fields as they are expected.

        Parameters
        ----------
        laws : numpy.ndarray, shape (k,)
        """
        return np.pad(laws, (0, len(self) - len(laws)))

    def local(self, whole: np.ndarray) -> np.ndarray:
        """Return the local unknowns. Collective.

        Parameters
        ----------
        whole : numpy.ndarray
            As a point gives it.

        Raises
        ------
        ValueError
            Where it has another number of unknowns.
        """
        dimensions = self.ensemble.gather([experiment.dimension for experiment in self.experiments])
        if len(whole) != self.laws.stop + sum(dimensions):
            raise ValueError(f"{len(whole)} unknowns")
        fields = np.split(whole[self.laws.stop :], np.cumsum(dimensions)[:-1])
        own = zip(self.ensemble.own, self.experiments, strict=True)
        return np.concatenate([whole[self.laws], *(experiment.scattered(fields[index]) for index, experiment in own)])

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the sum of the products of unknowns, or of unknowns and derivatives by them. Collective.

        Parameters
        ----------
        a, b : numpy.ndarray, shape (size,)
        """
        parts = zip(self.experiments, self.split(a), self.split(b), strict=True)
        return float(a[self.laws] @ b[self.laws] + sum(self.ensemble.gather([of.dot(x, y) for of, x, y in parts])))

    def raised(self, g: np.ndarray) -> np.ndarray:
        """Return the change of the unknowns that a derivative is, by the metric of the region. Collective.

        Parameters
        ----------
        g : numpy.ndarray, shape (size,)
            Derivative by the unknowns.
        """
        parts = zip(self.experiments, self.split(g), strict=True)
        fields = [self.ensemble.count * of.variance * of.covariance(part)[of.own] for of, part in parts]
        return np.concatenate([g[self.laws], *fields])
