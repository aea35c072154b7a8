"""Grey values: what they stand for, and what cannot be a concentration."""

import numpy as np
import pytest

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.images import ImageSeries

RNG = np.random.default_rng(0)
TRUTH = 0.5 + 0.4 * np.cos(np.linspace(0, 9, 3 * 24 * 32)).reshape(3, 24, 32)
PLACE = {"times": [0, 1, 2], "extent": [4, 3]}


@pytest.fixture
def path(tmp_path):
    """Return a file of grey values from 20 (for 0) to 220 (for 1)."""
    np.savez(tmp_path / "a.npz", images=(20 + 200 * TRUTH).astype(np.uint8), **PLACE)
    return tmp_path / "a.npz"


def refusal(call, /, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("text", ["20,0\n220,1\n", "grey;c\n# mine\n20;0\n120;0.5\n220;1\n", "220 1\n20 0"])
def test_two_numbers_pairs_and_tables(path, text):
    (path.parent / "grey.csv").write_text(text)
    for grey in (
        [20, 220],
        [[20, 0], [220, 1]],
        ((220, 1), (20, 0)),
        path.parent / "grey.csv",
        str(path.parent / "grey.csv"),
    ):
        np.testing.assert_allclose(ImageSeries.load(path, grey=grey).frames, TRUTH, atol=1 / 200)
    turned = ImageSeries.load(path, grey=[220, 20])
    np.testing.assert_allclose(turned.frames, 1 - TRUTH, atol=1 / 200)


def test_a_bent_calibration_goes_on_beyond_its_ends(path):
    table = [[20, -1.0], [120, 0.0], [170, 2.0]]
    levels = (20 + 200 * TRUTH).astype(int)
    expected = np.where(levels < 120, (levels - 120) / 100, (levels - 120) / 25)
    np.testing.assert_allclose(ImageSeries.load(path, grey=table).frames, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("grey", "found"),
    [
        ([1, 2, 3], "grey: found numbers of shape (3,); accepted: grey = [value of 0, value of 1], pairs"),
        ([[1, 2]], "grey: found numbers of shape (1, 2); accepted"),
        ([5, 5], "grey: found [[5.0, 0.0], [5.0, 1.0]]; accepted: grey values, each once"),
        ([[0, 0], [1, 1], [2, 0.5]], "whose values only rise or only fall"),
        ([[0, 0], [1, np.nan]], "grey: found numbers of shape (2, 2)"),
        ("lost.csv", "lost.csv: file: found No such file or directory; accepted: a text file of two columns"),
    ],
)
def test_what_is_no_calibration(path, grey, found):
    assert found in refusal(ImageSeries.load, path, grey=grey)


def test_the_range_of_the_pixels(path):
    """It is said what is taken for 0 and 1; the pattern lies inside, and a few outliers do not matter."""
    with pytest.warns(DataWarning, match=r'grey = "range" takes .* of .*a.npz for 0 and .* for 1'):
        images = ImageSeries.load(path, grey="range")
    images.require_concentration()
    assert np.nanmin(images.frames) < 0.1 and np.nanmax(images.frames) > 0.9
    hot = (20 + 200 * TRUTH).astype(np.uint16)
    hot[0, :2, :2] = 65535
    np.savez(path, images=hot, **PLACE)
    with pytest.warns(DataWarning):
        assert np.median(np.abs(ImageSeries.load(path, grey="range").frames - images.frames)) < 0.01
    np.savez(path, images=np.full((3, 24, 32), 7), **PLACE)
    assert 'grey: found "range" of pixels that are mostly 7' in refusal(ImageSeries.load, path, grey="range")


def series(frames, noise=0.0, **others):
    return ImageSeries(frames, [0, 1, 2], (4, 3), noise=noise, source="mine", **others)


@pytest.mark.parametrize("noise", [0.0, 0.01, 1.0, 30.0])
def test_grey_values_are_no_concentrations(noise):
    """However large the noise is said to be; the line tells the range, and what to write."""
    found = refusal(series(20 + 200 * TRUTH, noise).require_concentration)
    assert found.startswith("mine: images: found from 40 to 220") or found.startswith("mine: images: found from 4")
    assert found.endswith("or grey = [a, b], the numbers of 0 and 1, such as grey = [0, 255]")


def test_values_of_one_frame_that_drift_outside():
    frames = TRUTH.copy()
    frames[2] += 0.6
    found = refusal(series(frames, 0.2).require_concentration)
    assert "of the pixels further outside (0, 1) than the noise explains" in found


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_noise_leads_outside(noise):
    """What noise explains passes, and so do a few outliers, or pixels of which it is known that they are noisy."""
    frames = TRUTH + noise * RNG.standard_normal(TRUTH.shape)
    assert frames.min() < 0
    series(frames, noise).require_concentration()
    frames[1, 3, 4:6] = 9.0
    series(frames, noise).require_concentration()
    sigma = np.full((24, 32), noise)
    sigma[:, 20:] = 3.0
    frames += np.where(sigma > 1, sigma, 0) * RNG.standard_normal(TRUTH.shape)
    refusal(series(frames, noise).require_concentration)
    series(frames).with_sigma(sigma).require_concentration()
