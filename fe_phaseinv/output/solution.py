"""The laws that an inversion has reached, to be called, looked at and written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from firedrake import Function
from numpy.typing import ArrayLike

from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.inference.goodness import Goodness
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.laws.relations import Law
from fe_phaseinv.output.files import write_figures, write_values
from fe_phaseinv.output.result import Result, numbered
from fe_phaseinv.output.states import write_states


@dataclass(frozen=True, eq=False)
class Solution:
    """What an inversion has reached, the same on all ranks.

    Parameters
    ----------
    problem : Problem
    progress : Progress
        Where it stands or has ended.
    result : Result
        The same as plain values, as they are written.
    """

    problem: Problem
    progress: Progress
    result: Result

    @property
    def laws(self) -> dict[str, Law]:
        """The laws by name: functions of their argument, and numbers for `float`."""
        return self.result.laws

    @property
    def status(self) -> str:
        """How the inversion ended: "converged", or why it did not; and whether the misfit is no noise."""
        return self.result.status

    @property
    def misfit_rms(self) -> float:
        """Root mean square difference between prediction and images, in units of the pixels."""
        return self.result.misfit_rms

    @property
    def goodness(self) -> tuple[Goodness | None, ...]:
        """For each series of images, whether what is left of it is noise; None for one that is held out."""
        return self.result.goodness

    def band(self, name: str, *z: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the pointwise 95 % band of a law.

        Parameters
        ----------
        name : str
            Of the law.
        *z : array_like
            Where, of a law of two fields for each of them; the points of result.json where not given: 201 over the
            range of the data, for a kernel from zero to four times its wavenumber. For a number any one.

        Returns
        -------
        lower, upper : numpy.ndarray, of the shape that those of z have together

        Raises
        ------
        ValueError
            Where there is no such law, or no band: the solution was asked for without uncertainty, or so much of the
            images is left unexplained that there can be none.
        """
        if name not in self.laws:
            raise ValueError(f"law: found {name!r}; accepted: {', '.join(self.laws)}")
        if self.result.posterior is None:
            accepted = "one with uncertainty=True, that explains the images"
            raise ValueError(f"band: found a solution without uncertainty; accepted: {accepted}")
        points = [np.atleast_1d(np.asarray(one, float)) for one in z] or self.result.arguments(name)
        return self.result.posterior.band(self.laws[name].relation, *points)

    def states(self, series: int = 0, name: str | None = None) -> list[Function] | list[float]:
        """Return a predicted field at the frames compared with, or a scalar as numbers.

        Parameters
        ----------
        series : int
            Which of the series of images of this rank's group.
        name : str, optional
            Of the field or scalar; the first field where not given.

        Returns
        -------
        list of firedrake.Function or float

        Raises
        ------
        ValueError
            Where the model has none of this name.
        """
        fit, name = self.progress.state.point.fits[series], name or self.problem.model.fields[0].name
        return [fit.channels.forward.part(state, name) for state in fit.states]

    def write(self, folder: str | os.PathLike) -> list[Path]:
        """Write numbers, fields and figures, in this order, so that what fails loses nothing. Collective.

        Parameters
        ----------
        folder : str or os.PathLike
            Made where it is missing.

        Returns
        -------
        list of pathlib.Path
            The files of numbers and figures.
        """
        comm, folder = self.problem.ensemble.comm, Path(folder)
        values = on_root(comm, write_values, folder, self.result)
        files = list(numbered("states", self.result.images))
        for number, index in enumerate(self.problem.ensemble.own if self.problem.ensemble.first else ()):
            write_states(folder, self.states(number), self.result.images[index].times, file=files[index])
        return values + on_root(comm, write_figures, folder, self.result)
