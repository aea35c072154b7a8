"""The equations of one implicit step in UFL, and the functions that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import ufl
from firedrake import Constant, Function, FunctionSpace, TestFunction, VectorFunctionSpace, derivative, split
from ufl.algorithms import expand_derivatives
from ufl.corealg.traversal import unique_pre_traversal

from fe_phaseinv.forward.assembled import vanishes
from fe_phaseinv.forward.dirichlet import DirichletBoundary
from fe_phaseinv.forward.layout import components_of
from fe_phaseinv.forward.weak_forms import WeakForms
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.models.declarations import NumberLaw
from fe_phaseinv.models.naming import Named
from fe_phaseinv.solvers.convolution import Convolution


class StepForms:
    """``R(u, u_) = 0`` for one step of a formula whose time derivatives are shift * u + history.

    The fields are the components of one vector-valued space, so that matrices are assembled and factorised by nodes.

    Parameters
    ----------
    model : Model
        The equations.
    space : firedrake.FunctionSpace
        Scalar space of every component.
    coefficients : mapping of firedrake.Function
        By law, a vector-valued function of the real space.
    unknown : mapping of list of int
        By law, the coefficients whose sensitivities are wanted.
    quadrature : int
        Degree of the quadrature of integrals that have none of their own.
    dirichlet : DirichletBoundary, optional
        Where the first field and its normal gradient are those of a given field.
    heterogeneous : bool
        Whether the map that the model has at its kinetics is exp(h) with a field h of the same space; one otherwise.

    Attributes
    ----------
    state : firedrake.Function
        All components.
    shift : firedrake.Constant
        Weight of the new state in its time derivative.
    time : firedrake.Constant
        At the end of the step.
    history : tuple of firedrake.Function
        The rest of the time derivative, for each component with a rate.
    scalars : firedrake.Function or None
        Numbers that constraints determine, in the real space: those of the model, then one for every floating mean.
    numbers : firedrake.Function
        In the real space: the data of the model at this time, then the mean of the first field at the start.
    heterogeneity : firedrake.Function or None
        The map h.
    convolution : Convolution or None
        That by the law of the model that is a kernel.
    rated : tuple of int
        Components with a rate.
    plain_rate : bool
        Whether the derivative by the rates depends on nothing that changes.

    Raises
    ------
    ValueError
        Where the model's forms are none that can be solved, one line for each reason.
    """

    def __init__(
        self,
        model,
        space: FunctionSpace,
        coefficients: Mapping[str, Function],
        unknown: Mapping[str, Sequence[int]],
        *,
        quadrature: int,
        dirichlet: DirichletBoundary | None = None,
        heterogeneous: bool = False,
    ):
        self.model, self.space, self.quadrature = model, space, quadrature
        self.coefficients, self.unknown, self.dirichlet = coefficients, unknown, dirichlet
        self.parts, mesh = components_of(model.fields), space.mesh()
        pairs = list(zip(model.fields, self.parts, strict=True))
        self.components = sum(field.components for field in model.fields)
        self.rated = tuple(part for field, parts in pairs if field.rate for part in parts)
        self.floating = tuple(part for field, parts in pairs if field.floating for part in parts)
        self.border = len(model.scalars) + len(self.floating)
        self.state = Function(VectorFunctionSpace(mesh, space.ufl_element(), dim=self.components))
        self.shift, self.time = Constant(1.0), Constant(0.0)
        self.history = tuple(Function(space) for _ in self.rated)
        self.scalars = Function(VectorFunctionSpace(mesh, "R", 0, dim=self.border)) if self.border else None
        self.numbers = Function(VectorFunctionSpace(mesh, "R", 0, dim=len(model.data) + 1))
        self.heterogeneity = Function(space) if heterogeneous else None
        self.convolution = self._convolution()
        self.weak = WeakForms(model, self._surroundings(), self._laws(), quadrature)
        tests = split(TestFunction(self.state.function_space()))
        residual = self.residual(tests)
        self.weak.require_linear("residual", residual, tests)
        self._require_solvable(residual)
        self.plain_rate = not any(self.changes_in(derivative(residual, history)) for history in self.history)

    def residual(self, tests: Sequence) -> ufl.Form:
        """Return the residual as a form.

        Parameters
        ----------
        tests : sequence of ufl.core.expr.Expr
            What the equations are tested with, one for each component.

        Returns
        -------
        ufl.Form
        """
        fields, tested = self._fields(), self._named("tests", tests)
        form = self.weak.residual(fields, self._rates(), tested)
        for number, part in enumerate(self.floating, len(self.model.scalars)):
            form += self.scalars[number] * tests[part] * self.weak.at.dx
        if self.dirichlet is None:
            return form
        given = self.weak.boundary(fields, self.dirichlet.field, tested)
        return form + given * self.dirichlet.measure(self.quadrature)

    def constraints(self) -> list[ufl.Form]:
        """Return the equations of all scalars, as integrals that vanish."""
        components = split(self.state)
        means = [components[part] * self.weak.at.dx for part in self.floating]
        return self.weak.constraints(self._fields()) + means

    def whole(self, tests: Sequence, weights: Sequence) -> ufl.Form:
        """Return the residual plus the constraints with a weight each.

        Parameters
        ----------
        tests : sequence of ufl.core.expr.Expr
            As for `residual`.
        weights : sequence of ufl.core.expr.Expr
            One for each constraint.

        Returns
        -------
        ufl.Form
        """
        return self.residual(tests) + self.weighted_constraints(weights)

    def weighted_constraints(self, weights: Sequence) -> ufl.Form:
        """Return the sum of the constraints with a weight each.

        Parameters
        ----------
        weights : sequence of ufl.core.expr.Expr
            One for each constraint.

        Returns
        -------
        ufl.Form
        """
        pairs = zip(weights, self.constraints(), strict=True)
        integrals = [part.reconstruct(weight * part.integrand()) for weight, form in pairs for part in form.integrals()]
        return ufl.Form(integrals)

    @property
    def columns(self) -> int:
        """Number of coefficients whose sensitivities are wanted."""
        return sum(len(indices) for indices in self.unknown.values())

    @property
    def uses_numbers(self) -> bool:
        """Whether the equations depend on data in time or the mean at the start."""
        tests = split(TestFunction(self.state.function_space()))
        return self.numbers in self.whole(tests, [1.0] * self.border).coefficients()

    def channels(self) -> list[ufl.core.expr.Expr]:
        """Return what the channels of an image show, linear in the state."""
        return self.weak.channels(self._fields())

    @property
    def seen(self) -> tuple[int, ...]:
        """Components on which the channels depend."""
        parts = set()
        for expression in self.channels():
            parts |= _components_in(expression, self.state) or set(range(self.components))
        return tuple(sorted(parts))

    def unknown_directions(self) -> Iterator[tuple[Function, ufl.core.expr.Expr]]:
        """Give, for every unknown coefficient, the function that holds it and the unit vector of its place there."""
        for name, indices in self.unknown.items():
            for index in indices:
                yield self.coefficients[name], unit(self.coefficients[name], index)

    def number_directions(self) -> Iterator[tuple[Function, ufl.core.expr.Expr]]:
        """Give the same for the numbers given in time; none where the equations do not depend on them."""
        count = self.numbers.ufl_shape[0] if self.uses_numbers else 0
        return ((self.numbers, unit(self.numbers, index)) for index in range(count))

    def changes_in(self, form: ufl.Form) -> bool:
        """Whether anything that a form depends on differs from step to step or run to run.

        Parameters
        ----------
        form : ufl.Form
        """
        expanded = expand_derivatives(form)
        changing = {*self.all_functions, self.shift, self.time}
        return not changing.isdisjoint({*expanded.coefficients(), *expanded.constants()})

    @property
    def all_functions(self) -> tuple[Function, ...]:
        """Functions whose values differ from step to step or run to run."""
        field = self.dirichlet and self.dirichlet.field
        given = (self.state, *self.history, self.scalars, self.numbers, self.heterogeneity, field)
        return tuple(f for f in given if f is not None) + tuple(self.coefficients.values())

    def _named(self, kind: str, components: Sequence) -> Named:
        """Return what belongs to the components as what belongs to the fields, by their names."""
        return _by_fields(kind, self.model.fields, [[components[part] for part in parts] for parts in self.parts])

    def _fields(self) -> Named:
        return self._named("fields", split(self.state))

    def _rates(self) -> Named:
        components = split(self.state)
        rates = {p: self.shift * components[p] + h for p, h in zip(self.rated, self.history, strict=True)}
        pairs = [
            (f, [rates[p] for p in parts]) for f, parts in zip(self.model.fields, self.parts, strict=True) if f.rate
        ]
        return _by_fields("rates", [field for field, _ in pairs], [parts for _, parts in pairs])

    def _surroundings(self) -> Named:
        mesh, names = self.space.mesh(), self.model.data
        scalars = {scalar.name: self.scalars[i] for i, scalar in enumerate(self.model.scalars)}
        values = {name: self.numbers[i] for i, name in enumerate(names)}
        values |= {
            "mesh": mesh,
            "x": ufl.SpatialCoordinate(mesh),
            "normal": ufl.FacetNormal(mesh),
            "t": self.time,
            "dx": ufl.dx(domain=mesh, degree=self.quadrature),
            "ds": ufl.ds(domain=mesh, degree=self.quadrature),
            "map": 1 if self.heterogeneity is None else ufl.exp(self.heterogeneity),
            "start_mean": self.numbers[len(names)],
            "scalars": Named("scalars", scalars),
        }
        return Named("at", values)

    def _laws(self) -> Named:
        laws = {}
        for law, relation in zip(self.model.laws, self.model.relations, strict=True):
            value = Law(relation, list(self.coefficients[law.name]))
            laws[law.name] = value(0.0) if isinstance(law, NumberLaw) else value
        if self.convolution is not None:
            laws[self.model.kernel] = lambda field: self.convolution.field()
        return Named("laws", laws)

    def _convolution(self) -> Convolution | None:
        model = self.model
        if model.kernel is None:
            return None
        if self.components != 1 or self.border:
            raise ValueError(f"{model.name}: {model.kernel}: found several unknowns; accepted: a kernel with one field")
        return Convolution(getattr(model, model.kernel), self.coefficients[model.kernel], self.space)

    def _require_solvable(self, residual: ufl.Form) -> None:
        model = self.model
        if self.heterogeneity is not None and self.heterogeneity not in residual.coefficients():
            raise ValueError(f"{model.name} has no kinetics for a map to multiply: its residual does not use at.map")
        histories = dict(zip(self.rated, self.history, strict=True))
        weights = [Function(self.space) for _ in range(self.components)]
        weighted = self.residual(weights).coefficients()
        for field, parts in zip(model.fields, self.parts, strict=True):
            if field.rate and any(histories[part] not in residual.coefficients() for part in parts):
                accepted = f"one, or Field({field.name!r}, rate=False)"
                raise ValueError(f"{model.name}: residual: found no rates.{field.name}; accepted: {accepted}")
            if any(weights[part] not in weighted for part in parts):
                found = f"no integral with tests.{field.name}"
                raise ValueError(f"{model.name}: residual: found {found}; accepted: an equation for each field")
        constraints = self.constraints()
        for scalar, form in zip(model.scalars, constraints, strict=False):
            self.weak.require_linear(f"constraints: {scalar.name}", form, ())
        self._require_determined(residual, constraints)

    def _require_determined(self, residual: ufl.Form, constraints: Sequence[ufl.Form]) -> None:
        """Refuse scalars that nothing depends on, and constraints that depend on nothing unknown."""
        model = self.model
        for number, scalar in enumerate(model.scalars):
            direction = unit(self.scalars, number)
            if all(vanishes(derivative(form, self.scalars, direction)) for form in (residual, *constraints)):
                found, accepted = f"no {scalar.name} in the equations", f"one that depends on at.scalars.{scalar.name}"
                raise ValueError(f"{model.name}: scalars: found {found}; accepted: {accepted}")
            if {self.state, self.scalars}.isdisjoint(constraints[number].coefficients()):
                accepted = "integrals of fields or scalars"
                raise ValueError(f"{model.name}: constraints: {scalar.name}: found none of these; accepted: {accepted}")


def unit(function: Function, index: int) -> ufl.core.expr.Expr:
    """Return the unit vector of a place in a vector-valued function.

    Parameters
    ----------
    function : firedrake.Function
        The function.
    index : int
        The place.
    """
    return ufl.as_vector([float(i == index) for i in range(function.ufl_shape[0])])


def _by_fields(kind: str, fields: Sequence, parts: Sequence[Sequence]) -> Named:
    return Named(
        kind,
        {f.name: p[0] if f.components == 1 else ufl.as_vector(p) for f, p in zip(fields, parts, strict=True)},
    )


def _components_in(expression, state: Function) -> set[int]:
    """Return the components of the state that an expression names, where it names each by itself."""
    named = set()
    for node in unique_pre_traversal(expression):
        if isinstance(node, ufl.indexed.Indexed) and node.ufl_operands[0] == state:
            named |= {int(index) for index in node.ufl_operands[1].indices()}
    return named
