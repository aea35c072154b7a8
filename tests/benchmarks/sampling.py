"""Effective samples for each forward run by method, and what the time grids do to weights.

    docker/env.sh run python tests/benchmarks/sampling.py crystal [SAMPLES [METHOD ...]]
    docker/env.sh run python tests/benchmarks/sampling.py grids OUT [DRAWS]

The first is a case like that of Zhao, Braatz and Bazant, J. Comput. Phys. 2021: a phase-field crystal whose C2 has ten
Hermite coefficients, from images with noise of 1e-4 and a start that is known, small enough for a forward run of a
fraction of a second. The images are those of the model itself, with smaller steps. The second weighs the same draws of
a finished inversion with grids of their own, and with those of its end. Prints a JSON line for each figure.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from arviz_stats.base import array_stats
from firedrake import COMM_WORLD

from fe_phaseinv import (
    Hermite,
    ImageSeries,
    InverseProblem,
    Laplace,
    PhaseFieldCrystal,
    Powers,
    Tolerances,
    periodic_mesh,
)
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.dealing import draws_dealt
from fe_phaseinv.cli.folder import pose_case, read_progress
from fe_phaseinv.inference.density import PosteriorDensity
from fe_phaseinv.inference.sampling import ACCEPTANCE, Method, importance_draw, reference_draw
from fe_phaseinv.observation.channels import Channels
from fe_phaseinv.output.samples import Draws

NOISE, CELLS, DEGREE, PIXELS, WAVENUMBER = 1e-4, 6, 3, 24, 2 * np.pi
TIMES = 0.0, 0.02, 0.05, 0.1
"""Of the frames; the first one is the start."""
POTENTIAL = (1.0, -0.5)
CHAINS, WARM_UP, SEED, PLAIN = 4, 60, 1, "plain-"
"""The last is what a random walk is called whose steps have the widths of Laplace's approximation, no correlations."""


def start() -> np.ndarray:
    """Return a smooth periodic pattern of two wavelengths of the crystal along either side."""
    x = 2 * np.pi * (np.arange(PIXELS) + 0.5) / PIXELS
    random, waves = np.random.default_rng(4), [(i, j) for i in range(4) for j in range(-3, 4) if i or j > 0]
    parts = [np.cos(i * x[:, None] + j * x + random.uniform(0, 6.3)) * np.exp(-(i**2 + j**2) / 8) for i, j in waves]
    field = sum(parts)
    return 0.1 * field / field.std()


def problem(frames: np.ndarray, **settings) -> InverseProblem:
    """Ask for C2 where mu_h is known."""
    images = ImageSeries(frames, TIMES, (2.0, 2.0))
    model = PhaseFieldCrystal(chemical_potential=Powers(2), direct_correlation=Hermite(10, WAVENUMBER))
    known = {"fixed": ["chemical_potential"], "boundary": "periodic", "degree": DEGREE}
    return InverseProblem(images, model, periodic_mesh(images, CELLS, COMM_WORLD), **known, **settings)


def movie() -> np.ndarray:
    """Return noisy images of the truth, whose first one is without noise."""
    given = {"chemical_potential": POTENTIAL, "direct_correlation": Hermite(10, WAVENUMBER).peak()}
    fine = problem(np.array([start()] * len(TIMES)), initial=given, tolerances=Tolerances(rtol=3e-5)).problem
    (series,) = fine.series
    segment, forward = series.trajectory(), series.fine.forward
    run = forward.run(fine.coordinates.start, segment.start, segment.times)
    channels = Channels(series.fine.pixels, forward)
    clean = np.array([channels.picture(channels.average(state)) for state in [run.start, *run.states]])
    noise = NOISE * np.random.default_rng(8).standard_normal(clean.shape)
    return np.concatenate([start()[None], (clean + noise)[1:]])


