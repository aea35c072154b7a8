"""fe-phaseinv compare-models."""

from __future__ import annotations

import argparse
from pathlib import Path

from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.output.model_comparison import as_text, compare_models
from fe_phaseinv.output.reading import read_result, result_file


def compare_models_of(options: argparse.Namespace, session: Session) -> int:
    """Say which of several models the same images speak for. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the paths `results`, of result.json or of folders that have one.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    log.info(on_root(WORLD, _compared, options.results))
    return DONE


def _compared(results: list[Path]) -> str:
    return as_text(compare_models([read_result(result_file(path)) for path in results], results))
