"""fe-phaseinv new."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fe_phaseinv.cli.folder import RECORD, WRITABLE
from fe_phaseinv.cli.models import model_class, parts
from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.cli.template import json_schema, template
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.models.built_in import BUILT_IN
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


def _write(folder: Path, name: str) -> list[Path]:
    model = _model(name)
    files = {
        RECORD: template(model, f"./{SCHEMA}", folder.resolve()),
        SCHEMA: json.dumps(json_schema(model), indent=1) + "\n",
    }
    if (folder / RECORD).exists():
        raise InputError(folder / RECORD, "file", "a case", "a folder without one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise InputError(folder, "DIR", error.strerror, WRITABLE) from error
    return [folder / name for name in files]


def _model(name: str) -> str | Path:
    """Return the model that the arguments name, one that can be loaded."""
    if name in BUILT_IN:
        return name
    path = Path(name).resolve()
    if not parts(path)[0].is_file():
        raise InputError("fe-phaseinv new", "--model", name, f"{' or '.join(BUILT_IN)} or file.py:Class")
    model_class(path)
    return path
