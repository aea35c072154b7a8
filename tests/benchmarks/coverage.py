"""How often 95 % bands hold the truth on images of many truths, and how wide they are for the errors that there are.

Two discretisations make the images, neither of them finite elements: finite volumes on cells half a pixel wide, and
cosines with exponential Runge-Kutta steps. Prints a JSON line for each truth, then the averages:

    docker/env.sh run python tests/benchmarks/coverage.py FOLDER [--noise 0] [--first 0] [--count 20]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from firedrake import COMM_WORLD
from scipy.fft import dct, dctn, dst, idct, idctn, idst
from truths import simulate
from whole_inversion import averages, modes

from fe_phaseinv.cli.build import build_problem
from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.dealing import runs_dealt
from fe_phaseinv.cli.images import load_images
from fe_phaseinv.core.parallel import on_root
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.inference.inversion import iterate
from fe_phaseinv.output.result import Result, collect
from fe_phaseinv.output.truth import evaluate_formula

PIXELS, MODES = 96, 128
LOW, HIGH = 0.15, 0.85
"""Range of c over which bands are compared with the truth."""
WEAK = 2
"""Frames that are left out of noisy movies: they hardly stand out."""
OWN_PHYSICS = Path(__file__).parents[2] / "demos" / "own_physics" / "ohta_kawasaki.py"
NAMES = {"cahn-hilliard": "cahn-hilliard", "allen-cahn": "allen-cahn", "ohta": f"{OWN_PHYSICS}:OhtaKawasaki"}
CASE = """model = "{model}"
[images]
file = "{name}.npz"
noise = {noise}
[laws.chemical_potential]
size = 8
ideal_entropy = true
[laws.{kinetics}]
size = 8
[laws.gradient_energy]
initial = 2e-3
"""


@dataclass(frozen=True)
class Truth:
    """Laws, a start and a discretisation, drawn with a seed."""

    model: str
    laws: dict
    mean: float
    seed: int
    spectral: bool

    @classmethod
    def draw(cls, number: int):
        """Draw the truth of a number."""
        rng = np.random.default_rng(1000 + number)
        model = ("cahn-hilliard", "cahn-hilliard", "ohta", "allen-cahn", "cahn-hilliard")[number % 5]
        a, b, p, q = rng.uniform(2.8, 3.3), rng.uniform(-0.3, 0.3), rng.uniform(0.5, 1.0), rng.uniform(-1.5, 0.5)
        b = 0.1 * b if model == "allen-cahn" else b  # nothing keeps either phase from taking all
        laws = {"mu": f"log(c/(1-c)) + {a:.3f}*(1-2*c) + {b:.3f}*(6*c**2-6*c+1)", "kappa": rng.uniform(1e-3, 2e-3)}
        if model == "allen-cahn":
            laws["R0"] = f"{p:.3f}*exp({q:.3f}*(c-0.5))"
        else:
            laws["D"] = f"{p:.3f}*exp({q:.3f}*(c-0.5))"
        if model == "ohta":
            laws["repulsion"] = rng.uniform(5, 20)
        mean = 0.5 + rng.uniform(-0.05, 0.05) * (model != "allen-cahn")
        return cls(model, laws, mean, 1000 + number, number % 2 == 0 or model != "cahn-hilliard")

    @property
    def times(self) -> np.ndarray:
        """Frames, by the rate at which the fastest wave grows where the slope of mu_h is -2."""
        kinetics = evaluate_formula(self.laws.get("D", self.laws.get("R0")), "c", np.array([0.5]))[0]
        if self.model == "allen-cahn":
            return np.round(np.array([0.5, 1.5, 2.5, 4.0, 6.5]) / (2 * kinetics), 4)
        return np.round(np.array([1.0, 2.0, 3.0, 4.0, 6.0, 10.0]) * self.laws["kappa"] / (0.5 * kinetics), 4)


class Cosines:
    """Fields on the unit square without flux, as sums of cosines, and steps in time of fourth order (ETDRK4).

    Cox and Matthews, J. Comput. Phys. 176, 430 (2002), with the contour of Kassam and Trefethen, SIAM J. Sci. Comput.
    26, 1214 (2005).
    """

    def __init__(self, count: int):
        self.k = np.pi * np.arange(count)
        self.squares = self.k[:, None] ** 2 + self.k**2
        low = np.arange(count) < 2 * count / 3
        self.kept = low[:, None] & low

    def field(self, v):
        return idctn(v, norm="ortho")

    def waves(self, field):
        return dctn(field, norm="ortho")

    def slope(self, v, axis):
        v = np.moveaxis(v, axis, 0)
        sines = np.vstack([-self.k[1:, None] * v[1:], np.zeros((1, v.shape[1]))])
        return np.moveaxis(idct(idst(sines, norm="ortho", axis=0), norm="ortho", axis=1), 0, axis)

    def divergence(self, fluxes):
        found = 0.0
        for axis, flux in enumerate(fluxes):
            sines = dct(dst(np.moveaxis(flux, axis, 0), norm="ortho", axis=0), norm="ortho", axis=1)
            found = found + np.moveaxis(np.vstack([np.zeros((1, len(self.k))), self.k[1:, None] * sines[:-1]]), 0, axis)
        return found

    def march(self, v, times, linear, rest, step):
        """Give the waves at times."""
        circle = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
        time = 0.0
        for target in times:
            count = max(1, int(np.ceil((target - time) / step)))
            h = (target - time) / count
            z = h * linear[..., None] + circle
            half, whole = np.exp(h * linear / 2), np.exp(h * linear)
            q = h * np.real(np.mean((np.exp(z / 2) - 1) / z, -1))
            f1 = h * np.real(np.mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3, -1))
            f2 = h * np.real(np.mean((2 + z + np.exp(z) * (z - 2)) / z**3, -1))
            f3 = h * np.real(np.mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3, -1))
            for _ in range(count):
                first = rest(v)
                a = half * v + q * first
                second = rest(a)
                third = rest(half * v + q * second)
                fourth = rest(half * a + q * (2 * third - first))
                v = whole * v + first * f1 + 2 * (second + third) * f2 + fourth * f3
            time = target
            yield v


def by_cosines(truth: Truth) -> np.ndarray:
    """Return the frames of a truth, averages over the pixels."""
    space, laws = Cosines(MODES), truth.laws
    law = {
        name: lambda c, text=text: evaluate_formula(text, "c", c) for name, text in laws.items() if name in "mu D R0"
    }
    waves = np.random.default_rng(truth.seed).standard_normal((MODES, MODES)) * np.exp(-space.squares * 0.03**2 / 2)
    waves[0, 0] = 0.0
    start = space.field(waves * space.kept)
    amplitude = 0.1 if truth.model == "allen-cahn" else 0.03
    v = space.waves(truth.mean + amplitude * start / start.std()) * space.kept
    c = np.linspace(0.02, 0.98, 200)
    if truth.model == "allen-cahn":
        linear = -law["R0"](c).max() * laws["kappa"] * space.squares
        step = 0.004 * truth.times[0]
    else:
        linear = -0.7 * np.max(c * law["D"](c)) * laws["kappa"] * space.squares**2
        step = 0.0025 * truth.times[0]

    def rest(v):
        field = space.field(v)
        potential = space.waves(law["mu"](field)) + laws["kappa"] * space.squares * v
        if truth.model == "allen-cahn":
            rate = space.waves(-law["R0"](field) * space.field(potential))
        else:
            mobility = field * law["D"](field)
            rate = space.divergence([mobility * space.slope(potential, axis) for axis in (0, 1)])
            rate -= laws.get("repulsion", 0.0) * np.where(space.squares > 0, v, 0.0)
        return space.kept * (rate - linear * v)

    return np.array(
        [averages(modes(space.field(one)), PIXELS) for one in space.march(v, truth.times, linear, rest, step)]
    )


def images(truth: Truth, folder: Path, name: str) -> None:
    """Write the images of a truth where they are not there yet."""
    file = folder / f"{name}.npz"
    if file.exists():
        return
    if truth.spectral:
        series = ImageSeries(by_cosines(truth), truth.times - truth.times[0], (1.0, 1.0))
    else:
        start = {"mean": truth.mean, "seed": truth.seed}
        series = simulate(truth.laws, start, [0.0, *truth.times], PIXELS)
        series = ImageSeries(series.frames[1:], truth.times - truth.times[0], (1.0, 1.0))
    series.save(file)


def covered(result: Result, truth: Truth) -> dict[str, dict[str, float]]:
    """Return by law the share of its range where the band holds the truth, its half-width and the error, as medians."""
    c, posterior, found = np.linspace(LOW, HIGH, 141), result.posterior, {}
    keys = {"chemical_potential": "mu", "diffusivity": "D", "kinetic_prefactor": "R0", "gradient_energy": "kappa"}
    for name, law in result.laws.items():
        true = truth.laws[keys.get(name, name)]
        if name == "chemical_potential":
            ahead, behind = (evaluate_formula(true, "c", c + h) for h in (1e-6, -1e-6))
            true, value = (ahead - behind) / 2e-6, law.slope(c)
            low, high = posterior.slope_band(law.relation, c)
        elif isinstance(true, str):
            true, value = evaluate_formula(true, "c", c), law(c)
            low, high = posterior.band(law.relation, c)
        else:
            value = law(c[:1])
            low, high = posterior.band(law.relation, c[:1])
        found[name] = {
            "covered": float(np.mean((low < true) & (true < high))),
            "width": float(np.median((high - low) / 2 / np.abs(value))),
            "error": float(np.median(np.abs(value - true) / np.abs(value))),
        }
    return found


def measure(folder: Path, number: int, noise: float) -> dict:
    """Invert the images of a truth."""
    truth, name = Truth.draw(number), f"truth-{number}"
    on_root(COMM_WORLD, images, truth, folder, name)
    path = folder / f"{name}-{noise}.toml"
    if noise:
        series = ImageSeries.load(folder / f"{name}.npz")
        draws = np.random.default_rng(number).standard_normal(series.frames.shape)
        name = f"{name}-{noise}"
        frames, times = (series.frames + noise * draws)[WEAK:], series.times[WEAK:] - series.times[WEAK]
        ImageSeries(frames, times, series.extent).save(folder / f"{name}.npz")
    kinetics = "kinetic_prefactor" if truth.model == "allen-cahn" else "diffusivity"
    text = CASE.format(model=NAMES[truth.model], name=name, noise=noise, kinetics=kinetics)
    path.write_text(text + ("[laws.repulsion]\ninitial = 5.0\n" if truth.model == "ohta" else ""))
    case = read_case(path)
    loaded = load_images(case)
    problem = build_problem(case, loaded, runs_dealt(case, loaded, COMM_WORLD))
    *_, last = iterate(problem)
    result = collect(problem, last)
    found = {"truth": number, "model": truth.model, "spectral": truth.spectral, "status": result.status}
    if result.posterior is None:
        return found
    return found | {"iterations": result.iterations, "rms": result.misfit_rms, **covered(result, truth)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("noise", 0.0), ("first", 0), ("count", 20)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    asked, every = parser.parse_args(), []
    asked.folder.mkdir(parents=True, exist_ok=True)
    for number in range(asked.first, asked.first + asked.count):
        every.append(measure(asked.folder, number, asked.noise))
        print(json.dumps(every[-1]), flush=True)
    laws = [law for one in every for law in one.values() if isinstance(law, dict)]
    numbers = [one[name] for one in every for name in ("gradient_energy", "repulsion") if name in one]
    functions = [law for law in laws if law not in numbers]
    print(
        json.dumps(
            {
                "functions covered": float(np.mean([law["covered"] for law in functions])),
                "numbers covered": float(np.mean([law["covered"] for law in numbers])),
                "width / error": float(np.median([law["width"] / law["error"] for law in laws])),
            }
        )
    )
