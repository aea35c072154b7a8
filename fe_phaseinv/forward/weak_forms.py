"""The forms that a model gives, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import ufl
from ufl.algorithms import expand_derivatives, extract_arguments
from ufl.algorithms.check_arities import ArityMismatch, check_form_arity
from ufl.algorithms.remove_complex_nodes import remove_complex_nodes

from fe_phaseinv.models.declarations import Dirichlet
from fe_phaseinv.models.naming import Named


class WeakForms:
    """The forms that a model gives, with the quadrature of those integrals that have none of their own.

    Parameters
    ----------
    model : Model
        The equations.
    at : Named
        What holds at a place and time.
    laws : Named
        Functions and numbers, as UFL.
    quadrature : int
        Degree of the quadrature.
    """

    def __init__(self, model, at: Named, laws: Named, quadrature: int):
        self.model, self.at, self.laws, self.quadrature = model, at, laws, quadrature

    def residual(self, fields: Named, rates: Named, tests: Named) -> ufl.Form:
        """Return the residual of the model.

        Parameters
        ----------
        fields, rates, tests : Named
            As for `Model.residual`.

        Raises
        ------
        ValueError
            Where the model misnames something, or gives no integrals.
        """
        return self._form("residual", self._called("residual", fields, rates, self.laws, tests, self.at))

    def constraints(self, fields: Named) -> list[ufl.Form]:
        """Return the equations of the model's scalars, in their order.

        Parameters
        ----------
        fields : Named
            As for `Model.constraints`.

        Raises
        ------
        ValueError
            Where they are no integrals, or none of these scalars.
        """
        names = [scalar.name for scalar in self.model.scalars]
        given = self._called("constraints", fields, self.at.scalars, self.laws, self.at)
        self._require_kind("constraints", given, Mapping, "a dictionary by scalar")
        if {*given} != {*names}:
            found, accepted = ", ".join(given) or "none", ", ".join(names) or "none, without scalars"
            raise ValueError(f"{self.model.name}: constraints: found {found}; accepted: {accepted}")
        return [self._form(f"constraints: {name}", given[name]) for name in names]

    def boundary(self, fields: Named, given: Any, tests: Named) -> ufl.core.expr.Expr:
        """Return the integrand over the boundary where the first field is prescribed.

        Parameters
        ----------
        fields, given, tests
            As for `Model.boundary`.

        Raises
        ------
        ValueError
            Where the model has none.
        """
        if self.model.boundary is None:
            raise ValueError(f"{self.model.name}: found no method `boundary`; accepted: one, for data on the boundary")
        return self._called("boundary", fields, given, self.laws, tests, self.at)

    def channels(self, fields: Named) -> list[ufl.core.expr.Expr]:
        """Return what the channels of an image show.

        Parameters
        ----------
        fields : Named
            As for `Model.observe`.

        Raises
        ------
        ValueError
            Where the model misnames something, or a channel is no number.
        """
        given = self._called("observe", fields, self.at)
        self._require_kind("observe", given, list | tuple, "a tuple of channels")
        channels = [ufl.as_ufl(channel) for channel in given]
        for channel in channels:
            if channel.ufl_shape:
                found = f"a channel of shape {channel.ufl_shape}"
                raise ValueError(f"{self.model.name}: observe: found {found}; accepted: numbers, linear in the fields")
        return channels

    def conditions(self) -> list:
        """Return the values that hold on the boundary.

        Raises
        ------
        ValueError
            Where the model misnames something, or gives something else.
        """
        given = self._called("conditions", self.at)
        self._require_kind("conditions", given, list | tuple, "a tuple of Dirichlet(...)")
        for condition in given:
            self._require_kind("conditions", condition, Dirichlet, "Dirichlet(...)")
        return list(given)

    def _require_kind(self, what: str, given: object, kind: Any, accepted: str) -> None:
        if not isinstance(given, kind):
            found = type(given).__name__
            raise ValueError(f"{self.model.name}: {what}: found {found}; accepted: {accepted}")

    def _called(self, name: str, *arguments: Any) -> Any:
        method: Callable = getattr(self.model, name)
        try:
            return method(*arguments)
        except AttributeError as error:
            raise ValueError(f"{self.model.name}: {name}: {error}") from error
        except Exception as error:  # of a user's own lines, which may raise anything
            found = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{self.model.name}: {name}: found {found}; accepted: a method that runs") from error

    def _form(self, what: str, form: Any) -> ufl.Form:
        self._require_kind(what, form, ufl.Form, "integrals, such as f * dx")
        for integral in form.integrals():
            self._require_place(what, integral)
        return ufl.Form([self._with_degree(integral) for integral in form.integrals()])

    def _with_degree(self, integral: ufl.Integral) -> ufl.Integral:
        given = integral.metadata()
        if "quadrature_degree" in given or "quadrature_rule" in given:
            return integral
        return integral.reconstruct(metadata={**given, "quadrature_degree": self.quadrature})

    def _require_place(self, what: str, integral: ufl.Integral) -> None:
        tags, known = integral.subdomain_id(), {int(tag) for tag in self.at.mesh.exterior_facets.unique_markers}
        tags = tags if isinstance(tags, tuple) else (tags,)
        wrong = [tag for tag in tags if isinstance(tag, Integral) and tag not in known]
        if wrong and integral.integral_type().startswith("exterior_facet"):
            accepted = ", ".join(map(str, sorted(known))) or "none"
            raise ValueError(f"{self.model.name}: {what}: found ds({wrong[0]}); accepted: tags of the mesh, {accepted}")

    def require_linear(self, what: str, form: ufl.Form, tests: Sequence) -> None:
        """Refuse a form that is not linear in tests, or where there are none, that has any.

        Parameters
        ----------
        what : str
            What the form is, for the error.
        form : ufl.Form
            A form of the model.
        tests : sequence of ufl.core.expr.Expr
            What the equations are tested with.

        Raises
        ------
        ValueError
            Where it is another form.
        """
        arguments = {argument for test in tests for argument in extract_arguments(test)}
        accepted = "a form that is linear in the tests" if arguments else "integrals without tests"
        try:
            check_form_arity(remove_complex_nodes(expand_derivatives(form)), tuple(arguments))
        except ArityMismatch as error:
            raise ValueError(
                f"{self.model.name}: {what}: found another form ({error}); accepted: {accepted}"
            ) from error
