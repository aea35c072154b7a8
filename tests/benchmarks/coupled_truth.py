"""Images of coupled Cahn-Hilliard and Allen-Cahn equations of which only the concentration is seen.

dc/dt = div(D(c) grad mu), mu = mu_h(c) + b phi - kappa lap c, and dphi/dt = -L (w(phi) + b c - kappa_phi lap phi) with
zero flux on the unit square, phi = c at the start. Cosine collocation and exponential Runge-Kutta steps of order four
(Cox and Matthews, J. Comput. Phys. 176, 430, 2002). Writes coupled.npz, coupled_hidden.npz (phi) and coupled.json, and
prints the errors of steps and modes (12 s): python tests/benchmarks/coupled_truth.py FOLDER [SEED]
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.fft import dct, dctn, dst, idct, idctn, idst

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.output.truth import evaluate_formula

PIXELS = 64
TIMES = (0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.012)
TRUTH = {
    "model": "coupled Cahn-Hilliard and Allen-Cahn",
    "mu": "log(c/(1-c)) + 1.2*(1-2*c)",
    "D": "1.3 - 0.8*c",
    "kappa": 1e-3,
    "order_potential": "6*phi*(1-phi)*(1-2*phi) + 0.9",
    "order_gradient_energy": 1.5e-3,
    "order_rate": 200.0,
    "coupling": -1.8,
    "boundary": "zero flux",
    "order_start": "c",
}
MOBILITY, SLOPE = 0.9, 4.0
"""Middle values of D and mu_h' with which the exponential steps are exact; the rest is explicit."""


def start(modes, seed):
    """Cosine coefficients of the concentration at the start, the same for every number of modes."""
    random, k = np.random.default_rng(seed).standard_normal((24, 24)), np.arange(24)
    random *= np.exp(-(k**2 + k[:, None] ** 2) / 100)
    found = np.pad(0.06 * random / np.linalg.norm(random), (0, modes - 24))
    found[0, 0] = 0.5
    return modes * found


def divergence(mobility, mu):
    """Return div(mobility grad mu), all at the points: derivatives of cosines are sines, and back."""
    total = 0.0
    for axis in (0, 1):
        k = np.pi * np.expand_dims(np.arange(len(mu)), 1 - axis)
        slope = idst(np.roll(-k * dct(mu, axis=axis, norm="ortho"), -1, axis), axis=axis, norm="ortho")
        flux = dst(mobility * slope, axis=axis, norm="ortho")
        total = total + idct(k * np.roll(flux, 1, axis), axis=axis, norm="ortho")
    return total


def equations(modes):
    """Return the part of the rates that is linear and diagonal, and a function that gives the rest of them."""
    square = np.pi**2 * (np.arange(modes) ** 2 + np.arange(modes)[:, None] ** 2)
    kappa, rate, b = TRUTH["kappa"], TRUTH["order_rate"], TRUTH["coupling"]
    linear = np.array([-MOBILITY * square * (SLOPE + kappa * square), -rate * TRUTH["order_gradient_energy"] * square])

    def rest(u):
        c, phi = (idctn(field, norm="ortho") for field in u)
        mu = evaluate_formula(TRUTH["mu"], "c", c) + b * phi + idctn(kappa * square * u[0], norm="ortho")
        order = evaluate_formula(TRUTH["order_potential"], "phi", phi) + b * c
        rates = divergence(evaluate_formula(TRUTH["D"], "c", c), mu), -rate * order
        return np.array([dctn(field, norm="ortho") for field in rates]) - linear * u * [[[1.0]], [[0.0]]]

    return linear, rest


def weights(z):
    """Return the functions phi_1, phi_2 and phi_3 of the exponential steps, as means over a circle around z."""
    circle = z[..., None] + np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    first = (np.exp(circle) - 1) / circle
    second = (first - 1) / circle
    return (np.mean(values, -1).real for values in (first, second, (second - 0.5) / circle))


def simulate(modes, step, seed):
    """Return the coefficients of both fields at all times."""
    u = np.array([start(modes, seed)] * 2)
    linear, rest = equations(modes)
    whole, half = np.exp(step * linear), np.exp(step * linear / 2)
    (to_half, _, _), (one, two, three) = weights(step * linear / 2), weights(step * linear)
    frames = [u]
    for count in np.rint(np.diff(TIMES) / step).astype(int):
        for _ in range(count):
            at = rest(u)
            a = half * u + step / 2 * to_half * at
            at_a = rest(a)
            b = half * u + step / 2 * to_half * at_a
            at_b = rest(b)
            at_c = rest(half * a + step / 2 * to_half * (2 * at_b - at))
            middle = (2 * two - 4 * three) * (at_a + at_b)
            u = whole * u + step * ((one - 3 * two + 4 * three) * at + middle + (4 * three - two) * at_c)
        frames.append(u)
    return np.array(frames)


def averages(frames):
    """Return the means over the pixels, exactly."""
    k, x = np.arange(frames.shape[-1]), (np.arange(PIXELS)[:, None] + 0.5) / PIXELS
    mean = np.cos(np.pi * k * x) * np.sinc(k / (2 * PIXELS)) * np.sqrt(np.where(k, 2.0, 1.0) / len(k))
    return mean @ frames @ mean.T


def write(folder, seed):
    """Write the images and the truth, and return the largest errors of c and phi by steps and by modes."""
    fine, long, coarse = (averages(simulate(n, h, seed)) for n, h in ((128, 2e-5), (128, 4e-5), (96, 4e-5)))
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, images in (("", fine[:, 0]), ("_hidden", fine[:, 1])):
        ImageSeries(images.astype(np.float32), np.array(TIMES), (1.0, 1.0)).save(folder / f"coupled{suffix}.npz")
    (folder / "coupled.json").write_text(json.dumps({**TRUTH, "seed": seed}, indent=1))
    return {"steps": abs(fine - long).max((0, 2, 3)).tolist(), "modes": abs(long - coarse).max((0, 2, 3)).tolist()}


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
