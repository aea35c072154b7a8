"""Files that name their axes: netCDF and zarr, of xarray and of microscopes."""

import numpy as np
import pytest
import xarray
import zarr

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data import labelled_files
from fe_phaseinv.data.images import ImageSeries

FRAMES = np.random.default_rng(0).random((3, 6, 8))
X, Y = 1 + 0.25 * np.arange(8), 0.5 * np.arange(6)
WRITERS = {
    "a.nc": lambda data, path: data.to_netcdf(path, engine="h5netcdf"),
    "b.nc": lambda data, path: data.to_netcdf(path, engine="scipy"),
    "c.zarr": lambda data, path: data.to_zarr(path, zarr_format=3, consolidated=False),
    "d": lambda data, path: data.to_zarr(path, zarr_format=2, consolidated=True),
}
every = pytest.mark.parametrize("name", WRITERS)


def labelled(times, **others):
    coordinates = {"time": times, "y": ("y", Y, {"units": "micrometers"}), "x": ("x", X, {"units": "um"})}
    return xarray.Dataset({"u": (("time", "y", "x"), FRAMES)}, coordinates | others)


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        ImageSeries.load(path, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(f"{path}: ")


@every
def test_coordinates_tell_when_and_where(tmp_path, name):
    times = ("time", [0.0, 0.5, 2.0], {"units": "hours"})
    data = labelled(times).transpose("y", "time", "x").isel(y=slice(None, None, -1))
    data["other"] = ("x", X)
    WRITERS[name](data, tmp_path / name)
    images = ImageSeries.load(tmp_path / name)
    np.testing.assert_array_equal(images.frames, FRAMES)
    np.testing.assert_array_equal(images.times, [0, 0.5, 2])
    np.testing.assert_allclose((images.extent, images.origin), ((2, 3), (0.875, -0.25)))
    assert (images.unit, images.time_unit) == ("um", "h")
    again = ImageSeries.load(tmp_path / name, key="u", unit="nm", times=[1, 2, 3])
    np.testing.assert_allclose(again.extent, (2000, 3000))
    assert (again.time_unit, again.times[0]) == ("", 1)


@every
def test_dates_become_seconds(tmp_path, name):
    dates = np.array(["2026-01-01", "2026-01-02", "2026-01-04"], "datetime64[ns]")
    WRITERS[name](labelled(dates), tmp_path / name)
    images = ImageSeries.load(tmp_path / name)
    np.testing.assert_array_equal(images.times, np.array([0, 1, 3]) * 86400)
    assert images.time_unit == "s"


def test_an_array_alone_and_what_has_no_coordinates(tmp_path):
    array = xarray.DataArray(np.where(FRAMES > 0.9, np.nan, FRAMES), dims=("t", "Y", "X"), attrs={"pixel_size": 0.5})
    array.to_netcdf(tmp_path / "a.nc")
    images = ImageSeries.load(tmp_path / "a.nc", time_step=2)
    np.testing.assert_array_equal(images.frames, array.values)
    assert images.extent == (4, 3)
    assert refusal(tmp_path / "a.nc").startswith("times: found only ")
    assert refusal(tmp_path / "a.nc", key="v").startswith("key: found v; accepted: one of the variables ")


def test_pixels_that_are_not_alike(tmp_path):
    labelled([0, 1, 2], x=("x", X**2)).to_netcdf(tmp_path / "a.nc")
    assert refusal(tmp_path / "a.nc").startswith("x: found distances from 0.5625 to 1.3125; accepted: equal distances")
    labelled([0, 1, 2], x=("x", X, {"units": "nm"})).to_netcdf(tmp_path / "b.nc")
    assert refusal(tmp_path / "b.nc") == "units: found nm, um; accepted: a single unit of length"


def test_an_extra_that_is_not_installed(tmp_path, monkeypatch):
    labelled([0, 1, 2]).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    monkeypatch.setattr(labelled_files, "find_spec", lambda name: None)
    assert refusal(tmp_path / "a.nc") == (
        "file: found no xarray and no h5netcdf to read it with; "
        'accepted: what pip install "fe_phaseinv[xarray]" installs'
    )


def test_arrays_that_have_only_names(tmp_path):
    store = zarr.open_group(tmp_path / "a.zarr", mode="w")
    store.create_array("run/u", data=FRAMES.transpose(1, 2, 0))
    store["run"].attrs.update(time_step=0.5, extent=[2, 1.5], unit="nanometer")
    images = ImageSeries.load(tmp_path / "a.zarr", key="run/u", axes="yxt")
    np.testing.assert_array_equal(images.frames, FRAMES)
    assert (images.times[1], images.extent, images.unit) == (0.5, (2, 1.5), "nm")
    zarr.save_array(tmp_path / "b.zarr", FRAMES)
    images = ImageSeries.load(tmp_path / "b.zarr", times=[0, 1, 2], extent=[1, 1])
    np.testing.assert_array_equal(images.frames, FRAMES)


@pytest.mark.parametrize("version", [2, 3])
def test_pyramids_of_microscopes(tmp_path, version):
    """OME-Zarr names the axes, the scale of the finest level and the units; the first row is the top."""
    levels = (255 * FRAMES).astype(np.uint8)[:, None]
    axes = [{"name": name} for name in "tcyx"]
    axes[0]["unit"], axes[2]["unit"], axes[3]["unit"] = "minute", "micrometer", "micrometer"
    scale = [{"type": "scale", "scale": [5, 1, 0.5, 0.25]}]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}, {"path": "1"}]}]
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    store.attrs.update({"multiscales": scales} if version == 2 else {"ome": {"multiscales": scales}})
    store.create_array("0", data=levels)
    store.create_array("1", data=levels[..., ::2, ::2])
    images = ImageSeries.load(tmp_path / "a.zarr")
    np.testing.assert_array_equal(images.frames, levels[:, 0, ::-1] / 255)
    assert (images.extent, images.unit, images.time_unit) == ((2, 3), "um", "min")
    np.testing.assert_array_equal(images.times, [0, 5, 10])
