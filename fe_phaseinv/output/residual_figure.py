"""The figure of what is left of the images, in widths of its noise: where, how large, how correlated, and when."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from fe_phaseinv.inference.residuals import Residuals
from fe_phaseinv.output.fitted import Fitted, plane

SHOWN = 4.0
"""Widths of the noise at which the colours of pulls end."""
BINS, LAGS = 61, 12
"""Of the histogram, and pixels up to which correlations are shown."""


def draw_residuals(fitted: Fitted, noise: float):
    """Draw the pulls of a channel: differences from the images over their standard deviation.

    Parameters
    ----------
    fitted : Fitted
        Of one channel.
    noise : float
        Standard deviation of a pixel.
    """
    from matplotlib.figure import Figure

    pulls = (fitted.observed - fitted.predicted) / noise
    count, (height, width) = len(pulls), plane(pulls[0]).shape
    figure = Figure(figsize=(10, 3.2 + 1.0 + 10 / max(count, 3) * height / width), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.0 + 10 / max(count, 3) * height / width, 3.2))
    row = above.subplots(1, count, squeeze=False)[0]
    for axes, pull, time in zip(row, pulls, fitted.times, strict=True):
        shown = axes.imshow(plane(pull), origin="lower", cmap="RdBu_r", vmin=-SHOWN, vmax=SHOWN)
        axes.set_title(f"t = {time:.4g}", fontsize="medium")
        axes.set(xticks=[], yticks=[])
    above.colorbar(shown, ax=row, label="difference / noise", shrink=0.8)
    sizes, correlations, times = below.subplots(1, 3)
    _draw_sizes(sizes, pulls)
    _draw_correlations(correlations, Residuals(pulls[:, None], pulls.ndim - 1))
    times.plot(fitted.times, [np.sqrt(np.nanmean(pull**2)) for pull in pulls], "o-", ms=4)
    times.axhline(1, color="#222222", ls="--", lw=1)
    times.set(title="root mean square", xlabel="$t$", ylim=(0, None))
    return figure


def _draw_sizes(axes, pulls: np.ndarray) -> None:
    """Draw the histogram beside the density of noise."""
    edges = np.linspace(-SHOWN, SHOWN, BINS)
    axes.hist(np.clip(pulls[np.isfinite(pulls)], -SHOWN, SHOWN), edges, density=True, color="#0072B2", alpha=0.5)
    axes.plot(edges, norm.pdf(edges), color="#222222", ls="--", lw=1.4, label="noise")
    axes.set(title="sizes, larger ones at the ends", xlabel="difference / noise")
    axes.legend(frameon=False)


def _draw_correlations(axes, residuals: Residuals) -> None:
    """Draw the correlation by distance, in pixels along each axis, and from one frame to the next."""
    lags = np.arange(LAGS + 1)
    for axis, name in zip(residuals.axes[::-1], "xyz", strict=False):
        axes.plot(lags, [residuals.correlation(axis, lag) for lag in lags], "o-", ms=3, label=f"along {name}")
    if len(residuals.values) > 1:
        axes.axhline(residuals.correlation(0, 1), color="#009E73", label="a frame later")
    axes.axhline(0, color="#222222", ls="--", lw=1)
    axes.set(title="correlation", xlabel="pixels", ylim=(-0.5, 1.05))
    axes.legend(frameon=False)
