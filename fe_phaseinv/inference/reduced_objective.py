"""The cost as a reduced functional of pyadjoint, for its optimisers and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import Cofunction, Function, FunctionSpace
from pyadjoint import AdjFloat, Control, stop_annotating
from pyadjoint.enlisting import Enlist
from pyadjoint.reduced_functional import AbstractReducedFunctional

from fe_phaseinv.inference.field_objective import FieldObjective


class ReducedObjective(AbstractReducedFunctional):
    """A `FieldObjective` as pyadjoint sees it: derivatives belong to the last value.

    Its controls are the unknowns of the laws, each a function of the real space, then the unknown fields of the series
    of this rank's group, whose Riesz map is the covariance of their prior. Time grids are those of the first point, so
    that it is one smooth function.

    Parameters
    ----------
    objective : FieldObjective
    x : numpy.ndarray, shape (size,)
        Unknowns at which the controls begin; the model must be solvable there.

    Raises
    ------
    ValueError
        Where it is not.
    """

    def __init__(self, objective: FieldObjective, x: np.ndarray):
        self.objective = objective
        self.first = self.point = objective.at(x)
        if not np.isfinite(self.point.value):
            raise ValueError("the model cannot be solved at the unknowns to begin with")
        maps = ["l2"] * len(objective.coordinates) + [of.fields[name].riesz_map for of, name, _ in objective.parts]
        self._controls = Enlist([Control(f, riesz_map=m) for f, m in zip(self.functions(x), maps, strict=True)])

    @property
    def controls(self) -> list[Control]:
        """The controls."""
        return self._controls

    def functions(self, x: np.ndarray) -> list[Function]:
        """Return unknowns as functions, in the order of the controls.

        Parameters
        ----------
        x : numpy.ndarray, shape (size,)
            Unknowns.
        """
        return self._split(x, Function, lambda space: space)

    def array(self, functions: Sequence[Function | Cofunction]) -> np.ndarray:
        """Return functions, or derivatives, as an array of the objective.

        Parameters
        ----------
        functions : sequence of firedrake.Function or firedrake.Cofunction
            In the order of the controls.
        """
        count = len(self.objective.coordinates)
        laws = [float(f.dat.data_ro[0]) for f in functions[:count]]
        return np.concatenate([laws, *(f.dat.data_ro for f in functions[count:])])

    def __call__(self, values: Function | Sequence[Function]) -> AdjFloat:
        """Return the cost; infinite where the model cannot be solved. Collective."""
        values = Enlist(values)
        for control, value in zip(self.controls, values, strict=True):
            control.update(value)
        with stop_annotating():
            self.point = self.objective.at(self.array(values), self.first)
        return AdjFloat(self.point.value)

    def derivative(self, adj_input: float = 1.0, apply_riesz: bool = False):
        """Return the derivative at the last point, by the controls. Collective.

        Parameters
        ----------
        adj_input : float
            Factor of the derivative.
        apply_riesz : bool
            Whether to return its Riesz representatives, in the maps of the controls.
        """
        with stop_annotating():
            return self._dual(adj_input * self.point.gradient, apply_riesz)

    def hessian(self, m_dot, hessian_input=None, evaluate_tlm: bool = True, apply_riesz: bool = False):
        """Return the action of the whole Hessian at the last point, by the controls. Collective.

        Parameters
        ----------
        m_dot : firedrake.Function or sequence of firedrake.Function
            A change of the controls.
        hessian_input, evaluate_tlm : object
            Which pyadjoint passes; they change nothing here.
        apply_riesz : bool
            Whether to return Riesz representatives, in the maps of the controls.
        """
        with stop_annotating():
            return self._dual(self.point.action(self.array(Enlist(m_dot)), full=True), apply_riesz)

    def gauss_newton(self, m_dot, apply_riesz: bool = False):
        """Return the action of the Gauss-Newton part of the Hessian at the last point. Collective.

        Parameters
        ----------
        m_dot : firedrake.Function or sequence of firedrake.Function
            A change of the controls.
        apply_riesz : bool
            Whether to return Riesz representatives, in the maps of the controls.
        """
        with stop_annotating():
            return self._dual(self.point.action(self.array(Enlist(m_dot))), apply_riesz)

    def tlm(self, m_dot) -> AdjFloat:
        """Return the change of the cost to first order at the last point. Collective.

        Parameters
        ----------
        m_dot : firedrake.Function or sequence of firedrake.Function
            A change of the controls.
        """
        return AdjFloat(self.point.dot(self.point.gradient, self.array(Enlist(m_dot))))

    def _dual(self, derivative: np.ndarray, apply_riesz: bool):
        found = self._split(derivative, Cofunction, lambda space: space.dual())
        if apply_riesz:
            pairs = zip(self.controls, found, strict=True)
            found = [control.control._ad_convert_riesz(part, riesz_map=control.riesz_map) for control, part in pairs]
        return self.controls.delist(found)

    def _split(self, x: np.ndarray, kind: type, of) -> list:
        """Put the parts of an array into functions of some kind."""
        parts, laws = self.objective.parts, x[self.objective.laws]
        real = FunctionSpace(self.objective.experiments[0].forward.mesh, "R", 0)
        fields = [x[part] for _, _, part in parts]
        found = [kind(of(real)) for _ in laws] + [kind(of(one.forward.space)) for one, _, _ in parts]
        for function, values in zip(found, [*laws, *fields], strict=True):
            function.dat.data_wo[:] = values
        return found
