"""What is doubtful about images is found, and nothing where they are sound."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fe_phaseinv.data.checks import doubts_of, examine
from fe_phaseinv.data.images import ImageSeries
from fe_phaseinv.data.statistics import interface_width

DEMOS = Path(__file__).parents[2] / "demos" / "data"
RANDOM = np.random.default_rng(2)
SOUND = ImageSeries.load(DEMOS / "ch_full.npz").downsample(2)


def kinds(frames, **traits):
    """Return the kinds of what is found about the frames of spinodal decomposition, after a change."""
    return {finding.kind for finding in examine(ImageSeries(frames, SOUND.times[: len(frames)], (1, 1)), **traits)}


@pytest.mark.parametrize("name", sorted(path.stem for path in DEMOS.glob("*.npz")))
def test_sound_images(name):
    images = ImageSeries.load(DEMOS / f"{name}.npz")
    images = images.select(range(min(6, len(images.times))))
    closed = name.startswith(("ch_full", "ch_noisy", "ohta", "coupled", "pfc"))
    assert doubts_of(images, closed, name.startswith("pfc")) == []


def test_mean():
    assert kinds(SOUND.frames + np.linspace(0, 0.02, 6)[:, None, None], closed=True) == {"mean"}
    assert kinds(SOUND.frames + np.linspace(0, 0.02, 6)[:, None, None]) == set()


def test_noise_in_other_units():
    assert "noise" in {finding.kind for finding in examine(replace(SOUND, noise=25.0))}
    assert examine(replace(SOUND, noise=0.01)) == []


def test_fading():
    assert kinds(SOUND.frames * np.exp(-0.05 * np.arange(6))[:, None, None], closed=True) == {"fading"}


def test_duplicates():
    frames = SOUND.frames.copy()
    frames[3] = 0.02 + 0.9 * frames[2]
    assert kinds(frames) == {"duplicate"}


def test_grey():
    assert "saturated" in kinds(np.clip(SOUND.frames, 0.2, 0.8))
    assert "segmented" in kinds(np.where(SOUND.frames > 0.5, 1.0, 0.0))
    assert kinds(np.round(255 * SOUND.frames) / 255) == set()


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_hot_and_dead_pixels(noise):
    frames = SOUND.frames + RANDOM.normal(0, noise, SOUND.frames.shape)
    y, x = RANDOM.choice(64, (2, 12))
    hot, dead = frames.copy(), frames.copy()
    hot[:, y, x] += 0.8
    dead[:, y, x] = 0.3
    assert "hot or dead pixels" in kinds(hot)
    assert "hot or dead pixels" in kinds(dead)


def test_outliers():
    frames = SOUND.frames.copy()
    frames[RANDOM.random(frames.shape) < 0.002] += 1.5
    assert kinds(frames) == {"outliers"}


def test_white_start():
    frames = SOUND.frames.copy()
    frames[0] = 0.5 + RANDOM.normal(0, 0.05, (64, 64))
    assert kinds(frames) == {"white start"}
    assert kinds(frames + RANDOM.normal(0, 0.1, frames.shape)) == set()


def test_seam():
    assert kinds(SOUND.frames, periodic=True) == {"not periodic"}


def test_shift():
    frames = np.array([frame[:, 3 * index : 3 * index + 40] for index, frame in enumerate(SOUND.frames)])
    assert "shift" in kinds(frames)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_interface_width(noise):
    x = np.arange(64)
    picture = np.tanh((x - 32) / 4) / 2 + RANDOM.normal(0, noise, (64, 64))
    assert interface_width(picture) == pytest.approx(8, rel=0.15)
    assert np.isnan(interface_width(RANDOM.normal(0, 1, (64, 64))))
