"""Parts of the boundary where fields take given values."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import ufl
from firedrake import Function, FunctionSpace, assemble, interpolate

from fe_phaseinv.core.spaces import boundary_measure, boundary_nodes, interpolation
from fe_phaseinv.models.declarations import Dirichlet
from fe_phaseinv.solvers.linear_algebra import product


def boundary_space(space: FunctionSpace) -> FunctionSpace:
    """Return the space of what is prescribed: one degree more, so that the gradient is as exact as c.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        Scalar space of c.
    """
    return FunctionSpace(space.mesh(), "CG", space.ufl_element().embedded_superdegree + 1)


class DirichletBoundary:
    """The part of the boundary where c and its normal gradient are those of a given field.

    Parameters
    ----------
    space : firedrake.FunctionSpace
        Scalar space of c.
    tags : sequence of int, optional
        Tags of the parts of the boundary; the whole of it where not given.

    Attributes
    ----------
    field : firedrake.Function
        The given field, in the `boundary_space`.
    nodes : numpy.ndarray of int
        Local numbers of the nodes of c there.
    """

    def __init__(self, space: FunctionSpace, tags: Sequence[int] | None = None):
        self.tags = tags
        self.field = Function(boundary_space(space))
        self.nodes = boundary_nodes(space, tags)
        self._trace = interpolation(self.field.function_space(), space)

    def measure(self, quadrature: int):
        """Return the measure of UFL of this part.

        Parameters
        ----------
        quadrature : int
            Degree of the quadrature.
        """
        return boundary_measure(self.tags)(degree=quadrature)

    def values(self) -> np.ndarray:
        """Return the values of the given field at the nodes of c. Collective."""
        return self.trace(self.field.dat.data_ro)

    def trace(self, values: np.ndarray) -> np.ndarray:
        """Return the values at the nodes of c. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            Local nodal values in the `boundary_space`.
        """
        return product(self._trace, values)[self.nodes]

    def trace_transposed(self, values: np.ndarray) -> np.ndarray:
        """Apply the transpose of `trace`. Collective.

        Parameters
        ----------
        values : numpy.ndarray
            Values at the nodes of c.
        """
        at_nodes = np.zeros(self._trace.getLocalSize()[0])
        at_nodes[self.nodes] = values
        return product(self._trace, at_nodes, transposed=True)


class StrongConditions:
    """Values that a model prescribes for its fields on parts of the boundary.

    Parameters
    ----------
    forms : StepForms
        The equations of the step, which hold the model and the time.

    Attributes
    ----------
    rows : numpy.ndarray of int
        Local numbers of the values of a state that are prescribed.

    Raises
    ------
    ValueError
        Where a condition names no field, or its value depends on more than place and time.
    """

    def __init__(self, forms):
        self._space, places, self._parts = forms.space, [], []
        for condition in forms.weak.conditions():
            for part, value in self._values(forms, condition):
                nodes = self._nodes(forms, condition)
                places.append(forms.components * nodes + part)
                self._parts.append((nodes, value))
        self.rows = np.concatenate([np.empty(0, int), *places])

    def values(self) -> np.ndarray:
        """Return what is prescribed at the time that the equations hold, in the order of `rows`. Collective."""
        found = [np.empty(0)]
        for nodes, value in self._parts:
            found.append(assemble(interpolate(value, self._space)).dat.data_ro[nodes])
        return np.concatenate(found)

    def _nodes(self, forms, condition: Dirichlet) -> np.ndarray:
        """Return the local nodes of the part of the boundary where a condition holds."""
        tags = None if condition.on == "on_boundary" else condition.on
        try:
            return boundary_nodes(self._space, (tags,) if isinstance(tags, Integral) else tags)
        except LookupError as error:
            known = ", ".join(str(tag) for tag in self._space.mesh().exterior_facets.unique_markers)
            place = f"{forms.model.name}: conditions: {condition.field}"
            raise ValueError(f"{place}: found on={condition.on!r}; accepted: 'on_boundary', or of {known}") from error

    @staticmethod
    def _values(forms, condition: Dirichlet) -> list[tuple[int, ufl.core.expr.Expr]]:
        """Return the components that a condition prescribes, with the value of each."""
        model = forms.model
        names = [field.name for field in model.fields]
        if condition.field not in names:
            raise ValueError(f"{model.name}: conditions: found {condition.field!r}; accepted: {', '.join(names)}")
        parts, value = forms.parts[names.index(condition.field)], ufl.as_ufl(condition.value)
        given = {*ufl.algorithms.extract_coefficients(value)} & {*forms.all_functions}
        if given:
            accepted = "a value of place and time alone"
            raise ValueError(f"{model.name}: conditions: {condition.field}: found {given.pop()}; accepted: {accepted}")
        if value.ufl_shape not in ((), (len(parts),)):
            found, accepted = f"a value of shape {value.ufl_shape}", f"a number or {len(parts)} components"
            raise ValueError(f"{model.name}: conditions: {condition.field}: found {found}; accepted: {accepted}")
        components = [value] * len(parts) if value.ufl_shape == () else [value[i] for i in range(len(parts))]
        return list(zip(parts, components, strict=True))
