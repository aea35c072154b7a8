"""The problem that a user poses: which laws explain the images, as the four verbs of a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self
from warnings import warn

import numpy as np

from fe_phaseinv.core.errors import DataWarning
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.core.spaces import box
from fe_phaseinv.data.checks import doubts_of, frames_examined
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.ensemble import SeriesEnsemble
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.inference.posing import joint, pose
from fe_phaseinv.inference.problem import Problem
from fe_phaseinv.inference.progress import Progress
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.inference.verification import Check, verify_problem
from fe_phaseinv.output.result import collect
from fe_phaseinv.output.solution import Solution


class InverseProblem:
    """Which laws of a model turn the first image into the others. Collective.

    Zhao, Storey, Braatz and Bazant, Phys. Rev. Lett. 124, 060201 (2020).

    Parameters
    ----------
    images : ImageSeries
    model : Model
        For example ``CahnHilliard(Legendre(10) + ideal_entropy, Legendre(10))``.
    mesh : firedrake.MeshGeometry
        Inside the picture.
    **settings : object
        Those of `Settings`, by name, each checked.

    Attributes
    ----------
    problem : Problem
        The same with its forward models.
    doubts : tuple of str
        What is doubtful about the images, each of which a `DataWarning` says.

    Raises
    ------
    InputError
        Where the images and the mesh do not fit, or have no data on the boundary.
    ValueError
        Where a setting is not accepted, or does not go with the model, the images or the mesh.
    """

    def __init__(self, images: ImageSeries, model, mesh, **settings: Any):
        asked = Settings(**settings)
        self.problem: Problem = pose(images, model, mesh, asked)
        window = asked.boundary == "from-images"
        closed = model.conserved and not window and _covered(images, mesh)
        used = images.select(frames_examined(images, asked.first_frame, self.problem.series[0].frames, window))
        self.doubts = tuple(on_root(mesh.comm, doubts_of, used, closed, asked.boundary == "periodic"))
        if mesh.comm.rank == 0:
            for doubt in self.doubts:
                warn(doubt, DataWarning, stacklevel=2)

    @classmethod
    def joint(cls, problems: Sequence[InverseProblem], ensemble: SeriesEnsemble | None = None) -> Self:
        """Ask which laws explain several series of images at once. Collective.

        Parameters
        ----------
        problems : sequence of InverseProblem
            One for each series, with the same laws. With an ensemble those of `ensemble.own`, on meshes of
            `ensemble.within`.
        ensemble : SeriesEnsemble, optional
            Groups of ranks that work side by side; all ranks take one series after the other where not given.

        Raises
        ------
        InputError
            Where the noise of some series is known and that of others is not.
        ValueError
            Where the laws, or the priors of maps and starts, differ.
        """
        together = cls.__new__(cls)
        together.problem = joint([each.problem for each in problems], ensemble)
        together.doubts = tuple(doubt for each in problems for doubt in each.doubts)
        return together

    def iterate(self, *, max_iterations: int = 50, progress: Progress | None = None) -> Iterator[Progress]:
        """Learn the laws; give the progress after every trial point, the last one with an outcome. Collective.

        Parameters
        ----------
        max_iterations : int
            Largest number of trial points in all stages together.
        progress : Progress, optional
            Where to go on.
        """
        return iterate(self.problem, max_iterations=max_iterations, progress=progress)

    def solve(self, *, max_iterations: int = 50, uncertainty: bool = True) -> Solution:
        """Learn the laws. Collective.

        Parameters
        ----------
        max_iterations : int
            Largest number of trial points in all stages together.
        uncertainty : bool
            Whether to form the bands of the laws.

        Raises
        ------
        ValueError
            Where the model cannot be solved at the laws to start from.
        """
        *_, last = self.iterate(max_iterations=max_iterations)
        return self.solution(last, uncertainty=uncertainty)

    def solution(
        self,
        progress: Progress,
        *,
        uncertainty: bool = True,
        truth: dict[str, Any] | None = None,
        warnings: Sequence[str] = (),
    ) -> Solution:
        """Return what an inversion has reached. Collective.

        Parameters
        ----------
        progress : Progress
            From `iterate`.
        uncertainty : bool
            Whether to form the bands of the laws.
        truth : dict, optional
            Formulas of the true laws, to be drawn beside those learnt.
        warnings : sequence of str
            Doubts to be recorded with the result.

        Raises
        ------
        ValueError
            Where the model could not be solved at the laws reached.
        """
        said = (*self.doubts, *warnings)
        return Solution(self.problem, progress, collect(self.problem, progress, uncertainty, truth, said))

    def verify(self) -> list[Check]:
        """Prove the derivatives at the laws to start from: Taylor remainders and differences. Collective.

        Returns
        -------
        list of Check
            Each with the figure found and the one expected; tolerances in time such as
            ``Tolerances(rtol=3e-3, newton=1e-7)`` make them sharp.
        """
        return verify_problem(self.problem)


def _covered(images: ImageSeries, mesh) -> bool:
    """Whether a mesh covers all that images show, to a pixel. Collective."""
    low, high = np.array(box(mesh)) - images.origin
    whole = np.all(low < images.pixel) and np.all(high > np.subtract(images.extent, images.pixel))
    return bool(whole)
