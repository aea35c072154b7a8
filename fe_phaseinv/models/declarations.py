"""What a model declares: its fields, laws, numbers that a constraint determines, and conditions on the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fe_phaseinv.laws.bases import Basis, ConstantBasis, Expansion
from fe_phaseinv.laws.relations import Relation, identity, positive

OF_ONE = "a basis such as Legendre(10), or Legendre(10) + ideal_entropy"
OF_TWO = "a basis such as TensorProduct(Legendre(4), Legendre(4))"
"""What a law may be."""
MEAN = "mean"
"""The number given in time that is the mean of the first field."""
WAVENUMBER = "k"
"""The argument of laws by which fields are convolved."""


@dataclass(frozen=True)
class Field:
    """A field of the equations.

    Parameters
    ----------
    name : str
        By which the residual knows it.
    components : int
        1 for a scalar field; a vector field has several.
    rate : bool
        Whether its time derivative is in the equations; a field without one is determined by the others at any time.
    bounds : tuple of float
        Admissible values.
    floating : bool
        Whether the equations leave its mean open (one of each component): it is zero then.
    start : float or callable, optional
        Of a field with a rate that no image shows: its value at the start, or a function of the fields shown that gives
        it, as UFL.
    """

    name: str
    components: int = 1
    rate: bool = True
    bounds: tuple[float, float] = (-np.inf, np.inf)
    floating: bool = False
    start: Any = None


@dataclass(frozen=True)
class FunctionLaw:
    """A law that is a function of fields, or of another quantity that the residual works out.

    Parameters
    ----------
    name : str
        Key of the law in case files and results.
    of : str or tuple of str
        Name of its argument, or of both of two.
    positive : bool
        Whether the law is positive everywhere: the expansion is then that of its logarithm.
    constant : bool
        Whether a constant that is added to the law changes anything; where it does not, it is not learnt.
    excess : bool
        Whether the model adds the entropy of mixing itself, so that case files do not.
    unit : str
        In words, such as "length^2/time"; see `fe_phaseinv.models.dimensions.Scales`.
    symbol : str
        For words and figures; the name where not given.
    """

    name: str
    of: str | tuple[str, ...] = "c"
    positive: bool = False
    constant: bool = True
    excess: bool = False
    unit: str = ""
    symbol: str = ""

    @property
    def has_slope(self) -> bool:
        """Whether its slope says more than its values: it has any sign, and one argument that is no wavenumber."""
        return not self.positive and isinstance(self.of, str) and self.of != WAVENUMBER

    def relation(self, given: Relation | Basis | Expansion | None) -> Relation:
        """Return the relation that a user's basis stands for; a relation stays what it is.

        Parameters
        ----------
        given : Basis, Expansion or Relation

        Raises
        ------
        ValueError
            Where it is none of these, a relation of another name, or of another number of arguments.
        """
        arguments = (self.of,) if isinstance(self.of, str) else self.of
        if isinstance(given, Basis | Expansion):
            basis, known = (given, None) if isinstance(given, Basis) else (given.basis, given.known)
            transform = positive if self.positive else identity
            given = Relation(self.name, basis, transform, known=known, argument=", ".join(arguments))
        accepted = OF_ONE if len(arguments) == 1 else OF_TWO
        found = _named(self.name, given, accepted).basis
        if found.arguments != len(arguments):
            accepted = f"a function of {' and '.join(arguments)}, {accepted}"
            raise ValueError(f"{self.name}: found {found!r}, of {found.arguments} arguments; accepted: {accepted}")
        return given


@dataclass(frozen=True)
class KernelLaw(FunctionLaw):
    """A law that is a function of the wavenumber, by which the only field of a model is convolved.

    In the residual it is called with the field and gives the convolution; the parameters are those of `FunctionLaw`.
    """

    of: str = WAVENUMBER


@dataclass(frozen=True)
class NumberLaw:
    """A law that is a number; where it is positive, its only coefficient is its logarithm.

    Parameters
    ----------
    name : str
        Key of the law in case files and results.
    initial : float, optional
        Where it starts unless told otherwise. Where not given, that is zero, or for a positive number what its unit
        makes of the typical length and time of the images (one, if it has none).
    positive : bool
        Whether it is positive.
    fixed : bool
        Whether it stays there unless told otherwise.
    unit : str
        In words, such as "length^2"; see `fe_phaseinv.models.dimensions.Scales`.
    symbol : str
        For words and figures; the name where not given.
    """

    name: str
    initial: float | None = None
    positive: bool = False
    fixed: bool = False
    unit: str = ""
    symbol: str = ""
    constant: ClassVar[bool] = True

    def start(self, typical: float) -> float:
        """Return where it starts unless told otherwise.

        Parameters
        ----------
        typical : float
            Its typical value.
        """
        return self.positive * typical if self.initial is None else self.initial

    def relation(self, given: Relation | None) -> Relation:
        """Return the relation of the number; one that is given stays what it is.

        Parameters
        ----------
        given : Relation or None

        Raises
        ------
        ValueError
            Where it is none of these, or a relation of another name.
        """
        if given is None:
            return Relation(self.name, ConstantBasis(), positive if self.positive else identity)
        return _named(self.name, given, "nothing, or a relation in the basis ConstantBasis()")


@dataclass(frozen=True)
class Scalar:
    """A number that is unknown at each time, with an equation of its own among the model's constraints.

    Parameters
    ----------
    name : str
        By which the residual, the constraints and results know it.
    """

    name: str


@dataclass(frozen=True)
class Dirichlet:
    """Values that a field takes on a part of the boundary.

    Parameters
    ----------
    field : str
        Name of the field.
    value : float or ufl.core.expr.Expr
        Of place and time alone; of a vector field a vector, or a number for all of its components.
    on : str, int or sequence of int
        "on_boundary", or tags of the boundary.
    """

    field: str
    value: Any
    on: str | int | Sequence[int] = "on_boundary"


def _named(name: str, given: object, accepted: str) -> Relation:
    if not isinstance(given, Relation):
        raise ValueError(f"{name}: found {given!r}; accepted: {accepted}")
    if given.name != name:
        raise ValueError(f"{name}: found a relation with the name {given.name!r}; accepted: {name!r}")
    return given
