"""Boundary data from the images themselves, for a domain of which they show a part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from firedrake import Function, FunctionSpace
from scipy.interpolate import CubicSpline

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import total
from fe_phaseinv.core.spaces import boundary_nodes
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.given import BoundaryData
from fe_phaseinv.observation.losses import Loss
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother

FEWEST_FRAMES = 4
"""For an interpolation that is cubic in time."""
HALVED = 2.0**4
"""Share by which its error falls with half the time between frames."""


def from_images(
    images: ImageSeries, mesh, degree: int, tags: Sequence[int] | None = None, loss: Loss = "squares"
) -> BoundaryData:
    """Interpolate fields of all frames in time: their values and normal gradients hold on the boundary. Collective.

    Parameters
    ----------
    images : ImageSeries
    mesh : firedrake.MeshGeometry
    degree : int
        Of the elements of c; the fields have one more.
    tags : sequence of int, optional
        Of the parts of the boundary where they hold, in place of the whole of it.
    loss : str
        How differences of the fields from the frames count.

    Returns
    -------
    BoundaryData
        Twice continuously differentiable in time, exact at the frames.

    Raises
    ------
    InputError
        Where there are too few frames, or pixels at the boundary have no data.
    """
    if len(images.times) < FEWEST_FRAMES:
        found, accepted = f"{len(images.times)} frames", f"at least {FEWEST_FRAMES} for data on the boundary"
        raise InputError(images.source, "images", found, accepted)
    smoother = Smoother(Pixels(images, FunctionSpace(mesh, "CG", degree + 1), loss), flat=False, tags=tags)
    _require_boundary(smoother)
    fields = np.array([smoother.fit(index) for index in range(len(images.times))])
    return BoundaryData(tuple(map(float, images.times)), fields, None if tags is None else tuple(tags))


def interpolation_error(boundary_data: BoundaryData, mesh, degree: int) -> float:
    """Estimate the root mean square error between frames, from what half of the frames would give. Collective.

    Parameters
    ----------
    boundary_data : BoundaryData
        From `from_images` with the same mesh and degree.
    mesh : firedrake.MeshGeometry
    degree : int
    """
    times = boundary_data.times
    fields = boundary_data.fields[:, boundary_nodes(FunctionSpace(mesh, "CG", degree + 1), boundary_data.tags)]
    coarse = CubicSpline(times[::2], fields[::2])
    errors = coarse(times[1:-1:2]) - fields[1:-1:2]
    squares, count = total(mesh.comm, [np.sum(errors**2), errors.size])
    return float(np.sqrt(squares / count)) / HALVED


def _require_boundary(smoother: Smoother) -> None:
    """Refuse frames without data where they are to tell what is on the boundary."""
    pixels = smoother.pixels
    edge = Function(pixels.space)
    edge.dat.data_wo[boundary_nodes(pixels.space, smoother.tags)] = 1.0
    near = pixels.inside & (np.abs(pixels.average(edge.dat.data_ro)) > 0)
    for index in range(len(pixels.images.times)):
        missing = total(pixels.comm, np.isnan(pixels.frame(index)[near]).sum())
        if missing:
            found = f"{missing:.0f} pixels without data at the boundary"
            raise InputError(pixels.images.source, f"images[{index}]", found, "complete boundary data in all frames")
