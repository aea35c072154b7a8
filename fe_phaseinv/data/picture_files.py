"""Single pictures, and colours that are grey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.data.contents import Content
from fe_phaseinv.data.place import Place

ALIKE = 2 / 255
"""How far, relative to white, equal colours may differ after a lossy compression."""
CHOICE = "a grey picture, channel = 0 (red), 1 (green) or 2 (blue)"


def read_png(path: Path) -> Content:
    """Read a picture, bottom row first.

    Parameters
    ----------
    path : pathlib.Path
    """
    from imagecodecs import png_decode

    values, source = png_decode(path.read_bytes()), str(path)
    transparent = values.shape[2:] in ((2,), (4,))
    axes, place = "yxs"[: values.ndim], Place(source=source)
    return upright(Content(source=source, values=values, axes=axes, place=place, picture=True, transparent=transparent))


def upright(content: Content) -> Content:
    """Return a picture, the first row of which is the top, with rows that begin at the bottom.

    Parameters
    ----------
    content : Content
    """
    return replace(content, values=np.flip(content.values, axis=content.axes.index("y")))


def one_sample(content: Content, channel: int | None) -> tuple[Content, int | None]:
    """Return a picture without an axis of samples, and the channel if it is still to be chosen.

    Parameters
    ----------
    content : Content
    channel : int, optional
        The colour to take; they must be equal where not given.

    Raises
    ------
    InputError
        If the colours differ and none is chosen.
    """
    if "s" not in content.axes:
        return content, channel
    samples = np.moveaxis(content.values, content.axes.index("s"), -1)
    content = replace(content, axes=content.axes.replace("s", ""))
    if content.transparent:
        half = 0.5 * (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0)
        content = replace(content, opaque=samples[..., -1] >= half)
        samples = samples[..., :-1]
    if samples.shape[-1] == 1:
        return replace(content, values=samples[..., 0]), channel
    if channel is None:
        white = np.iinfo(samples.dtype).max if samples.dtype.kind in "iu" else np.nanmax(np.abs(samples))
        if not np.nanmax(np.ptp(samples.astype(float), axis=-1)) <= ALIKE * white:
            frames = (
                ', or axes = "tyx" if these are frames' if samples.shape[-1] in (3, 4) and content.axes == "yx" else ""
            )
            raise InputError(content.source, "images", f"{samples.shape[-1]} colours that differ", CHOICE + frames)
    elif channel not in range(samples.shape[-1]):
        raise InputError(content.source, "channel", channel, f"0 to {samples.shape[-1] - 1}")
    return replace(content, values=samples[..., channel or 0]), None
