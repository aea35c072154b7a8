"""TIFF files: every kind of numbers, layout and metadata that people have."""

import numpy as np
import pytest
from tifffile import TiffWriter, imwrite

from fe_phaseinv.core.errors import DataWarning, InputError
from fe_phaseinv.data.images import ImageSeries

LEVELS = np.random.default_rng(0).integers(1, 255, (5, 6, 8)).astype(np.uint8)
SHOWN = LEVELS[:, ::-1] / 255
TIMES, EXTENT = (0.0, 0.5, 2.0, 3.0, 5.0), (2.0, 1.5)
PLACE = {"times": TIMES, "extent": EXTENT}
RAMP = np.stack([257 * np.arange(256, dtype=np.uint16)] * 3)


def load(path, *arguments, **options):
    """Write a TIFF file and read it as a series."""
    choice = options.pop("choice", PLACE)
    imwrite(path, *arguments, **options)
    return ImageSeries.load(path, **choice)


def refusal(call, /, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(tmp_path, kind):
    frames = (LEVELS / 255).astype(kind)
    frames[1, 2, 3] = np.nan
    np.testing.assert_array_equal(load(tmp_path / "a.tif", frames).frames, frames[:, ::-1])


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "byteorder": ">"},
        {"compression": "lzw"},
        {"compression": "zlib"},
        {"compression": "zstd", "predictor": True},
        {"tile": (16, 16)},
        {"bigtiff": True},
        {"metadata": None},
        {"imagej": True},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "CYX"}},
        {"metadata": {"axes": "TYX"}},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_frames_are_found_in_every_layout(tmp_path, options):
    """Whatever a program calls the axis of the pages, with times for them they are frames."""
    np.testing.assert_allclose(load(tmp_path / "a.tif", LEVELS, **options).frames, SHOWN, rtol=1e-12)


def test_pages_under_one_directory(tmp_path):
    options = {"photometric": "minisblack", "metadata": {"axes": "TYX"}, "contiguous": True}
    with TiffWriter(tmp_path / "a.tif") as file:
        file.write(LEVELS.astype(np.uint16) * 257, truncate=True, **options)
    np.testing.assert_allclose(ImageSeries.load(tmp_path / "a.tif", **PLACE).frames, SHOWN, rtol=1e-12)


def test_frames_that_were_written_one_by_one(tmp_path):
    with TiffWriter(tmp_path / "a.tif") as file:
        for page in LEVELS:
            file.write(page, contiguous=False)
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.tif", **PLACE).frames, SHOWN)


def test_a_lossy_compression(tmp_path):
    smooth = np.broadcast_to(np.linspace(20, 230, 64), (5, 48, 64)).astype(np.uint8)
    assert np.abs(load(tmp_path / "a.tif", smooth, compression="jpeg").frames - smooth / 255).max() < 0.02
    colours = np.stack([smooth] * 3, axis=-1)
    read = load(tmp_path / "b.tif", colours, photometric="rgb", compression="jpeg").frames
    assert np.abs(read - smooth / 255).max() < 0.03


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_numbers_are_not_turned_where_white_is_first(tmp_path, kind):
    """What is stored counts, as in ImageJ, whatever the number of bits, and this is said."""
    frames = {np.uint8: LEVELS, np.uint16: LEVELS * np.uint16(257), np.float32: np.float32(LEVELS / 255)}[kind]
    with pytest.warns(DataWarning, match="a.tif says that its smallest number is white; its numbers are taken as"):
        images = load(tmp_path / "a.tif", frames, photometric="miniswhite")
    np.testing.assert_allclose(images.frames, SHOWN, rtol=1e-7)
    with pytest.warns(DataWarning, match=r"\(grey = \[(255|65535|1), 0\] turns them\)") as caught:
        ImageSeries.load(tmp_path / "a.tif", **PLACE)
    white = float(str(caught[0].message).partition("[")[2].partition(",")[0])
    with pytest.warns(DataWarning):
        turned = ImageSeries.load(tmp_path / "a.tif", **PLACE, grey=[white, 0])
    np.testing.assert_allclose(turned.frames, 1 - SHOWN, rtol=1e-6)


def test_grey_palettes_and_colours(tmp_path):
    grey = load(tmp_path / "a.tif", 255 - LEVELS, photometric="palette", colormap=RAMP[:, ::-1])
    np.testing.assert_array_equal(grey.frames, SHOWN)
    for planar in ("contig", "separate"):
        colours = np.stack([LEVELS] * 3, axis=-1 if planar == "contig" else 1)
        read = load(tmp_path / "b.tif", colours, photometric="rgb", planarconfig=planar)
        np.testing.assert_array_equal(read.frames, SHOWN)
    opaque = np.full_like(LEVELS, 255)
    opaque[:, 2, 3] = 0
    read = load(tmp_path / "c.tif", np.stack([LEVELS, LEVELS, LEVELS, opaque], axis=-1), photometric="rgb")
    np.testing.assert_array_equal(read.frames, np.where(opaque[:, ::-1], SHOWN, np.nan))


