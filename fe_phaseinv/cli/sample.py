"""fe-phaseinv sample."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from fe_phaseinv.cli.build import is_by_fields
from fe_phaseinv.cli.case import Case, read_case
from fe_phaseinv.cli.dealing import draws_dealt
from fe_phaseinv.cli.folder import PROGRESS, RECORD, open_folder, pose_case, read_progress
from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.core.errors import InputError, refusing_unreadable
from fe_phaseinv.core.parallel import dealt, on_root
from fe_phaseinv.inference.density import PosteriorDensity
from fe_phaseinv.inference.sampling import Method, State, importance_draw, reference_draw
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output.files import as_json, drawn_files, write_atomically
from fe_phaseinv.output.reading import read_result
from fe_phaseinv.output.result import collect
from fe_phaseinv.output.samples import FEWEST_STATES, Chains, Draws, Sampled, export
from fe_phaseinv.output.samples_figure import draw_bands, draw_mixing
from fe_phaseinv.solvers.direct import StepFailed

SEED = 20210
"""Of all random numbers: the same draws and chains on any number of ranks."""
FOLDER, DRAWN, STATES = "sampling", "draws.jsonl", "chains.jsonl"
"""Where what was drawn is recorded, a line for each run."""
FINISHED = "the folder of an inversion that has converged"
SAID = 10
"""How often the progress of draws, and that of chains, is said."""


def sample(options: argparse.Namespace, session: Session) -> int:
    """Sample the posterior of the laws of a finished inversion, and write what was found. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the path `folder`, the numbers `draws`, `samples`, `chains` and `warm_up`, the `method`, and whether to
        `resume`.
    session : Session

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    InputError
        Where the folder is not that of a finished inversion, or its samples are not of this one.
    """
    folder, count = options.folder, -(-options.samples // options.chains)
    on_root(WORLD, _require, options)
    case = on_root(WORLD, _finished, folder)
    problem, inputs = pose_case(case, folder, deal=draws_dealt)
    progress = read_progress(problem, folder, inputs)
    try:
        density = PosteriorDensity.at_end(problem, progress)
    except StepFailed as failure:
        raise InputError(folder / PROGRESS, "file", str(failure), FINISHED) from failure
    known = {"x": progress.state.point.x.tolist(), "regularisation": list(progress.regularisation), "seed": SEED}
    asked = known | {"method": options.method, "chains": options.chains, "warm_up": options.warm_up}
    records = {DRAWN: known} | ({STATES: asked} if count else {})
    texts = on_root(WORLD, _kept, folder / FOLDER, records, options.resume)
    open_folder(folder, case, session, "a")
    on_root(WORLD, _begin, folder / FOLDER, texts)
    recorded = {name: [json.loads(line) for line in text.splitlines()[1:]] for name, text in texts.items()}
    run = _Run(folder / FOLDER, density, WORLD if problem.ensemble.comm.size < WORLD.size else None)
    dimension = density.of_unknowns.reference.dimension
    log.info("%d directions, a pixel's deviation of %.3g", dimension, density.laplace.deviation)
    draws = run.draws(recorded[DRAWN], options.draws)
    method = Method(options.method, SEED, options.warm_up)
    chains = run.chains(method, recorded[STATES], options.chains, count) if count else None
    sampled = Sampled(collect(problem, progress, uncertainty=False), density.laplace, draws, chains)
    for line in on_root(WORLD, _written, folder, sampled):
        log.info(line)
    for doubt in on_root(WORLD, sampled.doubts):
        session.doubt(doubt)
    return DONE


def _require(options: argparse.Namespace) -> None:
    """Refuse what cannot be sampled, or too few samples to tell how well chains have mixed."""
    missing = [name for name in ("arviz_base", "arviz_stats", "h5netcdf") if find_spec(name) is None]
    if missing:
        accepted = 'what pip install "fe_phaseinv[sampling]" installs'
        raise InputError("fe-phaseinv sample", "packages", f"no {' and no '.join(missing)}", accepted)
    if 0 < options.samples < FEWEST_STATES * options.chains:
        accepted = f"0, or at least {FEWEST_STATES} for each of {options.chains} chains"
        raise InputError("fe-phaseinv sample", "--samples", options.samples, accepted)


def _finished(folder: Path) -> Case:
    """Read the case of a finished inversion."""
    for name in (PROGRESS, RECORD, "result.json"):
        if not (folder / name).exists():
            raise InputError(folder, "OUT", f"no {name}", FINISHED)
    status = read_result(folder / "result.json").get("status")
    if not str(status).startswith(Outcome.CONVERGED.value):
        raise InputError(folder / "result.json", "status", status, FINISHED)
    case = read_case(folder / RECORD)
    if is_by_fields(case):
        found = "a map" if case.heterogeneity else f"hessian = {case.optimizer.hessian}"
        raise InputError(folder / RECORD, "case", found, "laws, and starts in modes, by Gauss-Newton")
    return case


@dataclass(frozen=True, eq=False)
class _Run:
    """Draws and chains of a density, whose records lie in a folder.

    Each is made by the ranks of the mesh; where these are one, others make others beside it.
    """

    folder: Path
    density: PosteriorDensity
    beside: MPI.Comm | None

    def draws(self, recorded: Sequence[dict[str, Any]], count: int) -> Draws:
        """Weigh draws from Laplace's approximation, beginning with those recorded."""
        target = self.density.of_coefficients
        log_weights = [-np.inf if line["log_weight"] is None else line["log_weight"] for line in recorded]
        at_once = self.beside.size if self.beside else 1
        for first in range(len(log_weights), count, at_once):
            numbers = range(first, min(first + at_once, count))
            found = dealt(self.beside, [partial(importance_draw, target, SEED, number) for number in numbers])
            log_weights += found
            lines = [{"log_weight": value if np.isfinite(value) else None} for value in found]
            on_root(WORLD, _append, self.folder / DRAWN, lines)
            _say("draws", first, len(log_weights), count)
        drawn = [target.reference.at(reference_draw(target, SEED, number)) for number in range(len(log_weights))]
        return Draws(np.array([self.density.from_free(y) for y in drawn]), np.array(log_weights))

    def chains(self, method: Method, recorded: Sequence[dict[str, Any]], chains: int, count: int) -> Chains:
        """Run chains side by side, beginning with what was recorded of them."""
        paths: list[list[State]] = [[] for _ in range(chains)]
        for line in recorded:
            paths[line.pop("chain")].append(_state(line))
        target, length = self.density.of_unknowns, 1 + method.warm_up + count
        while short := [number for number, path in enumerate(paths) if len(path) < length]:
            before = min(map(len, paths))
            calls = [partial(_following, method, target, paths[number], number) for number in short]
            lines = []
            for number, state in zip(short, dealt(self.beside, calls), strict=True):
                paths[number].append(state)
                lines.append({"chain": number} | {key: _listed(value) for key, value in asdict(state).items()})
            on_root(WORLD, _append, self.folder / STATES, lines)
            _say("states of each chain", before, min(map(len, paths)), length)
        return self._chains(method, [path[1 + method.warm_up : length] for path in paths])

    def _chains(self, method: Method, paths: Sequence[Sequence[State]]) -> Chains:
        reference = self.density.of_unknowns.reference
        told = {
            name: np.array([[getattr(state, name) for state in path] for path in paths])
            for name in ("log_density", "probability", "accepted", "step")
        }
        directions = np.array([[state.z for state in path] for path in paths])
        laws = [[self.density.from_unknowns(reference.at(state.z)) for state in path] for path in paths]
        return Chains(
            method=method.name, warm_up=method.warm_up, coefficients=np.array(laws), directions=directions, **told
        )


