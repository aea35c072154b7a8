"""The command fe-phaseinv."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.cli.build import build_problem, default_cells, load_images, load_truth
from fe_phaseinv.cli.case import Case, read_case
from fe_phaseinv.core.errors import InputError, refusing_unreadable
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.core.version import __version__
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.mesh_files import MeshData, write_mesh
from fe_phaseinv.data.outline import mesh_outline
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.experiment import trajectory
from fe_phaseinv.inference.inversion import TOLERANCE, Progress, invert, resume
from fe_phaseinv.inference.problem import Problem, Series
from fe_phaseinv.inference.verification import verify, verify_fields
from fe_phaseinv.observation.boundary import interpolation_error
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output import report
from fe_phaseinv.output.comparison import as_text, compare, read_result
from fe_phaseinv.output.result import Result, collect
from fe_phaseinv.output.states import write_states
from fe_phaseinv.solvers.direct import StepFailed

DONE, FAILED, BAD_INPUT, NOT_CONVERGED, INTERRUPTED = range(5)
PROGRESS = "progress.json"
WRITABLE = "a folder that can be written"
WORLD = MPI.COMM_WORLD  # the one place that chooses a communicator; everything else takes that of its mesh

log = logging.getLogger("fe_phaseinv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process where not given.
    """
    PETSc.Options().setValue("options_left", False)  # the arguments are none of PETSc's
    options = _parse(arguments)
    with _session():
        try:
            return options.command(options)
        except InputError as error:
            if WORLD.rank == 0:
                sys.stderr.write(f"{error}\n")
            return BAD_INPUT
        except KeyboardInterrupt:
            log.info("interrupted; what was reached is kept, --resume goes on")
            return _leave(INTERRUPTED)
        except Exception:
            if WORLD.size == 1:
                raise
            traceback.print_exc()
            return _leave(FAILED)


def _leave(status: int) -> int:
    """Stop all ranks, which may be waiting for this one."""
    if WORLD.size > 1:
        WORLD.Abort(status)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    if WORLD.rank == 0:
        return _parser().parse_args(arguments)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fe-phaseinv", description="Learn the laws of pattern formation from images.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("invert", _invert, "learn the laws from the images of a case"),
        ("simulate", _simulate, "run the laws of a case forward; writes images that invert can read"),
        ("check", _check, "validate a case, then prove the derivatives on it"),
    ):
        sub = _add(commands, name, command, text)
        sub.add_argument("case", type=Path, help="case file (TOML)")
        sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the case")
        if name != "check":
            sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
        if name == "invert":
            sub.add_argument("--resume", action="store_true", help="go on where an earlier run of this case stopped")
    sub = _add(commands, "mesh", _mesh, "mesh the domain that the pixels with data of a series show")
    sub.add_argument("images", type=Path, help="images with pixels that are NaN outside the domain")
    sub.add_argument("--output", type=Path, required=True, metavar="FILE.msh", help="of gmsh, or as meshio knows it")
    sub.add_argument("--cells", type=_count, help="elements that would fit along the longer side of the picture")
    sub = _add(commands, "compare", _compare, "compare two results, apart from what no image can tell")
    for name, text in (("first", "result.json of an inversion"), ("second", "that of another one of the same model")):
        sub.add_argument(name, type=Path, help=text)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text}; accepted: an integer > 0")
    return int(text)


