"""What several test files share."""

import gc

import numpy as np
import pytest
from firedrake.petsc import PETSc

from fe_phaseinv.data.images import ImageSeries


def pytest_sessionfinish():
    """Free on all ranks together what Python no longer holds: later on they would wait for each other."""
    gc.collect()
    PETSc.garbage_cleanup(PETSc.COMM_WORLD)


@pytest.fixture
def movie():
    """Three frames of a coarsening pattern, from a filtered random field; not made by the project's own solver."""
    rng = np.random.default_rng(7)
    n = 24
    x = (np.arange(n) + 0.5) / n
    field = sum(
        rng.standard_normal() * np.outer(np.cos(i * np.pi * x), np.cos(j * np.pi * x))
        for i in range(4)
        for j in range(4)
        if i + j
    )
    field *= 0.1 / field.std()
    frames = [0.5 + field, 0.5 + 0.3 * np.tanh(6 * field), 0.5 + 0.35 * np.tanh(9 * field)]
    return ImageSeries(np.array(frames), np.array([0.0, 0.01, 0.02]), (1.0, 1.0))
