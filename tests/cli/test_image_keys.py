"""What a case says of its images: how they are read, and from which of them a forward run starts."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tifffile import imwrite

from fe_phaseinv.cli.case import read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.folder import _files, _inputs, _same
from fe_phaseinv.cli.images import load_images, load_starts
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries

X = np.linspace(0, 1, 24)
FRAMES = 0.5 + 0.3 * np.cos(7 * X[:, None]) * np.cos(5 * X) * np.array([1.0, 0.9, 0.7])[:, None, None]
FRAMES[:, 3, 4] = 0.97
INSIDE = np.add.outer((X - 0.5) ** 2, (X - 0.5) ** 2) < 0.2
LEVELS = np.round(20 + 200 * FRAMES).astype(np.uint8)
CASE = """
model = "cahn-hilliard"
[images]
file = "i.tif"
{images}
[domain]
cells = 6
degree = 2
[time]
rtol = 3e-3
[laws.chemical_potential]
size = 3
coefficients = [0.0, -3.0, 0.1]
ideal_entropy = true
[laws.diffusivity]
size = 3
[laws.gradient_energy]
initial = 4e-3
{more}
"""
MORE = "[simulate]\ntimes = [1, 2]"
TOLD = "grey = [20, 220]\ntime_step = 2.0\npixel_size = 0.5\n"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with grey pictures, a mask and a map of the noise."""
    imwrite(tmp_path / "i.tif", LEVELS[:, ::-1], photometric="minisblack")
    imwrite(tmp_path / "mask.tif", INSIDE[::-1].astype(np.uint8))
    np.save(tmp_path / "sigma.npy", np.full((24, 24), 0.02))
    (tmp_path / "grey.csv").write_text("20,0\n220,1\n")
    return tmp_path


def case(folder, images=TOLD, more="", overrides=()):
    (folder / "case.toml").write_text(CASE.format(images=images, more=more))
    return read_case(folder / "case.toml", overrides)


def refusal(call, /, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_keys_say_how_the_file_is_read(folder):
    ((images, frames),) = load_images(case(folder, TOLD + 'unit = "micron"\ntime_unit = "hours"\n'))
    np.testing.assert_allclose(images.frames, (LEVELS - 20) / 200, rtol=1e-12)
    np.testing.assert_array_equal(images.times, [0, 2, 4])
    assert (images.extent, images.unit, images.time_unit, frames) == ((12, 12), "um", "h", (1, 2))
    masked = (
        'mask = "mask.tif"\nsigma = "sigma.npy"\ngrey = "grey.csv"\ntimes = [0, 1, 5]\nextent = [1, 1]\norigin = [3, 4]'
    )
    ((images, _),) = load_images(case(folder, masked))
    np.testing.assert_array_equal(images.mask, INSIDE)
    assert (images.noise, images.origin, images.times[2]) == (pytest.approx(0.02), (3, 4), 5)


def test_windows_and_blocks(folder):
    window = "crop = [2, 4, 10, 12]\ndownsample = 2\nnoise = 0.1\n"
    ((images, _),) = load_images(case(folder, TOLD + window))
    expected = (LEVELS[:, 8:24, 4:20].reshape(3, 8, 2, 8, 2).mean(axis=(2, 4)) - 20) / 200
    np.testing.assert_allclose(images.frames, expected, rtol=1e-12)
    assert (images.extent, images.origin, images.noise) == ((8, 8), (2, 4), pytest.approx(0.05))
    for keys, found in (
        ("crop = [0, 1]", "images.crop: found [0.0, 1.0]; accepted: 4 numbers, the lower and the upper corner"),
        ("crop = [0, 0, 99, 1]", "crop.x: found (0.0, 99.0); accepted: a range of at least one pixel from 0 to 12"),
        ("downsample = 5", "factor: found 5; accepted: a positive integer that divides 24 and 24"),
    ):
        assert found in refusal(load_images, case(folder, TOLD + keys))


def test_noise_is_estimated_before_pixels_are_averaged(folder):
    noisy = np.random.default_rng(0).normal(FRAMES, 0.05)
    imwrite(folder / "i.tif", noisy[:, ::-1], photometric="minisblack")
    told = TOLD.replace("grey = [20, 220]", 'noise = "estimate"')
    ((images, _),) = load_images(case(folder, told + "downsample = 2"))
    assert images.noise == pytest.approx(0.025, rel=0.2)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("sigma = 'sigma.npy'\nnoise = 0.1", "images.sigma: found sigma beside noise; accepted: one of the two"),
        ("time_step = 1\ntimes = [0, 1, 2]", "images.time_step: found time_step beside times"),
        ("pixel_size = 1\nextent = [1, 1]", "images.pixel_size: found pixel_size beside extent"),
        (
            "grey = 'lost.csv'",
            'images.grey: found "lost.csv"; accepted: "range" or an existing file or folder or a list of',
        ),
        ("channel = -1", "images.channel: found -1; accepted: an integer >= 0"),
        ("downsample = 0", "images.downsample: found 0; accepted: an integer >= 1"),
    ],
)
def test_what_does_not_go_together(folder, keys, found):
    assert found in refusal(case, folder, keys)


def test_what_is_not_in_the_file(folder):
    assert "mask: found lost.tif; accepted: an existing file, or " in refusal(
        load_images, case(folder, TOLD + 'mask = "lost.tif"')
    )
    found = refusal(load_images, case(folder, ""))
    assert (
        "times and extent: found nothing in its metadata; accepted: times or time_step and extent or pixel_size"
        in found
    )


