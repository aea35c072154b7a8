"""What to measure next, as values and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fe_phaseinv.inference.informations import Told, among
from fe_phaseinv.inference.optimal_design import Candidates, Choice, Length
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.models.interface import Model
from fe_phaseinv.output.summary import plain

BEYOND = 10
"""Frames up to which the gain of each next one is told, or as many as are to be chosen."""
CRITERIA = {"D": "most information", "A": "least mean variance of the laws"}


@dataclass(frozen=True, eq=False)
class Compared:
    """What the best frames of an experiment would tell beyond what is known.

    Parameters
    ----------
    name : str
    times : tuple of float
        Of these frames, since the start.
    gain : float
        Nats of information.
    deviations : dict of float
        By law, its root mean square deviation with them, relative to it.
    """

    name: str
    times: tuple[float, ...]
    gain: float
    deviations: dict[str, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """Which frames and experiments tell how much of the laws.

    Parameters
    ----------
    model : Model
    laws : dict of Law
        By name, those with which all of it is worked out.
    candidates : Candidates
    names : tuple of str
        Of the series that the candidates belong to.
    noise : float
        Standard deviation of a pixel.
    choose : int
        How many frames are chosen.
    within : float
        Relative deviation within which laws are to be known.
    choices : dict of Choice
        By criterion.
    alone : tuple of float
        Of each candidate, the information that it would add by itself, in nats.
    lengths : tuple of Length
    compared : tuple of Compared
        Experiments, the one that would tell most first.
    time_unit : str
    """

    model: Model
    laws: dict[str, Law]
    candidates: Candidates
    names: tuple[str, ...]
    noise: float
    choose: int
    within: float
    choices: dict[str, Choice]
    alone: tuple[float, ...]
    lengths: tuple[Length, ...]
    compared: tuple[Compared, ...]
    time_unit: str = ""

    @property
    def sets(self) -> dict[str, tuple[int, ...]]:
        """Sets of candidates to be compared: those chosen, by their criteria, as many evenly spaced ones, and all."""
        chosen = {name: choice.chosen for name, choice in self.choices.items()}
        return chosen | {"even": self.candidates.evenly(self.choose), "all": tuple(range(len(self.candidates)))}

    def title(self, name: str) -> str:
        """Return one of the sets in words.

        Parameters
        ----------
        name : str
            Of the set.
        """
        others = {"even": f"{self.choose} evenly spaced", "all": f"all {len(self.candidates)}"}
        return others.get(name, f"best {self.choose} ({name})")

    def time(self, number: int) -> float:
        """Return the time of a candidate, as its images have it.

        Parameters
        ----------
        number : int
            Of the candidate.
        """
        experiment, frame = self.candidates.places[number]
        return float(self.candidates.experiments[experiment].times[frame])

    def label(self, number: int) -> str:
        """Name a candidate: by its time, and where there are several experiments by the name of its own.

        Parameters
        ----------
        number : int
            Of the candidate.
        """
        name = f" of {self.names[self.candidates.places[number][0]]}" if len(self.names) > 1 else ""
        return f"{self.time(number):.4g}{name}"

    def sentences(self) -> list[str]:
        """Return it in words."""
        return [*self._of_choices(), *self._of_sets(), *self._of_lengths(), *self._of_experiments()]

    def summary(self) -> dict[str, Any]:
        """Return it as plain values, those of design.json: deviations are relative, information is in nats."""
        plan, unit = self.candidates, {"time": self.time_unit}
        frames = [
            {"experiment": self.names[experiment], "time": self.time(number), "alone": self.alone[number]}
            for number, (experiment, _) in enumerate(plan.places)
        ]
        sets = {
            name: {"frames": chosen, "information": plan.gain(chosen), "deviations": plan.deviations(chosen)}
            for name, chosen in self.sets.items()
        }
        return plain(
            {
                "model": self.model.name,
                "noise": self.noise,
                "choose": self.choose,
                "within": self.within,
                "units": unit,
                "candidates": frames,
                "choices": {name: asdict(choice) for name, choice in self.choices.items()},
                "known": plan.deviations(),
                "sets": sets,
                "lengths": [asdict(length) for length in self.lengths],
                "experiments": [vars(one) for one in self.compared],
                "words": self.sentences(),
            }
        )

    def _of_choices(self) -> list[str]:
        every = self.candidates.gain(range(len(self.candidates)))
        said = []
        for name, choice in self.choices.items():
            times = ", ".join(map(self.label, choice.chosen))
            nats = self.candidates.gain(choice.chosen)
            said.append(
                f"Best {len(choice.chosen)} of {len(self.candidates)} frames, {CRITERIA[name]} ({name}-optimal): "
                f"t = {times}{self._unit}; {nats:.1f} nats of the {every:.1f} that all would tell."
            )
        gains = np.diff([0.0, *self.choices["D"].values])
        steps = zip(self.choices["D"].order, gains, strict=True)
        said.append(f"One by one: {', '.join(f'{self.label(n)} (+{gain:.1f} nats)' for n, gain in steps)}.")
        return said

    def _of_sets(self) -> list[str]:
        """Return a table of the deviations that are expected, a row for each law."""
        columns = {name: self.candidates.deviations(chosen) for name, chosen in self.sets.items()}
        first = {"deviation expected of": ""} | {self._symbol(aim.name): aim.name for aim in self.candidates.aims}
        width = max(map(len, first)) + 2
        heads, *rows = (
            [text, *(_percent(column[law]) if law else self.title(name) for name, column in columns.items())]
            for text, law in first.items()
        )
        return [f"{text:{width}}" + "".join(f"{cell:>20}" for cell in cells) for text, *cells in (heads, *rows)]

    def _of_lengths(self) -> list[str]:
        last = self.candidates.elapsed.max()
        return [
            f"To know {self._symbol(length.law)} within {_percent(self.within)}: {self._needed(length, last)}."
            for length in self.lengths
        ]

    def _needed(self, length: Length, last: float) -> str:
        if length.whole is None:
            return f"not with all frames up to {last:.4g}{self._unit}"
        whole = f"all frames up to {length.whole:.4g}{self._unit}"
        if length.few is None:
            return f"{whole}; not with {self.choose} frames up to {last:.4g}{self._unit}"
        return f"{whole}, or the best {self.choose} up to {length.few:.4g}{self._unit}"

    def _of_experiments(self) -> list[str]:
        if len(self.compared) < 2:
            return []
        lines = [f"Experiments, by what the best {self.choose} frames of each would tell beyond what is known:"]
        for place, one in enumerate(self.compared, 1):
            laws = ", ".join(f"{self._symbol(law)} {_percent(value)}" for law, value in one.deviations.items())
            times = ", ".join(f"{time:.4g}" for time in one.times)
            lines.append(f"{place}. {one.name}: {one.gain:.1f} nats (t = {times}{self._unit}); {laws}")
        return lines

    def _symbol(self, law: str) -> str:
        slope = next(aim.slope for aim in self.candidates.aims if aim.name == law)
        return self.model.symbol(law) + ("'" if slope else "")

    @property
    def _unit(self) -> str:
        return f" {self.time_unit}" if self.time_unit else ""


def plan(
    problem: Problem,
    told: Sequence[Told],
    names: Sequence[str],
    others: Sequence[tuple[str, Told]] = (),
    *,
    own: str = "as it is",
    choose: int = 4,
    within: float = 0.05,
) -> Plan:
    """Choose frames, and compare experiments by the best frames of each.

    Parameters
    ----------
    problem : Problem
    told : sequence of Told
        What the frames of each of its series tell.
    names : sequence of str
        Of these series.
    others : sequence of tuple
        Names of experiments to compare, and what their frames tell.
    own : str
        What the experiment of the problem is called beside others.
    choose : int
        How many frames.
    within : float
        Relative deviation within which laws are to be known.

    Raises
    ------
    ValueError
        Where the prior leaves laws open.
    """
    candidates = among(problem, told)
    choose = min(choose, len(candidates))
    beyond = max(choose, BEYOND)
    choices = {criterion: candidates.choice(choose, criterion, beyond=beyond) for criterion in CRITERIA}
    compared = [_compared(own, candidates, choices["D"])]
    known = candidates.precision()
    for name, one in others:
        alone = Candidates(prior=known, experiments=(one.information,), aims=candidates.aims)
        compared.append(_compared(name, alone, alone.choice(choose)))
    return Plan(
        model=problem.model,
        laws=problem.parameters.laws(problem.coordinates.start),
        candidates=candidates,
        names=tuple(names),
        noise=problem.noise,
        choose=choose,
        within=within,
        choices=choices,
        alone=tuple(candidates.gain([number]) for number in range(len(candidates))),
        lengths=candidates.lengths(within, choose),
        compared=tuple(sorted(compared, key=lambda one: -one.gain)),
        time_unit=problem.series[0].images.time_unit,
    )


def _compared(name: str, candidates: Candidates, choice: Choice) -> Compared:
    times = tuple(candidates.elapsed[list(choice.chosen)].tolist())
    return Compared(name, times, candidates.gain(choice.chosen), candidates.deviations(choice.chosen))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
