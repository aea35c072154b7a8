"""Figures of each frame: what images show before anything is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe_phaseinv.data.filters import undetermined
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.pixel_faults import faulty
from fe_phaseinv.data.registration import measure_shifts
from fe_phaseinv.data.statistics import interface_width, noise_deviations, wavelength


@dataclass(frozen=True, eq=False)
class Survey:
    """Figures of each frame of the first channel; NaN where a frame does not tell.

    Parameters
    ----------
    low, mean, high, contrast : numpy.ndarray, shape (time,)
        Smallest, mean and largest pixel, and standard deviation.
    noise : numpy.ndarray, shape (time,)
        Standard deviation of the noise of a pixel, estimated; that of clean images is small, not zero.
    wavelength : numpy.ndarray, shape (time,)
        Dominant wavelength, in the unit of length.
    interface : numpy.ndarray, shape (time,)
        Width of interfaces, in pixels.
    known : numpy.ndarray, shape (time,)
        Share of the pixels that have data.
    offsets : numpy.ndarray, shape (time, dimension)
        Where the content of the first frame is, in pixels along x, y and z; zero where no shift is believed.
    faulty : numpy.ndarray of bool
        Pixels of a picture that are hot or dead.
    """

    low: np.ndarray
    mean: np.ndarray
    high: np.ndarray
    contrast: np.ndarray
    noise: np.ndarray
    wavelength: np.ndarray
    interface: np.ndarray
    known: np.ndarray
    offsets: np.ndarray
    faulty: np.ndarray


@undetermined()
def survey(images: ImageSeries) -> Survey:
    """Measure each frame.

    Parameters
    ----------
    images : ImageSeries
    """
    frames = images.only(0).frames
    noise = noise_deviations(frames)
    each = {
        "low": np.nanmin,
        "mean": np.nanmean,
        "high": np.nanmax,
        "contrast": np.nanstd,
        "wavelength": lambda frame: wavelength(frame, images.pixel),
        "interface": interface_width,
        "known": lambda frame: np.isfinite(frame).mean(),
    }
    return Survey(
        **{name: np.array([measure(frame) for frame in frames]) for name, measure in each.items()},
        noise=noise,
        offsets=measure_shifts(frames).offsets(0),
        faulty=faulty(frames, images.noise or float(np.nan_to_num(np.nanmedian(noise)))),
    )
