"""fe-phaseinv new."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fe_phaseinv.cli.folder import RECORD, WRITABLE
from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.cli.template import json_schema, template
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.output.files import write_atomically

SCHEMA = "case.schema.json"


def new(options: argparse.Namespace, session: Session) -> int:
    """Write a commented case, with the schema by which editors check it. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the path `folder` and the name of the `model`.
    session : Session

    Returns
    -------
    int
        The exit status.
    """
    for path in on_root(WORLD, _write, options.folder, options.model):
        log.info("wrote %s", path)
    return DONE


def _write(folder: Path, model: str) -> list[Path]:
    files = {RECORD: template(model, f"./{SCHEMA}"), SCHEMA: json.dumps(json_schema(), indent=1) + "\n"}
    if (folder / RECORD).exists():
        raise InputError(folder / RECORD, "file", "a case", "a folder without one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise InputError(folder, "DIR", error.strerror, WRITABLE) from error
    return [folder / name for name in files]
