"""How a series of images is solved, on its mesh and on displaced ones, and by what its errors are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firedrake import MeshGeometry

from fe_phaseinv.data.moving import MovingMesh
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.starts import Starts


@dataclass(frozen=True, eq=False)
class Discretisation:
    """A forward model with its view of the images, and back.

    Parameters
    ----------
    forward : ForwardModel
    pixels : Pixels
    smoother : Starts
    """

    forward: ForwardModel
    pixels: Pixels
    smoother: Starts


@dataclass(frozen=True, eq=False)
class Moving:
    """How a series is solved where its boundary is displaced.

    Parameters
    ----------
    mesh : MovingMesh
    discretise : callable
        Of a displaced mesh: the discretisation there, for the trajectory.
    """

    mesh: MovingMesh
    discretise: Callable[[MeshGeometry], Discretisation]


@dataclass(frozen=True, eq=False)
class Probes:
    """What the errors of a discretisation are measured with.

    Parameters
    ----------
    elements : Discretisation
        Of a higher degree on the same mesh.
    steps : Discretisation
        Of a lower degree, where that shows what other steps change, or else the same.
    """

    elements: Discretisation
    steps: Discretisation
