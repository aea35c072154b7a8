"""The unknowns as the optimiser sees them, and their map to the coefficients of the laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST_SHARE = 0.3
"""A step may lower beta, or what else has a sign, to this share of it."""


@dataclass(frozen=True)
class Gauge:
    """Where the transformation (mu_h, kappa, D) -> (s mu_h, s kappa, D/s) acts in the coefficient vector.

    Parameters
    ----------
    potential : tuple of int
        Coefficients of mu_h, which scale with s.
    log_energy : int
        The coefficient log kappa.
    logs : tuple of (int, float)
        The constant coefficients of the logarithms of other laws, each with the exponent of s: -1 for D.
    """

    potential: tuple[int, ...]
    log_energy: int
    logs: tuple[tuple[int, float], ...]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Map from unknowns x to the coefficients m of all laws.

    Images fix mu_h/kappa and kappa D sharply and the scale of kappa only through the known entropy, so in m
    the cost has a long curved valley. With a gauge the unknowns are those of mu/kappa and kappa D: beta =
    kappa_start/kappa, beta times the coefficients of mu_h, and log D - log beta. The residual of the PDE is then
    linear in beta and the rescaled coefficients of mu_h, and the valley is straight.

    Parameters
    ----------
    start : numpy.ndarray, shape (n,)
        Starting coefficients of all laws; those not free keep these values.
    free : numpy.ndarray of bool, shape (n,)
        Which coefficients are unknown.
    gauge : Gauge, optional
        Straightens the valley; every coefficient that it names must be free, but for a constant that changes nothing.
    negative : tuple of int
        Coefficients that stay below zero.
    scales : float or numpy.ndarray, shape (n,)
        Typical sizes of the coefficients, by which the unknowns are measured: those of a law with a unit.
    """

    start: np.ndarray
    free: np.ndarray
    gauge: Gauge | None = None
    negative: tuple[int, ...] = ()
    scales: float | np.ndarray = 1.0

    def __len__(self) -> int:
        """Return the number of unknowns."""
        return int(self.free.sum())

    def from_coefficients(self, m: np.ndarray) -> np.ndarray:
        """Return the unknowns that stand for coefficients.

        Parameters
        ----------
        m : numpy.ndarray, shape (n,)
            Coefficients of all laws.

        Returns
        -------
        numpy.ndarray, shape (len(self),)
        """
        y = np.array(m, float)
        if self.gauge:
            s = self.gauge
            beta = np.exp(self.start[s.log_energy] - m[s.log_energy])
            y[list(s.potential)] *= beta
            y[s.log_energy] = beta
            for place, exponent in s.logs:
                y[place] += exponent * np.log(beta)
        return (y / self.scales)[self.free]

    def admissible(self, x: np.ndarray) -> bool:
        """Whether unknowns stand for coefficients at all: beta must be positive, and what is negative must be so.

        Parameters
        ----------
        x : numpy.ndarray, shape (len(self),)
        """
        return bool(np.all(np.isfinite(x)) and np.all(self._distances(x) > 0))

    def allowed(self, x: np.ndarray, step: np.ndarray) -> float:
        """Return the share of a step after which what has a sign keeps a share of itself.

        A linear model of the cost may well change a sign.

        Parameters
        ----------
        x, step : numpy.ndarray, shape (len(self),)
            Unknowns, and a change of them.

        Returns
        -------
        float
            At most one.
        """
        before, after = self._distances(x), self._distances(x + step)
        short = after < SMALLEST_SHARE * before
        return float(np.min((1 - SMALLEST_SHARE) * before[short] / (before - after)[short], initial=1.0))

    def _distances(self, x: np.ndarray) -> np.ndarray:
        """How far everything that has a sign is from changing it."""
        y = self._full(x)
        beta = [y[self.gauge.log_energy]] if self.gauge else []
        return np.array([*beta, *(-y[i] for i in self.negative if self.free[i])])

    def coefficients(self, x: np.ndarray) -> np.ndarray:
        """Return the coefficients of all laws.

        Parameters
        ----------
        x : numpy.ndarray, shape (len(self),)
            Unknowns.

        Returns
        -------
        numpy.ndarray, shape (n,)
        """
        m = self._full(x)
        if self.gauge:
            s = self.gauge
            beta = m[s.log_energy]
            m[list(s.potential)] /= beta
            m[s.log_energy] = self.start[s.log_energy] - np.log(beta)
            for place, exponent in s.logs:
                m[place] -= exponent * np.log(beta)
        return m

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative of `coefficients`.

        Parameters
        ----------
        x : numpy.ndarray, shape (len(self),)
            Unknowns.

        Returns
        -------
        numpy.ndarray, shape (n, len(self))
        """
        jacobian = np.eye(len(self.start))
        if self.gauge:
            s = self.gauge
            y = self._full(x)
            beta = y[s.log_energy]
            potential = list(s.potential)
            jacobian[potential, potential] = 1 / beta
            jacobian[potential, s.log_energy] = -y[potential] / beta**2
            for place, exponent in s.logs:
                jacobian[place, s.log_energy] = -exponent / beta
            jacobian[s.log_energy, s.log_energy] = -1 / beta
        return (jacobian * self.scales)[:, self.free]

    def log_volume(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the logarithm of the volume of free coefficients for each volume of unknowns, and its derivative.

        Parameters
        ----------
        x : numpy.ndarray, shape (len(self),)
            Unknowns, admissible.

        Returns
        -------
        value : float
            Logarithm of the determinant of `jacobian`, its sign apart.
        gradient : numpy.ndarray, shape (len(self),)
        """
        scales = np.broadcast_to(self.scales, self.free.shape)[self.free]
        value, gradient = float(np.log(np.abs(scales)).sum()), np.zeros(len(self))
        if self.gauge:
            s, place = self.gauge, np.count_nonzero(self.free[: self.gauge.log_energy])
            power = -1 - np.count_nonzero(self.free[list(s.potential)])
            value += power * float(np.log(self._full(x)[s.log_energy]))
            gradient[place] = power / x[place]
        return value, gradient

    def curvature(self, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the second derivative of gradient . coefficients(x).

        Parameters
        ----------
        x : numpy.ndarray, shape (len(self),)
            Unknowns.
        gradient : numpy.ndarray, shape (n,)

        Returns
        -------
        numpy.ndarray, shape (len(self), len(self))
        """
        n = len(self.start)
        scales, second = np.broadcast_to(self.scales, n), np.zeros((n, n))
        if self.gauge:
            s, y = self.gauge, self._full(x)
            potential, energy, beta = list(s.potential), s.log_energy, y[s.log_energy]
            mixed = -gradient[potential] / beta**2
            second[potential, energy] = second[energy, potential] = mixed
            logs = sum(exponent * gradient[place] for place, exponent in s.logs)
            own = gradient[energy] + logs - 2 * mixed @ y[potential] * beta
            second[energy, energy] = own / beta**2
        return (np.multiply.outer(scales, scales) * second)[np.ix_(self.free, self.free)]

    def _full(self, x: np.ndarray) -> np.ndarray:
        y = self.start.copy()
        y[self.free] = np.broadcast_to(self.scales, y.shape)[self.free] * x
        return y
