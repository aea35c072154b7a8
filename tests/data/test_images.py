"""Image series: the formats they are read from, what is refused, and what is cut from them."""

import os
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.image_files import FORMATS
from fe_phaseinv.data.images import ImageSeries

TIMES, EXTENT, ORIGIN = [0.0, 0.5, 2.0], [2.0, 1.5], [-1.0, 3.0]
PLACE = {"times": TIMES, "extent": EXTENT, "origin": ORIGIN}
SIDECAR = "times = [0, 0.5, 2]\nextent = [2, 1.5]\norigin = [-1, 3]\n"
LEVELS = np.random.default_rng(0).integers(1, 255, (3, 6, 8))


def series(**changes) -> ImageSeries:
    """Return three frames of 6 x 8 pixels, changed as asked."""
    return ImageSeries(**{"frames": LEVELS / 255, "times": TIMES, "extent": EXTENT, "origin": ORIGIN} | changes)


def write_npz(path, **arrays):
    """Write an npz file."""
    np.savez(path, **arrays)


def write_hdf5(path, **arrays):
    """Write an HDF5 file."""
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value


def write_mat73(path, **arrays):
    """Write HDF5 as MATLAB does: a block that names the version, then arrays with their axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in arrays.items():
            file[key] = np.atleast_2d(value).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_mat(path, **arrays):
    """Write a MATLAB file of version 5."""
    savemat(path, arrays)


def write_stack(path, pages, sidecar=SIDECAR):
    """Write a TIFF stack, top row first, and its sidecar."""
    first, *rest = [Image.fromarray(np.ascontiguousarray(page[::-1])) for page in pages]
    first.save(path, save_all=True, append_images=rest)
    if sidecar is not None:
        path.with_suffix(".toml").write_text(sidecar)


def write_folder(path, pages, sidecar=SIDECAR):
    """Write a folder of PNG files, top row first, and its sidecar; frame10 comes after frame9."""
    path.mkdir()
    for number, page in enumerate(pages, start=9):
        Image.fromarray(np.ascontiguousarray(page[::-1])).save(path / f"frame{number}.png")
    if sidecar is not None:
        (path / "images.toml").write_text(sidecar)


def refusal(source, call, /, *arguments, **options) -> str:
    """Return the message of a refusal, and check that it is one line that begins with the source."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{source}: ")


ARRAY_WRITERS = {"a.npz": write_npz, "a.mat": write_mat, "b.MAT": write_mat73, "a.h5": write_hdf5, "a.hdf5": write_hdf5}


@pytest.mark.parametrize("name", ARRAY_WRITERS)
def test_load_arrays(tmp_path, name):
    """Files of arrays are read as they are, row 0 at the bottom, NaN kept."""
    frames = LEVELS / 255
    frames[:, 0, 0] = np.nan
    ARRAY_WRITERS[name](tmp_path / name, images=frames.astype(np.float32), **PLACE, comment=7)
    images = ImageSeries.load(tmp_path / name, noise=0.1)
    assert images.frames.dtype == np.float64
    np.testing.assert_array_equal(images.frames, frames.astype(np.float32))
    np.testing.assert_array_equal(images.times, TIMES)
    assert (images.extent, images.origin, images.noise) == ((2.0, 1.5), (-1.0, 3.0), 0.1)
    assert images.source == str(tmp_path / name)


@pytest.mark.parametrize("name", ARRAY_WRITERS)
def test_origin_is_optional(tmp_path, name):
    """Without an origin the lower left corner is (0, 0)."""
    ARRAY_WRITERS[name](tmp_path / name, images=LEVELS / 255, times=TIMES, extent=EXTENT)
    assert ImageSeries.load(tmp_path / name).origin == (0.0, 0.0)


