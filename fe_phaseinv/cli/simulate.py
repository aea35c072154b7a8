"""fe-phaseinv simulate."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fe_phaseinv.cli.folder import open_folder, pose_case, read
from fe_phaseinv.cli.images import load_starts
from fe_phaseinv.cli.session import DONE, NOT_CONVERGED, WORLD, Session, log
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.series import Series
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.output.result import numbered
from fe_phaseinv.output.states import write_states
from fe_phaseinv.solvers.direct import StepFailed


def simulate(options: argparse.Namespace, session: Session) -> int:
    """Run the laws of a case forward, and write images and states. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `case` and `output`, and the replacements `set`.
    session : Session

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    InputError
        Where the images of the case would be overwritten.
    """
    case, folder = read(options), options.output
    files = [folder / f"{name}.npz" for name in numbered("images", case.images)]
    for file in files:
        if any(images.file == file.resolve() for images in case.images):
            raise InputError(folder, "--output", f"the case's own images, {file.name}", "another folder")
    problem, _ = pose_case(case, folder, load_starts, inverting=False)
    open_folder(folder, case, session)
    names, own = list(numbered("states", case.images)), zip(problem.ensemble.own, problem.series, strict=True)
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
    segment = series.trajectory()
    try:
        run = forward.run(problem.coordinates.start, segment.start, segment.times)
    except StepFailed as error:
        return None, str(error)
    states, channels = [run.start, *run.states], Channels(pixels, forward)
    fields = [forward.part(state, forward.model.fields[0].name) for state in states]
    simulated = np.array([channels.picture(channels.average(state)) for state in states])
    write_states(folder, fields, segment.times, name)
    shown = pixels.images
    place = {"extent": shown.extent, "origin": shown.origin, "unit": shown.unit, "time_unit": shown.time_unit}
    images = ImageSeries(simulated, np.array(segment.times), **place)
    return images, f"{len(run.grid.orders)} steps"
