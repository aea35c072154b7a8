"""fe-phaseinv design."""

from __future__ import annotations

import argparse
from pathlib import Path

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.candidates import Planned, load_candidates, planned, variations
from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.folder import open_folder, read, require_folder, require_unknowns
from fe_phaseinv.cli.models import refusing_model
from fe_phaseinv.cli.session import DONE, NOT_CONVERGED, WORLD, Session, log
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.informations import Told, told
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.variations import Variation, require_variable, varied
from fe_phaseinv.output.plan import plan
from fe_phaseinv.output.plan_figure import write_plan
from fe_phaseinv.solvers.direct import StepFailed


def design(options: argparse.Namespace, session: Session) -> int:
    """Tell which frames, and which experiments, would tell most of the laws of a case. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `case` and `output`, and the replacements `set`.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    case, folder = planned(options.case, read(options)), options.output
    compared = variations(options.case, case)
    on_root(WORLD, require_folder, folder, case)
    loaded = on_root(WORLD, load_candidates, case)
    groups = SeriesEnsemble.together(WORLD, len(loaded))
    problem = build_problem(case, [(one.images, one.frames) for one in loaded], groups)
    require_unknowns(problem, options)
    for key, variation in compared:
        with _refusing(options.case, key, case):
            require_variable(problem, variation)
    log.info(_describe(case, problem, loaded))
    try:
        own = [told(problem, series, one.taken) for series, one in zip(problem.series, loaded, strict=True)]
    except StepFailed as error:
        log.info("the run stopped: %s", error)
        return NOT_CONVERGED
    others = [pair for key, one in compared for pair in _told(options.case, key, case, problem, own[0], one)]
    taken = any(one.taken for one in loaded)
    found = plan(
        problem,
        own,
        case.names,
        others,
        own="more frames of the same movie" if taken else "as the case has it",
        choose=case.design.choose,
        within=case.design.within,
    )
    open_folder(folder, case, session)
    for sentence in found.sentences():
        log.info(sentence)
    for path in on_root(WORLD, write_plan, folder, found):
        log.info("wrote %s", path)
    return DONE


def _told(
    source: Path, key: str, case: Case, problem: Problem, like: Told, variation: Variation
) -> list[tuple[str, Told]]:
    """Return what an experiment would tell, with its name; nothing where it cannot be solved, which is said."""
    try:
        with _refusing(source, key, case):
            return [(variation.label, varied(problem, 0, like, variation))]
    except StepFailed as error:
        log.info("%s: the run stopped: %s", variation.label, error)
        return []


def _refusing(source: Path, key: str, case: Case):
    """Turn the ValueError of what an experiment cannot be into an `InputError` that names its key."""
    return refusing_model(case.model_class.name, f"{source}: {key}")


def _describe(case: Case, problem: Problem, loaded: list[Planned]) -> str:
    """Say which frames may be taken, and what is known."""
    count, taken = (sum(map(len, each)) for each in zip(*((one.frames, one.taken) for one in loaded), strict=True))
    laws = "those that the case starts from" if case.start is None else f"those of {case.start}"
    known = f"{taken} frames are known, to which the result was fitted" if taken else "no frame is known yet"
    return (
        f"{problem.model.name}: {count - taken} frames that may be taken, noise of {problem.noise:.3g}; {known}. "
        f"The laws are {laws}."
    )