@pytest.mark.parametrize(("write", "name"), [(write_stack, "a.tif"), (write_stack, "a.TIFF"), (write_folder, "a")])
@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_load_grey(tmp_path, write, name, kind, full):
    """The integers of stacks and folders become 0 to 1, their last row is at the bottom, frame9 precedes frame10."""
    levels = LEVELS.astype(kind) * kind(full // 255)
    write(tmp_path / name, levels)
    images = ImageSeries.load(tmp_path / name)
    np.testing.assert_allclose(images.frames, LEVELS / 255, rtol=1e-12)
    np.testing.assert_array_equal(images.times, TIMES)
    assert (images.extent, images.origin) == ((2.0, 1.5), (-1.0, 3.0))


def test_load_float_stack(tmp_path):
    """Floats of a stack are read as they are, NaN included."""
    frames = (LEVELS / 255).astype(np.float32)
    frames[:, 1, 2] = np.nan
    write_stack(tmp_path / "a.tif", frames)
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.tif").frames, frames)


@pytest.mark.parametrize(
    ("pixel", "kind"), [(0.5, np.float32), (np.nan, np.float32), (1 - 2e-8, np.float64), (1e300, np.float64)]
)
def test_save_reads_back(tmp_path, pixel, kind):
    """A saved series is read back as it was, in few bytes where these suffice, and nothing else is in the folder."""
    frames = np.ldexp(LEVELS, -8)
    frames[1, 2, 3] = pixel
    images = series(frames=frames)
    images.save(tmp_path / "a.npz")
    copy = ImageSeries.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(copy.frames, images.frames)
    np.testing.assert_array_equal(copy.times, images.times)
    assert (copy.extent, copy.origin) == (images.extent, images.origin)
    with np.load(tmp_path / "a.npz") as data:
        assert sorted(data) == ["extent", "images", "origin", "times"]
        assert data["images"].dtype == kind
    assert os.listdir(tmp_path) == ["a.npz"]


def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    """A save that breaks leaves the file that was there, and no other."""
    series().save(tmp_path / "a.npz")

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        series(noise=1).save(tmp_path / "a.npz")
    assert os.listdir(tmp_path) == ["a.npz"]
    ImageSeries.load(tmp_path / "a.npz")


def test_save_refuses_other_suffix(tmp_path):
    """Only names that load understands are written."""
    path = tmp_path / "a.dat"
    assert refusal(path, series().save, path) == 'file: found suffix ".dat"; accepted: a name that ends in .npz'
    assert not path.exists()


def with_pixel(value, where=(1, 2, 3)):
    """Return frames in which pixels are replaced."""
    frames = LEVELS / 255
    frames[where] = value
    return frames


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": LEVELS[0] / 255}, "images: found float64 values of shape (6, 8); accepted: real numbers, an array"),
        ({"frames": np.zeros((0, 6, 8))}, "images: found shape (0, 6, 8); accepted: at least one frame of at least"),
        ({"frames": np.zeros((3, 0, 8))}, "images: found shape (3, 0, 8); accepted: at least one frame of at least"),
        ({"frames": LEVELS + 1j}, "images: found complex128 values of shape (3, 6, 8); accepted: real numbers"),
        ({"frames": LEVELS > 3}, "images: found bool values of shape (3, 6, 8); accepted: real numbers"),
        ({"frames": [[[1], [1, 2]]]}, "images: found lists of unequal lengths; accepted: real numbers"),
        ({"frames": with_pixel(np.nan, 2)}, "images[2]: found only NaN; accepted: frames with at least one finite"),
        ({"frames": with_pixel(np.inf)}, "images[1]: found infinite pixels; accepted: finite pixels, and NaN where"),
        ({"frames": with_pixel(-np.inf)}, "images[1]: found infinite pixels; accepted: finite pixels, and NaN where"),
        ({"times": [0, 1]}, "times: found 2 times; accepted: 3, one for each frame"),
        ({"times": [0, 1, 1]}, "times: found 1.0 at frame 2; accepted: finite times, each later than the one before"),
        ({"times": [0, -1, 1]}, "times: found -1.0 at frame 1; accepted: finite times, each later"),
        ({"times": [0, 1, np.inf]}, "times: found inf at frame 2; accepted: finite times, each later"),
        ({"times": [np.nan, 1, 2]}, "times: found nan at frame 0; accepted: finite times, each later"),
        ({"times": ["0", "1", "2"]}, "times: found <U1 values of shape (3,); accepted: real numbers"),
        ({"extent": [1, 0]}, "extent: found (1.0, 0.0); accepted: two positive lengths"),
        ({"extent": [-1, 1]}, "extent: found (-1.0, 1.0); accepted: two positive lengths"),
        ({"extent": [1, np.inf]}, "extent: found (1.0, inf); accepted: two finite numbers"),
        ({"extent": [1]}, "extent: found (1.0,); accepted: two finite numbers"),
        ({"extent": 1.0}, "extent: found float64 values of shape (); accepted: real numbers, an array of 1 axes"),
        ({"origin": [0, np.nan]}, "origin: found (0.0, nan); accepted: two finite numbers"),
        ({"noise": -0.1}, "noise: found -0.1; accepted: a finite standard deviation >= 0"),
        ({"noise": np.nan}, "noise: found nan; accepted: a finite standard deviation >= 0"),
        ({"noise": True}, "noise: found bool values of shape (); accepted: a real number"),
    ],
)
def test_refused_values(changes, message):
    """Values that cannot be used are named by source and key."""
    assert refusal("mine", series, source="mine", **changes).startswith(message)


