"""Samples of a density whose Gaussian approximation is known: importance draws, and chains that take it for reference.

The unknowns are x = mean + factor z with z standard normal under the reference, in which all proposals are made. They
have the form z' = a z + b g(z) + s w with w standard normal, and are accepted by the rule of Metropolis and Hastings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

FIRST_STEP = {"gpcn": 0.5, "mala": 0.5, "random-walk": 0.2}
"""Steps to begin with, in standard deviations of the reference."""
ACCEPTANCE = {"gpcn": 0.3, "mala": 0.574, "random-walk": 0.234}
"""Shares of accepted proposals that steps are adapted to: Roberts and Rosenthal, Statist. Sci. 16, 351 (2001), for the
random walk and for Langevin proposals; that of pCN is in between, and matters little."""
SETTLING = 0.6
"""Power of the number of states by which adaptation becomes less."""
START, RUN = 0, 1
"""What the first state of a chain, and what its other ones are drawn with, of the streams of random numbers."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian density, possibly of fewer dimensions than unknowns: mean + factor z with z standard normal.

    Parameters
    ----------
    mean : numpy.ndarray, shape (n,)
    factor : numpy.ndarray, shape (n, r)
        Its product with its transpose is the covariance.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of_precision(cls, mean: np.ndarray, precision: np.ndarray) -> Gaussian:
        """Return the density with a precision, which keeps what this knows nothing of at its mean.

        Parameters
        ----------
        mean : numpy.ndarray, shape (n,)
        precision : numpy.ndarray, shape (n, n)
            Inverse of the covariance, positive semidefinite.
        """
        sizes = np.sqrt(np.diag(precision))
        scales = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        values, vectors = np.linalg.eigh(0.5 * (precision + precision.T) * np.multiply.outer(scales, scales))
        seen = values > len(values) * np.finfo(float).eps * values.max(initial=0.0)
        return cls(mean, scales[:, None] * vectors[:, seen] / np.sqrt(values[seen]))

    @property
    def dimension(self) -> int:
        """Number of directions in which it has a width."""
        return self.factor.shape[1]

    def at(self, z: np.ndarray) -> np.ndarray:
        """Return the unknowns that stand for standard normal ones.

        Parameters
        ----------
        z : numpy.ndarray, shape (r,)
        """
        return self.mean + self.factor @ z

    def mapped(self, mean: np.ndarray, jacobian: np.ndarray) -> Gaussian:
        """Return the density of other unknowns that depend on these, to first order.

        Parameters
        ----------
        mean : numpy.ndarray, shape (m,)
            Of the others.
        jacobian : numpy.ndarray, shape (m, n)
            Their derivative by these.
        """
        return Gaussian(mean, jacobian @ self.factor)


