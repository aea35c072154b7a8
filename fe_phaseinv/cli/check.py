"""fe-phaseinv check."""

from __future__ import annotations

import argparse

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.folder import read, require_unknowns
from fe_phaseinv.cli.images import load_images, warn_of_images
from fe_phaseinv.cli.session import DONE, NOT_CONVERGED, WORLD, Session, log
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.verification import verify_problem


def check(options: argparse.Namespace, session: Session) -> int:
    """Validate a case and its inputs, then prove the derivatives on them. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the path `case` and the replacements `set`.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    case = read(options)
    loaded = on_root(WORLD, load_images, case)
    groups = SeriesEnsemble.side_by_side(WORLD, len(loaded))
    problem = build_problem(case, loaded, groups, Tolerances(rtol=3e-3, newton=1e-7))
    on_root(WORLD, warn_of_images, case, loaded)
    require_unknowns(problem, options)
    checks = verify_problem(problem)
    for item in checks:
        log.info(
            "%-50s %10.5f  (to be %g within %g): %s",
            item.name,
            item.found,
            item.expected,
            item.allowed,
            "holds" if item.holds else "FAILS",
        )
    return DONE if all(item.holds for item in checks) else NOT_CONVERGED
