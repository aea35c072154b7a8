"""What samples of the posterior say of the laws, beside Laplace's approximation, as values and files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.inference.posterior import Laplace
from fe_phaseinv.laws.bases import ConstantBasis
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.output.result import Result
from fe_phaseinv.output.summary import plain

HOLDS = 0.7
"""k-hat up to which weights of importance can be relied on: Vehtari, Simpson, Gelman, Yao and Gabry, J. Mach. Learn.
Res. 25, 72 (2024)."""
MIXED = 1.01
"""R-hat up to which chains are taken for mixed: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Anal. 16, 667
(2021)."""
FEWEST_DRAWS, FEWEST_STATES = 25, 4
"""Draws of which a fifth is a tail that can be fitted, and states of a chain that R-hat needs."""
ENDS = 0.025, 0.975
TAILS = 0.05, 0.95
"""Quantiles at the ends of bands, and those whose effective sample size is that of the tails."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws from Laplace's approximation with their weights.

    Parameters
    ----------
    coefficients : numpy.ndarray, shape (draws, n)
        Flat coefficients of all laws.
    log_weights : numpy.ndarray, shape (draws,)
        Logarithms of the density over Laplace's, up to a constant; minus infinity where the forward model failed.
    """

    coefficients: np.ndarray
    log_weights: np.ndarray

    @property
    def failed(self) -> int:
        """Number of draws of which the forward model could not be solved, or that the prior excludes."""
        return int(np.sum(~np.isfinite(self.log_weights)))

    @property
    def k_hat(self) -> float:
        """Shape of the tail of the weights; infinite where too few draws have one."""
        return self._smoothed[0]

    @property
    def holds(self) -> bool:
        """Whether the weights can be relied on."""
        return self.k_hat < HOLDS

    @property
    def weights(self) -> np.ndarray:
        """Pareto-smoothed weights, shape (draws,), of sum one."""
        return self._smoothed[1]

    @property
    def effective(self) -> float:
        """Number of draws from the density that would tell as much: Kish's."""
        return float(1 / np.sum(self.weights**2))

    @cached_property
    def _smoothed(self) -> tuple[float, np.ndarray]:
        from arviz_stats.base import array_stats

        solved = np.isfinite(self.log_weights)
        if solved.sum() < FEWEST_DRAWS:
            return np.inf, solved / max(solved.sum(), 1)
        smooth, k_hat = array_stats.psislw(-self.log_weights[solved])
        weights = np.zeros(len(solved))
        weights[solved] = np.exp(smooth - smooth.max())
        return float(k_hat), weights / weights.sum()

    def content(self) -> dict[str, Any]:
        """Return what sampling.json says of them."""
        sizes = {"draws": len(self.log_weights), "failed": self.failed, "effective": self.effective}
        return sizes | {"k_hat": self.k_hat, "holds": self.holds}


