"""The command fe-phaseinv."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv import report
from fe_phaseinv.build import build_problem, load_images
from fe_phaseinv.case import Case, read_case
from fe_phaseinv.errors import InputError
from fe_phaseinv.images import ImageSeries
from fe_phaseinv.inversion import FIRST_STRENGTH, Problem, Progress, invert, resume
from fe_phaseinv.parallel import on_root
from fe_phaseinv.stepping.trajectory import StepFailed, Tolerances
from fe_phaseinv.trust_region import Outcome
from fe_phaseinv.verification import verify

DONE, BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 0, 2, 3, 4
WORLD = MPI.COMM_WORLD  # the one place that chooses a communicator; everything else takes that of its mesh

log = logging.getLogger("fe_phaseinv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    options = _parser().parse_args(arguments)
    PETSc.Options().setValue("options_left", False)  # the arguments above are none of PETSc's
    logging.captureWarnings(True)
    _log_to(logging.StreamHandler(sys.stdout))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        case = read_case(options.case, options.set)
        return options.command(case, options)
    except InputError as error:
        if WORLD.rank == 0:
            sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        log.info("interrupted; what was reached is kept, --resume goes on")
        if WORLD.size > 1:
            WORLD.Abort(INTERRUPTED)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fe-phaseinv", description="Learn the laws of pattern formation from images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("invert", _invert, "learn the laws from the images of a case"),
        ("simulate", _simulate, "run the laws of a case forward; writes images that invert can read"),
        ("check", _check, "validate a case, then prove the derivatives on it"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("case", type=Path, help="case file (TOML)")
        sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the case")
        if name != "check":
            sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
        if name == "invert":
            sub.add_argument("--resume", action="store_true", help="go on where an earlier run of this case stopped")
        sub.set_defaults(command=command)
    return parser


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _log_to(handler: logging.Handler) -> None:
    if WORLD.rank == 0:
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _invert(case: Case, options) -> int:
    folder = options.output
    images, frames = load_images(case)
    _require_folder(folder, case)
    problem = build_problem(case, images, frames, WORLD)
    saved = _saved_progress(folder) if options.resume else None
    _open_folder(folder, case)
    log.info(_describe(problem))
    progress = None
    if saved:
        progress = resume(problem, saved)
        log.info("resumed at iteration %d of stage %s", progress.state.iteration, progress.stage)
    log.info("%10s %5s %12s %10s %10s %8s", "stage", "iter", "cost", "misfit", "radius", "seconds")
    for progress in invert(problem, case.optimizer.max_iterations, progress):
        log.info(_line(progress))
        if progress.state.accepted and np.isfinite(progress.state.point.value):
            on_root(WORLD, report.write_atomically, folder / "progress.json", json.dumps(progress.to_dict()))
    return _finish(case, problem, progress, folder)


def _line(progress: Progress) -> str:
    last = progress.history[-1]
    note = "" if last["accepted"] else "  rejected"
    return (
        f"{last['stage']:>10} {last['iteration']:5d} {last['cost']:12.5e} {last['misfit_rms']:10.5f} "
        f"{last['radius']:10.3e} {last['seconds']:8.1f}{note}"
    )


def _describe(problem: Problem) -> str:
    forward = problem.fine.forward
    unknowns = forward.space.dim() * len(forward.model.fields)
    return (
        f"{forward.model.name}: {len(problem.coordinates)} unknown coefficients, {unknowns} unknowns in space (degree "
        f"{forward.degree}), {len(problem.frames)} frames of {' x '.join(map(str, problem.fine.pixels.images.shape))} pixels, "
        f"{WORLD.size} rank{'s' if WORLD.size > 1 else ''}"
    )


def _finish(case: Case, problem: Problem, progress: Progress, folder: Path) -> int:
    """Write the results; gives the exit status."""
    point, outcome = progress.state.point, progress.state.outcome
    if outcome is Outcome.NO_START:
        log.info(outcome.value)
        return NOT_CONVERGED
    posterior = problem.posterior(progress) if case.uncertainty.method == "laplace" else None
    how = problem.fine if progress.stage == "trajectory" else problem.rough
    images, frames = how.pixels.images, list(problem.frames)
    predicted = np.array([how.pixels.picture(prediction) for prediction in point.predictions])
    observed = np.where(np.isfinite(predicted), images.frames[frames], np.nan)
    used, work = images.frames[[problem.initial, *frames]], progress.counts
    result = report.Result(
        model=case.model,
        status="converged" if outcome is Outcome.CONVERGED else outcome.value,
        iterations=progress.state.iteration,
        cost=point.value,
        misfit_rms=point.misfit_rms,
        laws=problem.parameters.laws(problem.coordinates.natural(point.x)),
        posterior=posterior,
        range=(float(np.nanmin(used)), float(np.nanmax(used))),
        frames=problem.frames,
        times=tuple(images.times[frames]),
        observed=observed,
        predicted=predicted,
        extent=images.extent,
        origin=images.origin,
        history=progress.history,
        counts={
            "forward": work.forward,
            "tangent": work.tangent,
            "adjoint": 0,
            "second": 0,
            "factorisations": work.factorisations,
            "steps": work.steps,
        },
        seconds={
            "total": progress.seconds,
            "forward": work.seconds_forward,
            "sensitivities": work.seconds_sensitivities,
        },
        ranks=WORLD.size,
        truth=json.loads(case.truth.read_text()) if case.truth else None,
    )
    report.write_states(folder, how.forward.space, point.states, images.times[frames])
    for path in on_root(WORLD, report.write, folder, result):
        log.info("wrote %s", path)
    log.info("%s after %d iterations, misfit rms %.4g", result.status, result.iterations, result.misfit_rms)
    return DONE if outcome is Outcome.CONVERGED else NOT_CONVERGED


def _simulate(case: Case, options) -> int:
    images, frames = load_images(case)
    _require_folder(options.output, case)
    problem = build_problem(case, images, frames, WORLD)
    _open_folder(options.output, case)
    forward, pixels = problem.fine.forward, problem.fine.pixels
    (segment,) = problem.objective("trajectory", 0.0).segments
    try:
        run = forward.run(problem.coordinates.start, segment.start, segment.times)
    except StepFailed as error:
        log.info("the run stopped: %s", error)
        return NOT_CONVERGED
    states = [segment.start, *run.states]
    simulated = np.array([pixels.picture(pixels.average(state)) for state in states])
    series = ImageSeries(simulated, np.array(segment.times), images.extent, images.origin)
    report.write_states(options.output, forward.space, states, segment.times)
    on_root(WORLD, series.save, options.output / "images.npz")
    log.info("%d steps; wrote %s", len(run.grid.orders), options.output / "images.npz")
    return DONE


def _check(case: Case, options) -> int:
    images, frames = load_images(case)
    problem = build_problem(case, images, frames, WORLD, Tolerances(newton=1e-7))
    strength = FIRST_STRENGTH if case.prior.strength == "auto" else case.prior.strength
    x = problem.coordinates.from_natural(problem.coordinates.start)
    checks = verify(problem.objective("intervals", strength), x)
    for check in checks:
        log.info(
            "%-50s %10.5f  (to be %g within %g): %s",
            check.name,
            check.found,
            check.expected,
            check.allowed,
            "holds" if check.holds else "FAILS",
        )
    return DONE if all(check.holds for check in checks) else NOT_CONVERGED


def _require_folder(folder: Path, case: Case) -> None:
    """Refuse a folder that cannot be written or that holds another case's result."""
    accepted = "a folder that can be written"
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(folder, "--output", f"{existing} is a file", accepted)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(folder, "--output", f"no permission to write in {existing}", accepted)
    recorded = folder / "case.toml"
    if recorded.exists() and _identity(read_case(recorded)) != _identity(case):
        raise InputError(folder, "--output", "the result of another case", "a new folder, or that of this case")


def _identity(case: Case) -> Case:
    """The case apart from what may change when a run goes on."""
    return dataclasses.replace(case, optimizer=dataclasses.replace(case.optimizer, max_iterations=1))


def _open_folder(folder: Path, case: Case) -> None:
    on_root(WORLD, lambda: folder.mkdir(parents=True, exist_ok=True))
    on_root(WORLD, report.write_atomically, folder / "case.toml", case.text())
    if WORLD.rank == 0:
        _log_to(logging.FileHandler(folder / "log.txt"))


def _saved_progress(folder: Path) -> dict | None:
    path = folder / "progress.json"
    return json.loads(path.read_text()) if path.exists() else None