@pytest.mark.parametrize("name", ARRAY_WRITERS)
@pytest.mark.parametrize("key", ["images", "times", "extent"])
def test_missing_array(tmp_path, name, key):
    """An array that is absent is named, with those that are there."""
    path = tmp_path / name
    arrays = {"images": LEVELS / 255} | PLACE
    del arrays[key]
    ARRAY_WRITERS[name](path, **arrays)
    message = refusal(path, ImageSeries.load, path)
    assert message.startswith(f"{key}: found only ")
    assert all(other in message for other in arrays)
    accepted = {
        "images": "an array named images, or the name of another one as key",
        "times": "times or time_step, in the file, or given with the name of the file",
        "extent": "extent or pixel_size, in the file, or given with the name of the file",
    }
    assert message.endswith(f"; accepted: {accepted[key]}")


@pytest.mark.parametrize("name", ARRAY_WRITERS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": [0.0, 1.0]}, "times: found 2 times; accepted: 3, one for each frame"),
        ({"extent": [1.0, 0.0]}, "extent: found (1.0, 0.0); accepted: two positive lengths"),
    ],
)
def test_refused_array(tmp_path, name, changes, message):
    """What is wrong in a file is named by the file and the array."""
    path = tmp_path / name
    ARRAY_WRITERS[name](path, **{"images": LEVELS / 255} | PLACE | changes)
    assert refusal(path, ImageSeries.load, path) == message


@pytest.mark.parametrize("content", [b"", b"only text\n", b"\x89PNG\r\n\x1a\n rubbish", b"PK\x03\x04 rubbish"])
@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.h5", "a.hdf5", "a.tif", "a.tiff"])
def test_refused_content(tmp_path, name, content):
    """A file of another kind than its name says is refused."""
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path, ImageSeries.load, path)
    no_archive = "file: found a file that is no npz archive; accepted: one with arrays, as NumPy writes them"
    assert message == no_archive or message.startswith("file: found unreadable content (")
    assert message == no_archive or message.endswith(FORMATS)


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.tif"])
def test_refused_truncated(tmp_path, name):
    """A file that lacks its end is refused."""
    path = tmp_path / name
    if name == "a.tif":
        write_stack(path, LEVELS.astype(np.uint8))
    else:
        ARRAY_WRITERS[name](path, images=LEVELS / 255, **PLACE)
    path.write_bytes(path.read_bytes()[:-400])
    assert refusal(path, ImageSeries.load, path).startswith("file: found ")


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


@pytest.mark.parametrize("key", ["images", "times", "extent", "origin"])
def test_what_needs_unpickling_is_refused_unread(tmp_path, key):
    path, sprung = tmp_path / "a.npz", tmp_path / "sprung"
    write_npz(path, **{"images": LEVELS / 255} | PLACE | {key: np.array([Trap(sprung)])})
    assert refusal(path, ImageSeries.load, path).startswith("file: found unreadable content (ValueError: Object arrays")
    path.write_bytes(pickle.dumps(Trap(sprung)))
    assert refusal(path, ImageSeries.load, path).startswith("file: found a file that is no npz archive")
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["a.mat", "a.h5"])
def test_objects_are_refused(tmp_path, name):
    """Cells of MATLAB and texts of HDF5 are no numbers."""
    path = tmp_path / name
    ARRAY_WRITERS[name](path, **{"images": LEVELS / 255} | PLACE | {"extent": np.array(["2.0", "1.5"], object)})
    assert refusal(path, ImageSeries.load, path).startswith("extent: found object values of shape (2,); accepted: real")


def test_masked_pixels_have_no_data():
    frames = np.ma.masked_less(LEVELS, 9)
    images = series(frames=frames)
    np.testing.assert_array_equal(np.isnan(images.frames), LEVELS < 9)
    message = refusal("mine", series, times=np.ma.array(TIMES, mask=[0, 1, 0]), source="mine")
    assert message.startswith("times: found nan at frame 1")


