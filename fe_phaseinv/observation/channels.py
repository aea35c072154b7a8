"""From states to what the channels of an image show of them, and back."""

from __future__ import annotations

from functools import reduce

import numpy as np
import ufl
from firedrake import TrialFunction
from firedrake.petsc import PETSc
from ufl.algorithms import expand_derivatives, extract_coefficients

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.observation.losses import Differences
from fe_phaseinv.observation.pixels import Pixels
from fe_phaseinv.solvers.linear_algebra import product


class Channels:
    """What the pixels of images show of the states of a forward model: local rows, channel by channel.

    Parameters
    ----------
    pixels : Pixels
        Of the first channel; the others have the same places.
    forward : ForwardModel
        Its model says what the channels show.

    Raises
    ------
    InputError
        Where there is another number of channels.
    ValueError
        Where what one shows is not linear in the fields.
    """

    def __init__(self, pixels: Pixels, forward: ForwardModel):
        self.pixels, self.comm, self.images = pixels, pixels.comm, pixels.images
        self.forward, self.layout = forward, forward.layout
        forms = forward.step.forms
        shown = forms.channels()
        require_channels(self.images, forward)
        self._shown = shown
        self._parts = [self._matrices(forms, expression) for expression in shown]

    def compare(self, index: int, predicted: np.ndarray) -> Differences:
        """Compare predictions with one frame, as the loss of the pixels has it.

        Parameters
        ----------
        index : int
            Frame.
        predicted : numpy.ndarray, shape (rows,)
            Local pixels.
        """
        pixels, images = self.pixels, self.images
        image = np.concatenate([pixels.frame(index, channel) for channel in range(len(self._parts))])
        return Differences.of(predicted, image, self.precision(index), pixels.loss, images.noise)

    def precision(self, index: int) -> np.ndarray:
        """Return the precision of the local pixels of one frame, shape (rows,), in units of 1/noise^2.

        Parameters
        ----------
        index : int
            Frame.
        """
        return np.concatenate([self.pixels.precision(index, channel) for channel in range(len(self._parts))])

    def average(self, state: np.ndarray) -> np.ndarray:
        """Return local pixels of a state. Collective.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            As `StateLayout` has it.
        """
        component = self.layout.component
        return self._rows(lambda matrix, number: product(matrix, component(state, number)))

    def derivatives(self, carried: np.ndarray) -> np.ndarray:
        """Return the derivatives of local pixels, shape (rows, columns). Collective.

        Parameters
        ----------
        carried : numpy.ndarray, shape (carried * nodes + border, columns)
            Derivatives of a state, as `StateLayout.carry` gives them.
        """
        component = self.layout.carried_component
        return self._rows(lambda matrix, number: product(matrix, component(carried, number)).copy())

    def carried(self, state: np.ndarray) -> np.ndarray:
        """Return the derivatives of local pixels by displacements of the nodes, shape (rows, k). Collective.

        Parameters
        ----------
        state : numpy.ndarray, shape (size,)
            As `StateLayout` has it, of a forward model with a mesh that is displaced.
        """
        self.forward.step.set_state(state)
        return np.concatenate([self.pixels.carried(shown, self.forward.displaced) for shown in self._shown])

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return the transpose of `average` times pixels, shape (size,). Collective.

        Parameters
        ----------
        rows : numpy.ndarray, shape (rows,)
            Local pixels; those that are NaN do not count.
        """
        state = self.layout.zeros()
        for part, values in zip(self._parts, np.split(np.nan_to_num(rows), len(self._parts)), strict=True):
            for number, matrix in part.items():
                self.layout.component(state, number)[:] += product(matrix, values, transposed=True)
        return state

    def picture(self, rows: np.ndarray) -> np.ndarray:
        """Return the whole pictures, of the shape of a frame, the same on all ranks. Collective.

        Parameters
        ----------
        rows : numpy.ndarray, shape (rows,)
            Local pixels.
        """
        pictures = [self.pixels.picture(part) for part in np.split(rows, len(self._parts))]
        return pictures[0] if len(pictures) == 1 else np.array(pictures)

    def _rows(self, apply) -> np.ndarray:
        """Return what all channels show, given what a matrix does to the values of a component."""
        shown = [[apply(matrix, number) for number, matrix in part.items()] for part in self._parts]
        return np.concatenate([reduce(np.add, parts) for parts in shown])

    def _matrices(self, forms, expression) -> dict[int, PETSc.Mat]:
        """Return, for every component that an expression depends on, the matrix from its nodes to pixels."""
        if expression in ufl.split(forms.state):
            return {int(expression.ufl_operands[1].indices()[0]): self.pixels.matrix}
        matrices = {}
        for number in self.layout.carried:
            trial = [ufl.as_ufl(0)] * self.layout.components
            trial[number] = TrialFunction(forms.space)
            change = expand_derivatives(ufl.derivative(expression, forms.state, ufl.as_vector(trial)))
            if forms.state in extract_coefficients(change):
                raise ValueError(f"{forms.model.name}: observe: found {expression}; accepted: linear in the fields")
            if change != 0:
                matrices[number] = self.pixels.averages_of(change)
        return matrices


def require_channels(images: ImageSeries, forward: ForwardModel) -> None:
    """Refuse images with another number of channels than a model shows.

    Parameters
    ----------
    images : ImageSeries
        The images.
    forward : ForwardModel
        Its model says what the channels show.

    Raises
    ------
    InputError
        Where they have another number.
    """
    shown = len(forward.step.forms.channels())
    if images.channels != shown:
        found = f"{images.channels} channels"
        raise InputError(images.source, "images", found, f"{shown}, as many as {forward.model.name} shows")
