"""Which frames to take: choices among candidates by the information that each of them has on the laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, pinvh

from fe_phaseinv.optimisation.subsets import exchanged, greedy

Criterion = Literal["D", "A"]
"""D: the information that is expected. A: the variance of the laws that is expected."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Information:
    """What the frames of one experiment tell, as Fisher information in the unknowns of the laws, then of its start.

    Parameters
    ----------
    laws : int
        Number of the unknowns of the laws, n.
    base : numpy.ndarray, shape (n + k, n + k)
        Of what is there in any case: the first frame, what is expected of the start, frames that have been taken.
    frames : numpy.ndarray, shape (count, n + k, n + k)
        Of each frame that may be taken.
    times : numpy.ndarray, shape (count,)
        Of these frames, increasing.
    began : float
        Time of the start.
    """

    laws: int
    base: np.ndarray
    frames: np.ndarray
    times: np.ndarray
    began: float = 0.0

    def of_laws(self, chosen: Sequence[int] = ()) -> np.ndarray:
        """Return what some of the frames tell of the laws where the start is as unknown as they leave it, shape (n, n).

        The unknowns of the start are eliminated from the sum over the frames (Schur complement), which all show the
        same start.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the frames.
        """
        whole, n = self.base + self.frames[list(chosen)].sum(axis=0), self.laws
        mixed, start = whole[n:, :n], whole[n:, n:]
        try:
            eliminated = mixed.T @ cho_solve(cho_factor(start), mixed)
        except LinAlgError:  # modes that no pixel shows
            eliminated = mixed.T @ pinvh(start) @ mixed
        return whole[:n, :n] - eliminated


@dataclass(frozen=True, eq=False, kw_only=True)
class Aim:
    """A law that is to be known: at some arguments, before its transform and in units of its typical size.

    For a positive law that is its relative deviation.

    Parameters
    ----------
    name : str
        Of the law.
    arguments : tuple of numpy.ndarray, shape (points,)
        Its argument, or each of several.
    rows : numpy.ndarray, shape (points, n)
        Derivatives of the values by the unknowns.
    slope : bool
        Whether its slope is meant, where a constant changes nothing that could be seen.
    """

    name: str
    arguments: tuple[np.ndarray, ...]
    rows: np.ndarray
    slope: bool = False

    def deviations(self, covariance: np.ndarray) -> np.ndarray:
        """Return the standard deviation at each argument, shape (points,).

        Parameters
        ----------
        covariance : numpy.ndarray, shape (n, n)
            Of the unknowns.
        """
        return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", self.rows, covariance, self.rows), 0.0))

    def deviation(self, covariance: np.ndarray) -> float:
        """Return the root mean square of the standard deviations.

        Parameters
        ----------
        covariance : numpy.ndarray, shape (n, n)
            Of the unknowns.
        """
        return float(np.sqrt(np.mean(self.deviations(covariance) ** 2)))