def test_only_complete_frames_are_interpolated():
    images = series(frames=with_pixel(np.nan), source="mine")
    message = refusal("mine", images.interpolate, 1, [[0, 4]])
    assert message == "images[1]: found 1 pixels without data; accepted: a complete frame"
    assert np.isfinite(images.interpolate(0, [[0, 4]])).all()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lost.npz", "No such file or directory"),
        ("lost", "No such file or directory"),
        ("notes.txt", 'suffix ".txt"'),
        ("bare", 'suffix ""'),
    ],
)
def test_refused_file(tmp_path, name, found):
    """A file that is missing or of an unknown suffix is refused."""
    (tmp_path / "notes.txt").touch()
    (tmp_path / "bare").touch()
    message = refusal(tmp_path / name, ImageSeries.load, tmp_path / name)
    assert message == f"file: found {found}; accepted: {FORMATS}"


@pytest.mark.parametrize(("write", "name"), [(write_stack, "a.tif"), (write_folder, "a")])
@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ("times = [", "file: found unreadable content (TOMLDecodeError: Invalid value"),
        (
            SIDECAR + "units = 1",
            "units: found an unknown key; accepted: a TOML file with times, time_step, extent, pixel",
        ),
        (SIDECAR + "unit = 1", 'unit: found 1; accepted: the name of a unit, such as "um" or "h"'),
        (SIDECAR.replace("0.5", "5"), "times: found 2.0 at frame 2; accepted: finite times, each later"),
        (SIDECAR.replace("0.5, ", ""), "times: found 2 times; accepted: 3, one for each frame"),
        (SIDECAR.replace("1.5", "0"), "extent: found (2.0, 0.0); accepted: two positive lengths"),
        (SIDECAR.replace("0.5", "'a'"), "times: found <U"),
        (SIDECAR.replace("0.5", "[1]"), "times: found lists of unequal lengths; accepted: real numbers"),
        (SIDECAR.replace("-1", "nan"), "origin: found (nan, 3.0); accepted: two finite numbers"),
    ],
)
def test_refused_sidecar(tmp_path, write, name, sidecar, message):
    """What is wrong in a sidecar is named by the sidecar and the key."""
    write(tmp_path / name, LEVELS.astype(np.uint8), sidecar)
    source = tmp_path / ("a.toml" if name == "a.tif" else "a/images.toml")
    assert refusal(source, ImageSeries.load, tmp_path / name).startswith(message)


@pytest.mark.parametrize(("write", "name"), [(write_stack, "a.tif"), (write_folder, "a")])
@pytest.mark.parametrize(
    ("sidecar", "missing", "accepted"),
    [
        (None, "times and extent", "times or time_step and extent or pixel_size, in"),
        ("times = [0, 1, 2]", "extent", "extent or pixel_size, in"),
        ("extent = [2, 1.5]", "times", "times or time_step, in"),
    ],
)
def test_what_is_told_nowhere_is_named_with_where_to_tell_it(tmp_path, write, name, sidecar, missing, accepted):
    write(tmp_path / name, LEVELS.astype(np.uint8), sidecar)
    message = refusal(tmp_path / name, ImageSeries.load, tmp_path / name)
    assert message.startswith(f"{missing}: found nothing ")
    where = "a.toml beside it" if name == "a.tif" else "images.toml in it"
    assert message.endswith(f"; accepted: {accepted} {where}, or given with the name of the file")
    place = {"times": TIMES, "extent": EXTENT, "origin": ORIGIN}
    images = ImageSeries.load(tmp_path / name, **place)
    np.testing.assert_array_equal(images.times, TIMES)
    assert (images.extent, images.origin) == (tuple(EXTENT), tuple(ORIGIN))


def test_refused_folder(tmp_path):
    """A folder without images, with a broken one or one of another size is refused."""
    path = tmp_path / "a"
    path.mkdir()
    accepted = "accepted: at least one, all of one size and kind"
    assert refusal(path, ImageSeries.load, path) == f"images: found 0 files of images; {accepted}"
    Image.new("L", (8, 6)).save(path / "a.png")
    Image.new("L", (8, 7)).save(path / "b.png")
    message = f"images: found 2 files of images, of 6 x 8 (uint8), 7 x 8 (uint8); {accepted}"
    assert refusal(path, ImageSeries.load, path) == message
    (path / "b.png").write_text("text")
    assert refusal(path / "b.png", ImageSeries.load, path).startswith("file: found unreadable content (")


