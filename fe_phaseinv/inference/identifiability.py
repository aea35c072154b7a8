"""What the images say about the laws and what they leave open, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe_phaseinv.inference.posterior import QUANTILE, Laplace

MOSTLY = 0.5
"""A direction is determined by the images where they hold more than this share of what is known of it."""


@dataclass(frozen=True)
class GaugeFreedom:
    """A change of the laws that changes no image, and what stands in for the images.

    Parameters
    ----------
    change : str
        The change, as a formula.
    measure : str
        What tells how far the laws have moved along it.
    deviation : float
        Standard deviation of the measure; zero where it is fixed.
    share : float
        Of the images in what is known of it.
    relative : bool
        Whether the deviation is that of the measure's logarithm.
    """

    change: str
    measure: str
    deviation: float
    share: float
    relative: bool

    def sentence(self) -> str:
        """Return it in words."""
        beginning = f"No image tells {self.change} apart"
        if self.deviation == 0:
            return f"{beginning}; {self.measure} was kept, which decides between them."
        width = f"{100 * QUANTILE * self.deviation:.2g} %" if self.relative else f"{QUANTILE * self.deviation:.2g}"
        return (
            f"{beginning}, but for what the form of the laws rules out; {self.measure} is known to +- {width} (95 %), "
            f"{100 * self.share:.0f} % of this from the images and the rest from the prior."
        )


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Which directions of the coefficients the images determine.

    Parameters
    ----------
    eigenvalues : numpy.ndarray, shape (k,)
        Of the prior-scaled Gauss-Newton Hessian of the misfit, largest first: above 1 the images say more of a
        direction than the prior.
    directions : dict of numpy.ndarray, shape (k, size)
        By law, the directions: changes of its coefficients by one standard deviation.
    numbers : dict of tuple
        By law, the number of coefficients that the images determine, and that of the unknown ones.
    gauge : GaugeFreedom or None
        None where nothing changes no image.
    """

    eigenvalues: np.ndarray
    directions: dict[str, np.ndarray]
    numbers: dict[str, tuple[float, int]]
    gauge: GaugeFreedom | None

    @property
    def determined(self) -> int:
        """Number of directions that the images determine."""
        return int(np.sum(self.eigenvalues > MOSTLY / (1 - MOSTLY)))

    def sentences(self) -> list[str]:
        """Return it in words."""
        weakest = {name: np.abs(rows[-1]).max(initial=0) for name, rows in self.directions.items()}
        laws = ", ".join(f"{seen:.1f} of {size} of {name}" for name, (seen, size) in self.numbers.items() if size)
        return [
            f"The images determine {self.determined} of {len(self.eigenvalues)} directions of the coefficients, in all "
            f"{laws}; the prior determines the rest, least known is one of {max(weakest, key=weakest.get)}.",
            *([self.gauge.sentence()] if self.gauge else []),
        ]


def identifiability(posterior: Laplace, model) -> Identifiability:
    """Find what the images determine.

    Parameters
    ----------
    posterior : Laplace
    model : Model
        Of which the laws are, with what changes no image.
    """
    slices = posterior.parameters.slices
    steps = posterior.deviation * posterior.directions.T
    free = {name: int(np.any(steps[:, part] != 0, axis=0).sum()) for name, part in slices.items()}
    return Identifiability(
        eigenvalues=1 / posterior.shares - 1,
        directions={name: steps[:, part] for name, part in slices.items()},
        numbers={name: (free[name] - posterior.by_prior[name], free[name]) for name in slices},
        gauge=_gauge_freedom(posterior, model),
    )


def _gauge_freedom(posterior: Laplace, model) -> GaugeFreedom | None:
    """Measure the freedom of a model: of scale by the logarithm of a number, of exchange by a slope at zero."""
    functional = np.zeros(len(posterior.coefficients))
    if model.exchange:
        relation = getattr(model, model.exchange[0])
        functional[posterior.parameters.slices[relation.name]] = relation.basis.slopes(np.zeros(1))[:, 0]
        measure = f"{model.symbol(relation.name)}'(0)"
    elif model.scale and model.power(model.scale):
        functional[posterior.parameters.slices[model.scale]] = 1.0
        measure = model.symbol(model.scale)
    else:
        return None
    return GaugeFreedom(model.invariance, measure, *posterior.known(functional), relative=model.exchange is None)
