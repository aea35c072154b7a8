"""Masks and maps of the noise beside images: files, keys, and arrays."""

import numpy as np
import pytest
from tifffile import imwrite

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.images import ImageSeries

FRAMES = np.random.default_rng(0).random((3, 6, 8))
INSIDE = np.add.outer((np.arange(6) - 2.0) ** 2, (np.arange(8) - 3.5) ** 2) < 8
SHARE = np.where(INSIDE, 1.0, 0.0)
SHARE[0], SHARE[5] = 0.25, 0.75
PLACE = {"times": [0, 0.5, 2], "extent": [2, 1.5]}
EXPECTED = np.where(INSIDE, FRAMES, np.nan)


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "a.npz", images=FRAMES, inside=INSIDE, soft=SHARE, sigma=0.1 + FRAMES, **PLACE)
    return tmp_path / "a.npz"


def refusal(*arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        ImageSeries.load(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.int64, float])
@pytest.mark.parametrize("full", [1, 255])
def test_a_mask_says_where_there_is_data(path, kind, full):
    mask = INSIDE.astype(kind) * kind(full)
    np.save(path.parent / "mask.npy", mask)
    for given in (mask, path.parent / "mask.npy", str(path.parent / "mask.npy"), mask.tolist()):
        np.testing.assert_array_equal(ImageSeries.load(path, mask=given).frames, EXPECTED)


def test_a_mask_of_the_same_file(path):
    np.testing.assert_array_equal(ImageSeries.load(path, mask="inside").frames, EXPECTED)
    found = refusal(path, mask="outside")
    assert found.startswith(f"{path}: mask: found outside; accepted: an existing file, or in place of a key of a.npz ")
    assert "inside, soft" in found


def test_a_soft_mask_tells_the_share_of_each_pixel(path):
    np.save(path.parent / "mask.npy", np.round(255 * SHARE).astype(np.uint8))
    for given in ("soft", str(path.parent / "mask.npy")):
        images = ImageSeries.load(path, mask=given)
        np.testing.assert_allclose(images.coverage, SHARE, atol=1 / 255)
        np.testing.assert_array_equal(images.frames, np.where(SHARE >= 0.5, FRAMES, np.nan))
    assert ImageSeries.load(path, mask="inside").coverage is None


def test_axes_of_ones_own_are_those_of_the_mask_too(tmp_path):
    np.savez(tmp_path / "a.npz", u=FRAMES.transpose(2, 1, 0), inside=INSIDE.T, **PLACE)
    images = ImageSeries.load(tmp_path / "a.npz", key="u", axes="xyt", mask="inside")
    np.testing.assert_array_equal(images.frames, EXPECTED)


def test_a_mask_for_each_frame(path):
    masks = np.array([INSIDE, INSIDE, INSIDE[::-1]])
    images = ImageSeries.load(path, mask=masks)
    np.testing.assert_array_equal(images.frames, np.where(masks, FRAMES, np.nan))


def test_pictures_begin_at_the_top_and_arrays_at_the_bottom(path):
    imwrite(path.parent / "a.tif", FRAMES[:, ::-1], photometric="minisblack")
    imwrite(path.parent / "mask.tif", np.where(INSIDE[::-1], 255, 0).astype(np.uint8))
    images = ImageSeries.load(path.parent / "a.tif", mask=path.parent / "mask.tif", **PLACE)
    np.testing.assert_array_equal(images.frames, EXPECTED)
    with pytest.warns(
        DataWarning, match=r"the first row of .*mask.tif, a picture, is taken for its top, that of .*a.npz"
    ):
        np.testing.assert_array_equal(ImageSeries.load(path, mask=path.parent / "mask.tif").frames, EXPECTED)


def test_a_mask_of_channels_and_of_a_stack(tmp_path):
    both = np.stack([FRAMES, FRAMES / 2], axis=1)
    np.savez(tmp_path / "a.npz", images=both, **PLACE)
    images = ImageSeries.load(tmp_path / "a.npz", mask=INSIDE)
    np.testing.assert_array_equal(np.isfinite(images.frames), np.broadcast_to(INSIDE, both.shape))
    np.savez(tmp_path / "b.npz", images=both, times=[0, 1, 2], extent=[1, 1, 1])
    ball = np.array([INSIDE, ~INSIDE])
    images = ImageSeries.load(tmp_path / "b.npz", mask=ball)
    np.testing.assert_array_equal(np.isfinite(images.frames), np.broadcast_to(ball, both.shape))


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (INSIDE[:5], "mask: found the shape 5 x 8; accepted: the shape of the images, 6 x 8"),
        (
            np.stack([INSIDE] * 2),
            "mask: found the shape 6 x 8 in 2 frames; accepted: the shape of the images, 6 x 8, once",
        ),
        (
            7 * INSIDE,
            "mask: found numbers from 0 to 7; accepted: true and false, or numbers from 0 (outside) to 1, 255",
        ),
        (-1 * INSIDE, "mask: found numbers from -1 to 0; accepted"),
        (0 * INSIDE, "mask: found numbers from 0 to 0; accepted"),
        (INSIDE.astype(complex), "mask: found complex128 values; accepted"),
        (np.arange(8) > 3, "images: found bool values of shape (8,)"),
    ],
    ids=str,
)
def test_what_is_no_mask(path, mask, found):
    assert found in refusal(path, mask=mask)


def test_deviations_of_the_noise(path):
    images = ImageSeries.load(path, sigma="sigma")
    expected = ImageSeries(FRAMES, **PLACE).with_sigma(0.1 + FRAMES)
    np.testing.assert_allclose(images.weights, expected.weights)
    assert images.noise == pytest.approx(expected.noise)
    np.save(path.parent / "sigma.npy", 0.1 + FRAMES[0])
    images = ImageSeries.load(path, sigma=path.parent / "sigma.npy", mask="inside")
    assert images.noise == pytest.approx(ImageSeries(EXPECTED, **PLACE).with_sigma(0.1 + FRAMES[0]).noise)
    imwrite(path.parent / "sigma.tif", np.full((6, 8), 9, np.uint8))
    assert "sigma: found integers (uint8); accepted: floats, in units of the field" in refusal(
        path, sigma=path.parent / "sigma.tif"
    )