@pytest.mark.parametrize(
    ("value", "noise", "found"),
    [(0.0, 0.0, "from 0 to"), (-0.25, 0.0, "from -0.25 to"), (1.0, 0.0, "to 1;"), (1.5, 0.1, None), (np.nan, 0, None)],
)
def test_require_concentration(value, noise, found):
    """Without noise only the open interval (0, 1) and NaN pass."""
    images = series(frames=with_pixel(value), noise=noise, source="mine")
    if found is None:
        images.require_concentration()
        return
    message = refusal("mine", images.require_concentration)
    assert message.startswith("images: found from ")
    assert found in message
    assert message.endswith("; accepted: the open interval (0, 1), or a positive noise")


def test_properties():
    """Shape and pixel are (y, x) and (x, y); the mask is what every frame shows; nothing can be changed."""
    images = series(frames=with_pixel(np.nan))
    assert images.shape == (6, 8)
    assert images.pixel == (0.25, 0.25)
    assert images.mask.shape == (6, 8)
    assert np.argwhere(~images.mask).tolist() == [[2, 3]]
    with pytest.raises(ValueError, match="read-only"):
        images.frames[0, 0, 0] = 1


def test_given_arrays_stay_free():
    """The series keeps copies, so the arrays that it was made of can still be changed, without effect on it."""
    frames = LEVELS / 255
    images = series(frames=frames)
    frames[:] = np.nan
    assert images.mask.all()


def test_select():
    """The chosen frames keep their times."""
    images = series().select(np.array([0, 2]))
    np.testing.assert_array_equal(images.frames, LEVELS[[0, 2]] / 255)
    np.testing.assert_array_equal(images.times, [0.0, 2.0])


@pytest.mark.parametrize("frames", [[], [3], [-1], [1, 0], [1, 1], [0.0], [True], ["a"]])
def test_select_refuses(frames):
    """Indices that are not frames, in order, are refused."""
    message = refusal("mine", series(source="mine").select, frames)
    assert message == f"frames: found {frames}; accepted: increasing indices from 0 to 2"


def test_at_times():
    """One frame stands for those that there are not, with its weights."""
    images = series().with_sigma([0.1, 0.2, 0.4]).at([0.0, 0.5, 1.0, 3.0], otherwise=2)
    np.testing.assert_array_equal(images.frames, LEVELS[[0, 1, 2, 2]] / 255)
    np.testing.assert_array_equal(images.times, [0.0, 0.5, 1.0, 3.0])
    sigma = [images.noise / np.sqrt(images.precision(frame)[0, 0]) for frame in range(4)]
    assert sigma == pytest.approx([0.1, 0.2, 0.4, 0.4])


def test_resampled():
    """Other pixels have the values of those in which their middles lie, and the same place."""
    finer, coarser = series(coverage=np.tile([1, 0.7], (6, 4))).resampled(16), series().resampled(4)
    np.testing.assert_array_equal(finer.frames, LEVELS.repeat(2, 1).repeat(2, 2) / 255)
    np.testing.assert_array_equal(finer.coverage, np.tile([1, 1, 0.7, 0.7], (12, 4)))
    np.testing.assert_array_equal(coarser.frames, LEVELS[:, 1::2, 1::2] / 255)
    assert (finer.extent, finer.pixel, coarser.shape) == ((2.0, 1.5), (0.125, 0.125), (3, 4))


def test_crop():
    """A window is moved to the edges of pixels, and keeps its place."""
    images = series().crop((-0.55, 0.3), (3.0, 4.1))
    np.testing.assert_array_equal(images.frames, LEVELS[:, 0:4, 2:5] / 255)
    assert (images.extent, images.origin, images.pixel) == ((0.75, 1.0), (-0.5, 3.0), (0.25, 0.25))
    whole = series().crop((-1, 1), (3, 4.5))
    assert (whole.shape, whole.extent, whole.origin) == ((6, 8), (2.0, 1.5), (-1.0, 3.0))


