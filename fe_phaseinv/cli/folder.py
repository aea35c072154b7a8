"""The folder of a run: whose it is, who writes in it, and the progress that is kept there."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.case import Case, read_case
from fe_phaseinv.cli.dealing import runs_dealt
from fe_phaseinv.cli.images import Loaded, load_images, warn_of_images
from fe_phaseinv.cli.models import parts
from fe_phaseinv.cli.schema import Design
from fe_phaseinv.cli.session import WORLD, Session
from fe_phaseinv.core.errors import InputError, read_toml, refusing_unreadable
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.inversion import tolerance
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress, resume
from fe_phaseinv.output.files import write_atomically

LOCK, PROGRESS, RECORD = ".lock", "progress.json", "case.toml"
WRITABLE = "a folder that can be written"


def read(options: argparse.Namespace) -> Case:
    """Read the case that the arguments name. Collective.

    Parameters
    ----------
    options : argparse.Namespace
        With the path `case` and the replacements `set`.
    """
    return on_root(WORLD, read_case, options.case, options.set)


def pose_case(
    case: Case,
    folder: Path,
    load: Callable[[Case], Sequence[Loaded]] = load_images,
    *,
    inverting: bool = True,
    deal: Callable[[Case, Sequence[Loaded], MPI.Comm], SeriesEnsemble] = runs_dealt,
) -> tuple[Problem, dict[str, Any]]:
    """Check the folder for the output and the input, cheapest first, and pose the problem. Collective.

    What is doubtful about the images is said once nothing is refused.

    Parameters
    ----------
    case : Case
    folder : pathlib.Path
    load : callable
        Reads and checks the images.
    inverting : bool
        Whether laws are to be learnt from them: what is doubtful about them is looked for, and ranks may share runs.
    deal : callable
        Returns the groups of ranks that do so.

    Returns
    -------
    problem : Problem
    inputs : dict
        What tells it from others, wherever its files lie.
    """
    on_root(WORLD, require_folder, folder, case)
    loaded = on_root(WORLD, load, case)
    groups = deal(case, loaded, WORLD) if inverting else SeriesEnsemble.side_by_side(WORLD, len(loaded))
    problem = build_problem(case, loaded, groups)
    if inverting:
        on_root(WORLD, warn_of_images, case, loaded)
    return problem, on_root(WORLD, _inputs, case, loaded)


def require_unknowns(problem: Problem, options: argparse.Namespace) -> None:
    """Refuse a case that fixes all laws.

    Parameters
    ----------
    problem : Problem
    options : argparse.Namespace
        With the path `case`.

    Raises
    ------
    InputError
    """
    if len(problem.coordinates) == 0:
        raise InputError(options.case, "laws", "only fixed ones", "at least one law to learn")


def open_folder(folder: Path, case: Case, session: Session, log_mode: str = "w") -> None:
    """Make the folder, keep other runs out of it, and begin to write in it: the case and the log. Collective.

    Parameters
    ----------
    folder : pathlib.Path
    case : Case
    session : Session
        Whose end opens the folder to other runs.
    log_mode : str
        "w", or "a" where a run goes on.

    Raises
    ------
    InputError
        Where the folder cannot be written, or another run writes in it.
    """

    def begin() -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = open(folder / LOCK, "w")
            session.hold(lock)
            _lock(lock, folder)
            write_atomically(folder / RECORD, case.text(folder))
            session.log_into(folder / "log.txt", log_mode)
        except OSError as error:
            raise InputError(folder, "--output", error.strerror, WRITABLE) from error

    on_root(WORLD, begin)


def write_progress(folder: Path, progress: Progress, inputs: dict[str, Any]) -> None:
    """Write what a later run goes on from. Collective.

    Parameters
    ----------
    folder : pathlib.Path
    progress : Progress
    inputs : dict
        From `pose_case`.
    """
    content = json.dumps({"inputs": inputs} | progress.to_dict())
    on_root(WORLD, write_atomically, folder / PROGRESS, content)


def read_progress(problem: Problem, folder: Path, inputs: dict[str, Any]) -> Progress | None:
    """Return the progress that a folder keeps; None where there is none yet. Collective.

    Parameters
    ----------
    problem : Problem
    folder : pathlib.Path
    inputs : dict
        From `pose_case`.

    Raises
    ------
    InputError
        Where it is damaged, or that of another problem or version.
    """
    path, accepted = folder / PROGRESS, "the progress of a run of this case and version"
    with refusing_unreadable(path, accepted):
        saved = on_root(WORLD, lambda: path.exists() and json.loads(path.read_text()))
        if saved is False:
            return None
        recorded = saved.pop("inputs", {})
        for key, value in inputs.items():
            if recorded.get(key) != value:
                found = "nothing that says what it belongs to" if key not in recorded else f"that of another {key}"
                raise InputError(path, "file", found, accepted)
        progress = resume(problem, saved)
    if tolerance(progress.stage) is None or not np.isfinite(progress.state.point.value):
        raise InputError(path, "file", "laws that cannot be solved, or an unknown stage", accepted)
    return progress


def require_folder(folder: Path, case: Case) -> None:
    """Refuse a folder that cannot be written, in which a run writes, or that holds another case's result.

    Parameters
    ----------
    folder : pathlib.Path
    case : Case

    Raises
    ------
    InputError
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not existing.is_dir():
        raise InputError(folder, "--output", f"{existing} is a file", WRITABLE)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(folder, "--output", f"no permission to write in {existing}", WRITABLE)
    if (folder / LOCK).exists():
        with open(folder / LOCK) as lock:
            _lock(lock, folder, fcntl.LOCK_SH)
    recorded = folder / RECORD
    if recorded.exists() and not _same(_read_record(recorded, case), case):
        raise InputError(folder, "--output", "the result of another case", "a new folder, or that of this case")


