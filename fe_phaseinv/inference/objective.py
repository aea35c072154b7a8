"""The cost of unknowns: squared pixelwise misfit plus prior, with its derivatives, at explicit points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag, pinvh

from fe_phaseinv.forward.bdf import TimeGrid
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.experiment import Experiment
from fe_phaseinv.inference.fit import Fit, Squares
from fe_phaseinv.laws.coordinates import Coordinates
from fe_phaseinv.laws.priors import Prior
from fe_phaseinv.optimisation.trust_region import EXACT
from fe_phaseinv.solvers.direct import StepFailed


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The cost at a point, linearised; value is inf where the forward model failed.

    Parameters
    ----------
    x : numpy.ndarray, shape (n,)
        Unknowns.
    value : float
        Cost: misfit + what the user adds + prior.
    misfit : float
        Half the sum of the squared differences, weighted.
    pixels : int
        Number of differences.
    gradient : numpy.ndarray, shape (n,)
    hessian : numpy.ndarray, shape (n, n)
        Gauss-Newton Hessian, prior included.
    grids : tuple of tuple of TimeGrid
        For each series of this rank's group, one for each segment.
    replayed : bool
        Whether the grids were given rather than chosen.
    fits : tuple of Fit
        One for each series of this rank's group.
    squares : tuple of Squares
        One for each series.
    sensitivity : float
        Sum of the squares of the derivatives of the pixels by the unknowns of the laws, weighted.
    ends : tuple of int
        Where the unknowns of the laws end, and those of each series.
    base : Linearisation, optional
        The point whose derivatives it has, where they are not its own.
    """

    x: np.ndarray
    value: float
    misfit: float
    pixels: int
    gradient: np.ndarray
    hessian: np.ndarray
    grids: tuple[tuple[TimeGrid, ...], ...] = ()
    replayed: bool = False
    fits: tuple[Fit, ...] = ()
    squares: tuple[Squares, ...] = ()
    sensitivity: float = np.inf
    ends: tuple[int, ...] = ()
    base: Linearisation | None = None

    @classmethod
    def on_grids(cls, x: np.ndarray, grids: tuple[tuple[TimeGrid, ...], ...] = ()) -> Linearisation:
        """Return a point that is not evaluated: it could not be, or only its grids matter.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        grids : tuple of tuple of TimeGrid
            For each series of this rank's group, one for each segment.
        """
        n = len(x)
        return cls(x, np.inf, np.inf, 1, np.full(n, np.nan), np.full((n, n), np.nan), grids)

    @property
    def fresh(self) -> bool:
        """Whether the derivatives are its own."""
        return self.base is None

    @property
    def whole(self) -> np.ndarray:
        """Unknowns as they are kept: an array that is the same on any number of ranks."""
        return self.x

    @property
    def scale(self) -> float:
        """What a change of the cost is compared with: priors may bring the cost below the misfit, even below zero."""
        return max(abs(self.value), self.misfit)

    @property
    def expected_misfit(self) -> float:
        """The misfit, or the cost that its model expects at a minimum, where that is less and a tenth at least."""
        step = pinvh(self.hessian) @ self.gradient
        return float(np.clip(self.value - 0.5 * self.gradient @ step, 0.1 * self.misfit, self.misfit))

    def gradient_norm(self) -> float:
        """Euclidean norm of the gradient."""
        return float(np.linalg.norm(self.gradient))

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images, weighted."""
        return float(np.sqrt(2 * self.misfit / self.pixels))


class Objective:
    """Half the squared difference between predicted and given pixels, plus the prior.

    The unknowns are those of the laws (`Coordinates`), then, series by series, the shares of the modes of an unknown
    start and a displacement: few enough for all derivatives to be carried along, and for the exact subproblem of a
    trust region. What it does is collective, and its points are the same on all ranks but for their `grids` and `fits`.

    Parameters
    ----------
    experiments : sequence of Experiment
        Those of this rank's group, with the same laws.
    coordinates : Coordinates
    prior : Prior
        Of the laws.
    ensemble : SeriesEnsemble, optional
        That the experiments are dealt to; all of them to all ranks where not given.
    """

    subproblem = EXACT

    def __init__(
        self,
        experiments: Sequence[Experiment],
        coordinates: Coordinates,
        prior: Prior,
        ensemble: SeriesEnsemble | None = None,
    ):
        self.experiments, self.coordinates, self.prior = tuple(experiments), coordinates, prior
        self.ensemble = ensemble or SeriesEnsemble.together(self.experiments[0].pixels.comm, len(self.experiments))
        modes = self.ensemble.gather([experiment.modes for experiment in self.experiments])
        self.ends = np.cumsum([len(coordinates), *modes])

    def __len__(self) -> int:
        """Return the number of unknowns."""
        return int(self.ends[-1])

    def begin(self, laws: np.ndarray) -> np.ndarray:
        """Return the unknowns with those of the laws as given, and starts as they are expected.

        Parameters
        ----------
        laws : numpy.ndarray, shape (n,)
        """
        return np.pad(laws, (0, len(self) - len(laws)))

    def local(self, whole: np.ndarray) -> np.ndarray:
        """Return the unknowns that a point gives as `whole`.

        Parameters
        ----------
        whole : numpy.ndarray, shape (n,)
        """
        return whole

    def radius(self, point: Linearisation, least: float) -> float:
        """Return the radius of the trust region to begin with at a point.

        Parameters
        ----------
        point : Linearisation
        least : float
            Radius where the point asks for none.
        """
        return least

    def share(self, x: np.ndarray, step: np.ndarray) -> float:
        """Return the share of a step that the unknowns allow.

        Parameters
        ----------
        x, step : numpy.ndarray, shape (n,)
            Unknowns, and a change of them.
        """
        laws = slice(len(self.coordinates))
        return self.coordinates.allowed(x[laws], step[laws])

    def prior_at(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return value, gradient and Gauss-Newton Hessian of the priors' share in the cost. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        """
        laws, starts = self._split(x)
        own = zip(self.ensemble.own, self.experiments, strict=True)
        shares = self.ensemble.gather([experiment.prior_at(starts[index]) for index, experiment in own])
        values, gradients, hessians = zip(self._prior_of_laws(laws), *shares, strict=True)
        return sum(values), np.concatenate(gradients), block_diag(*hessians)

    def at(self, x: np.ndarray, like: Linearisation | None = None, near: Linearisation | None = None) -> Linearisation:
        """Evaluate cost, gradient and Gauss-Newton Hessian. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        like : Linearisation, optional
            A point whose time grids are to be used.
        near : Linearisation, optional
            A point whose derivatives will do, where all experiments can do with them.
        """
        laws, starts = self._split(x)
        m = self._coefficients(laws)
        if m is None:
            return Linearisation.on_grids(x)
        base = near and (near.base or near) if self._reuses else None
        fits = self._fits(m, starts, like, base)
        squares = self.ensemble.gather([fit and fit.squares for fit in fits])
        if None in squares:
            return Linearisation.on_grids(x)
        return self._together(x, tuple(fits), tuple(squares), replayed=like is not None, base=base)

    def cost(self, x: np.ndarray, like: Linearisation | None = None) -> float:
        """Evaluate the cost alone, without derivatives; inf where the forward model fails. Collective.

        Parameters
        ----------
        x : numpy.ndarray, shape (n,)
            Unknowns.
        like : Linearisation, optional
            A point whose time grids are to be used.
        """
        laws, starts = self._split(x)
        m = self._coefficients(laws)
        if m is None:
            return np.inf
        misfits = self.ensemble.gather(self._misfits(m, starts, like))
        return sum(misfits) + self.prior_at(x)[0]

    def _together(
        self,
        x: np.ndarray,
        fits: tuple[Fit, ...],
        squares: tuple[Squares, ...],
        *,
        replayed: bool,
        base: Linearisation | None,
    ) -> Linearisation:
        """Add the prior and the squared differences of all series."""
        laws, _ = self._split(x)
        value, gradient, hessian = self.prior_at(x)
        chain, sensitivity = self.coordinates.jacobian(laws)[self.coordinates.free], 0.0
        for index, part in enumerate(squares):
            these = np.r_[: len(laws), self.ends[index] : self.ends[index + 1]]
            into = block_diag(chain, np.eye(len(these) - len(laws)))
            seen = into.T @ part.hessian @ into
            sensitivity += float(np.trace(seen[: len(laws), : len(laws)]))
            gradient[these] += into.T @ part.gradient
            hessian[np.ix_(these, these)] += seen
            if part.term is not None:
                value += part.term.value
                gradient[these] += into.T @ part.term.gradient
                hessian[np.ix_(these, these)] += into.T @ part.term.hessian @ into
        misfit = sum(part.misfit for part in squares)
        return Linearisation(
            x=x,
            value=misfit + value,
            misfit=misfit,
            pixels=sum(part.pixels for part in squares),
            gradient=gradient,
            hessian=hessian,
            grids=tuple(fit.grids for fit in fits),
            replayed=replayed,
            fits=fits,
            squares=squares,
            sensitivity=sensitivity if len(laws) else np.inf,
            ends=tuple(self.ends.tolist()),
            base=base,
        )

    def with_prior(self, prior: Prior, variance: float) -> Objective:
        """Return the objective with another prior.

        Parameters
        ----------
        prior : Prior
            Of the laws.
        variance : float
            Of a pixel, by which the priors of displacements are weighted against the misfit.
        """
        experiments = [experiment.with_variance(variance) for experiment in self.experiments]
        return Objective(experiments, self.coordinates, prior, self.ensemble)

    def carried(self, point: Linearisation) -> Linearisation:
        """Return a point that an objective which differs in its prior alone has evaluated. Collective.

        It is to the last bit what this objective would find itself, as it does where an inversion is resumed.

        Parameters
        ----------
        point : Linearisation
        """
        return self._together(point.x, point.fits, point.squares, replayed=point.replayed, base=point.base)

    def _split(self, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Give the unknowns of the laws, and those of the start of each series."""
        laws, *starts = np.split(x, self.ends[:-1])
        return laws, starts

    def _coefficients(self, laws: np.ndarray) -> np.ndarray | None:
        """Give the coefficients of laws; None where there are none, or the prior excludes them."""
        if not self.coordinates.admissible(laws):
            return None
        m = self.coordinates.coefficients(laws)
        return m if self.prior.admits(m) else None

    def _prior_of_laws(self, laws: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        m, chain = self.coordinates.coefficients(laws), self.coordinates.jacobian(laws)
        return self.prior.value(m), chain.T @ self.prior.gradient(m), chain.T @ self.prior.hessian(m) @ chain

    @cached_property
    def _reuses(self) -> bool:
        return all(self.ensemble.gather([experiment.reuses for experiment in self.experiments]))

    def _fits(
        self, m: np.ndarray, starts: list[np.ndarray], like: Linearisation | None, base: Linearisation | None
    ) -> list[Fit | None]:
        """Compare the series of this rank's group with their predictions; None from one that fails on."""
        fits = []
        for number, (index, experiment) in enumerate(zip(self.ensemble.own, self.experiments, strict=True)):
            try:
                grids, near = like and like.grids[number], base and base.fits[number]
                fits.append(experiment.fit(m, starts[index], grids, near))
            except StepFailed:
                return fits + [None] * (len(self.experiments) - len(fits))
        return fits

    def _misfits(self, m: np.ndarray, starts: list[np.ndarray], like: Linearisation | None) -> list[float]:
        """Return the shares of the series of this rank's group in the cost; inf from one that fails on."""
        misfits = []
        for number, (index, experiment) in enumerate(zip(self.ensemble.own, self.experiments, strict=True)):
            try:
                misfits.append(experiment.misfit(m, starts[index], like and like.grids[number]))
            except StepFailed:
                return misfits + [np.inf] * (len(self.experiments) - len(misfits))
        return misfits
