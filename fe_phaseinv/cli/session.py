"""What all subcommands share: the communicator, the exit statuses, the log and the doubts."""

from __future__ import annotations

import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from mpi4py import MPI

from fe_phaseinv.core.errors import DataWarning

DONE, FAILED, BAD_INPUT, NOT_CONVERGED, INTERRUPTED = range(5)
WORLD = MPI.COMM_WORLD  # the one place that chooses a communicator; everything else takes that of its mesh
PATIENCE = 10.0
"""Seconds after which ranks that have not refused the input are taken to wait for this one."""

log = logging.getLogger("fe_phaseinv")
libraries = logging.getLogger("fe_phaseinv.libraries")
"""For what is kept from the terminal."""


class Session:
    """The log of a run, and the doubts that arose in it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        A communicator of all ranks on which nothing else is sent.
    """

    def __init__(self, comm: MPI.Comm):
        self.doubts: list[str] = []
        self._comm = comm
        self._early = MemoryHandler(10_000, logging.CRITICAL + 1)
        self._files = []
        _add(log, logging.StreamHandler(sys.stdout))
        _add(libraries, self._early)
        libraries.propagate = False

    def show(self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *_) -> None:
        """Stand in for `warnings.showwarning`: a doubt is for the user, all else is for the file of the log.

        Parameters
        ----------
        message : Warning or str
        category : type
        filename : str
        lineno : int
        *_ : object
            Not used.
        """
        if issubclass(category, DataWarning):
            self.doubt(str(message))
        else:
            text = " ".join(str(message).split())
            libraries.warning("%s:%d: %s: %s", filename, lineno, category.__name__, text)

    def doubt(self, text: str) -> None:
        """Say once, on the root's stderr, that something is doubtful.

        Parameters
        ----------
        text : str
        """
        text = " ".join(text.split())
        if text not in self.doubts:
            self.doubts.append(text)
            if WORLD.rank == 0:
                sys.stderr.write(f"warning: {text}\n")

    def all_doubts(self) -> tuple[str, ...]:
        """Return the doubts of all ranks, each said. Collective."""
        for texts in self._comm.allgather(self.doubts):
            for text in texts:
                self.doubt(text)
        return tuple(self.doubts)

    def all_refuse(self) -> bool:
        """Whether all ranks come here, having refused the input; some may be waiting for this one elsewhere."""
        request, end = self._comm.Ibarrier(), time.monotonic() + PATIENCE
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def log_into(self, path: Path, mode: str) -> None:
        """Write the log into a file, too.

        Parameters
        ----------
        path : pathlib.Path
        mode : str
            "w" or "a".
        """
        handler = _add(log, logging.FileHandler(path, mode, encoding="utf-8"))
        self._early.setTarget(handler)
        self._early.flush()
        libraries.removeHandler(self._early)
        libraries.addHandler(handler)

    def hold(self, file) -> None:
        """Keep a file open until the session ends.

        Parameters
        ----------
        file : file object
        """
        self._files.append(file)

    def close(self) -> None:
        """Close what was opened."""
        for logger in (log, libraries):
            for handler in logger.handlers[:]:
                logger.removeHandler(handler)
                handler.close()
        for file in self._files:
            file.close()


@contextmanager
def session() -> Iterator[Session]:
    """Print the log, show doubts, keep the warnings of libraries from the terminal, and take SIGTERM for SIGINT."""
    before, comm = signal.signal(signal.SIGTERM, _interrupt), WORLD.Dup()
    opened = Session(comm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.simplefilter("always", DataWarning)
            warnings.showwarning = opened.show
            yield opened
    finally:
        signal.signal(signal.SIGTERM, before)
        opened.close()
        comm.Free()


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _add(logger: logging.Logger, handler: logging.Handler) -> logging.Handler:
    """Give a logger a handler on the root; elsewhere one that does nothing, since without any it goes to stderr."""
    handler = handler if WORLD.rank == 0 else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
