"""What a model says of itself, for everything that is done with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fe_phaseinv.laws.bases import Basis, Expansion
from fe_phaseinv.laws.relations import Relation, positive
from fe_phaseinv.models.declarations import Dirichlet, Field, FunctionLaw, KernelLaw, NumberLaw, Scalar
from fe_phaseinv.models.dimensions import Scales


class Model:
    """Base of all models: a subclass declares fields and laws, and has a `residual`.

    Parameters
    ----------
    *laws : Basis, Expansion or Relation
        The laws, in the order of `laws`; a law that is a number needs none.
    **others : object
        The same by name, and values of the `options`.

    Attributes
    ----------
    name : str
        Of the model, in case files and results; that of the class in lower case where not given.
    fields : tuple of Field
        The first one has a rate and is what the images show, unless `observe` says otherwise.
    laws : tuple of FunctionLaw or NumberLaw
        What is to be learnt; an instance has the relation of each as an attribute of its name.
    scalars : tuple of Scalar
        Numbers that are unknown at each time.
    data : tuple of str
        Names of numbers that are given in time, such as a prescribed mean.
    options : tuple of str
        Names of class attributes that an instance may be given otherwise.
    conserved : bool
        Whether the integral of the first field changes by what passes the boundary alone.
    gauge : mapping of float, optional
        By law, the exponent with which it scales in the transformation that leaves the dynamics unchanged.
    gauge_is_exact : bool
        Whether it leaves them so; where they change a little, it is of use for the choice of unknowns alone.
    exchange : tuple of str, optional
        Two laws of which the slope of the first and the second may be changed by the same constant.
    negative : tuple of (str, int)
        Coefficients that stay below zero, by law and number.

    Raises
    ------
    ValueError
        Where the model lacks or misnames something, or a law is given by what it cannot be.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]] = ()
    laws: ClassVar[tuple[FunctionLaw | NumberLaw, ...]] = ()
    scalars: ClassVar[tuple[Scalar, ...]] = ()
    data: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    conserved: ClassVar[bool] = False
    gauge: ClassVar[Mapping[str, float] | None] = None
    gauge_is_exact: ClassVar[bool] = True
    exchange: ClassVar[tuple[str, str] | None] = None
    negative: ClassVar[tuple[tuple[str, int], ...]] = ()

    def __init_subclass__(cls):
        """Name a model after its class, where it has no name of its own."""
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, *laws: Basis | Expansion | Relation, **others: Any):
        self.require_declared()
        names = [law.name for law in self.laws]
        if len(laws) > len(names):
            raise ValueError(f"{self.name}: found {len(laws)} laws; accepted: {', '.join(names)}")
        given = dict(zip(names, laws, strict=False))
        for name in others:
            if name in given or name not in (*names, *self.options):
                accepted = ", ".join((*names[len(laws) :], *self.options))
                raise ValueError(f"{self.name}: found {name!r}; accepted: {accepted}")
        given |= others
        for law in self.laws:
            setattr(self, law.name, law.relation(given.get(law.name)))
        for name in self.options:
            setattr(self, name, given.get(name, getattr(self, name)))

    @classmethod
    def require_declared(cls) -> None:
        """Refuse a model that could not be understood.

        Raises
        ------
        ValueError
            Where it lacks or misnames something.
        """
        if not cls.fields or not cls.fields[0].rate:
            raise ValueError(
                f"{cls.name}: found no field with a rate; accepted: a first one among `fields` that has it"
            )
        groups = {"fields": cls.fields, "laws": cls.laws, "scalars": cls.scalars}
        for group, items in groups.items():
            names = [item.name for item in items]
            wrong = [name for name in names if not name.isidentifier() or name.startswith("_") or names.count(name) > 1]
            if wrong:
                raise ValueError(f"{cls.name}: {group}: found {wrong[0]!r}; accepted: different names of variables")
        names = {law.name for law in cls.laws}
        for key in (*(cls.gauge or ()), *(cls.exchange or ()), *(name for name, _ in cls.negative)):
            if key not in names:
                raise ValueError(f"{cls.name}: found {key!r}; accepted: laws, {', '.join(sorted(names))}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Admissible values of the first field."""
        return self.fields[0].bounds

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The laws, in the order of their coefficients."""
        return tuple(getattr(self, law.name) for law in self.laws)

    @classmethod
    def declared(cls, name: str) -> FunctionLaw | NumberLaw:
        """Return what the model declares of a law.

        Parameters
        ----------
        name : str
        """
        return next(law for law in cls.laws if law.name == name)

    @classmethod
    def symbol(cls, name: str) -> str:
        """Return what stands for a law in words.

        Parameters
        ----------
        name : str
        """
        return cls.declared(name).symbol or name

    @classmethod
    def bounds_of(cls, argument: str) -> tuple[float, float]:
        """Return the admissible values of an argument of laws; infinite ones of what is no field.

        Parameters
        ----------
        argument : str
        """
        return next((field.bounds for field in cls.fields if field.name == argument), (-math.inf, math.inf))

    @classmethod
    def power(cls, name: str) -> float:
        """Return the exponent with which a law scales where the dynamics stay exactly as they are; else zero.

        Parameters
        ----------
        name : str
        """
        return (cls.gauge or {}).get(name, 0) if cls.gauge_is_exact else 0

    def typical(self, scales: Scales) -> dict[str, float]:
        """Return the typical value of each law.

        Parameters
        ----------
        scales : Scales
            Length and time of a pattern.
        """
        return {law.name: scales.of(law.unit) for law in self.laws}

    def starts(
        self, typical: Mapping[str, float], given: Mapping[str, float | Sequence[float]]
    ) -> dict[str, float | Sequence[float]]:
        """Return where laws start unless told otherwise, as numbers or first coefficients; zeros for those left out.

        Parameters
        ----------
        typical : mapping of float
            Typical value of each law.
        given : mapping of float or sequence of float
            Where some laws start, for one law may have to go with another.
        """
        starts = {}
        for law in self.laws:
            relation = getattr(self, law.name)
            if isinstance(law, NumberLaw):
                starts[law.name] = law.start(typical[law.name])
            elif relation.transform is positive and relation.basis.constant is not None:
                starts[law.name] = typical[law.name]
        return starts

    @property
    def kept(self) -> tuple[str, ...]:
        """Numbers that stay where they start unless told otherwise."""
        return tuple(law.name for law in self.laws if isinstance(law, NumberLaw) and law.fixed)

    @property
    def free_constants(self) -> tuple[str, ...]:
        """Laws whose constant changes nothing."""
        return tuple(law.name for law in self.laws if not law.constant)

    @property
    def kernel(self) -> str | None:
        """The law by which the only field is convolved."""
        return next((law.name for law in self.laws if isinstance(law, KernelLaw)), None)

    @property
    def scale(self) -> str | None:
        """The positive number that tells the gauge: with it known, nothing is left of that freedom."""
        numbers = (law for law in self.laws if isinstance(law, NumberLaw) and law.positive)
        return next((law.name for law in numbers if (self.gauge or {}).get(law.name) == 1), None)

    @property
    def invariance(self) -> str | None:
        """What no image can tell apart, in words; None where there is nothing."""
        if self.exchange:
            first, second = (self.symbol(name) for name in self.exchange)
            return f"({first}', {second}) and ({first}' + a, {second} + a)"
        if not self.gauge or not self.gauge_is_exact:
            return None
        laws = {law.name: law.symbol or law.name for law in self.laws}
        symbols = {laws[name]: exponent for name, exponent in self.gauge.items()}
        scaled = [_scaled(symbol, exponent) for symbol, exponent in symbols.items()]
        return f"({', '.join(symbols)}) and ({', '.join(scaled)})"

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form.

        Parameters
        ----------
        fields : named tuple of ufl.core.expr.Expr
            By the names of `fields`, scalars and vectors.
        rates : named tuple of ufl.core.expr.Expr
            Time derivatives of the fields that have one.
        laws : namespace
            By name: functions of UFL expressions, and numbers.
        tests : named tuple of ufl.core.expr.Expr
            Test functions, one for each field.
        at : namespace
            What else holds at the place and time: `mesh`, `x`, `normal`, `t`, `dx`, `ds`; `map`, which multiplies the
            kinetics; `start_mean`, the mean of the first field at the start; `scalars`; and `data` by their names.

        Returns
        -------
        ufl.Form
            Integrals over cells and the boundary, linear in the tests.
        """
        raise NotImplementedError

    def constraints(self, fields, scalars, laws, at) -> dict[str, Any]:
        """Return the equations of the scalars: by the name of each, integrals that vanish.

        Parameters
        ----------
        fields, laws, at
            As for `residual`.
        scalars : named tuple of ufl.core.expr.Expr
            By the names of `scalars`.
        """
        return {}

    def conditions(self, at) -> Sequence[Dirichlet]:
        """Return the values that hold on the boundary at any time, but for those that images give.

        Parameters
        ----------
        at : namespace
            As for `residual`.
        """
        return ()

    def observe(self, fields, at) -> Sequence[Any]:
        """Return what the channels of an image show, linear in the fields.

        Parameters
        ----------
        fields, at
            As for `residual`.
        """
        return (fields[0],)

    boundary: ClassVar[Any] = None
    """A method ``boundary(fields, given, laws, tests, at)`` of a model whose images may be cropped: the integrand over
    the boundary where the first field has the values and the normal gradient of a given one."""


def _scaled(symbol: str, exponent: float) -> str:
    power = "s" if abs(exponent) == 1 else f"s^{abs(exponent):g}"
    return f"{power} {symbol}" if exponent > 0 else f"{symbol}/{power}"