def test_colours_that_differ_need_a_choice(tmp_path):
    colours = np.stack([LEVELS, LEVELS // 2, LEVELS], axis=-1)
    found = refusal(load, tmp_path / "a.tif", colours, photometric="rgb")
    assert "images: found 3 colours that differ; accepted: a grey picture, channel = 0 (red), 1 (green) or 2" in found
    green = ImageSeries.load(tmp_path / "a.tif", **PLACE, channel=1)
    np.testing.assert_allclose(green.frames, (LEVELS // 2)[:, ::-1] / 255)
    found = refusal(ImageSeries.load, tmp_path / "a.tif", **PLACE, channel=3)
    assert found.endswith("channel: found 3; accepted: 0 to 2")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_three_frames_that_were_stored_as_colours(tmp_path):
    """What a library makes of three frames is said, with the letters that undo it."""
    place = {"times": TIMES[:3], "extent": EXTENT}
    found = refusal(load, tmp_path / "a.tif", LEVELS[:3], choice=place, photometric="rgb", planarconfig="separate")
    assert 'axes = "tyx" if these are frames' in found
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.tif", **place, axes="tyx").frames, SHOWN[:3])


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32, np.int64])
def test_integers_without_a_white_need_grey(tmp_path, kind):
    values = (LEVELS // (2 if kind is np.int8 else 1)).astype(kind)
    found = refusal(load, tmp_path / "a.tif", values)
    assert f"images: found integers ({np.dtype(kind)}) from 0 to " in found.replace(" from 1 to", " from 0 to")
    assert "accepted: grey = [value of 0, value of 1], pairs" in found
    read = ImageSeries.load(tmp_path / "a.tif", **PLACE, grey=[0, 255])
    np.testing.assert_allclose(read.frames, values[:, ::-1] / 255)


@pytest.mark.parametrize(("high", "bits"), [(255, 8), (1000, 10), (4000, 12), (16000, 14)])
def test_sixteen_bits_that_are_fewer(tmp_path, high, bits):
    values = (LEVELS.astype(int) * high // LEVELS.max()).astype(np.uint16)
    found = refusal(load, tmp_path / "a.tif", values)
    assert f"images: found integers of 16 bits that reach {high}, as those of a camera of {bits} bits" in found
    assert f"accepted: grey = [0, {2**bits - 1}], or [0, 65535] if 16 bits are meant" in found
    read = ImageSeries.load(tmp_path / "a.tif", **PLACE, grey=[0, 2**bits - 1])
    np.testing.assert_allclose(read.frames, values[:, ::-1] / (2**bits - 1))


def test_bits_that_the_file_tells(tmp_path):
    values = LEVELS.astype(np.uint16) * 16
    metadata = {"axes": "TYX", "SignificantBits": 12}
    read = load(tmp_path / "a.ome.tif", values, ome=True, metadata=metadata)
    np.testing.assert_allclose(read.frames, values[:, ::-1] / 4095)
    packed = load(tmp_path / "b.tif", LEVELS[0] > 100, choice={"extent": EXTENT}, photometric="minisblack")
    np.testing.assert_array_equal(packed.frames[0], LEVELS[0, ::-1] > 100)


def test_metadata_of_imagej(tmp_path):
    metadata = {"axes": "TYX", "finterval": 2.5, "unit": "micron", "tunit": "min"}
    images = load(tmp_path / "a.tif", LEVELS, imagej=True, metadata=metadata, resolution=(4, 2), choice={})
    assert (images.extent, images.unit, images.time_unit) == ((2.0, 3.0), "um", "min")
    np.testing.assert_array_equal(images.times, 2.5 * np.arange(5))
    hours = ImageSeries.load(tmp_path / "a.tif", time_unit="h", unit="mm")
    np.testing.assert_allclose(hours.times, 2.5 / 60 * np.arange(5))
    np.testing.assert_allclose(hours.extent, (2e-3, 3e-3))
    found = refusal(ImageSeries.load, tmp_path / "a.tif", unit="pounds")
    assert "unit: found pounds; accepted: a unit into which um can be converted" in found


def test_how_fast_a_movie_is_shown_is_no_time(tmp_path):
    found = refusal(load, tmp_path / "a.tif", LEVELS, imagej=True, metadata={"axes": "TYX", "fps": 7.0}, choice={})
    assert "times and extent: found nothing in its metadata; accepted: times or time_step and extent or pixel" in found


def test_frames_that_imagej_calls_slices(tmp_path):
    """With a time between them they are frames; with a distance and no time they are a stack."""
    metadata = {"axes": "ZYX", "unit": "\\u00B5m"}
    timed = load(tmp_path / "a.tif", LEVELS, imagej=True, metadata=metadata, resolution=(4, 4), choice={"time_step": 1})
    assert (timed.frames.shape, timed.dimension, timed.unit) == ((5, 6, 8), 2, "um")
    metadata |= {"spacing": 0.5}
    stack = load(tmp_path / "b.tif", LEVELS, imagej=True, metadata=metadata, resolution=(4, 4), choice={})
    assert (stack.frames.shape, stack.extent) == ((1, 5, 6, 8), (2.0, 1.5, 2.5))
    timed = ImageSeries.load(tmp_path / "b.tif", times=TIMES)
    assert (timed.frames.shape, timed.extent) == ((5, 6, 8), (2.0, 1.5))


def test_numbers_that_imagej_calibrates(tmp_path):
    metadata = {"axes": "TYX", "cf": 0, "c0": -0.5, "c1": 0.25, "vunit": "mol"}
    read = load(tmp_path / "a.tif", LEVELS.astype(np.uint16), imagej=True, metadata=metadata)
    np.testing.assert_allclose(read.frames, 0.25 * LEVELS[:, ::-1] - 0.5)


def test_metadata_of_ome(tmp_path):
    metadata = {"axes": "TCYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    metadata |= {"TimeIncrement": 3.0, "TimeIncrementUnit": "min"}
    both = np.stack([LEVELS, LEVELS // 2], axis=1)
    images = load(tmp_path / "a.ome.tif", both, ome=True, metadata=metadata, choice={})
    assert (images.channels, images.extent, images.unit, images.time_unit) == (2, (2.0, 3.0), "um", "min")
    np.testing.assert_array_equal(images.times, 3.0 * np.arange(5))
    second = ImageSeries.load(tmp_path / "a.ome.tif", channel=1)
    np.testing.assert_allclose(second.frames, (LEVELS // 2)[:, ::-1] / 255)
    metadata["Plane"] = {"DeltaT": [time + late for time in TIMES for late in (0, 0.1)], "DeltaTUnit": ["s"] * 10}
    timed = load(tmp_path / "b.ome.tif", both, ome=True, metadata=metadata, choice={"channel": 1})
    np.testing.assert_allclose(timed.times, np.add(TIMES, 0.1))
    assert timed.time_unit == "s"
    metadata["PhysicalSizeYUnit"] = "nm"
    found = refusal(load, tmp_path / "c.ome.tif", both, ome=True, metadata=metadata)
    assert "unit: found pixels in nm and um; accepted: a single unit of length" in found


def test_what_goes_before_what(tmp_path):
    """What is given goes before the sidecar, and this before the metadata; a size without a unit gets none."""
    metadata = {"axes": "TYX", "finterval": 2.5, "unit": "um"}
    load(tmp_path / "a.tif", LEVELS, imagej=True, metadata=metadata, resolution=(4, 4), choice={})
    (tmp_path / "a.toml").write_text('time_step = 7.0\nextent = [3, 2]\ntime_unit = "h"')
    images = ImageSeries.load(tmp_path / "a.tif")
    assert (images.times[1], images.time_unit, images.extent, images.unit) == (7.0, "h", (3.0, 2.0), "")
    images = ImageSeries.load(tmp_path / "a.tif", times=TIMES, pixel_size=0.5, unit="mm")
    assert (tuple(images.times), images.time_unit) == (TIMES, "")
    assert (images.extent, images.unit) == ((4.0, 3.0), "mm")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_several_series_need_a_choice(tmp_path):
    with TiffWriter(tmp_path / "a.tif") as file:
        file.write(LEVELS, photometric="minisblack")
        file.write(LEVELS[:, :4], photometric="minisblack")
    found = refusal(ImageSeries.load, tmp_path / "a.tif", **PLACE)
    assert 'found 2 series; accepted: one of them as key: "0" ( 5 x 6 x 8), "1" ( 5 x 4 x 8)' in found
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.tif", key="1", **PLACE).frames, LEVELS[:, 3::-1] / 255)
    assert 'key: found 2; accepted: "0"' in refusal(ImageSeries.load, tmp_path / "a.tif", key="2", **PLACE)


def test_a_pyramid_is_read_at_its_finest(tmp_path):
    with TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(LEVELS, subifds=1, metadata={"axes": "TYX"}, photometric="minisblack")
        file.write(LEVELS[:, ::2, ::2], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(ImageSeries.load(tmp_path / "a.ome.tif", **PLACE).frames, SHOWN)


def test_pages_that_are_missing_are_not_passed_over(tmp_path):
    """A chain of pages that breaks off is an error, although the library only logs it."""
    path = tmp_path / "a.tif"
    with TiffWriter(path) as file:
        for page in LEVELS:
            file.write(page, contiguous=False, metadata=None)
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 60):
        path.write_bytes(whole[:size])
        assert "file: found unreadable content (" in refusal(ImageSeries.load, path, **PLACE)


def test_letters_that_do_not_fit(tmp_path):
    imwrite(tmp_path / "a.tif", LEVELS, photometric="minisblack")
    for axes in ("yx", "tyxz", "tyy", "txs", "tczyx"):
        found = refusal(ImageSeries.load, tmp_path / "a.tif", axes=axes, **PLACE)
        assert f"axes: found {axes}; accepted: one of t, c, z, y and x for each axis of the shape (5, 6, 8)" in found
    turned = ImageSeries.load(tmp_path / "a.tif", axes="TXY", **PLACE)
    np.testing.assert_array_equal(turned.frames, (LEVELS[:, ::-1] / 255).transpose(0, 2, 1))
