"""fe-phaseinv compare."""

from __future__ import annotations

import argparse

from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.output.comparison import as_text, compare
from fe_phaseinv.output.reading import read_result


def compare_results(options: argparse.Namespace, session: Session) -> int:
    """Compare two results. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `first` and `second`.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    paths = options.first, options.second
    log.info(on_root(WORLD, lambda: as_text(compare(*map(read_result, paths), paths))))
    return DONE
