"""fe-phaseinv invert."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from fe_phaseinv.cli.build import load_truth
from fe_phaseinv.cli.folder import open_folder, pose_case, read, read_progress, require_unknowns, write_progress
from fe_phaseinv.cli.session import DONE, NOT_CONVERGED, WORLD, Session, log
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.observation.boundary import interpolation_error
from fe_phaseinv.optimisation.trust_region import Outcome
from fe_phaseinv.output.result import collect
from fe_phaseinv.output.solution import Solution


def invert_case(options: argparse.Namespace, session: Session) -> int:
    """Learn the laws from the images of a case, and write what was found. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `case` and `output`, the replacements `set`, and whether to `resume`.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    case, folder = read(options), options.output
    problem, inputs = pose_case(case, folder)
    require_unknowns(problem, options)
    truth = on_root(WORLD, load_truth, case)
    best = read_progress(problem, folder, inputs) if options.resume else None
    open_folder(folder, case, session, "a" if options.resume else "w")
    for line in _describe(problem):
        log.info(line)
    if best:
        log.info("resumed at iteration %d of stage %s", best.state.iteration, best.stage)
    log.info("%10s %5s %12s %10s %10s %8s", "stage", "iter", "cost", "misfit", "radius", "seconds")
    shown = len(best.history) if best else 0
    for progress in iterate(problem, max_iterations=case.optimizer.max_iterations, progress=best):
        for entry in progress.history[shown:]:
            log.info(_line(entry))
        shown = len(progress.history)
        if np.isfinite(progress.state.point.value):
            best = progress
            write_progress(folder, best, inputs)
    outcome = progress.state.outcome
    if best:
        best = replace(best, state=replace(best.state, outcome=outcome))
        result = collect(problem, best, case.uncertainty.method == "laplace", truth)
        solution = Solution(problem, best, replace(result, warnings=session.all_doubts()))
        for path in solution.write(folder):
            log.info("wrote %s", path)
        for sentence in result.identifiability.sentences() if result.identifiability else ():
            log.info(sentence)
        for outline in filter(None, (images.outline for images in result.images)):
            log.info(outline.sentence())
        for verdict in filter(None, (*result.goodness, result.refinement)):
            log.info(verdict.sentence())
    log.info("after %d iterations: %s", progress.state.iteration, outcome.value)
    return DONE if outcome is Outcome.CONVERGED else NOT_CONVERGED


def _line(entry: dict) -> str:
    note = "" if entry["accepted"] else "  rejected"
    return (
        f"{entry['stage']:>10} {entry['iteration']:5d} {entry['cost']:12.5e} {entry['misfit_rms']:10.5f} "
        f"{entry['radius']:10.3e} {entry['seconds']:8.1f}{note}"
    )


def _describe(problem: Problem) -> list[str]:
    """Say what is asked, and how well images know a boundary between their times."""
    ensemble = problem.ensemble
    begin = f"{problem.model.name}: {len(problem.coordinates)} unknown coefficients, "
    shared = " that share runs" if ensemble.beside else ""
    ranks = f"{WORLD.size} rank{'s' if WORLD.size > 1 else ''}{shared}"
    lines = ensemble.gather([_describe_series(series) for series in problem.series])
    errors = ensemble.gather([_boundary_error(series) for series in problem.series])
    known = [
        f"boundary data from all frames, interpolated in time to about {error:.1e}"
        for error in errors
        if error is not None
    ]
    if len(lines) == 1:
        return [f"{begin}{lines[0]}, {ranks}", *known]
    beside = f" in {ensemble.number} groups" if ensemble.number > 1 else ""
    first = f"{begin}{len(lines)} series of images, {ranks}{beside}"
    return [first, *(f"images {number}: {line}" for number, line in enumerate(lines, 1)), *known]


def _describe_series(series: Series) -> str:
    forward = series.fine.forward
    unknowns = forward.space.dim() * forward.layout.components
    frames = f"{len(series.frames)} frames of {' x '.join(map(str, series.images.shape))} pixels"
    return f"{unknowns} unknowns in space (degree {forward.degree}), {frames}"


def _boundary_error(series: Series) -> float | None:
    forward = series.fine.forward
    boundary_data = forward.boundary_data
    return None if boundary_data is None else interpolation_error(boundary_data, forward.mesh, forward.degree)