def test_the_record_of_a_case_is_known_again(folder):
    """Wherever its files have gone meanwhile, and only as long as they say the same."""
    keys = 'grey = "grey.csv"\ntime_step = 2.0\npixel_size = [0.5, 0.5]\nmask = "mask.tif"\nsigma = "sigma.npy"\n'
    found = case(folder, keys + 'axes = "tyx"\ncrop = [0, 0, 1, 1]\n', MORE)
    (folder / "out").mkdir()
    (folder / "out" / "case.toml").write_text(found.text(folder / "out"))
    again = read_case(folder / "out" / "case.toml", recorded=True)
    assert again == found and _same(again, found)
    (folder / "mask.tif").rename(folder / "other.tif")
    (folder / "moved").mkdir()
    shutil.move(folder / "other.tif", folder / "moved" / "mask.tif")
    moved = case(folder, keys.replace("mask.tif", "moved/mask.tif") + 'axes = "tyx"\ncrop = [0, 0, 1, 1]\n', MORE)
    assert _same(read_case(folder / "out" / "case.toml", recorded=True), moved)
    (folder / "mask.tif").write_bytes(b"another")
    assert not _same(read_case(folder / "out" / "case.toml", recorded=True), moved)
    assert len(_files(moved)) == 6
    of_key = case(folder, TOLD + 'mask = "inside"')
    (folder / "out" / "case.toml").write_text(of_key.text(folder / "out"))
    assert _same(read_case(folder / "out" / "case.toml", recorded=True), of_key)
    assert not _same(read_case(folder / "out" / "case.toml", recorded=True), case(folder, TOLD + 'mask = "outside"'))


def test_a_single_picture_starts_a_run(folder):
    """It is written at the times of the section simulate, with the units of what it started from."""
    imwrite(folder / "i.tif", LEVELS[0, ::-1])
    keys = 'grey = [20, 220]\npixel_size = 0.05\nunit = "um"\ntime_unit = "h"\n'
    single = case(folder, keys, "[simulate]\ntimes = [0.01, 0.03]")
    found = refusal(load_images, single)
    assert (
        "images.frames: found [0]; accepted: at least one frame after the initial 0; simulate can do with times"
        in found
    )
    assert main(["simulate", str(folder / "case.toml"), "--output", str(folder / "out")]) == 0
    images = ImageSeries.load(folder / "out" / "images.npz")
    np.testing.assert_allclose(images.times, [0, 0.01, 0.03])
    assert (images.extent, images.unit, images.time_unit) == ((pytest.approx(1.2), pytest.approx(1.2)), "um", "h")
    assert np.abs(images.frames[0] - (LEVELS[0] - 20) / 200).max() < 0.3
    assert np.abs(np.diff(images.frames, axis=0)).max() > 1e-3


def test_starts_after_other_frames(folder):
    start = case(folder, TOLD + "initial = 1", "[simulate]\ntimes = [2.5, 7]")
    ((images, frames),) = load_starts(start)
    np.testing.assert_allclose(images.times, [0, 2, 2.5, 7])
    np.testing.assert_array_equal(images.frames[3], images.frames[1])
    assert frames == (2, 3)
    assert load_starts(replace(start, simulate=replace(start.simulate, times=None)))[0][1] == (2,)


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (
            ["simulate.times=[2, 3]"],
            "simulate.times: found [2.0, 3.0]; accepted: increasing times after 2, the initial",
        ),
        (["simulate.times=[5, 3]"], "simulate.times: found [5.0, 3.0]; accepted: increasing times after 2"),
        (["simulate.times=[]"], "simulate.times: found []; accepted"),
        (["images.initial=3"], "images.initial: found 3; accepted: indices of its 3 frames, from 0"),
        (['domain.boundary="from-images"'], 'domain.boundary: found "from-images"; accepted: "no-flux" or "periodic"'),
    ],
)
def test_starts_that_are_refused(folder, overrides, found):
    more, keys = "[simulate]\ntimes = [2.5, 7]", TOLD + "initial = 1"
    assert found in refusal(load_starts, case(folder, keys, more, overrides))


def test_a_start_tells_no_mean(folder):
    driven = CASE.replace("cahn-hilliard", "driven-reaction").replace("diffusivity", "exchange_current")
    (folder / "case.toml").write_text(driven.format(images=TOLD, more="[simulate]\ntimes = [3, 5]"))
    found = refusal(load_starts, read_case(folder / "case.toml"))
    assert 'drive.mean: found "from-images"; accepted: [[time, mean], ...] or a rate, where simulate.times are' in found
    assert load_starts(read_case(folder / "case.toml", ["drive.rate=0.001"]))[0][1] == (1, 2)


def test_a_soft_mask_is_another_run_than_a_hard_one(folder):
    """Although the pixels are the same: progress of one is none of the other."""
    found = case(folder, TOLD + 'mask = "mask.tif"')
    hard = load_images(found)
    soft = [(replace(images, coverage=np.where(INSIDE, 0.9, 0.1)), frames) for images, frames in hard]
    np.testing.assert_array_equal(soft[0][0].frames, hard[0][0].frames)
    assert _inputs(found, hard) == _inputs(found, load_images(found)) != _inputs(found, soft)
