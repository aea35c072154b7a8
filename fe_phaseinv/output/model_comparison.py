"""Which of several models the same images speak for: a table of their evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.inference.evidence import Evidence

VERDICTS = ((1.0, "not worth more than a bare mention"), (3.0, "positive"), (5.0, "strong"), (np.inf, "very strong"))
"""What a difference of logarithms of evidence means, up to a size: Kass and Raftery, J. Am. Stat. Assoc. 90, 773
(1995), section 3.2."""
SAME = ("source", "frames")
"""What results must have in common of their images."""


@dataclass(frozen=True)
class Candidate:
    """A model, and what the images say for it.

    Parameters
    ----------
    name : str
        What the table calls it.
    model, status : str
    unknowns : int
        Number of coefficients.
    rms : float
        Root mean square of what it leaves of the images.
    fit : float
        Logarithm of its likelihood, less that of the best.
    volume : float
        Logarithm of the share of the prior that the images leave, less that of the best.
    """

    name: str
    model: str
    status: str
    unknowns: int
    rms: float
    fit: float
    volume: float

    @property
    def evidence(self) -> float:
        """Logarithm of the evidence, less that of the best."""
        return self.fit + self.volume


def compare_models(contents: Sequence[dict[str, Any]], names: Sequence[str | os.PathLike]) -> tuple[Candidate, ...]:
    """Return the models of results, the one with the largest evidence first.

    All are held against the noise that the model which explains most leaves.

    Parameters
    ----------
    contents : sequence of dict
        Of the result.json of each.
    names : sequence of str or os.PathLike
        What errors and the table call the results.

    Raises
    ------
    InputError
        Where a result has no evidence, or is of other images than the first.
    """
    found = [_evidence(name, content) for name, content in zip(names, contents, strict=True)]
    for name, content, evidence in zip(names, contents, found, strict=True):
        _require_same(names[0], name, _data(contents[0], found[0]), _data(content, evidence))
    variance = min(evidence.variance for evidence in found)
    pairs = [(evidence.fit(variance), evidence.volume(variance)) for evidence in found]
    fit, volume = max(pairs, key=sum)
    candidates = [
        Candidate(
            name=str(name),
            model=content["model"],
            status=content["status"],
            unknowns=len(evidence.distance),
            rms=content["misfit_rms"],
            fit=own[0] - fit,
            volume=own[1] - volume,
        )
        for name, content, evidence, own in zip(names, contents, found, pairs, strict=True)
    ]
    return tuple(sorted(candidates, key=lambda one: -one.evidence))


def as_text(candidates: Sequence[Candidate]) -> str:
    """Return the table, and in words what it says.

    Parameters
    ----------
    candidates : sequence of Candidate
        From `compare_models`.
    """
    best, *others = candidates
    width = max(len("result"), *(len(one.name) for one in candidates))
    lines = [
        f"{'result':{width}} {'model':>20} {'unknowns':>8} {'misfit':>10} {'fit':>12} {'volume':>8} {'evidence':>12}"
    ]
    for one in candidates:
        numbers = f"{one.unknowns:8d} {one.rms:10.3e} {one.fit:12.4g} {one.volume:8.3g} {one.evidence:12.4g}"
        lines.append(f"{one.name:{width}} {one.model:>20} {numbers}")
    lines += [_sentence(best, one) for one in others]
    lines += [f"{one.name}: {one.status}" for one in candidates if one.status != "converged"]
    return "\n".join(lines)


def _sentence(best: Candidate, other: Candidate) -> str:
    """Say how strongly, and why, images prefer a model to another one."""
    apart, by_fit, by_volume = (0.0 - each for each in (other.evidence, other.fit, other.volume))
    verdict = next(words for size, words in VERDICTS if apart <= size)
    explains, leaves = ("better", "worse")[other.fit > 0], ("less", "more")[other.volume > 0]
    why = f"it explains the images {explains} ({by_fit:+.4g}), and the other leaves {leaves} of its prior open"
    return (
        f"For {best.name} against {other.name}: a Bayes factor of exp({apart:.4g}), {verdict}: {why} "
        f"({by_volume:+.3g})."
    )


def _evidence(name: str | os.PathLike, content: dict[str, Any]) -> Evidence:
    """Return the evidence that a result holds."""
    given, accepted = content.get("evidence"), "the result.json of an inversion with bands, without unknown fields"
    if not isinstance(given, dict):
        raise InputError(name, "evidence", json.dumps(given), accepted)
    try:
        return Evidence(**{key: np.array(part) if isinstance(part, list) else part for key, part in given.items()})
    except TypeError as error:
        raise InputError(name, "evidence", str(error), accepted) from error


def _data(content: dict[str, Any], evidence: Evidence) -> list[Any]:
    """Return what tells the images of a result from others."""
    return [[{key: images[key] for key in SAME} for images in content["images"]], evidence.pixels]


def _require_same(first: str | os.PathLike, name: str | os.PathLike, wanted: list[Any], found: list[Any]) -> None:
    for key, mine, other in zip(("images", "pixels"), found, wanted, strict=True):
        if mine != other:
            raise InputError(name, key, json.dumps(mine), f"those of {first}, {json.dumps(other)}")