@dataclass(frozen=True, eq=False, kw_only=True)
class Chains:
    """Chains of samples after their warm-up.

    Parameters
    ----------
    method : str
        How they proposed.
    warm_up : int
        Number of states of each chain that are left out.
    coefficients : numpy.ndarray, shape (chains, states, n)
        Flat coefficients of all laws.
    directions : numpy.ndarray, shape (chains, states, r)
        All unknowns, in standard deviations of Laplace's approximation.
    log_density, probability, accepted, step : numpy.ndarray, shape (chains, states)
        Logarithms of the density up to a constant, probabilities of acceptance, whether proposals were accepted, and
        steps of the proposals.
    """

    method: str
    warm_up: int
    coefficients: np.ndarray
    directions: np.ndarray
    log_density: np.ndarray
    probability: np.ndarray
    accepted: np.ndarray
    step: np.ndarray

    @property
    def count(self) -> int:
        """Number of all states."""
        return self.accepted.size

    def content(self, laws: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
        """Return what sampling.json says of them.

        Parameters
        ----------
        laws : dict of dict of numpy.ndarray
            By law, R-hat and effective sample sizes of what is told of it.
        """
        told, all_told = [*laws.values()], _mixing(self.directions)
        least = float(np.nanmin([np.nanmin(part["ess"]) for part in told]))
        return {
            "method": self.method,
            "chains": len(self.accepted),
            "samples": self.count,
            "warm_up": self.warm_up,
            "runs": self.count + len(self.accepted) * (self.warm_up + 1),
            "acceptance": self.accepted.mean(axis=1),
            "step": self.step[:, -1],
            "r_hat": float(np.nanmax([np.nanmax(part["r_hat"]) for part in told])),
            "ess": least,
            "ess_tail": float(np.nanmin([np.nanmin(part["ess_tail"]) for part in told])),
            "ess_per_run": least / self.count,
            "directions": {
                "number": self.directions.shape[-1],
                "r_hat": float(np.nanmax(all_told["r_hat"])),
                "ess": float(np.nanmin(all_told["ess"])),
            },
            "laws": laws,
        }


def _mixing(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return R-hat and effective sample sizes of numbers, NaN of those that stay."""
    from arviz_stats.base import array_stats

    flat = values.reshape(*values.shape[:2], -1)
    found, free = {}, np.ptp(flat, axis=(0, 1)) > 0
    for name, of in (
        ("r_hat", lambda part: array_stats.rhat(part, chain_axis=0, draw_axis=1)),
        ("ess", lambda part: array_stats.ess(part, chain_axis=0, draw_axis=1)),
        ("ess_tail", lambda part: array_stats.ess(part, chain_axis=0, draw_axis=1, method="tail", prob=TAILS)),
    ):
        found[name] = np.full(flat.shape[-1], np.nan)
        found[name][free] = of(flat[..., free])
    return found


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples of the posterior of the laws of a result.

    Parameters
    ----------
    result : Result
        What the inversion found.
    laplace : Laplace
        Its approximation, for independent noise.
    draws : Draws
    chains : Chains, optional
        Of an inversion that was also sampled by chains.
    """

    result: Result
    laplace: Laplace
    draws: Draws
    chains: Chains | None = None

    def told(self, coefficients: np.ndarray) -> dict[str, np.ndarray]:
        """Return by law its coefficients as result.json has them, or its value if it is a number.

        Parameters
        ----------
        coefficients : numpy.ndarray, shape (..., n)
            Flat ones of all laws.

        Returns
        -------
        dict of numpy.ndarray, shape (..., size) or (...)
        """
        found = {}
        for name, part in self.laplace.parameters.slices.items():
            relation, own = self.result.laws[name].relation, coefficients[..., part]
            number = isinstance(relation.basis, ConstantBasis)
            found[name] = relation.transform(own[..., 0]) if number else own @ relation.basis.standard().T
        return found

    def bands(self, name: str, *z: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the 95 % bands of a law: of Laplace's approximation, of the weighted draws and of the chains.

        Parameters
        ----------
        name : str
            Of the law.
        *z : numpy.ndarray
            Its argument, or each of two.
        """
        relation, part = self.result.laws[name].relation, self.laplace.parameters.slices[name]
        found = {"laplace": self.laplace.band(relation, *z)}
        draws = values(relation, self.draws.coefficients[:, part], *z)
        weights = {"weights": self.draws.weights, "method": "inverted_cdf"}
        found["importance"] = tuple(np.quantile(draws, ENDS, axis=0, **weights))
        if self.chains is not None:
            states = self.chains.coefficients[..., part].reshape(-1, relation.basis.size)
            found["samples"] = tuple(np.quantile(values(relation, states, *z), ENDS, axis=0))
        return found

    def content(self) -> dict[str, Any]:
        """Return the content of sampling.json: plain values, null for what is not finite."""
        content = {"model": self.result.model.name, "deviation": self.laplace.deviation}
        content["importance"] = self.draws.content()
        if self.chains is not None:
            content["samples"] = self.chains.content(self._mixing)
        content["laws"] = {name: self._law(name) for name in self.result.laws}
        return plain(content | {"warnings": self.doubts()})

    @cached_property
    def _mixing(self) -> dict[str, dict[str, np.ndarray]]:
        """By law, how the chains have mixed."""
        return {name: _mixing(told) for name, told in self.told(self.chains.coefficients).items()}

    def _law(self, name: str) -> dict[str, Any]:
        """Return the bands of a law, and how far their ends are from Laplace's in widths of its band."""
        relation, z = self.result.laws[name].relation, self.result.arguments(name)
        bands, number = self.bands(name, *z), isinstance(relation.basis, ConstantBasis)
        found = {} if number else {"argument": relation.argument, "z": [np.asarray(one).ravel() for one in z]}
        for kind, (low, high) in bands.items():
            first, last = (float(end[0]) if number else end for end in (low, high))
            found[kind] = {"lower": first, "upper": last}
            if kind != "laplace":
                found[kind]["difference"] = difference((low, high), bands["laplace"])
        return found

    def doubts(self) -> list[str]:
        """Return what is doubtful about Laplace's approximation, and about the samples, a sentence each."""
        doubts = []
        if not self.draws.holds:
            doubts.append(
                f"k-hat of Laplace's approximation is {self.draws.k_hat:.2f}, above {HOLDS}: the weighted draws tell "
                "nothing, and only chains tell whether its bands hold"
            )
        if self.chains is not None:
            largest = float(np.nanmax(np.concatenate([law["r_hat"] for law in self._mixing.values()])))
            if not largest < MIXED:
                doubts.append(f"R-hat is {largest:.3f}, above {MIXED}: the chains want more samples")
        return doubts


def values(relation: Relation, coefficients: np.ndarray, *z: np.ndarray) -> np.ndarray:
    """Return a law with each of several sets of coefficients.

    Parameters
    ----------
    relation : Relation
    coefficients : numpy.ndarray, shape (sets, size)
    *z : numpy.ndarray
        Its argument, or each of two.

    Returns
    -------
    numpy.ndarray, shape (sets, ...)
    """
    functions = np.array([relation.expansion(unit, *z) for unit in np.eye(relation.basis.size)])
    found = relation.transform(np.tensordot(coefficients, functions, axes=1))
    return found if relation.known is None else found + relation.known(*z)


def difference(band: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the largest distance of the ends of two bands, in widths of the second one.

    Parameters
    ----------
    band, other : tuple of numpy.ndarray
        Lower and upper ends.
    """
    apart, width = np.max(np.abs(np.subtract(band, other)), axis=0), other[1] - other[0]
    return float(np.max(apart[width > 0] / width[width > 0], initial=0.0))


def export(path: Path, sampled: Sampled) -> None:
    """Write draws and chains as arviz has them: groups posterior and sample_stats of chains, and laplace of draws.

    Parameters
    ----------
    path : pathlib.Path
        A netCDF file.
    sampled : Sampled
    """
    from arviz_base import from_dict

    draws, chains = sampled.draws, sampled.chains
    weighted = {"log_weight": draws.log_weights[None]}
    groups = {"laplace": {key: told[None] for key, told in sampled.told(draws.coefficients).items()} | weighted}
    if chains is not None:
        groups["posterior"] = sampled.told(chains.coefficients)
        statistics = {"lp": chains.log_density, "acceptance_rate": chains.probability, "step_size": chains.step}
        groups["sample_stats"] = statistics | {"accepted": chains.accepted}
    functions = [name for name, told in sampled.told(draws.coefficients).items() if told.ndim > 1]
    tree = from_dict(groups, dims={name: [f"{name}_coefficient"] for name in functions})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        tree.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
