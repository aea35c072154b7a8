"""Files of named arrays: keys, axes and what is told beside the images."""

import fcntl

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.images import ImageSeries

FRAMES = np.random.default_rng(0).random((3, 6, 8))
TIMES, EXTENT = [0.0, 0.5, 2.0], [2.0, 1.5]
PLACE = {"times": TIMES, "extent": EXTENT}


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        ImageSeries.load(path, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(f"{path}: ")


def write_npz(path, **arrays):
    np.savez(path, **arrays)


def write_mat(path, **arrays):
    savemat(path, arrays)


def write_mat73(path, **arrays):
    """Write HDF5 as MATLAB does, with its axes reversed and texts as numbers."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in arrays.items():
            if isinstance(value, str):
                file[key] = np.array([[ord(letter)] for letter in value], np.uint16)
                file[key].attrs["MATLAB_class"] = np.bytes_("char")
            else:
                file[key] = np.atleast_2d(value).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value


WRITERS = {"a.npz": write_npz, "a.mat": write_mat, "b.mat": write_mat73, "a.h5": write_hdf5}
every = pytest.mark.parametrize("name", WRITERS)


@every
def test_a_key_and_axes_of_ones_own(tmp_path, name):
    """The order of axes that MATLAB has, and everything told in the file by its usual name."""
    values = {"u": FRAMES.transpose(1, 2, 0), "v": FRAMES, "time_step": 0.5, "pixel_size": 0.25}
    WRITERS[name](tmp_path / name, **values, unit="micron", time_unit="hours")
    images = ImageSeries.load(tmp_path / name, key="u", axes="yxt")
    np.testing.assert_array_equal(images.frames, FRAMES)
    np.testing.assert_array_equal(images.times, [0, 0.5, 1])
    assert (images.extent, images.unit, images.time_unit) == ((2.0, 1.5), "um", "h")
    for spoilt, found in (
        ({"key": "w"}, "key: found w; accepted: the name of an array: "),
        ({}, "images: found u (6 x"),
    ):
        assert refusal(tmp_path / name, **spoilt).startswith(found)
    found = refusal(tmp_path / name, key="u", axes="tyxc")
    assert found.startswith(
        "axes: found tyxc; accepted: one of t, c, z, y and x for each axis of the shape (6, 8, 3), y"
    )


@every
def test_the_only_array_needs_no_key(tmp_path, name):
    WRITERS[name](tmp_path / name, concentration=FRAMES, times=TIMES)
    images = ImageSeries.load(tmp_path / name, extent=EXTENT, noise=0.1)
    np.testing.assert_array_equal(images.frames, FRAMES)
    assert (images.noise, tuple(images.times)) == (0.1, tuple(TIMES))


def test_a_npy_file(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES)
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.npy", **PLACE).frames, FRAMES)
    (tmp_path / "a.toml").write_text("times = [0, 0.5, 2]\npixel_size = [0.25, 0.5]\n")
    images = ImageSeries.load(tmp_path / "a.npy")
    assert (tuple(images.times), images.extent) == (tuple(TIMES), (2.0, 3.0))
    assert refusal(tmp_path / "a.npy", key="u") == "key: found u; accepted: none, for the single array of a npy file"


def test_one_frame_needs_no_time(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES[0])
    images = ImageSeries.load(tmp_path / "a.npy", extent=EXTENT)
    assert (images.frames.shape, tuple(images.times)) == ((1, 6, 8), (0.0,))
    stack = ImageSeries.load(tmp_path / "a.npy", extent=EXTENT, axes="xy")
    np.testing.assert_array_equal(stack.frames[0], FRAMES[0].T)


def test_channels_and_stacks(tmp_path):
    np.savez(tmp_path / "a.npz", u=np.stack([FRAMES, 0.5 * FRAMES]), **PLACE)
    both = ImageSeries.load(tmp_path / "a.npz", axes="ctyx")
    assert (both.channels, both.frames.shape) == (2, (3, 2, 6, 8))
    second = ImageSeries.load(tmp_path / "a.npz", axes="ctyx", channel=1)
    np.testing.assert_array_equal(second.frames, 0.5 * FRAMES)
    assert refusal(tmp_path / "a.npz", axes="ctyx", channel=2).endswith("channel: found 2; accepted: 0 to 1")
    assert ImageSeries.load(tmp_path / "a.npz", axes="ztyx", extent=[2, 1.5, 1]).frames.shape == (3, 2, 6, 8)
    found = refusal(tmp_path / "a.npz", axes="ztyx")
    assert found == "extent: found (2.0, 1.5); accepted: three finite numbers"


def test_groups_and_attributes_of_hdf5(tmp_path):
    """What is told nearest to the images counts: on their dataset, then in their group, then at the top."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(extent=[1.0, 1.0], unit="mm", time_unit="s")
        file["times"] = [7.0, 8.0, 9.0]
        file["run/1/u"] = FRAMES
        file["run/1/times"] = TIMES
        file["run/1/u"].attrs["extent"] = EXTENT
    images = ImageSeries.load(tmp_path / "a.h5", key="/run/1/u")
    assert (tuple(images.times), images.extent, images.unit) == (tuple(TIMES), tuple(EXTENT), "mm")
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.h5").frames, FRAMES)
    assert (
        refusal(tmp_path / "a.h5", key="run/2/u")
        == "key: found run/2/u; accepted: the name of an array: run/1/times, run/1/u, times"
    )


def test_structures_of_matlab(tmp_path):
    savemat(tmp_path / "a.mat", {"run": {"u": FRAMES, "times": TIMES}, "extent": EXTENT})
    images = ImageSeries.load(tmp_path / "a.mat", key="run/u")
    np.testing.assert_array_equal(images.frames, FRAMES)
    assert tuple(images.times) == tuple(TIMES)


def test_a_file_that_another_program_has_locked(tmp_path):
    """On some file systems nothing can be locked, or all is."""
    write_hdf5(tmp_path / "a.h5", images=FRAMES, **PLACE)
    with open(tmp_path / "a.h5", "rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            h5py.File(tmp_path / "a.h5", "r")
        np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.h5").frames, FRAMES)


@every
@pytest.mark.parametrize("kind", [complex, bool])
def test_numbers_that_are_no_images(tmp_path, name, kind):
    if (name, kind) == ("a.mat", bool):
        pytest.skip("SciPy writes them as integers")
    WRITERS[name](tmp_path / name, images=(FRAMES > 0.5).astype(kind), **PLACE)
    found = refusal(tmp_path / name)
    assert found.startswith("images: found ") and "values of shape (3, 6, 8); accepted: real numbers" in found


def test_dates_become_seconds(tmp_path):
    dates = np.array(["2026-01-01T23:59:59", "2026-01-02T00:00:00.5", "2026-01-02T01:00:00"], "datetime64[ms]")
    np.savez(tmp_path / "a.npz", images=FRAMES, times=dates, extent=EXTENT)
    np.testing.assert_allclose(ImageSeries.load(tmp_path / "a.npz").times, [0, 1.5, 3601])
    np.testing.assert_allclose(ImageSeries(FRAMES, dates, EXTENT).times, [0, 1.5, 3601])


def test_units_are_carried_and_saved(tmp_path):
    images = ImageSeries(FRAMES, TIMES, EXTENT, unit="µm", time_unit="hours")
    parts = [images.select([0, 2]), images.crop((0, 1), (0, 1)), images.downsample(2), images.with_sigma(0.1)]
    assert {(part.unit, part.time_unit) for part in parts} == {("um", "h")}
    images.save(tmp_path / "a.npz")
    copy = ImageSeries.load(tmp_path / "a.npz")
    assert (copy.unit, copy.time_unit) == ("um", "h")
    with pytest.raises(InputError, match='unit: found 3; accepted: the name of a unit, such as "um" or "h"'):
        ImageSeries(FRAMES, TIMES, EXTENT, unit=3)
