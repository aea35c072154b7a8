"""Arguments of a forward model that are refused, on all ranks alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral

import numpy as np
from firedrake import Function, FunctionSpace

from fe_phaseinv.core.parallel import any_rank
from fe_phaseinv.forward.given import BoundaryData, DataInTime, InTime


def require_degree(degree: int) -> None:
    """Refuse what is no degree of elements.

    Parameters
    ----------
    degree : int
        The degree.

    Raises
    ------
    ValueError
        Where it is no whole number from 1 on.
    """
    if not isinstance(degree, Integral) or degree < 1:
        raise ValueError(f"degree: found {degree!r}; accepted: whole numbers from 1 on")


def checked_unknown(unknown: np.ndarray | None, size: int) -> np.ndarray:
    """Return which coefficients are unknown.

    Parameters
    ----------
    unknown : numpy.ndarray of bool, shape (size,), optional
        Which are; all of them where not given.
    size : int
        Number of coefficients.

    Raises
    ------
    ValueError
        Where it is another array.
    """
    if unknown is None:
        return np.ones(size, bool)
    found = np.asarray(unknown)
    if found.dtype != bool or found.shape != (size,):
        raise ValueError(f"unknown: found {found.dtype} of shape {found.shape}; accepted: bool of shape ({size},)")
    return found


def require_movable(displaced: np.ndarray | None, model) -> None:
    """Refuse displacements of the mesh of a model with a kernel, which is no function of integrals alone.

    Parameters
    ----------
    displaced : numpy.ndarray, optional
        The displacements.
    model : Model

    Raises
    ------
    ValueError
        Where there are both.
    """
    if displaced is not None and model.kernel is not None:
        raise ValueError(f"displaced: found with the kernel {model.kernel} of {model.name}; accepted: models without")


def checked_start(start: object, spaces: Mapping[str, FunctionSpace]) -> list[Function]:
    """Return the fields to start from as a list.

    Parameters
    ----------
    start : firedrake.Function or sequence of firedrake.Function
        One for each field with a rate.
    spaces : mapping of firedrake.FunctionSpace
        Their spaces, by name.

    Raises
    ------
    ValueError
        Where they are no functions of these spaces.
    """
    functions = list(start) if isinstance(start, list | tuple) else [start]
    found = [function.function_space() if isinstance(function, Function) else None for function in functions]
    if found != list(spaces.values()):
        accepted = f"a Function in the space of each of {', '.join(spaces)} of the ForwardModel"
        raise ValueError(f"start: found {start!r}; accepted: {accepted}")
    return functions


def require_nodes(name: str, shape: tuple[int, ...], space: FunctionSpace, parts: int = 1) -> None:
    """Refuse, on all ranks, what has on one of them another number of values than there are nodes. Collective.

    Parameters
    ----------
    name : str
        Name of the argument.
    shape : tuple of int
        Shape of the values of this rank.
    space : firedrake.FunctionSpace
        The space that has the nodes.
    parts : int
        Number of values at each of them.

    Raises
    ------
    ValueError
        Where the shape is another one on any rank.
    """
    nodes = parts * space.dof_dset.size
    if any_rank(space.mesh().comm, shape != (nodes,)):
        raise ValueError(f"{name}: found shape {shape}; accepted: the {nodes} values at local nodes")


def require_boundary_data(boundary_data: Callable | None, space: FunctionSpace) -> None:
    """Refuse what cannot be prescribed on the boundary. Collective.

    Parameters
    ----------
    boundary_data : BoundaryData or another callable, optional
        By time, the field that is prescribed.
    space : firedrake.FunctionSpace
        Space of this field.

    Raises
    ------
    ValueError
        Where it cannot be called, or its fields are those of another space.
    """
    if boundary_data is not None and not callable(boundary_data):
        raise ValueError(f"boundary_data: found {boundary_data!r}; accepted: BoundaryData or another callable")
    if isinstance(boundary_data, BoundaryData):
        require_nodes("boundary_data", boundary_data.fields.shape[1:], space)


def require_data(data: DataInTime | None, model) -> None:
    """Refuse numbers in time that are not those that a model is to be given.

    Parameters
    ----------
    data : DataInTime, optional
        The numbers.
    model : Model
        The equations.

    Raises
    ------
    ValueError
        Where the model has other data.
    """
    wanted = len(model.data)
    found = 0 if data is None else data.values.shape[1]
    if found != wanted:
        accepted = f"DataInTime with {', '.join(model.data)}" if wanted else "none"
        raise ValueError(f"{model.name}: data: found {found or 'none'}; accepted: {accepted}")


def require_within(name: str, given: Callable | None, times: Sequence[float]) -> None:
    """Refuse times at which what is given in time would be extrapolated.

    Parameters
    ----------
    name : str
        Name of the argument.
    given : BoundaryData, DataInTime or another callable, optional
        What is given by time.
    times : sequence of float
        Times of the run.

    Raises
    ------
    ValueError
        Where some of them are before or after those at which it is given.
    """
    if not isinstance(given, InTime):
        return
    first, last = given.times[0], given.times[-1]
    if times[0] < first or times[-1] > last:
        found = f"{times[0]:g} to {times[-1]:g}"
        raise ValueError(f"times: found {found}; accepted: those of {name}, {first:g} to {last:g}")