def _read_record(path: Path, case: Case) -> Case:
    """Read what a run was, with the model of a case where the file of its own has been moved away."""
    table, overrides = read_toml(path, "a case file (TOML)"), []
    if isinstance(case.model, Path) and not parts(path.absolute().parent / str(table.get("model")))[0].exists():
        overrides = [f"model={case.model}"]
    return read_case(path, overrides, recorded=True)


def _lock(file, folder: Path, kind: int = fcntl.LOCK_EX) -> None:
    """Lock a folder until its file is closed, which the end of the process does, too."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        accepted = "a folder in which no other run writes"
        raise InputError(folder, "--output", "a run that writes in it", accepted) from None
    except OSError:
        pass  # some network file systems know no locks


def _same(recorded: Case, case: Case) -> bool:
    """Whether a case is the recorded one, whose files may have been moved away."""
    if _without_files(recorded) != _without_files(case):
        return False
    pairs = zip(_files(recorded), _files(case), strict=True)
    return all(a == b or a is None or not a.exists() or _content(a) == _content(b) for a, b in pairs)


def _without_files(case: Case) -> Case:
    """Return the case apart from where its files lie and from what may change when a run goes on."""
    images = tuple(
        replace(
            one,
            file=Path("images"),
            mask=_name(one.mask),
            sigma=_name(one.sigma),
            grey=Path("grey") if isinstance(one.grey, Path) else one.grey,
            domain=one.domain and _without_mesh(one.domain),
        )
        for one in case.images
    )
    return replace(
        case,
        model=case.model if isinstance(case.model, str) else parts(case.model)[1],
        truth=None,
        start=case.start and Path("result"),
        images=images,
        domain=_without_mesh(case.domain),
        optimizer=replace(case.optimizer, max_iterations=1),
        design=Design(),
    )


def _name(file: Path | str | None) -> str | None:
    """Return the name of a file, or of an array: what names one that is gone may be either."""
    return file and Path(file).name


def _without_mesh(domain):
    return replace(domain, mesh=Path("mesh")) if isinstance(domain.mesh, Path) else domain


def _files(case: Case) -> list[Path | None]:
    """Return the files that decide what a case is: those of images with what belongs to them, meshes and the model."""
    meshes = [domain.mesh for domain in (case.domain, *(one.domain for one in case.images)) if domain]
    model = None if isinstance(case.model, str) else parts(case.model)[0]
    beside = [path for one in case.images for path in (one.mask, one.sigma, one.grey)]
    others = [path if isinstance(path, Path) else None for path in (*beside, *meshes)]
    return [one.file for one in case.images] + others + [model]


def _inputs(case: Case, loaded: Sequence[Loaded]) -> dict[str, Any]:
    """Return what a run is of, apart from where its files lie."""
    *meshes, model = [path and _content(path) for path in _files(case)[4 * len(case.images) :]]
    images = [_digest(*_seen(series)) for series, _ in loaded]
    return {"case": _digest(_without_files(case).text()), "model": model, "images": images, "mesh": meshes}


def _seen(images: ImageSeries) -> list[Any]:
    """Return what is known of the images, of which units are only names."""
    known = [images.frames, images.times, images.extent, images.origin, images.noise, images.weights, images.coverage]
    return [() if part is None else part for part in known]


def _content(path: Path) -> str:
    """Return a digest of the content of a file, or of the files in a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return _digest(*(file.read_bytes() for file in files))


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str | bytes):
            digest.update(part.encode() if isinstance(part, str) else part)
        else:
            digest.update(np.ascontiguousarray(part, dtype=float).tobytes())
    return digest.hexdigest()
