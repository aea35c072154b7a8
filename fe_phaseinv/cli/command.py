"""The command fe-phaseinv: its arguments, and how it ends."""

from __future__ import annotations

import argparse
import gc
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from firedrake.petsc import PETSc

from fe_phaseinv.cli.check import check
from fe_phaseinv.cli.compare import compare_results
from fe_phaseinv.cli.compare_models import compare_models_of
from fe_phaseinv.cli.design import design
from fe_phaseinv.cli.invert import invert_case
from fe_phaseinv.cli.look import look
from fe_phaseinv.cli.mesh import mesh
from fe_phaseinv.cli.new import new
from fe_phaseinv.cli.sample import sample
from fe_phaseinv.cli.session import BAD_INPUT, FAILED, INTERRUPTED, WORLD, Session, log, session
from fe_phaseinv.cli.simulate import simulate
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.version import __version__
from fe_phaseinv.inference.sampling import ACCEPTANCE
from fe_phaseinv.models.built_in import BUILT_IN
from fe_phaseinv.output.samples import FEWEST_DRAWS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status. Collective.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process where not given.
    """
    PETSc.Options().setValue("options_left", False)  # the arguments are none of PETSc's
    options = _parse(arguments)
    with session() as opened:
        try:
            status = options.command(options, opened)
            opened.all_doubts()
            _free()
            return status
        except InputError as error:
            return _refuse(error, opened)
        except KeyboardInterrupt:
            log.info("interrupted; what was reached is kept, --resume goes on")
            return _leave(INTERRUPTED)
        except Exception:
            if WORLD.size == 1:
                raise
            traceback.print_exc()
            return _leave(FAILED)


def _free() -> None:
    """Free on all ranks together what Python no longer holds: when the process ends they might wait for each other."""
    gc.collect()
    PETSc.garbage_cleanup(PETSc.COMM_WORLD)


def _refuse(error: InputError, opened: Session) -> int:
    """Say what is refused, once if all ranks refuse it."""
    together = opened.all_refuse()
    if WORLD.rank == 0 or not together:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
    return BAD_INPUT if together else _leave(BAD_INPUT)


def _leave(status: int) -> int:
    """Stop all ranks, which may be waiting for this one."""
    if WORLD.size > 1:
        WORLD.Abort(status)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    if WORLD.rank == 0:
        return _parser().parse_args(arguments)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fe-phaseinv", description="Learn the laws of pattern formation from images.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sub = _add(commands, "new", new, "write a commented case to begin with")
    sub.add_argument("folder", type=Path, metavar="DIR", help="folder for case.toml")
    sub.add_argument("--model", default=next(iter(BUILT_IN)), help=f"{', '.join(BUILT_IN)}, or file.py:Class")
    for name, command, text in (
        ("invert", invert_case, "learn the laws from the images of a case"),
        ("simulate", simulate, "run the laws of a case forward; writes images that invert can read"),
        ("check", check, "validate a case, then prove the derivatives on it"),
        ("design", design, "tell which frames and experiments would tell most of the laws: what to measure next"),
        ("look", look, "show what the images of a case are, and what is doubtful about them; nothing is solved"),
    ):
        sub = _add(commands, name, command, text)
        sub.add_argument("case", type=Path, help="case file (TOML)")
        sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the case")
        if name != "check":
            sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
        if name == "invert":
            sub.add_argument("--resume", action="store_true", help="go on where an earlier run of this case stopped")
    _add_sample(commands)
    sub = _add(commands, "mesh", mesh, "mesh the domain that the pixels with data of a series show")
    sub.add_argument("images", type=Path, help="images with pixels that are NaN outside the domain")
    sub.add_argument("--output", type=Path, required=True, metavar="FILE.msh", help="of gmsh, or as meshio knows it")
    sub.add_argument("--cells", type=_at_least(1), help="elements that would fit along the longer side of the picture")
    sub = _add(commands, "compare", compare_results, "compare two results, apart from what no image can tell")
    for name, text in (("first", "result.json of an inversion"), ("second", "that of another one of the same model")):
        sub.add_argument(name, type=Path, help=text)
    text = "say which of several models the same images speak for, and how strongly"
    sub = _add(commands, "compare-models", compare_models_of, text)
    sub.add_argument(
        "results", type=Path, nargs="+", metavar="RESULT", help="result.json of an inversion, or its folder"
    )
    return parser


def _add_sample(commands) -> None:
    sub = _add(commands, "sample", sample, "sample the posterior of the laws of a finished inversion")
    sub.add_argument("folder", type=Path, metavar="OUT", help="folder of the inversion, for the samples, too")
    for name, least, default, text in (
        ("draws", FEWEST_DRAWS, 300, "weighted draws from Laplace's approximation"),
        ("samples", 0, 2000, "samples of all chains together; 0 for none, after the draws"),
        ("chains", 2, 4, "chains"),
        ("warm-up", 0, 100, "states of each chain before its samples, in which its steps are chosen"),
    ):
        sub.add_argument(f"--{name}", type=_at_least(least), default=default, help=f"{text} (default: {default})")
    method = next(iter(ACCEPTANCE))
    sub.add_argument("--method", choices=tuple(ACCEPTANCE), default=method, help=f"of the chains (default: {method})")
    sub.add_argument("--resume", action="store_true", help="go on with the draws and chains that are there")


def _at_least(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"found {text}; accepted: an integer >= {least}")
        return int(text)

    return count


def _add(
    commands, name: str, command: Callable[[argparse.Namespace, Session], int], text: str
) -> argparse.ArgumentParser:
    sub = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(command=command)
    return sub