def _add(commands, name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    sub = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(command=command)
    return sub


@contextmanager
def _session() -> Iterator[None]:
    """Print the log, keep the warnings of libraries from the terminal, and take SIGTERM for SIGINT."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _log_to(logging.StreamHandler(sys.stdout))
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for handler in log.handlers[:]:
            log.removeHandler(handler)
            handler.close()


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _log_to(handler: logging.Handler) -> None:
    if WORLD.rank == 0:
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _invert(options: argparse.Namespace) -> int:
    case, folder = _case(options), options.output
    problem = _problem(case, options)
    _require_unknowns(problem, options)
    truth = on_root(WORLD, load_truth, case)
    best = _resumed(problem, folder / PROGRESS) if options.resume else None
    _open_folder(folder, case, "a" if options.resume else "w")
    for line in _describe(problem):
        log.info(line)
    for error in problem.ensemble.gather([_boundary_error(series) for series in problem.series]):
        if error is not None:
            log.info("boundary data from all frames, interpolated in time to about %.1e", error)
    if best:
        log.info("resumed at iteration %d of stage %s", best.state.iteration, best.stage)
    log.info("%10s %5s %12s %10s %10s %8s", "stage", "iter", "cost", "misfit", "radius", "seconds")
    shown = len(best.history) if best else 0
    for progress in invert(problem, case.optimizer.max_iterations, best):
        for entry in progress.history[shown:]:
            log.info(_line(entry))
        shown = len(progress.history)
        if np.isfinite(progress.state.point.value):
            best = progress
            on_root(WORLD, report.write_atomically, folder / PROGRESS, json.dumps(best.to_dict()))
    state = progress.state
    if best:
        best = dataclasses.replace(best, state=dataclasses.replace(best.state, outcome=state.outcome))
        result = collect(problem, best, case.uncertainty.method == "laplace", truth)
        _write(folder, problem, result, best)
        for sentence in result.identifiability.sentences() if result.identifiability else ():
            log.info(sentence)
    log.info("after %d iterations: %s", state.iteration, state.outcome.value)
    return DONE if state.outcome is Outcome.CONVERGED else NOT_CONVERGED


def _line(entry: dict) -> str:
    note = "" if entry["accepted"] else "  rejected"
    return (
        f"{entry['stage']:>10} {entry['iteration']:5d} {entry['cost']:12.5e} {entry['misfit_rms']:10.5f} "
        f"{entry['radius']:10.3e} {entry['seconds']:8.1f}{note}"
    )


def _describe(problem: Problem) -> list[str]:
    ensemble = problem.ensemble
    begin = f"{problem.model.name}: {len(problem.coordinates)} unknown coefficients, "
    ranks = f"{WORLD.size} rank{'s' if WORLD.size > 1 else ''}"
    lines = ensemble.gather([_describe_series(series) for series in problem.series])
    if len(lines) == 1:
        return [f"{begin}{lines[0]}, {ranks}"]
    beside = f" in {ensemble.number} groups" if ensemble.number > 1 else ""
    first = f"{begin}{len(lines)} series of images, {ranks}{beside}"
    return [first, *(f"images {number}: {line}" for number, line in enumerate(lines, 1))]


def _describe_series(series: Series) -> str:
    forward = series.fine.forward
    unknowns = forward.space.dim() * len(forward.model.fields)
    frames = f"{len(series.frames)} frames of {' x '.join(map(str, series.images.shape))} pixels"
    return f"{unknowns} unknowns in space (degree {forward.degree}), {frames}"


def _boundary_error(series: Series) -> float | None:
    forward = series.fine.forward
    boundary_data = forward.integrator.boundary_data
    return None if boundary_data is None else interpolation_error(boundary_data, forward.mesh, forward.degree)


def _write(folder: Path, problem: Problem, result: Result, progress: Progress) -> None:
    files = list(report.numbered("states", result.images))
    for index, series, fit in zip(problem.ensemble.own, problem.series, progress.state.point.fits, strict=True):
        forward, times = series.discretisation(progress.stage).forward, result.images[index].times
        write_states(folder, forward.space, fit.states, times, forward.model.fields[0], files[index])
    for path in on_root(WORLD, report.write, folder, result):
        log.info("wrote %s", path)


def _simulate(options: argparse.Namespace) -> int:
    case, folder = _case(options), options.output
    files = [folder / f"{name}.npz" for name in report.numbered("images", case.images)]
    for file in files:
        if any(images.file == file.resolve() for images in case.images):
            raise InputError(folder, "--output", f"the case's own images, {file.name}", "another folder")
    problem = _problem(case, options)
    _open_folder(folder, case)
    names, own = list(report.numbered("states", case.images)), zip(problem.ensemble.own, problem.series, strict=True)
    runs, status = [_run(problem, series, folder, names[index]) for index, series in own], DONE
    for file, (simulated, words) in zip(files, problem.ensemble.gather(runs), strict=True):
        if simulated is None:
            log.info("the run stopped: %s", words)
            status = NOT_CONVERGED
        else:
            on_root(WORLD, simulated.save, file)
            log.info("%s; wrote %s", words, file)
    return status


def _run(problem: Problem, series: Series, folder: Path, name: str) -> tuple[ImageSeries | None, str]:
    """Run the starting laws forward and write the states; gives the images, or None, and what to say of them."""
    forward, pixels = series.fine.forward, series.fine.pixels
    (segment,) = trajectory(*series.chosen("trajectory"))
    try:
        run = forward.run(problem.coordinates.start, segment.start, segment.times)
    except StepFailed as error:
        return None, str(error)
    states = [segment.start, *run.states]
    simulated = np.array([pixels.picture(pixels.average(state)) for state in states])
    write_states(folder, forward.space, states, segment.times, forward.model.fields[0], name)
    images = ImageSeries(simulated, np.array(segment.times), pixels.images.extent, pixels.images.origin)
    return images, f"{len(run.grid.orders)} steps"


def _check(options: argparse.Namespace) -> int:
    case = _case(options)
    problem = build_problem(case, on_root(WORLD, load_images, case), WORLD, Tolerances(rtol=3e-3, newton=1e-7))
    _require_unknowns(problem, options)
    x = problem.coordinates.from_coefficients(problem.coordinates.start)
    checks = verify(problem.objective("intervals", problem.first_regularisation), x)
    if problem.by_fields:
        trajectory = problem.objective("trajectory", problem.first_regularisation)
        checks += verify_fields(trajectory, trajectory.begin(x))
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


def _mesh(options: argparse.Namespace) -> int:
    path = options.output

    def make() -> MeshData:
        images = ImageSeries.load(options.images)
        data = mesh_outline(images, options.cells or default_cells(images))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mesh(path, data)
        except OSError as error:
            raise InputError(path, "--output", error.strerror, WRITABLE) from error
        return data

    data = on_root(WORLD, make)
    log.info("%d triangles, %d sides on the boundary; wrote %s", len(data.cells), len(data.facets), path)
    return DONE


def _compare(options: argparse.Namespace) -> int:
    paths = options.first, options.second
    log.info(on_root(WORLD, lambda: as_text(compare(*map(read_result, paths), paths))))
    return DONE


def _case(options: argparse.Namespace) -> Case:
    return on_root(WORLD, read_case, options.case, options.set)


def _problem(case: Case, options: argparse.Namespace) -> Problem:
    """Check the input and the folder for the output, cheapest first."""
    on_root(WORLD, _require_folder, options.output, case)
    return build_problem(case, on_root(WORLD, load_images, case), WORLD)


def _require_unknowns(problem: Problem, options: argparse.Namespace) -> None:
    if len(problem.coordinates) == 0:
        raise InputError(options.case, "laws", "only fixed ones", "at least one law to learn")


def _require_folder(folder: Path, case: Case) -> None:
    """Refuse a folder that cannot be written or that holds another case's result."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not existing.is_dir():
        raise InputError(folder, "--output", f"{existing} is a file", WRITABLE)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(folder, "--output", f"no permission to write in {existing}", WRITABLE)
    recorded = folder / "case.toml"
    if recorded.exists() and _identity(read_case(recorded)) != _identity(case):
        raise InputError(folder, "--output", "the result of another case", "a new folder, or that of this case")


def _identity(case: Case) -> Case:
    """Return the case apart from what may change when a run goes on."""
    return dataclasses.replace(case, optimizer=dataclasses.replace(case.optimizer, max_iterations=1))


def _open_folder(folder: Path, case: Case, log_mode: str = "w") -> None:
    """Make the folder and begin to write in it: the case and the log."""

    def begin() -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            report.write_atomically(folder / "case.toml", case.text())
            _log_to(logging.FileHandler(folder / "log.txt", log_mode, encoding="utf-8"))
        except OSError as error:
            raise InputError(folder, "--output", error.strerror, WRITABLE) from error

    on_root(WORLD, begin)


def _resumed(problem: Problem, path: Path) -> Progress | None:
    """Return the progress that a file keeps; None where there is no file yet."""
    accepted = "the progress of a run of this case"
    with refusing_unreadable(path, accepted):
        saved = on_root(WORLD, lambda: path.exists() and json.loads(path.read_text()))
        if saved is False:
            return None
        progress = resume(problem, saved)
    if progress.stage not in TOLERANCE or not np.isfinite(progress.state.point.value):
        raise InputError(path, "file", "laws that cannot be solved, or an unknown stage", accepted)
    return progress
