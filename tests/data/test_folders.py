"""Folders of pictures: the order of their names, and the times in these."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.images import ImageSeries

LEVELS = np.random.default_rng(0).integers(1, 255, (6, 8)).astype(np.uint8)


def folder(path, *names):
    """Write pictures whose first pixel tells their place in the list of names."""
    for number, name in enumerate(names):
        levels = LEVELS.copy()
        levels[-1, 0] = number
        Image.fromarray(levels).save(path / f"{name}.png")
    return path


def order(path, **place):
    frames = ImageSeries.load(path, extent=[1, 1], **place).frames
    return (255 * frames[:, 0, 0]).round().astype(int).tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("t0.0", "t0.015", "t0.02", "t0.1"),
        ("t-10", "t-1.5", "t0", "t2"),
        ("-2", "-1", "0", "1"),
        ("t-3", "t-2", "t-1"),
        ("time-2", "time-1"),
        ("t=-0.5", "t=0", "t=+1.5", "t=2"),
        ("2e-4", "1e-3", "1", "1e1"),
        ("t0,25", "t0,5", "t1"),
        ("frame-1", "frame-2", "frame-10"),
        ("frame9", "frame10", "Frame11"),
        ("img.0001", "img.0002", "img.0010"),
        ("f0_t0.0", "f1_t0.015", "f2_t0.02"),
        ("2026-01-05_23-59-01", "2026-01-06_00-00-02"),
        ("a", "b", "c"),
    ],
    ids=lambda names: names[0],
)
def test_the_numbers_in_names_tell_the_order(tmp_path, names):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert order(folder(tmp_path, *names), time_step=1) == list(range(len(names)))


@pytest.mark.parametrize("names", [("a1_t5", "a2_t3", "a3_t1"), ("s1_t1", "s1_t2", "s2_t1")])
def test_numbers_that_disagree_are_said(tmp_path, names):
    with pytest.warns(DataWarning, match=f"the names of the files disagree on their order; it is {names[0]}.png, "):
        assert order(folder(tmp_path, *names), time_step=1) == [0, 1, 2]


def test_names_tell_the_times(tmp_path):
    """They do where they do more than count, unless times are given; it is said."""
    folder(tmp_path, "t0.0", "t0.015", "t0.02")
    with pytest.warns(DataWarning, match="the times 0, 0.015, 0.02, ... are those in the names of the files of"):
        images = ImageSeries.load(tmp_path, extent=[1, 1])
    np.testing.assert_array_equal(images.times, [0, 0.015, 0.02])
    (tmp_path / "images.toml").write_text("times = [0, 1, 5]\nextent = [2, 1]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(ImageSeries.load(tmp_path).times, [0, 1, 5])


@pytest.mark.parametrize("names", [("f0", "f1", "f2"), ("x1_t5", "x3_t6", "x7_t9")])
def test_names_that_only_count_tell_no_times(tmp_path, names):
    folder(tmp_path, *names)
    with pytest.raises(InputError, match="times: found nothing in its files; accepted: times or time_step, in images"):
        ImageSeries.load(tmp_path, extent=[1, 1])


def test_what_systems_leave_is_passed_over(tmp_path):
    folder(tmp_path, "f0", "f1")
    for name in ("._f0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".f2.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "f2.png").mkdir()
    assert order(tmp_path, time_step=1) == [0, 1]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_all_modes(tmp_path, mode):
    grey = Image.fromarray(LEVELS.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(LEVELS).convert(mode)
    grey.save(tmp_path / "a.png")
    images = ImageSeries.load(tmp_path / "a.png", pixel_size=0.5, unit="um")
    np.testing.assert_allclose(images.frames, LEVELS[None, ::-1] / 255, rtol=1e-12)
    assert (images.extent, tuple(images.times)) == ((4, 3), (0,))


def test_pictures_of_one_bit_and_interlaced_ones(tmp_path):
    black = LEVELS > 100
    Image.fromarray(black).save(tmp_path / "a.png")
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.png", pixel_size=1).frames, black[None, ::-1])


def test_transparent_pixels_have_no_data(tmp_path):
    alpha = np.where(LEVELS > 40, 255, 0).astype(np.uint8)
    Image.merge("LA", [Image.fromarray(LEVELS), Image.fromarray(alpha)]).save(tmp_path / "a.png")
    read = ImageSeries.load(tmp_path / "a.png", pixel_size=1).frames
    np.testing.assert_array_equal(read, np.where(LEVELS > 40, LEVELS / 255, np.nan)[None, ::-1])


def test_colours_that_differ_need_a_choice(tmp_path):
    colours = [Image.fromarray(LEVELS // divisor) for divisor in (1, 2, 3)]
    for name in ("f0.png", "f1.png"):
        Image.merge("RGB", colours).save(tmp_path / name)
    with pytest.raises(InputError, match="images: found 3 colours that differ; accepted: a grey picture, channel = 0"):
        ImageSeries.load(tmp_path, time_step=1, pixel_size=1)
    read = ImageSeries.load(tmp_path, time_step=1, pixel_size=1, channel=2)
    np.testing.assert_array_equal(read.frames, np.array([LEVELS // 3] * 2)[:, ::-1] / 255)


def test_pictures_of_several_kinds_are_not_mixed(tmp_path):
    folder(tmp_path, "f0")
    Image.fromarray(LEVELS.astype(np.uint16) * 257).save(tmp_path / "f1.png")
    found = r"images: found 2 files of images, of 6 x 8 \(uint16\), 6 x 8 \(uint8\); accepted: at least one, all of one"
    with pytest.raises(InputError, match=found):
        ImageSeries.load(tmp_path, time_step=1, pixel_size=1)


def test_a_damaged_picture(tmp_path):
    buffer = BytesIO()
    Image.fromarray(LEVELS).save(buffer, "png")
    folder(tmp_path, "f0")
    (tmp_path / "f1.png").write_bytes(buffer.getvalue()[:-30])
    with pytest.raises(InputError, match=r"f1.png: file: found unreadable content \("):
        ImageSeries.load(tmp_path, time_step=1, pixel_size=1)
