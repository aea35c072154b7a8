"""Fields to start from: what the images show of them, and what the model says of those that no image shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import ufl
from firedrake import Function, assemble, interpolate

from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.observation.smoothing import Smoother
from fe_phaseinv.observation.unknown_field import UnknownField


@dataclass(frozen=True, eq=False)
class Starts:
    """Fits of frames as starts of a forward model: all components with rates, with means as they are prescribed.

    Parameters
    ----------
    smoothers : tuple of Smoother
        One for each channel.
    forward : ForwardModel
        Its model.
    mean : callable, optional
        By the number of a frame, the mean that the first field has there.

    Raises
    ------
    ValueError
        Where neither images nor the model tell the start of a field with a rate.
    """

    smoothers: tuple[Smoother, ...]
    forward: ForwardModel
    mean: Callable[[int], float] | None = None

    def __post_init__(self):
        """Refuse fields whose start nothing tells."""
        for field in self.forward.model.fields:
            if field.rate and field.start is None and field.name not in self._channels:
                accepted = "Field(..., start=...) for a field with a rate that no channel shows by itself"
                raise ValueError(f"{self.forward.model.name}: {field.name}: found no start; accepted: {accepted}")

    @property
    def at_any_frame(self) -> bool:
        """Whether the images show every field with a rate: what the model says of others holds at the start alone."""
        return all(field.name in self._channels for field in self.forward.model.fields[1:] if field.rate)

    @property
    def pixels(self) -> Pixels:
        """Pixels of the first channel."""
        return self.smoothers[0].pixels

    def fit(self, index: int, limits: tuple[float, float] | None = None) -> np.ndarray:
        """Fit a start to a frame, shape (rated * nodes,). Collective.

        Parameters
        ----------
        index : int
            Frame.
        limits : tuple of float, optional
            Between which the values of the first field are kept.

        Raises
        ------
        InputError
            Where no field can be fitted to the frame.
        """
        return self._whole(index, self._shifted(index, self._of_first.fit(index, limits)))

    def unknown(self, index: int, limits: tuple[float, float] | None = None) -> UnknownField:
        """Fit a start that is to be estimated further, in modes of the first field. Collective.

        Parameters
        ----------
        index : int
            Frame.
        limits : tuple of float, optional
            Between which the values of its base are kept.

        Raises
        ------
        InputError
            Where no field can be fitted to the frame.
        """
        field = self._of_first.unknown(index, limits)
        modes = field.modes if self.mean is None else field.modes - self.forward.step.norm.mean(field.modes)
        base = self._whole(index, self._shifted(index, field.base))
        return replace(field, base=base, modes=np.pad(modes, ((0, len(base) - len(modes)), (0, 0))))

    def uncertainty(self, index: int) -> tuple[float, float]:
        """Return how uncertain a noisy frame's fit is, as `Smoother.uncertainty` does. Collective.

        Parameters
        ----------
        index : int
            Frame.
        """
        return self._of_first.uncertainty(index)

    def as_smooth_as(self, other: Starts, index: int) -> Starts:
        """Return fits of all frames, as smooth as others' fits of one of them. Collective.

        Parameters
        ----------
        other : Starts
            On another space, of the same channels.
        index : int
            Frame.
        """
        pairs = zip(self.smoothers, other.smoothers, strict=True)
        return replace(self, smoothers=tuple(theirs.held(index).on(own.pixels) for own, theirs in pairs))

    @property
    def _channels(self) -> dict[str, int]:
        """Channels that show a scalar field as it is, by its name."""
        forms = self.forward.step.forms
        components, shown = list(ufl.split(forms.state)), forms.channels()
        found = {}
        for field, parts in zip(forms.model.fields, forms.parts, strict=True):
            if len(parts) == 1 and components[parts[0]] in shown:
                found[field.name] = shown.index(components[parts[0]])
        return found

    @property
    def _of_first(self) -> Smoother:
        """What fits the first field."""
        return self.smoothers[self._channels.get(self.forward.model.fields[0].name, 0)]

    def _shifted(self, index: int, values: np.ndarray) -> np.ndarray:
        return values if self.mean is None else values + (self.mean(index) - self.forward.step.norm.mean(values))

    def _whole(self, index: int, first: np.ndarray) -> np.ndarray:
        """Return all components with rates, given the first one."""
        model, space = self.forward.model, self.forward.space
        shown, found = {model.fields[0].name: self.forward.function(first)}, [first]
        for field in (field for field in model.fields[1:] if field.rate):
            if field.name in self._channels:
                shown[field.name] = Function(space)
                shown[field.name].dat.data_wo[:] = self.smoothers[self._channels[field.name]].fit(index)
                found.append(shown[field.name].dat.data_ro.copy())
            else:
                value = field.start(*shown.values()) if callable(field.start) else field.start
                parts = [value] * field.components if field.components == 1 or np.isscalar(value) else list(value)
                found += [assemble(interpolate(ufl.as_ufl(part), space)).dat.data_ro.copy() for part in parts]
        return np.concatenate(found)