def _following(method: Method, target, path: Sequence[State], number: int) -> State:
    return method.following(target, path[-1], number) if path else method.start(target, number)


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _state(line: dict[str, Any]) -> State:
    return State(**{key: np.array(value) if isinstance(value, list) else value for key, value in line.items()})


def _say(what: str, before: int, after: int, count: int) -> None:
    if before * SAID // count < after * SAID // count:
        log.info("%d of %d %s", after, count, what)


def _kept(folder: Path, records: dict[str, dict[str, Any]], resume: bool) -> dict[str, str]:
    """Return by name the text of each record, but for a line that was cut short; its header alone of a new one."""
    return {name: _text(folder / name, json.loads(json.dumps(header)), resume) for name, header in records.items()}


def _text(path: Path, header: dict[str, Any], resume: bool) -> str:
    if not (resume and path.exists()):
        return json.dumps(header) + "\n"
    accepted = "the samples of this inversion, by this method"
    with refusing_unreadable(path, accepted):
        content = path.read_text(encoding="utf-8")
        whole = content[: content.rfind("\n") + 1]
        first, *_ = map(json.loads, whole.splitlines())
        differing = [key for key, value in header.items() if first.get(key) != value]
    if differing:
        raise InputError(path, "file", f"those with another {', '.join(differing)}", accepted)
    return whole


def _begin(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text)


def _append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _written(folder: Path, sampled: Sampled) -> list[str]:
    """Write numbers, samples and figures; gives what to say."""
    content = sampled.content()
    write_atomically(folder / "sampling.json", as_json(content))
    export(folder / "samples.nc", sampled)
    figures = {"sampling": draw_bands(sampled)} | ({"mixing": draw_mixing(sampled)} if sampled.chains else {})
    for name, figure in figures.items():
        for file, data in drawn_files(name, figure).items():
            write_atomically(folder / file, data)
    return [*_words(content), f"wrote {folder / 'sampling.json'}, samples.nc and figures"]


def _words(content: dict[str, Any]) -> Iterator[str]:
    """Say what was found."""
    draws, chains = content["importance"], content.get("samples")
    k_hat = "unknown" if draws["k_hat"] is None else f"{draws['k_hat']:.2f}"
    found = f"{draws['draws']} draws, {draws['failed']} of them failed, {draws['effective']:.0f} effective"
    yield f"Laplace's approximation: k-hat {k_hat} ({found})"
    if chains:
        rates = ", ".join(f"{rate:.2f}" for rate in chains["acceptance"])
        yield f"{chains['samples']} samples by {chains['method']} in {chains['chains']} chains; accepted: {rates}"
        effective = f"at least {chains['ess']:.0f} effective samples, {chains['ess_per_run']:.3g} for each run"
        yield f"R-hat {chains['r_hat']:.3f}; {effective}"
    for name, law in content["laws"].items():
        apart = [f"{law[kind]['difference']:.0%} by {kind}" for kind in ("importance", "samples") if kind in law]
        yield f"{name}: ends of the band differ from Laplace's by at most {' and '.join(apart)} of its width"
