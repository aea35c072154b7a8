"""The model that a case names: one of the package, or a class in a file."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from fe_phaseinv.core.errors import InputError, refusing_unreadable
from fe_phaseinv.models.built_in import BUILT_IN
from fe_phaseinv.models.interface import Model

DECLARED = "a model that declares fields, laws, scalars and data as fe_phaseinv.Model says"


def model_class(model: str | Path) -> type[Model]:
    """Return the class of a model.

    Parameters
    ----------
    model : str or pathlib.Path
        The name of one of the package, or ``file.py:Class``.

    Raises
    ------
    InputError
        Where the file does not run, has no such class, or one that is no model or declares what cannot be.
    """
    if isinstance(model, str):
        return BUILT_IN[model]
    path, name = parts(model)
    found = getattr(module := _module(path), name, None)
    if not isinstance(found, type) or not issubclass(found, Model):
        others = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Model)]
        own = [key for key in others if vars(module)[key].__module__ == module.__name__]
        what = "no such class" if found is None else f"{type(found).__name__} that is no subclass of fe_phaseinv.Model"
        raise InputError(path, name, what, " or ".join(own) or "a subclass of fe_phaseinv.Model")
    with refusing_model(model):
        try:
            found.require_declared()
        except (AttributeError, TypeError) as error:
            raise InputError(path, name, f"{type(error).__name__}: {error}", DECLARED) from error
    return found


def parts(model: Path) -> tuple[Path, str]:
    """Return the file and the name of a class, ``file.py:Class``.

    Parameters
    ----------
    model : pathlib.Path
    """
    file, _, name = str(model).rpartition(":")
    return Path(file), name


@contextmanager
def refusing_model(model: str | Path, otherwise: str | os.PathLike = "model") -> Iterator[None]:
    """Turn the ValueError of a model, or of what does not go with it, into an `InputError`.

    Parameters
    ----------
    model : str or pathlib.Path
        As for `model_class`.
    otherwise : str or os.PathLike
        What the error names in place of the model's file, if it has none.

    Raises
    ------
    InputError
        With what was found, and is accepted.
    """
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        said = re.fullmatch(r"(.*?): found (.*); accepted: (.*)", str(error), re.S)
        if said is None and isinstance(model, str):
            raise
        source, name = (otherwise, model) if isinstance(model, str) else parts(model)
        raise InputError(source, *(said.groups() if said else (name, error, DECLARED))) from error


def _module(path: Path) -> ModuleType:
    """Run a file of Python, once as long as it stays the same, under a name that no other module has."""
    accepted = "a file of Python that runs"
    with refusing_unreadable(path, accepted):
        source = path.read_bytes()
    name = f"fe_phaseinv_{hashlib.sha256(bytes(path.resolve()) + source).hexdigest()[:16]}_{path.stem}"
    if name not in sys.modules:
        sys.modules[name] = module_from_spec(spec_from_file_location(name, path))
        try:
            exec(compile(source, path, "exec"), vars(sys.modules[name]))
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise InputError(path, "file", f"{type(error).__name__}: {error}", accepted) from error
    return sys.modules[name]
