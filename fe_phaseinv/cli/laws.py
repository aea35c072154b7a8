"""From the sections of the laws to relations and where they start."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import numpy as np

from fe_phaseinv.cli.schema import KERNEL_SIZES, Curve, Kernel, Mixing, Number, Polynomial, Potential, Surface
from fe_phaseinv.cli.sections import Law
from fe_phaseinv.core.errors import InputError, real_numbers
from fe_phaseinv.laws.bases import Basis, EvenPowers, Hermite, Legendre, Powers
from fe_phaseinv.laws.products import TensorProduct
from fe_phaseinv.laws.relations import Relation, density_entropy, ideal_entropy
from fe_phaseinv.models.declarations import FunctionLaw, NumberLaw
from fe_phaseinv.output.summary import structure

KERNEL_SIZE = 10
BASES = {"legendre": Legendre, "polynomial": Powers}
ENTROPIES = {Mixing: ideal_entropy, Polynomial: density_entropy}
"""What is added to the expansion of a law if its section says so."""


def relation(declared: FunctionLaw | NumberLaw, law: Law) -> Relation:
    """Return the relation that a section of a law describes.

    Parameters
    ----------
    declared : FunctionLaw or NumberLaw
        The law, as the model has it.
    law : Curve, Surface, Kernel or Number
    """
    if isinstance(law, Number):
        return declared.relation(None)
    if isinstance(law, Kernel):
        return declared.relation(_kernel_basis(law))
    if isinstance(law, Surface):
        return declared.relation(TensorProduct(*map(Legendre, law.size, law.intervals)))
    expanded = declared.relation(BASES[law.basis](law.size, law.interval))
    if not isinstance(law, Potential):
        return expanded
    known = ENTROPIES[type(law)] if law.known else None
    return replace(expanded, known=known, symmetric=law.symmetric, convex_ends=law.convex_ends)


def start_of(law: Law) -> float | tuple[float, ...] | np.ndarray:
    """Return where a case has a law start: the number, or the first coefficients, none where the model decides.

    Parameters
    ----------
    law : Curve, Surface, Kernel or Number
    """
    if isinstance(law, Number):
        given = law.initial if law.fixed is None else law.fixed
        return () if given is None else given
    if isinstance(law, Kernel):
        basis = _kernel_basis(law)
        given = np.pad(law.coefficients, (0, basis.size - len(law.coefficients)))
        return np.linalg.solve(basis.standard(), given) if law.coefficients else ()
    return law.starting if isinstance(law, Potential) else law.coefficients


def started(declared: FunctionLaw | NumberLaw, law: Law, found: dict[str, Any], source: str | os.PathLike) -> Law:
    """Return a law that starts as a result has it, unless it is fixed elsewhere.

    A law of another size takes what of the result it can represent: its basis begins with the same functions.

    Parameters
    ----------
    declared : FunctionLaw or NumberLaw
        The law, as the model has it.
    law : Curve, Surface, Kernel or Number
    found : dict
        What the result says of it. A result of an earlier version does not say what its coefficients mean; they are
        then taken for those of the law's own basis.
    source : str or os.PathLike
        The file of the result, for errors.

    Raises
    ------
    InputError
        Where the coefficients are those of other functions, or of a law with another known part.
    """
    name = declared.name
    if isinstance(law, Number):
        value = float(real_numbers(source, f"laws.{name}.value", found["value"], 0))
        return replace(law, initial=value) if law.fixed is None else law
    if law.fixed and law.coefficients:
        return law
    wanted = relation(declared, law)
    given = real_numbers(source, f"laws.{name}.coefficients", found["coefficients"], 1)
    before = _basis_of(law, wanted.basis, len(given))
    if before is None:
        sizes = KERNEL_SIZES[law.basis] if isinstance(law, Kernel) else (wanted.basis.size,)
        accepted = " to ".join(map(str, sorted(set(sizes))))
        raise InputError(source, f"laws.{name}.coefficients", f"{len(given)} numbers", accepted)
    for key, value in structure(replace(wanted, basis=before)).items():
        if key in found and found[key] != json.loads(json.dumps(value)):
            raise InputError(source, f"laws.{name}.{key}", json.dumps(found[key]), json.dumps(value))
    return replace(law, coefficients=_in_size(before, given, wanted.basis))


def _basis_of(law: Curve | Surface | Kernel, basis: Basis, size: int) -> Basis | None:
    """Return a law's basis with another size; None where there is none."""
    if isinstance(law, Surface):
        return basis if size == basis.size else None
    least, most = KERNEL_SIZES[law.basis] if isinstance(law, Kernel) else (1, size)
    return replace(basis, size=size) if least <= size <= most else None


def _in_size(before: Basis, given: np.ndarray, after: Basis) -> tuple[float, ...]:
    """Return the coefficients, as files hold them, in a basis of the same kind that has more or fewer functions."""
    if after.size >= before.size:
        return tuple(given.tolist())
    kept = np.linalg.solve(before.standard(), given)[: after.size]
    return tuple((after.standard() @ kept).tolist())


def _kernel_basis(law: Kernel) -> Basis:
    if law.basis == "quartic":
        return EvenPowers(3, law.wavenumber)
    return Hermite(law.size or KERNEL_SIZE, law.wavenumber)