@dataclass(frozen=True, eq=False)
class Target:
    """A density to draw from, with its reference.

    Parameters
    ----------
    reference : Gaussian
    log_density : callable
        Logarithm of the density of unknowns, up to a constant; minus infinity where there is none.
    log_gradient : callable, optional
        The same with its derivative, as a pair, for proposals with gradients.
    """

    reference: Gaussian
    log_density: Callable[[np.ndarray], float]
    log_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]] | None = None

    def log_weight(self, z: np.ndarray) -> float:
        """Return the logarithm of the density over that of the reference, up to a constant.

        Parameters
        ----------
        z : numpy.ndarray, shape (r,)
            Where, in standard deviations of the reference.
        """
        return self.log_density(self.reference.at(z)) + 0.5 * float(z @ z)

    def log_weight_gradient(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """Return `log_weight` and its derivative by z.

        Parameters
        ----------
        z : numpy.ndarray, shape (r,)
        """
        value, gradient = self.log_gradient(self.reference.at(z))
        return value + 0.5 * float(z @ z), self.reference.factor.T @ gradient + z


def reference_draw(target: Target, seed: int, number: int) -> np.ndarray:
    """Return a draw from the reference, in its standard deviations, shape (r,).

    Parameters
    ----------
    target : Target
    seed, number : int
        Of all draws, and that of this one, which decide what is drawn.
    """
    return np.random.default_rng([seed, number]).standard_normal(target.reference.dimension)


def importance_draw(target: Target, seed: int, number: int) -> float:
    """Return the logarithm of the weight of a `reference_draw`, up to a constant.

    Parameters
    ----------
    target : Target
    seed, number : int
        As for the draw.
    """
    return target.log_weight(reference_draw(target, seed, number))


@dataclass(frozen=True, eq=False)
class State:
    """A state of a chain: with it the rest of the chain is decided.

    Parameters
    ----------
    z : numpy.ndarray, shape (r,)
        In standard deviations of the reference.
    log_weight : float
        Logarithm of the density over that of the reference, up to a constant.
    gradient : numpy.ndarray, shape (r,) or (0,)
        Its derivative; empty where proposals need none.
    step : float
        Of the next proposal.
    number : int
        Of states before it.
    probability : float
        With which the proposal that led to it, or was refused, was to be accepted.
    accepted : bool
        Whether it is that proposal.
    """

    z: np.ndarray
    log_weight: float
    gradient: np.ndarray
    step: float
    number: int = 0
    probability: float = 1.0
    accepted: bool = True

    @property
    def log_density(self) -> float:
        """Logarithm of the density, up to a constant."""
        return self.log_weight - 0.5 * float(self.z @ self.z)


@dataclass(frozen=True)
class Method:
    """How a chain proposes.

    "gpcn" is the Crank-Nicolson proposal about the reference, a = sqrt(1 - s^2), b = 0, which is reversible for it and
    so accepted with the ratio of the densities over that of the reference: Pinski, Simpson, Stuart and Weber, SIAM J.
    Sci. Comput. 37, A2733 (2015). "mala" adds the gradient of the logarithm of that ratio, b = 1 - a, the
    Crank-Nicolson Langevin proposal of Cotter, Roberts, Stuart and White, Statist. Sci. 28, 424 (2013), preconditioned
    by the covariance of the reference: where this is Laplace's approximation, gradients count along the directions that
    the images determine, and along the others the ratio is flat. "random-walk" is a = 1, b = 0, with the same
    covariance.

    Parameters
    ----------
    name : str
        "gpcn", "mala" or "random-walk".
    seed : int
        Of the random numbers of all chains.
    warm_up : int
        Number of states at the beginning of a chain after each of which the step is adapted.
    """

    name: str
    seed: int = 0
    warm_up: int = 0

    @property
    def by_gradient(self) -> bool:
        """Whether proposals need gradients."""
        return self.name == "mala"

    def start(self, target: Target, chain: int) -> State:
        """Return the first state of a chain: a draw from the reference, nearer to its mean where the density is zero.

        Parameters
        ----------
        target : Target
        chain : int
            Its number.
        """
        z = self._random(START, chain, 0).standard_normal(target.reference.dimension)
        value, gradient = self._weight(target, z)
        while not np.isfinite(value) and z.any():
            z = 0.5 * z if np.abs(z).max() > 0.1 else 0 * z
            value, gradient = self._weight(target, z)
        return State(z, value, gradient, FIRST_STEP[self.name])

    def following(self, target: Target, state: State, chain: int) -> State:
        """Return the state after another one.

        Parameters
        ----------
        target : Target
        state : State
        chain : int
            The number of the chain.
        """
        random = self._random(RUN, chain, state.number)
        z = self._mean(state) + state.step * random.standard_normal(len(state.z))
        value, gradient = self._weight(target, z)
        proposal = replace(state, z=z, log_weight=value, gradient=gradient)
        ratio = self._log_ratio(state, proposal) if np.isfinite(value) else -np.inf
        probability = float(np.exp(min(0.0, ratio)))
        accepted = bool(random.uniform() < probability)
        following = proposal if accepted else state
        number = state.number + 1
        step = self._adapted(state.step, probability, number) if number <= self.warm_up else state.step
        return replace(following, step=step, number=number, probability=probability, accepted=accepted)

    def states(self, target: Target, state: State, chain: int) -> Iterator[State]:
        """Give the states after another one, without end.

        Parameters
        ----------
        target : Target
        state : State
        chain : int
            The number of the chain.
        """
        while True:
            state = self.following(target, state, chain)
            yield state

    def _random(self, stream: int, chain: int, number: int) -> np.random.Generator:
        """Random numbers of a state: those of a chain that is resumed are the same."""
        return np.random.default_rng([self.seed, stream, chain, number])

    def _weight(self, target: Target, z: np.ndarray) -> tuple[float, np.ndarray]:
        return target.log_weight_gradient(z) if self.by_gradient else (target.log_weight(z), np.zeros(0))

    def _mean(self, state: State) -> np.ndarray:
        """Mean of the proposals from a state."""
        if self.name == "random-walk":
            return state.z
        share = np.sqrt(1 - state.step**2)
        return share * state.z + (1 - share) * state.gradient if self.by_gradient else share * state.z

    def _log_ratio(self, state: State, proposal: State) -> float:
        """Logarithm of the ratio of Metropolis and Hastings."""
        ratio = proposal.log_weight - state.log_weight
        if self.name == "gpcn":
            return ratio
        there, back = proposal.z - self._mean(state), state.z - self._mean(proposal)
        forth = 0.5 * float(state.z @ state.z - proposal.z @ proposal.z)
        return ratio + forth + 0.5 * float(there @ there - back @ back) / state.step**2

    def _adapted(self, step: float, probability: float, number: int) -> float:
        """Step by the rule of Robbins and Monro for its logarithm."""
        longer = step * float(np.exp((probability - ACCEPTANCE[self.name]) * number**-SETTLING))
        return longer if self.name == "random-walk" else min(1.0, longer)
