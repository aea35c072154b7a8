"""One implicit step of a model on a mesh: compiled once, with one factorised Jacobian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import ufl
from firedrake import (
    Constant,
    Function,
    FunctionSpace,
    TensorFunctionSpace,
    TestFunction,
    TrialFunction,
    VectorFunctionSpace,
    assemble,
    derivative,
    dx,
    split,
)
from firedrake.assemble import get_assembler
from firedrake.petsc import PETSc
from mpi4py import MPI

from fe_phaseinv.core.parallel import total
from fe_phaseinv.core.spaces import boundary_measure, boundary_nodes, interpolation
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.solvers.auxiliary import AuxiliaryOperators
from fe_phaseinv.solvers.convolution import Convolution
from fe_phaseinv.solvers.direct import StepFailed, factorised, mumps, solved
from fe_phaseinv.solvers.krylov import krylov_solver, tolerance
from fe_phaseinv.solvers.linear_algebra import Corrected, dense
from fe_phaseinv.solvers.multigrid import PREFIX

LARGE = {1: np.inf, 2: 300_000, 3: 60_000}
"""Unknowns by dimension above which the equations are solved by iteration; `-fe_phaseinv_solver direct` or `krylov`
decides otherwise."""
PATIENCE = 8.0, 4.0
"""Solves that take as long as a factorisation, or as making an iterative solver ready."""

CHORD, EXACT = 1e-2, 1e-6
"""Relative residuals of the solves by iteration, as where the Jacobian has a nonlocal part: Newton corrects,
sensitivities must hold."""


class Step:
    """R(u, u_) = 0 for one step of a formula whose time derivative is shift * c + history.

    States are local arrays of shape (nodes, fields), c in the first column: the fields are the components of one
    vector-valued space, so that matrices are assembled and factorised by nodes.

    Parameters
    ----------
    model : CahnHilliard or another model
    space : firedrake.FunctionSpace
        Scalar space of every field.
    coefficients : dict of firedrake.Function
        By law, a vector-valued function of the real space.
    unknown : dict of list of int
        By law, the coefficients whose sensitivities are wanted.
    quadrature : int
        Degree of the quadrature.
    dirichlet : bool
        Whether c and its normal gradient on the boundary are those of a given field, `boundary_field`; otherwise
        nothing passes the boundary and the normal gradient is zero.
    tags : sequence of int, optional
        Of the parts of the boundary where they are, in place of the whole of it.
    heterogeneous : bool
        Whether the kinetics (the law of the model's `kinetics`) are multiplied by exp(h) with a field h of the same
        space, `heterogeneity`.

    Raises
    ------
    ValueError
        Where a model without kinetics is to be heterogeneous.
    """

    def __init__(
        self,
        model,
        space: FunctionSpace,
        coefficients: dict,
        unknown: dict[str, Sequence[int]],
        quadrature: int,
        dirichlet: bool = False,
        tags: Sequence[int] | None = None,
        heterogeneous: bool = False,
    ):
        self.comm, self.fields, self.space = space.mesh().comm, len(model.fields), space
        self.coefficients, self.unknown = coefficients, unknown
        together = VectorFunctionSpace(space.mesh(), space.ufl_element(), dim=self.fields)
        self.state = Function(together)
        self.shift = Constant(1.0)
        self.history = Function(space)
        # One degree more, so that its gradient is as exact as c.
        self.boundary_field = Function(FunctionSpace(space.mesh(), "CG", space.ufl_element().embedded_superdegree + 1))
        self.dirichlet_nodes = boundary_nodes(space, tags) if dirichlet else np.empty(0, PETSc.IntType)
        self._trace = interpolation(self.boundary_field.function_space(), space) if dirichlet else None
        self.heterogeneity = Function(space) if heterogeneous else None
        laws = {r.name: Law(r, list(coefficients[r.name])) for r in model.relations}
        if heterogeneous:
            if model.kinetics is None:
                raise ValueError(f"{model.name} has no kinetics for a map to multiply")
            kinetics = laws[model.kinetics]
            laws[model.kinetics] = lambda c: kinetics(c) * ufl.exp(self.heterogeneity)
        self.convolution = _convolution(model, coefficients, space)
        if self.convolution:
            laws[model.kernel] = lambda field: self.convolution.field()

        def form(tests):
            fields = split(self.state)
            rate = self.shift * fields[0] + self.history
            inside = model.residual(fields, rate, laws, tests) * dx(degree=quadrature)
            if not dirichlet:
                return inside
            slope = ufl.dot(ufl.grad(self.boundary_field), ufl.FacetNormal(space.mesh()))
            return inside + model.boundary(fields, slope, laws, tests) * boundary_measure(tags)(degree=quadrature)

        self.form = form
        residual = form(split(TestFunction(together)))
        self._residual = get_assembler(residual)
        self._residual_value = self._residual.allocate()
        blocks = "baij" if self.fields > 1 else "aij"
        self._jacobian = get_assembler(derivative(residual, self.state, TrialFunction(together)), mat_type=blocks)
        self._matrix = self._jacobian.allocate()
        self._matrix.petscmat.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._rows = self._matrix.petscmat.getOwnershipRange()[0] + self.fields * self.dirichlet_nodes
        self._rate = assemble(derivative(residual, self.history, TrialFunction(space)), mat_type="aij").petscmat
        self._rate.zeroRows(self._rows, diag=0.0)
        self.columns = sum(len(indices) for indices in unknown.values())
        self._sensitivity = self._parameter_assembler()
        self._sensitivity_value = self._sensitivity.allocate() if self.columns else None
        self._lumped = np.abs(assemble(TestFunction(space) * dx(degree=quadrature)).dat.data_ro)
        self._volume = total(self.comm, self._lumped.sum())
        self._auxiliary = AuxiliaryOperators.of(space, quadrature, dirichlet, tags) if self._iterative(model) else None
        self.solver = None if self._auxiliary else mumps(self._matrix.petscmat)
        if self.convolution:
            change = derivative(residual, self.convolution.change, TrialFunction(space))
            self._nonlocal = assemble(change, mat_type="aij").petscmat
        self.factorised_shift = 0.0
        self.factorisations = self.residuals = self.solves = 0

    def _parameter_assembler(self):
        """Return the derivatives by all unknown coefficients as one form, whose tests have a component for each."""
        if not self.columns:
            return None
        shape = (self.fields, self.columns)
        block = TensorFunctionSpace(self.space.mesh(), self.space.ufl_element(), shape=shape)
        tests, together = TestFunction(block), 0
        for column, (values, direction) in enumerate(self.unknown_directions()):
            residual = self.form([tests[field, column] for field in range(self.fields)])
            together += derivative(residual, values, direction)
        return get_assembler(together)

    def unknown_directions(self):
        """Give, for every unknown coefficient, the function that holds it and the unit vector of its place there."""
        for name, indices in self.unknown.items():
            values = self.coefficients[name]
            for index in indices:
                yield values, ufl.as_vector([float(i == index) for i in range(values.ufl_shape[0])])

    @property
    def patience(self) -> float:
        """Solves for which the Jacobian could be assembled and made ready anew."""
        return PATIENCE[self._auxiliary is not None]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of local nodes and of fields."""
        return self.history.dat.data_ro.size, self.fields

    def set_state(self, values: np.ndarray) -> None:
        """Write a local array into the state."""
        self.state.dat.data_wo.reshape(values.shape)[:] = values

    def set_rate(self, shift: float, history: np.ndarray) -> None:
        """Set dc/dt = shift * c + history."""
        self.shift.assign(shift)
        self.history.dat.data_wo[:] = history

    def set_boundary_field(self, values: np.ndarray) -> np.ndarray:
        """Set the field of which values and normal gradient hold on the boundary; return those at `dirichlet_nodes`."""
        self.boundary_field.dat.data_wo[:] = values
        return self.trace(values)

    @property
    def dirichlet(self) -> bool:
        """Whether values and normal gradients are prescribed on the boundary."""
        return self._trace is not None

    def trace(self, values: np.ndarray) -> np.ndarray:
        """Return the values at the `dirichlet_nodes` of a local array in the elements of `boundary_field`."""
        nodes, rows = self._trace.createVecs()
        nodes.array[:] = values
        self._trace.mult(nodes, rows)
        return rows.array[self.dirichlet_nodes]

    def trace_transposed(self, values: np.ndarray) -> np.ndarray:
        """Transpose of `trace`."""
        nodes, rows = self._trace.createVecs()
        rows.array[self.dirichlet_nodes] = values
        self._trace.multTranspose(rows, nodes)
        return nodes.array.copy()

    def residual(self) -> np.ndarray:
        """Residual at the state, as a local array; the state is taken to be right where it is prescribed."""
        self.residuals += 1
        if self.convolution:
            self.convolution.update(self.state.dat.data_ro.reshape(self.shape)[:, 0])
        value = self._residual.assemble(tensor=self._residual_value).dat.data_ro.reshape(self.shape).copy()
        value[self.dirichlet_nodes, 0] = 0.0
        return value

    def factorise(self) -> None:
        """Assemble and factorise the Jacobian at the state.

        Raises
        ------
        StepFailed
            Where it is singular, not finite, or needs too much memory.
        """
        self._assemble_jacobian()
        if self._auxiliary:
            if self.solver:
                self.solver.destroy()  # there may be no room for two
            self.solver = self._krylov(self._matrix.petscmat)
        else:
            self._refactorise()
        self.factorised_shift = float(self.shift)
        self.factorisations += 1

    def _refactorise(self) -> None:
        try:
            self.solver = factorised(self.solver, self._matrix.petscmat)
        except StepFailed:
            self.solver = mumps(self._matrix.petscmat)
            raise

    def _krylov(self, matrix: PETSc.Mat) -> PETSc.KSP:
        return krylov_solver(matrix, self._auxiliary, self.fields, float(self.shift))

    def _iterative(self, model) -> bool:
        """Whether the equations are solved by iteration: where they are many, or the user wants it, and it can be."""
        asked = PETSc.Options(PREFIX).getString("solver", "")
        size = self.fields * self.space.dim()
        large = size > LARGE[self.space.mesh().topological_dimension]
        possible = self.fields <= 2 and model.kernel is None
        return possible and (asked == "krylov" or (large and asked != "direct"))

    def factor(self) -> PETSc.KSP:
        """Return a solver with the Jacobian at the state that is not changed by what comes later, as `solver` is.

        Raises
        ------
        StepFailed
            As for `factorise`.
        """
        self._assemble_jacobian()
        matrix = self._matrix.petscmat.copy()
        solver = self._krylov(matrix) if self._auxiliary else factorised(mumps(matrix), matrix)
        self.factorisations += 1
        return solver

    def _assemble_jacobian(self) -> None:
        self._jacobian.assemble(tensor=self._matrix)
        self._matrix.petscmat.zeroRows(self._rows, diag=1.0)

    def rate(self, history: np.ndarray) -> np.ndarray:
        """Return the derivative of the residual by the history, times a local array; shape (nodes, fields)."""
        nodes, rows = self._rate.createVecs()
        nodes.array[:] = history
        self._rate.mult(nodes, rows)
        return rows.array.reshape(self.shape).copy()

    def rate_transposed(self, multiplier: np.ndarray) -> np.ndarray:
        """Transpose of `rate`, shape (nodes,)."""
        nodes, rows = self._rate.createVecs()
        rows.array[:] = multiplier.ravel()
        self._rate.multTranspose(rows, nodes)
        return nodes.array.copy()

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve with the factorised Jacobian; by iteration, for a part of it or for all, to a share `CHORD`."""
        self.solves += 1
        if self.convolution:
            return self._corrected(roughly=True).solve(rhs, CHORD)
        if self._auxiliary:
            with tolerance(self.solver, CHORD):
                return solved(self.solver, rhs)
        return self._solve_columns(rhs.reshape(-1, 1)).reshape(rhs.shape)

    def _solve_columns(self, rhs: np.ndarray) -> np.ndarray:
        if self._auxiliary:
            return np.column_stack([solved(self.solver, column) for column in rhs.T])
        solution = np.empty_like(rhs, order="F")
        self.solver.matSolve(dense(self.comm, rhs), dense(self.comm, solution))
        return solution

    def _corrected(self, roughly: bool) -> Corrected:
        """Return the systems with the whole Jacobian, of which the factor is the local part."""

        def nonlocal_part(columns: np.ndarray) -> np.ndarray:
            convolved = np.asfortranarray(self.convolution.apply(columns, roughly))
            return self._nonlocal.matMult(dense(self.comm, convolved)).getDenseArray()

        return Corrected(self._matrix.petscmat, self.solver, nonlocal_part)

    def sensitivity(self, history: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Newton update and derivatives by the unknown coefficients, in one solve with the factor of this state.

        Parameters
        ----------
        history : numpy.ndarray, shape (nodes, columns + others)
            Derivatives of the history by the coefficients, then by any other unknowns, of the start.
        expected : numpy.ndarray, shape (nodes, columns + others)
            The derivatives wanted, as far as they can be told beforehand; an iteration begins with them.

        Returns
        -------
        update : numpy.ndarray, shape (nodes, fields)
        derivatives : numpy.ndarray, shape (nodes, columns + others), Fortran order
            Of the new c.
        """
        value = self._sensitivity.assemble(tensor=self._sensitivity_value)
        rhs = np.empty((self.state.dat.data_ro.size, history.shape[1] + 1), order="F")
        rhs[:, :-1] = self._rate.matMult(dense(self.comm, np.asfortranarray(history))).getDenseArray()
        rhs[:, : self.columns] += value.dat.data_ro.reshape(-1, self.columns)
        rhs[self.fields * self.dirichlet_nodes] = 0.0
        rhs[:, -1] = self.residual().ravel()
        self.solves += 1
        if self.convolution:
            solution = self._corrected(roughly=False).solve(
                rhs, EXACT, -np.column_stack([expected, np.zeros(len(expected))])
            )
        else:
            solution = self._solve_columns(rhs)
        nodes, fields = self.shape
        return -solution[:, -1].reshape(nodes, fields), np.asfortranarray(-solution[::fields, :-1])

    def release(self) -> None:
        """Free what Python no longer holds: on several ranks, PETSc keeps it until all of them ask."""
        for comm in (self.comm, self._matrix.petscmat.comm):
            PETSc.garbage_cleanup(comm)

    def norm(self, c: np.ndarray) -> float:
        """Root mean square of a local array of c over the domain (lumped)."""
        return float(np.sqrt(total(self.comm, self._lumped @ c**2) / self._volume))

    def fluctuation(self, c: np.ndarray) -> float:
        """Root mean square deviation of c from its mean."""
        mean = total(self.comm, self._lumped @ c) / self._volume
        return self.norm(c - mean)

    def range(self, c: np.ndarray) -> tuple[float, float]:
        """Smallest and largest nodal value; NaN if any is."""
        extremes = np.empty(2)
        self.comm.Allreduce(np.array([c.min(initial=np.inf), -c.max(initial=-np.inf)]), extremes, op=MPI.MIN)
        return float(extremes[0]), -float(extremes[1])


def _convolution(model, coefficients: dict, space: FunctionSpace) -> Convolution | None:
    """Return the convolution by the law of a model that is a kernel, if it has one."""
    if model.kernel is None:
        return None
    (relation,) = (relation for relation in model.relations if relation.name == model.kernel)
    return Convolution(relation, coefficients[model.kernel], space)