@dataclass(frozen=True)
class Choice:
    """Frames that were chosen.

    Parameters
    ----------
    criterion : str
    chosen : tuple of int
        Numbers of the candidates, increasing.
    value : float
        What is expected with them: nats of information (D), or the root mean square deviation of all laws (A).
    order : tuple of int
        Candidates in the order in which each next one adds most, more of them than were asked for.
    values : tuple of float
        What is expected with the first of these, with the first two, and so on.
    """

    criterion: Criterion
    chosen: tuple[int, ...]
    value: float
    order: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Length:
    """How long a movie must be for a law to be known well enough.

    Parameters
    ----------
    law : str
    whole : float or None
        Time since the start up to which all candidates must be taken; None where all there are do not suffice.
    few : float or None
        The same where only so many of them are taken as are to be chosen, the best ones.
    """

    law: str
    whole: float | None
    few: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """Frames that may be taken, with what is known without them and what is to be known.

    Candidates are numbered through all experiments, one after the other.

    Parameters
    ----------
    prior : numpy.ndarray, shape (n, n)
        Precision of the unknowns of the laws before any frame.
    experiments : tuple of Information
    aims : tuple of Aim

    Raises
    ------
    ValueError
        Where the prior leaves something of the laws open, so that no information on it is finite.
    """

    prior: np.ndarray
    experiments: tuple[Information, ...]
    aims: tuple[Aim, ...]

    def __post_init__(self):
        """Refuse a prior of no density."""
        try:
            np.linalg.cholesky(self.prior)
        except np.linalg.LinAlgError:
            accepted = "one that expects something of every law, however little"
            raise ValueError(f"prior: found one that leaves laws open; accepted: {accepted}") from None

    def __len__(self) -> int:
        """Return the number of candidates."""
        return sum(len(experiment.frames) for experiment in self.experiments)

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Of each candidate, the number of its experiment and its own among the frames of that."""
        return tuple((e, f) for e, one in enumerate(self.experiments) for f in range(len(one.frames)))

    @cached_property
    def elapsed(self) -> np.ndarray:
        """Of each candidate, the time since the start of its experiment."""
        return np.concatenate([one.times - one.began for one in self.experiments])

    def precision(self, chosen: Sequence[int] = ()) -> np.ndarray:
        """Return the precision of the unknowns with some of the candidates, shape (n, n).

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the candidates.
        """
        taken = [[self.places[number][1] for number in chosen if self.places[number][0] == e] for e in self._all]
        pairs = zip(self.experiments, taken, strict=True)
        return self.prior + sum(experiment.of_laws(frames) for experiment, frames in pairs)

    def covariance(self, chosen: Sequence[int] = ()) -> np.ndarray:
        """Return the covariance of the unknowns that is expected with some of the candidates, shape (n, n).

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the candidates.
        """
        return np.linalg.inv(self.precision(chosen))

    def gain(self, chosen: Sequence[int]) -> float:
        """Return the information that some of the candidates are expected to add to what is known, in nats.

        Half the logarithm of the determinant of the precision with them over that without (Lindley, Ann. Math. Stat.
        27, 986 (1956); of a linear Gaussian model: Chaloner and Verdinelli, Stat. Sci. 10, 273 (1995), section 2).

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the candidates.
        """
        return 0.5 * float(np.linalg.slogdet(self.precision(chosen))[1] - self._known)

    def deviation(self, chosen: Sequence[int] = ()) -> float:
        """Return the root mean square deviation of all laws, each of the same weight, that is expected.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the candidates.
        """
        return float(np.sqrt(np.sum(self._weight * self.covariance(chosen))))

    def deviations(self, chosen: Sequence[int] = ()) -> dict[str, float]:
        """Return the root mean square deviation of each law that is expected.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the candidates.
        """
        covariance = self.covariance(chosen)
        return {aim.name: aim.deviation(covariance) for aim in self.aims}

    def choice(
        self, count: int, criterion: Criterion = "D", *, among: Sequence[int] | None = None, beyond: int = 0
    ) -> Choice:
        """Choose candidates: each next one where it adds most, then exchanges of one for another until none is better.

        The exchanges are those of Fedorov, Theory of Optimal Experiments (Academic Press, 1972), chapter 3. They may
        end before the best set is found, and so begin with evenly spaced ones as well; the better end counts.

        Parameters
        ----------
        count : int
            How many; all where there are fewer.
        criterion : str
            "D", the most information, or "A", the least mean variance of the laws.
        among : sequence of int, optional
            Candidates to choose from; all where not given.
        beyond : int
            How far the order goes on at least.

        Raises
        ------
        ValueError
            Where it is another criterion, or a number below one.
        """
        if criterion not in get_args(Criterion) or count < 1:
            found = f"criterion {criterion!r} and {count} frames"
            raise ValueError(f"choice: found {found}; accepted: 'D' or 'A', and at least one frame")
        among = range(len(self)) if among is None else among
        value, sign = (self.gain, 1.0) if criterion == "D" else (self.deviation, -1.0)

        def merit(chosen: Sequence[int]) -> float:
            return sign * value(chosen)

        order, merits = greedy(merit, among, max(count, beyond))
        ends = [exchanged(merit, among, begin) for begin in (order[:count], self.evenly(count, among))]
        chosen = tuple(sorted(max(ends, key=merit)))
        return Choice(criterion, chosen, value(chosen), tuple(order), tuple(sign * merit for merit in merits))

    def evenly(self, count: int, among: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return candidates that are as many apart from each other, the last one among them.

        Parameters
        ----------
        count : int
            How many; all where there are fewer.
        among : sequence of int, optional
            Candidates to choose from; all where not given.
        """
        numbers = np.arange(len(self)) if among is None else np.array(among)
        inside = numbers[np.argsort(self.elapsed[numbers], kind="stable")]
        ends = np.linspace(0, len(inside), min(count, len(inside)) + 1)[1:]
        return tuple(sorted(inside[np.ceil(ends - 1e-9).astype(int) - 1].tolist()))

    def lengths(self, within: float, count: int) -> tuple[Length, ...]:
        """Find how long a movie must be for each law to be known well enough.

        Parameters
        ----------
        within : float
            Root mean square deviation that is well enough.
        count : int
            How many frames are chosen where not all are taken: those of the least mean variance of the laws.
        """
        whole, few = {}, {}
        for end in np.unique(self.elapsed):
            among = np.flatnonzero(self.elapsed <= end).tolist()
            whole |= self._reached(among, within, whole, end)
            if whole.keys() - few.keys():  # a choice tells no more than all do
                few |= self._reached(self.choice(count, "A", among=among).chosen, within, few, end)
        return tuple(Length(aim.name, whole.get(aim.name), few.get(aim.name)) for aim in self.aims)

    def _reached(self, chosen: Sequence[int], within: float, before: dict[str, float], end: float) -> dict[str, float]:
        """Return the laws that are known well enough with some candidates, and were not before."""
        found = self.deviations(chosen)
        return {name: float(end) for name, value in found.items() if value <= within and name not in before}

    @property
    def _all(self) -> range:
        return range(len(self.experiments))

    @cached_property
    def _known(self) -> float:
        return float(np.linalg.slogdet(self.precision())[1])

    @cached_property
    def _weight(self) -> np.ndarray:
        """Matrix whose product with the covariance sums up to the mean variance of the laws."""
        return np.mean([aim.rows.T @ aim.rows / len(aim.rows) for aim in self.aims], axis=0)