@pytest.mark.parametrize("bounds", [(-1.5, 0.0), (0.0, 1.5), (0.5, 0.0), (0.0, 0.01)])
def test_crop_refuses(bounds):
    """A window outside the images or without a pixel is refused."""
    message = refusal("mine", series(source="mine").crop, bounds, (3, 4))
    assert message == f"crop.x: found {bounds}; accepted: a range of at least one pixel from -1 to 1"
    message = refusal("mine", series(source="mine").crop, (0, 1), (0, np.nan))
    assert message == "crop.y: found (0.0, nan); accepted: two finite numbers"


def test_crop_to_nothing_seen():
    """A window in which a frame has no data is refused."""
    frames = LEVELS / 255
    frames[1, :, :4] = np.nan
    message = refusal("mine", series(frames=frames, source="mine").crop, (-1, 0), (3, 4))
    assert message == "images[1]: found only NaN; accepted: frames with at least one finite pixel"


def test_downsample():
    """Blocks are averaged, one with a NaN is NaN, and the noise falls."""
    images = series(frames=with_pixel(np.nan, (0, 0, 0)), noise=0.1).downsample(2)
    assert images.shape == (3, 4)
    assert np.isnan(images.frames[0, 0, 0])
    np.testing.assert_allclose(images.frames[1, 2, 3], LEVELS[1, 4:6, 6:8].mean() / 255)
    assert images.extent == (2.0, 1.5)
    assert images.noise == 0.05


def test_the_coverage_of_pixels_goes_with_them():
    """Less than half of a pixel has no data; blocks are averages over what is covered."""
    coverage = np.array([[1, 1, 0.5, 0.2], [1, 0.5, 0, 0]])
    frames = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], float)[None]
    images = ImageSeries(frames, [0], (4, 2), coverage=coverage)
    assert np.isnan(images.frames[0]).tolist() == [[False, False, False, True], [False, False, True, True]]
    np.testing.assert_array_equal(images.crop((1, 3), (0, 1)).coverage, [[1, 0.5]])
    coarse = images.downsample(2)
    np.testing.assert_allclose(coarse.coverage, [[3.5 / 4, 0.7 / 4]])
    np.testing.assert_allclose(coarse.frames, [[[(1 + 2 + 5 + 6 * 0.5) / 3.5, np.nan]]])


@pytest.mark.parametrize("coverage", [[[0.5, 1.5]], [[0.5]], [[np.nan, 1]]])
def test_shares_that_are_refused(coverage):
    with pytest.raises(InputError, match="coverage: found .*; accepted: shares from 0 to 1 of shape"):
        ImageSeries([[[1, 2]]], [0], (2, 1), coverage=coverage)


@pytest.mark.parametrize("factor", [0, -2, 3, 4, 2.0, True])
def test_downsample_refuses(factor):
    """A factor that does not divide the images is refused."""
    message = refusal("mine", series(source="mine").downsample, factor)
    assert message == f"factor: found {factor}; accepted: a positive integer that divides 8 and 6"


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_is_estimated_from_the_frames(movie, noise):
    rng = np.random.default_rng(2)
    noisy = replace(movie, frames=movie.frames + noise * rng.standard_normal(movie.frames.shape))
    assert noisy.estimate_noise() == pytest.approx(noise, rel=0.1)
    assert movie.estimate_noise() < 0.01


def test_noise_of_too_few_pixels_cannot_be_estimated():
    frames = np.full((1, 5, 5), 0.5)
    frames[:, 2] = np.nan
    with pytest.raises(InputError, match="images: found no block of 3 x 3"):
        ImageSeries(frames, np.zeros(1), (1.0, 1.0)).estimate_noise()


@pytest.mark.parametrize(("pixels", "expected"), [(32, 0.0015), (16, 0.0232), (8, 0.343), (4, 4.0)])
def test_coarseness_tells_the_pixels_of_a_wave(pixels, expected):
    wave = 0.5 + 0.2 * np.cos(2 * np.pi * np.arange(128) / pixels)
    images = ImageSeries(np.tile(wave, (1, 128, 1)), [0.0], [1.0, 1.0])
    assert images.coarseness(0) == pytest.approx(expected, rel=0.1)


def test_coarseness_of_what_shows_no_waves():
    hidden = np.where(np.indices((6, 8)).sum(0) % 2, np.nan, 0.5)
    images = ImageSeries(np.array([np.full((6, 8), 0.5), hidden]), [0.0, 1.0], [1.0, 1.0])
    assert images.coarseness(0) == 0
    assert images.coarseness(1) == np.inf
