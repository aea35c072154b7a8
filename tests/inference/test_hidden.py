"""Hidden fields with rates: no frame but the first tells where they start, so the first frames are fitted first."""

import numpy as np
import pytest
from firedrake import COMM_WORLD
from ufl import dot, grad

from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.meshes import rectangle_mesh
from fe_phaseinv.forward.trajectory import Tolerances
from fe_phaseinv.inference import inversion
from fe_phaseinv.inference.posing import pose
from fe_phaseinv.inference.progress import resume
from fe_phaseinv.inference.settings import Settings
from fe_phaseinv.models.declarations import Field, NumberLaw
from fe_phaseinv.models.interface import Model

COUPLING, RATE = 3.0, 2.0
TIMES = np.array([0.0, 0.1, 0.2, 0.3, 0.4])


class Hidden(Model):
    """dc/dt = lap c / 10 - b h, dh/dt = -r h, h = c - 1/2 at the start, or a function of place that no image shows."""

    fields = Field("c", bounds=(-5, 5)), Field("h", start=lambda c: c - 0.5)
    laws = NumberLaw("coupling", initial=1.0), NumberLaw("decay", initial=0.5, positive=True)

    def residual(self, fields, rates, laws, tests, at):
        first = (rates.c + laws.coupling * fields.h) * tests.c + 0.1 * dot(grad(fields.c), grad(tests.c))
        return (first + (rates.h + laws.decay * fields.h) * tests.h) * at.dx


class Seen(Hidden):
    def observe(self, fields, at):
        return fields.c, fields.h


def images():
    """The solution c = 1/2 + a(t) cos(pi x), at the pixels."""
    growth, x = 0.1 * np.pi**2, (np.arange(16) + 0.5) / 16
    decay, own = np.exp(-RATE * TIMES), np.exp(-growth * TIMES)
    amplitude = 0.3 * (own - COUPLING * (decay - own) / (growth - RATE))
    wave = np.broadcast_to(np.cos(np.pi * x) * np.sinc(1 / 32), (16, 16))
    return ImageSeries(0.5 + amplitude[:, None, None] * wave, TIMES, (1.0, 1.0)), 0.3 * decay[:, None, None] * wave


def posed(series, model, **settings):
    settings = Settings(degree=2, tolerances=Tolerances(rtol=1e-4), **settings)
    return pose(series, model, rectangle_mesh(series, 4, COMM_WORLD), settings)


@pytest.mark.parallel([1, 3])
def test_the_first_frames_lead_to_the_laws_of_a_hidden_field():
    problem = posed(images()[0], Hidden())
    assert problem.preparations == ("first 2", "first 3")
    (segment,) = problem.objective("first 3", problem.first_regularisation).experiments[0].segments
    assert (segment.times, segment.frames) == ((0.0, 0.1, 0.2, 0.3), (1, 2, 3))
    *_, last = inversion.iterate(problem, max_iterations=20)
    assert list(dict.fromkeys(entry["stage"] for entry in last.history)) == [
        "first 2",
        "first 3",
        "search",
        "trajectory",
    ]
    found = problem.coordinates.coefficients(last.state.point.x)
    np.testing.assert_allclose([found[0], np.exp(found[1])], [COUPLING, RATE], rtol=0.02)


def test_a_run_is_resumed_amid_the_first_frames():
    problem = posed(images()[0], Hidden())
    whole = list(inversion.iterate(problem, max_iterations=20))
    amid = next(one for one in whole if one.stage == "first 3")
    *_, last = inversion.iterate(problem, max_iterations=20, progress=resume(problem, amid.to_dict()))
    assert len(last.history) == len(whole[-1].history)
    np.testing.assert_allclose(last.state.point.x, whole[-1].state.point.x, rtol=1e-6)


def test_fields_that_all_images_show_start_at_any_frame():
    series, hidden = images()
    both = ImageSeries(np.stack([series.frames, hidden], 1), TIMES, (1.0, 1.0))
    assert posed(both, Seen()).preparations == ("intervals",)
    assert posed(both, Seen(), multiple_shooting=False).preparations == ()
