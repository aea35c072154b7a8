"""What a model says of itself, for everything that is done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fe_phaseinv.laws.bases import Basis, ConstantBasis, Expansion
from fe_phaseinv.laws.relations import Relation, identity, positive


@dataclass(frozen=True)
class FunctionLaw:
    """A law that is a function of a field, or of the wavenumber k.

    Parameters
    ----------
    name : str
        Key of the law in case files and results.
    of : str
        Name of its argument.
    positive : bool
        Whether the law is positive everywhere: the expansion is then that of its logarithm.
    constant : bool
        Whether a constant that is added to the law changes anything; where it does not, it is not learnt.
    """

    name: str
    of: str = "c"
    positive: bool = False
    constant: bool = True

    def relation(self, given: Relation | Basis | Expansion) -> Relation:
        """Return the relation that a user's basis stands for; a relation stays what it is.

        Parameters
        ----------
        given : Basis, Expansion or Relation

        Raises
        ------
        ValueError
            Where it is none of these, or a relation of another name.
        """
        transform = positive if self.positive else identity
        if isinstance(given, Basis):
            return Relation(self.name, given, transform, argument=self.of)
        if isinstance(given, Expansion):
            return Relation(self.name, given.basis, transform, known=given.known, argument=self.of)
        return _named(self.name, given, "a basis such as Legendre(10), or Legendre(10) + ideal_entropy")


@dataclass(frozen=True)
class NumberLaw:
    """A law that is a positive number; its only coefficient is its logarithm.

    Parameters
    ----------
    name : str
        Key of the law in case files and results.
    initial : float
        Where it starts unless told otherwise.
    """

    name: str
    initial: float = 1.0
    constant: ClassVar[bool] = True

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
            return Relation(self.name, ConstantBasis(), positive)
        return _named(self.name, given, "nothing, or a relation in the basis ConstantBasis()")


def _named(name: str, given: object, accepted: str) -> Relation:
    if not isinstance(given, Relation):
        raise ValueError(f"{name}: found {given!r}; accepted: {accepted}")
    if given.name != name:
        raise ValueError(f"{name}: found a relation with the name {given.name!r}; accepted: {name!r}")
    return given


class Model:
    """Base of all models: a frozen dataclass with a field for every law, in the order of `laws`.

    Attributes
    ----------
    name : str
        Of the model, in case files and results.
    fields : tuple of str
        Names of the fields; the first one is what the images show and carries the time derivative.
    laws : tuple of FunctionLaw or NumberLaw
        What is to be learnt; the dataclass has a field of the name of each.
    bounds : tuple of float
        Admissible values of the first field.
    conserved : bool
        Whether the integral of the first field changes by what passes the boundary alone.
    kinetics : str, optional
        The law that sets the pace and that a map of the heterogeneity multiplies.
    kernel : str, optional
        A law that is a function of the wavenumber, by which the first field is convolved.
    gauge : mapping of int, optional
        By law, the exponent with which it scales in the transformation that leaves the dynamics unchanged.
    scale : str, optional
        The law that is a number and tells the gauge: with it known, nothing is left of that freedom.
    invariance : str
        What no image can tell apart, in words.
    negative : tuple of (str, int)
        Coefficients that stay below zero, by law and number.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    laws: ClassVar[tuple[FunctionLaw | NumberLaw, ...]]
    bounds: ClassVar[tuple[float, float]]
    conserved: ClassVar[bool] = False
    kinetics: ClassVar[str | None] = None
    kernel: ClassVar[str | None] = None
    gauge: ClassVar[Mapping[str, int] | None] = None
    scale: ClassVar[str | None] = None
    invariance: ClassVar[str]
    negative: ClassVar[tuple[tuple[str, int], ...]] = ()

    def __post_init__(self):
        """Turn what is given for each law into a relation."""
        for law in self.laws:
            object.__setattr__(self, law.name, law.relation(getattr(self, law.name)))

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The laws, in the order of their coefficients."""
        return tuple(getattr(self, law.name) for law in self.laws)

    @property
    def starts(self) -> dict[str, float | Sequence[float]]:
        """Where laws start unless told otherwise, as numbers or first coefficients; zeros for those left out."""
        return {law.name: law.initial for law in self.laws if isinstance(law, NumberLaw)}

    @property
    def free_constants(self) -> tuple[str, ...]:
        """Laws whose constant changes nothing."""
        return tuple(law.name for law in self.laws if not law.constant)

    def residual(self, fields, rate, laws: Mapping[str, Callable], tests):
        """Return the integrand of the weak form.

        Parameters
        ----------
        fields : tuple of ufl.core.expr.Expr
            In the order of `fields`.
        rate : ufl.core.expr.Expr
            Time derivative of the first field.
        laws : mapping of callable
            By name: argument -> value, as UFL.
        tests : tuple of ufl.core.expr.Expr
            Test functions of the equations, as many as there are fields.

        Returns
        -------
        ufl.core.expr.Expr
        """
        raise NotImplementedError

    def boundary(self, fields, slope, laws: Mapping[str, Callable], tests):
        """Return the integrand over the boundary where the normal gradient of the first field is a given slope.

        Parameters
        ----------
        fields, laws, tests
            As for `residual`.
        slope : ufl.core.expr.Expr
            Normal gradient of the first field.

        Returns
        -------
        ufl.core.expr.Expr
        """
        raise NotImplementedError
