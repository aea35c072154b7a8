"""How the linear equations of a step are solved: by factors, by iteration, or by factors and a nonlocal part."""

from __future__ import annotations

import warnings

import numpy as np
from firedrake.petsc import PETSc

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.forward.forms import StepForms
from fe_phaseinv.forward.operators import StepOperators
from fe_phaseinv.solvers.auxiliary import AuxiliaryOperators
from fe_phaseinv.solvers.bordered import BorderedFactor, Factor, IterativeFactor, KSPFactor
from fe_phaseinv.solvers.direct import StepFailed, factorise, mumps_solver
from fe_phaseinv.solvers.krylov import krylov_solver, tolerance
from fe_phaseinv.solvers.multigrid import PREFIX
from fe_phaseinv.solvers.nonlocal_system import NonlocalSystem

LARGE = {1: np.inf, 2: 300_000, 3: 60_000}
"""Unknowns by dimension above which the equations are solved by iteration; `-fe_phaseinv_solver direct` or `krylov`
decides otherwise."""
SOLVERS = "direct", "krylov"
CHORD = 1e-2
"""Relative residual of solves by iteration that Newton's method corrects."""


class LinearSolver:
    """Base of what solves with the Jacobian that a matrix holds.

    Attributes
    ----------
    ksp : petsc4py.PETSc.KSP or None
        Solver with the Jacobian as it was when `prepare` was called; None before where there is nothing to begin with.
    patience : float
        Number of solves that take as long as to prepare.
    many_at_once : bool
        Whether many right-hand sides take about as long as a few.
    """

    ksp: PETSc.KSP | None
    patience: float
    many_at_once: bool = True

    @property
    def factor(self) -> Factor:
        """What solves as `prepare` has left it, with the transposed matrix, too."""
        return KSPFactor(self.ksp)

    def prepare(self, shift: float) -> None:
        """Be ready to solve with the matrix as it is now. Collective.

        Parameters
        ----------
        shift : float
            Weight of c in its time derivative.

        Raises
        ------
        StepFailed
            Where the matrix is singular, not finite, or needs too much memory.
        """
        raise NotImplementedError

    def separate(self, shift: float) -> Factor:
        """Return a solver with the matrix as it is now that is not changed by what comes later. Collective.

        Parameters
        ----------
        shift : float
            As for `prepare`, which fails in the same ways.
        """
        raise NotImplementedError

    def correct(self, rhs: np.ndarray) -> np.ndarray:
        """Solve for a correction of Newton's method; by iteration to a share `CHORD` of the residual. Collective.

        Parameters
        ----------
        rhs : numpy.ndarray, shape (rows,)
            Local array.

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        raise NotImplementedError

    def solve(self, sides: np.ndarray, expected: np.ndarray, rtol: float) -> np.ndarray:
        """Solve for many right-hand sides. Collective.

        Parameters
        ----------
        sides : numpy.ndarray, shape (rows, columns), Fortran order
            Local blocks of the right-hand sides.
        expected : numpy.ndarray, shape (carried rows, columns - 1)
            Less what is carried along of the solutions but the last one, as far as it can be told beforehand; an
            iteration can begin there.
        rtol : float
            Residual, relative to the right-hand sides, at which an iteration may end.

        Returns
        -------
        numpy.ndarray, shape (rows, columns)

        Raises
        ------
        StepFailed
            Where an iteration does not converge.
        """
        raise NotImplementedError


class DirectSolver(LinearSolver):
    """Factors by MUMPS.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        Holds the Jacobian.
    """

    patience = 8.0

    def __init__(self, matrix: PETSc.Mat):
        self.matrix, self.ksp = matrix, mumps_solver(matrix)

    def prepare(self, shift: float) -> None:
        """Factorise."""
        try:
            self.ksp = factorise(self.ksp, self.matrix)
        except StepFailed:
            self.ksp = mumps_solver(self.matrix)  # one that has failed once fails for ever
            raise

    def separate(self, shift: float) -> Factor:
        """Factorise a copy."""
        matrix = self.matrix.copy()
        return KSPFactor(factorise(mumps_solver(matrix), matrix))

    def correct(self, rhs: np.ndarray) -> np.ndarray:
        """Solve with the factor."""
        return self.factor.solve(rhs.reshape(-1, 1)).ravel()

    def solve(self, sides: np.ndarray, expected: np.ndarray, rtol: float) -> np.ndarray:
        """Solve with the factor."""
        return self.factor.solve(sides)


class KrylovSolver(LinearSolver):
    """GMRES with multigrid, for one field or for c and mu.

    Parameters
    ----------
    matrix : petsc4py.PETSc.Mat
        Holds the Jacobian.
    auxiliary : AuxiliaryOperators
        What the preconditioner needs besides.
    fields : int
        1 or 2.
    """

    patience, many_at_once = 4.0, False

    def __init__(self, matrix: PETSc.Mat, auxiliary: AuxiliaryOperators, fields: int):
        self.matrix, self.auxiliary, self.fields = matrix, auxiliary, fields
        self._factor, self._failed = None, False

    @property
    def ksp(self) -> PETSc.KSP | None:
        """The iteration, or MUMPS where one has failed."""
        return self._factor and self._factor.ksp

    @property
    def factor(self) -> Factor:
        """What solves as `prepare` has left it."""
        return self._factor

    def prepare(self, shift: float) -> None:
        """Set the preconditioner up."""
        if self._factor:
            self._factor.ksp.destroy()  # there may be no room for two
        self._factor = None
        self._factor = self._ready(self.matrix, shift)

    def separate(self, shift: float) -> Factor:
        """Set another preconditioner up, for a copy."""
        return self._ready(self.matrix.copy(), shift)

    def correct(self, rhs: np.ndarray) -> np.ndarray:
        """Solve roughly."""
        with tolerance(self.ksp, CHORD):
            return self._factor.solve(rhs)

    def solve(self, sides: np.ndarray, expected: np.ndarray, rtol: float) -> np.ndarray:
        """Solve column by column."""
        with tolerance(self.ksp, rtol):
            return self._factor.solve(sides)

    def _ready(self, matrix: PETSc.Mat, shift: float) -> KSPFactor:
        if self._failed:
            return KSPFactor(factorise(mumps_solver(matrix), matrix))
        return IterativeFactor(krylov_solver(matrix, self.auxiliary, self.fields, shift), self._give_up)

    def _give_up(self) -> None:
        """Say that MUMPS solves from here on."""
        self._failed = True
        rows = self.matrix.getSize()[0]
        warnings.warn(
            f"the iteration for {rows} equations failed: MUMPS solves from here on", DataWarning, stacklevel=4
        )


class NonlocalSolver(DirectSolver):
    """Factors of the local part of the Jacobian, and GMRES for the whole with its convolution.

    Parameters
    ----------
    operators : StepOperators
        Those of a model with one field and a convolution.
    """

    def __init__(self, operators: StepOperators):
        super().__init__(operators.matrix)
        self.operators = operators

    def correct(self, rhs: np.ndarray) -> np.ndarray:
        """Solve roughly, with a rough convolution."""
        return self._system(roughly=True).solve(rhs.reshape(-1, 1), CHORD).ravel()

    def solve(self, sides: np.ndarray, expected: np.ndarray, rtol: float) -> np.ndarray:
        """Solve for all columns together."""
        guess = -np.column_stack([expected, np.zeros(len(expected))])
        return self._system(roughly=False).solve(sides, rtol, guess)

    def _system(self, roughly: bool) -> NonlocalSystem:
        return NonlocalSystem(self.matrix, self.ksp, lambda columns: self.operators.nonlocal_part(columns, roughly))


class BorderedSolver(LinearSolver):
    """Factors of the equations of the fields, and elimination of the scalars by them.

    Parameters
    ----------
    operators : StepOperators
        Those of a model with scalars, or with floating means.
    """

    def __init__(self, operators: StepOperators):
        self.operators, self.inner = operators, DirectSolver(operators.matrix)
        self.patience = self.inner.patience
        self._factor: BorderedFactor | None = None

    @property
    def ksp(self) -> PETSc.KSP:
        """Solver of the equations of the fields."""
        return self.inner.ksp

    @property
    def factor(self) -> Factor:
        """What solves as `prepare` has left it."""
        return self._factor

    def prepare(self, shift: float) -> None:
        """Factorise, and solve for the columns of the border."""
        self.inner.prepare(shift)
        self._factor = self._bordered(self.inner.factor)

    def separate(self, shift: float) -> Factor:
        """Do the same with a copy."""
        return self._bordered(self.inner.separate(shift))

    def correct(self, rhs: np.ndarray) -> np.ndarray:
        """Solve with the factor."""
        return self._factor.solve(rhs)

    def solve(self, sides: np.ndarray, expected: np.ndarray, rtol: float) -> np.ndarray:
        """Solve with the factor."""
        return self._factor.solve(sides)

    def _bordered(self, factor: KSPFactor) -> BorderedFactor:
        operators = self.operators
        border = operators.border
        return BorderedFactor(
            operators.forms.space.mesh().comm,
            factor,
            right=border.right(),
            left=border.left(),
            corner=border.corner(),
            pins=border.pins,
            heights=operators.pin_heights(),
        )


def linear_solver(operators: StepOperators) -> LinearSolver:
    """Choose how to solve: by iteration where the equations are many, or the user wants it. Collective.

    Parameters
    ----------
    operators : StepOperators
        The equations of the step.

    Raises
    ------
    ValueError
        Where the option `-fe_phaseinv_solver` is no solver.
    """
    forms = operators.forms
    if _is_iterative(forms):
        tags = forms.dirichlet.tags if forms.dirichlet else None
        auxiliary = AuxiliaryOperators.of(forms.space, forms.quadrature, forms.dirichlet is not None, tags)
        return KrylovSolver(operators.matrix, auxiliary, forms.components)
    if forms.border:
        return BorderedSolver(operators)
    return NonlocalSolver(operators) if forms.convolution else DirectSolver(operators.matrix)


def _is_iterative(forms: StepForms) -> bool:
    """Whether the equations are solved by iteration; a model that has none is solved by MUMPS, and that is said."""
    asked = PETSc.Options(PREFIX).getString("solver", "")
    if asked and asked not in SOLVERS:
        raise ValueError(f"-{PREFIX}solver: found {asked!r}; accepted: {' or '.join(SOLVERS)}")
    rows = forms.components * forms.space.dim()
    wanted = asked == "krylov" or (not asked and rows > LARGE[forms.space.mesh().topological_dimension])
    one_rate = forms.components == 1 or (forms.components == 2 and forms.rated == (0,))
    possible = one_rate and forms.convolution is None and not forms.border
    if wanted and not possible:
        words = f"{forms.model.name} has no iteration: MUMPS solves its {rows} equations"
        warnings.warn(words, DataWarning, stacklevel=2)
    return wanted and possible
