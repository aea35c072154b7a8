"""Evidence of linear problems, which is known exactly."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fe_phaseinv.inference.evidence import Evidence

RNG = np.random.default_rng(1)
PIXELS, VARIANCE = 40, 0.04
DATA = RNG.standard_normal(PIXELS)


def evidence(size, m):
    """Evidence of a linear model of so many coefficients, seen from some of these; and the exact one."""
    matrix = np.random.default_rng(size).standard_normal((PIXELS, size))
    mean, precision = np.full(size, 0.3), np.diag(np.arange(1.0, size + 1))
    left = matrix @ m - DATA
    found = Evidence(
        misfit=0.5 * left @ left,
        pixels=PIXELS,
        variance=VARIANCE,
        gradient=matrix.T @ left,
        information=matrix.T @ matrix,
        precision=precision,
        distance=m - mean,
    )
    covariance = VARIANCE * np.eye(PIXELS) + matrix @ np.linalg.inv(precision) @ matrix.T
    return found, multivariate_normal(matrix @ mean, covariance).logpdf(DATA)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_that_of_gaussians(seed):
    """Whichever point it is seen from."""
    apart = []
    for size in (3, 5):
        found, exact = evidence(size, np.random.default_rng(seed).standard_normal(size))
        apart.append(found.fit(VARIANCE) + found.volume(VARIANCE) - exact)
    assert apart[0] == pytest.approx(apart[1], rel=1e-9)
    assert apart[0] == pytest.approx(0.5 * PIXELS * np.log(2 * np.pi * VARIANCE), rel=1e-9)
