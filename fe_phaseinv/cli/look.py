"""fe-phaseinv look."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fe_phaseinv.cli.build import default_cells
from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.folder import WRITABLE, read
from fe_phaseinv.cli.images import Loaded, domain_of, load_images, used_images
from fe_phaseinv.cli.session import DONE, WORLD, Session, log
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.survey import survey
from fe_phaseinv.output.files import drawn_files, write_atomically
from fe_phaseinv.output.look import Look, page
from fe_phaseinv.output.look_figure import draw_look
from fe_phaseinv.output.result import numbered


def look(options: argparse.Namespace, session: Session) -> int:
    """Show what the images of a case are, and what is doubtful about them; nothing is solved. Collective.

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
    case = read(options)
    for line in on_root(WORLD, _written, case, options.output):
        log.info(line)
    return DONE


def _written(case: Case, folder: Path) -> list[str]:
    """Write the page and its figures; gives what to say."""
    loaded = load_images(case)
    looks = [_look(case, loaded, index) for index in range(len(loaded))]
    figures = {name: draw_look(each) for name, each in numbered("look", looks).items()}
    files = {file: data for name, figure in figures.items() for file, data in drawn_files(name, figure).items()}
    files["look.html"] = page(looks, [files[f"{name}.png"] for name in figures])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise InputError(folder, "--output", error.strerror, WRITABLE) from error
    facts = [f"{key + ':':14} {text}" for each in looks for key, text in each.facts().items()]
    return [*facts, f"wrote {folder / 'look.html'} and its figures"]


def _look(case: Case, loaded: Sequence[Loaded], index: int) -> Look:
    """Examine a series of images, and warn of what is found."""
    used, (_, domain) = used_images(case, loaded, index), domain_of(case, index)
    cells = domain.cells or default_cells(used.images, case.kernels)
    return Look(
        name=case.names[index],
        images=used.images,
        indices=used.indices,
        survey=survey(used.images),
        findings=used.doubt(),
        size=None if isinstance(domain.mesh, Path) else max(used.images.extent) / cells,
    )
