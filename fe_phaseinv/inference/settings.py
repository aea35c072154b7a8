"""What can be asked of an inversion, checked where it comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from firedrake import MeshGeometry

from fe_phaseinv.data.displacement import Displacement
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference.matern import Matern
from fe_phaseinv.observation.losses import Loss
from fe_phaseinv.optimisation.bordered import Hessian

Boundary = Literal["no-flux", "from-images", "periodic"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be asked of an inversion besides images, model and mesh.

    Parameters
    ----------
    initial : mapping of str to float or sequence of float
        By law, where to start: a number for a law that is one (kappa, not its logarithm), or for a constant function;
        otherwise the first coefficients in the basis, before the law's transform, of which the others are zero. Laws
        not given start where the model has them start.
    fixed : sequence of str
        Laws that stay as they start.
    frames : sequence of int, optional
        Frames to compare with, increasing; all after the first one where not given.
    validation : sequence of int
        Frames that are predicted and scored, but not compared with, increasing. What is given in time is that of all
        frames.
    held_out : bool
        Whether all frames after the first one are predicted and scored, but not compared with: beside other series,
        which tell of the laws.
    first_frame : int
        Frame that starts the run.
    degree : int
        Of the elements; the coarse level, of intervals and of derivatives that need not be exact, has half of it,
        rounded up.
    coarse_mesh : firedrake.MeshGeometry, optional
        That of the coarse level, of the same domain with the same tags, on the same ranks; the mesh itself where not
        given. Its cells need only show the pattern; those of the mesh decide how exact the laws are.
    tolerances : Tolerances, optional
        Accuracy in time; looser by default for noisy images than for clean ones. Intervals are solved with larger ones.
    regularisation : float or "auto"
        Weight of the prior of every law, in units of the squared misfit of a pixel. "auto" takes the variance of a
        pixel (of its noise, or of what the misfit leaves), so that curvatures of order one, in units of kT and of
        logarithms, are what is expected of the laws. Where the noise is known, larger curvatures of a law are allowed
        for as far as the images show them.
    boundary : str
        "no-flux": nothing passes the boundary, and the normal gradient is zero; "from-images": values and normal
        gradients come from all frames of the images, which show a part of a larger domain; "periodic": the mesh is.
    tags : sequence of int, optional
        Of the parts of the boundary that the images give, where `boundary` is "from-images"; nothing passes the others.
    data : mapping of str to "from-images", float or sequence of (float, float)
        By name, the model's numbers that are given in time: pairs of increasing times and values, joined by a cubic
        spline. The mean of the first field, "mean", may also be that "from-images", which it is where not given, as
        smooth in time as their noise allows, or grow by a rate per unit of time, from that of the first frame on.
    heterogeneity : Matern, optional
        Prior of a map h to be learnt together with the laws; the kinetics are multiplied by exp(h).
    start_prior : Matern, optional
        Prior of the deviation of the start from the smoothed first frame, which is then learnt as a field. With a map,
        the start of noisy images is one, too.
    hessian : str
        "gauss-newton", or with second derivatives of the forward model: "newton", or "both" in turn.
    loss : str
        How differences from the pixels count: "squares"; or, where a few pixels are far off, "huber" (linearly beyond
        1.345 standard deviations of the noise) or "student" (by the logarithm of Student's distribution of 4 degrees of
        freedom). The noise must be known or estimated then.
    multiple_shooting : bool
        Whether to fit intervals between frames first, or where a field with a rate is hidden the beginning of the
        trajectory; laws that come from another fit need none of it.
    displacement : Displacement, optional
        How far the boundary may be from that of the mesh; it is then learnt together with the laws.
    term : callable, optional
        A functional of one's own, on pyadjoint's tape, that is added to the cost of the trajectory: of a list of
        functions, the first field at the start and at every frame, gives a number (such as
        ``lambda states: assemble(1e-3 * states[-1] ** 4 * dx)``). The unit of the cost is half a squared pixel.

    Raises
    ------
    ValueError
        Where a value is none of those accepted; it names the setting, what was found and what is accepted.
    """

    initial: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    fixed: Sequence[str] = ()
    frames: Sequence[int] | None = None
    validation: Sequence[int] = ()
    held_out: bool = False
    first_frame: int = 0
    degree: int = 3
    coarse_mesh: MeshGeometry | None = None
    tolerances: Tolerances | None = None
    regularisation: float | Literal["auto"] = "auto"
    boundary: Boundary = "no-flux"
    tags: Sequence[int] | None = None
    data: Mapping[str, Literal["from-images"] | float | Sequence[tuple[float, float]]] = field(default_factory=dict)
    heterogeneity: Matern | None = None
    start_prior: Matern | None = None
    hessian: Hessian = "gauss-newton"
    loss: Loss = "squares"
    multiple_shooting: bool = True
    displacement: Displacement | None = None
    term: Callable | None = None

    def __post_init__(self):
        """Refuse what is not accepted."""
        _require("initial", self.initial, isinstance(self.initial, Mapping), "a mapping from laws to where they start")
        names = not isinstance(self.fixed, str) and all(isinstance(name, str) for name in self.fixed)
        _require("fixed", self.fixed, names, "a list of names of laws")
        for name, frames in (("frames", self.frames), ("validation", self.validation)):
            held = [] if frames is None else list(frames)
            increasing = all(_is_index(frame) for frame in held) and sorted(set(held)) == held
            some = bool(held) or frames is None or name == "validation"
            _require(name, held, some and increasing, "increasing indices of frames, counted from 0")
        _require("first_frame", self.first_frame, _is_index(self.first_frame), "the index of a frame, from 0")
        _require("degree", self.degree, _is_index(self.degree) and self.degree > 0, "a positive integer")
        mesh = self.coarse_mesh
        _require("coarse_mesh", mesh, mesh is None or isinstance(mesh, MeshGeometry), "a mesh")
        of_kind = self.tolerances is None or isinstance(self.tolerances, Tolerances)
        _require("tolerances", self.tolerances, of_kind, "Tolerances(...)")
        given = self.regularisation
        weight = not isinstance(given, str | bool) and np.isscalar(given) and 0 <= given < np.inf
        _require("regularisation", given, given == "auto" or weight, '"auto" or a finite number >= 0')
        _require_choice("boundary", self.boundary, get_args(Boundary))
        _require_choice("hessian", self.hessian, get_args(Hessian))
        _require_choice("loss", self.loss, get_args(Loss))
        only = "nothing, unless boundary is 'from-images'"
        _require("tags", self.tags, self.tags is None or self.boundary == "from-images", only)
        _require("data", self.data, isinstance(self.data, Mapping), "a mapping from names to what is given in time")
        for name, given in self.data.items():
            _require_data(f"data: {name}", given)
        for name in ("heterogeneity", "start_prior"):
            prior = getattr(self, name)
            _require(name, prior, prior is None or isinstance(prior, Matern), "Matern(deviation, length)")
        self._require_movable()
        _require("term", self.term, self.term is None or callable(self.term), "a function of a list of fields")

    def _require_movable(self) -> None:
        """Refuse an unknown boundary beside what depends on where it is."""
        found, others = self.displacement, [self.heterogeneity, self.start_prior, self.term]
        _require("displacement", found, found is None or isinstance(found, Displacement), "displacement(...)")
        alone = self.boundary == "no-flux" and self.hessian == "gauss-newton" and not any(others)
        accepted = "none beside boundary data, maps, priors of starts, second derivatives or a term"
        _require("displacement", found, found is None or alone, accepted)


def _is_index(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0


def _require(name: str, found: object, holds: bool, accepted: str) -> None:
    if not holds:
        raise ValueError(f"{name}: found {found!r}; accepted: {accepted}")


def _require_data(name: str, given: object) -> None:
    if isinstance(given, str) and given == "from-images":
        return
    if np.isscalar(given) and not isinstance(given, str | bool) and np.isfinite(given):
        return
    try:
        pairs = np.array(given, float)
    except (TypeError, ValueError):
        pairs = np.zeros(0)
    holds = pairs.ndim == 2 and pairs.shape[1] == 2 and np.isfinite(pairs).all() and np.all(np.diff(pairs[:, 0]) > 0)
    _require(name, given, holds, "'from-images', a rate, or pairs of increasing times and values")


def _require_choice(name: str, found: object, choices: Sequence[str]) -> None:
    _require(name, found, found in choices, " or ".join(map(repr, choices)))
