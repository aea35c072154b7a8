"""The equations of one implicit step in UFL, and the functions that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import ufl
from firedrake import Constant, Function, FunctionSpace, TestFunction, VectorFunctionSpace, derivative, dx, split
from ufl.algorithms import expand_derivatives

from fe_phaseinv.forward.dirichlet import DirichletBoundary
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.solvers.convolution import Convolution


class StepForms:
    """``R(u, u_) = 0`` for one step of a formula whose time derivative is shift * c + history.

    The fields are the components of one vector-valued space, so that matrices are assembled and factorised by nodes.

    Parameters
    ----------
    model : Model
        The equations.
    space : firedrake.FunctionSpace
        Scalar space of every field.
    coefficients : mapping of firedrake.Function
        By law, a vector-valued function of the real space.
    unknown : mapping of list of int
        By law, the coefficients whose sensitivities are wanted.
    quadrature : int
        Degree of the quadrature.
    dirichlet : DirichletBoundary, optional
        Where c and its normal gradient are those of a given field; elsewhere on the boundary nothing passes and the
        normal gradient is zero.
    heterogeneous : bool
        Whether the kinetics (the law of the model's `kinetics`) are multiplied by exp(h) with a field h of the same
        space.

    Attributes
    ----------
    state : firedrake.Function
        All fields, c the first.
    shift : firedrake.Constant
        Weight of c in its time derivative.
    history : firedrake.Function
        The rest of the time derivative.
    heterogeneity : firedrake.Function or None
        The map h.
    convolution : Convolution or None
        That by the law of the model that is a kernel.
    laws : dict of callable
        By name: argument -> value, as UFL.

    Raises
    ------
    ValueError
        Where a model without kinetics is to be heterogeneous, or the residual does not hold the time derivative of c
        linearly and free of state and laws.
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
        if heterogeneous and model.kinetics is None:
            raise ValueError(f"{model.name} has no kinetics for a map to multiply")
        self.model, self.space, self.quadrature = model, space, quadrature
        self.coefficients, self.unknown, self.dirichlet = coefficients, unknown, dirichlet
        self.fields = len(model.fields)
        self.state = Function(VectorFunctionSpace(space.mesh(), space.ufl_element(), dim=self.fields))
        self.shift = Constant(1.0)
        self.history = Function(space)
        self.heterogeneity = Function(space) if heterogeneous else None
        self.convolution = self._convolution()
        self.laws = self._laws()
        self._require_plain_rate()

    def residual(self, tests):
        """Return the residual as a form.

        Parameters
        ----------
        tests : sequence of ufl.core.expr.Expr
            What the equations are tested with, one for each field.

        Returns
        -------
        ufl.Form
        """
        fields, quadrature = split(self.state), self.quadrature
        rate = self.shift * fields[0] + self.history
        inside = self.model.residual(fields, rate, self.laws, tests) * dx(degree=quadrature)
        if self.dirichlet is None:
            return inside
        slope = ufl.dot(ufl.grad(self.dirichlet.field), ufl.FacetNormal(self.space.mesh()))
        return inside + self.model.boundary(fields, slope, self.laws, tests) * self.dirichlet.measure(quadrature)

    @property
    def columns(self) -> int:
        """Number of coefficients whose sensitivities are wanted."""
        return sum(len(indices) for indices in self.unknown.values())

    def unknown_directions(self) -> Iterator[tuple[Function, ufl.core.expr.Expr]]:
        """Give, for every unknown coefficient, the function that holds it and the unit vector of its place there."""
        for name, indices in self.unknown.items():
            values = self.coefficients[name]
            for index in indices:
                yield values, ufl.as_vector([float(i == index) for i in range(values.ufl_shape[0])])

    def _convolution(self) -> Convolution | None:
        model = self.model
        if model.kernel is None:
            return None
        (relation,) = (relation for relation in model.relations if relation.name == model.kernel)
        return Convolution(relation, self.coefficients[model.kernel], self.space)

    def _laws(self) -> dict:
        model, heterogeneity, convolution = self.model, self.heterogeneity, self.convolution
        laws = {r.name: Law(r, list(self.coefficients[r.name])) for r in model.relations}
        if heterogeneity is not None:
            kinetics = laws[model.kinetics]
            laws[model.kinetics] = lambda c: kinetics(c) * ufl.exp(heterogeneity)
        if convolution is not None:
            laws[model.kernel] = lambda field: convolution.field()
        return laws

    def _require_plain_rate(self) -> None:
        """Refuse a rate that is multiplied by what changes: the derivatives by the history are assembled but once."""
        by_history = derivative(self.residual(split(TestFunction(self.state.function_space()))), self.history)
        names = {self.state: "the fields", self.history: "itself", self.heterogeneity: "the map", self.shift: "itself"}
        names |= {function: name for name, function in self.coefficients.items()}
        expanded = expand_derivatives(by_history)
        factors = {names[f] for f in (*expanded.coefficients(), *expanded.constants()) if f in names}
        if factors:
            raise ValueError(
                f"{self.model.name}: the time derivative is multiplied by {', '.join(sorted(factors))}; accepted: "
                "a residual in which it stands by itself"
            )