def crystal(samples: str = "2000", *names: str) -> None:
    """Sample the posterior of C2 by each method, or by those named."""
    asked = problem(
        movie(), initial={"chemical_potential": POTENTIAL}, regularisation=NOISE**2, tolerances=Tolerances(rtol=3e-4)
    )
    began = time.perf_counter()
    *_, progress = asked.iterate()
    posed, point = asked.problem, progress.state.point
    prior = progress.task.prior(posed)
    laplace = Laplace.at(posed.parameters, posed.coordinates, prior=prior, point=point, noise=NOISE)
    density = PosteriorDensity(progress.task.objective(posed), point, laplace)
    told = {"outcome": progress.state.outcome.value, "rms": point.misfit_rms, "unknowns": len(point.x)}
    tell(what="inversion", seconds=time.perf_counter() - began, **told)
    weights, seconds = weighed(density, 200)
    tell(what="laplace", run=seconds / 200, k_hat=weights.k_hat, effective=weights.effective, failed=weights.failed)
    for name in names or (*ACCEPTANCE, f"{PLAIN}random-walk"):
        sampled(density, name, int(samples))


def sampled(density: PosteriorDensity, name: str, samples: int) -> None:
    """Tell how chains of a method mix."""
    method, target = Method(name.removeprefix(PLAIN), SEED, WARM_UP), density.of_unknowns
    if name.startswith(PLAIN):
        widths = np.linalg.norm(target.reference.factor, axis=1)
        target = replace(target, reference=replace(target.reference, factor=np.diag(widths)))
    paths, accepted, seconds = [], [], 0.0
    for chain in range(CHAINS):
        state, path = method.start(target, chain), []
        for _ in range(WARM_UP):
            state = method.following(target, state, chain)
        began = time.perf_counter()
        for _ in range(samples // CHAINS):
            state = method.following(target, state, chain)
            path.append(density.from_unknowns(target.reference.at(state.z))[density.coordinates.free])
            accepted.append(state.accepted)
        seconds += time.perf_counter() - began
        paths.append(path)
    values = np.array(paths)
    ess, count = array_stats.ess(values, chain_axis=0, draw_axis=1), values.shape[0] * values.shape[1]
    r_hat = array_stats.rhat(values, chain_axis=0, draw_axis=1)
    numbers = {"samples": count, "acceptance": float(np.mean(accepted)), "step": state.step, "r_hat": r_hat.max()}
    numbers |= {"ess": ess.min(), "ess_per_run": ess.min() / count, "ess_per_second": ess.min() / seconds}
    laplace = np.sqrt(np.diag(density.laplace.covariance)[density.coordinates.free])
    widths = values.std(axis=(0, 1)) / laplace
    tell(what=name, **numbers, seconds=seconds, widths=[widths.min(), widths.max()])


def weighed(density: PosteriorDensity, count: int) -> tuple[Draws, float]:
    """Return weighted draws from Laplace's approximation, and the seconds that they took."""
    target, began = density.of_coefficients, time.perf_counter()
    log_weights = np.array([importance_draw(target, SEED, number) for number in range(count)])
    seconds = time.perf_counter() - began
    drawn = [density.from_free(target.reference.at(reference_draw(target, SEED, n))) for n in range(count)]
    return Draws(np.array(drawn), log_weights), seconds


def grids(folder: str, draws: str = "60") -> None:
    """Compare weights with grids of their own, and with those of the end of an inversion."""
    out = Path(folder)
    posed, inputs = pose_case(read_case(out / "case.toml"), out, deal=draws_dealt)
    density = PosteriorDensity.at_end(posed, read_progress(posed, out, inputs))
    kinds = {"own": density, "frozen": replace(density, like=density.point)}
    found = {name: weighed(each, int(draws)) for name, each in kinds.items()}
    for name, (weights, seconds) in found.items():
        spread = float(np.std(weights.log_weights[np.isfinite(weights.log_weights)]))
        numbers = {"k_hat": weights.k_hat, "failed": weights.failed, "effective": weights.effective}
        tell(what=name, seconds=seconds, spread=spread, **numbers)
    both = found["own"][0].log_weights - found["frozen"][0].log_weights
    tell(what="difference", deviation=float(np.std(both[np.isfinite(both)])))


def tell(**numbers) -> None:
    """Print figures on the root."""
    if COMM_WORLD.rank == 0:
        print(json.dumps(numbers, default=lambda value: np.asarray(value).tolist()), flush=True)


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    {"crystal": crystal, "grids": grids}[kind](*arguments)
