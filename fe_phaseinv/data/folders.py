"""The order of the files of a folder, and the times that their names hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fe_phaseinv.core.errors import DataWarning

_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)")
_DATED = 3
"""Numbers in a name, from which on those of two digits are taken for parts of a date."""


def image_files(folder: Path, suffixes: Sequence[str]) -> tuple[list[Path], NDArray[np.float64] | None]:
    """Return the images of a folder in the order of the numbers in their names, and the times that these hold.

    Hidden files, which some systems leave, are passed over. Decimals, exponents and signs count. Numbers that vary,
    and do not merely count, are times.

    Parameters
    ----------
    folder : pathlib.Path
    suffixes : sequence of str
        Those of images, in lower case.

    Returns
    -------
    files : list of pathlib.Path
    times : numpy.ndarray or None, shape (file,)
    """
    hidden = ".", "~"
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in suffixes and not file.name.startswith(hidden) and file.is_file()
    ]
    parts = _signed([_NUMBER.split(file.stem.lower()) for file in files])
    keys = [[_number(part) if place % 2 else part for place, part in enumerate(name)] for name in parts]
    order = sorted(range(len(files)), key=lambda index: keys[index])
    files, parts, keys = ([items[index] for index in order] for items in (files, parts, keys))
    columns = [place for place in range(1, min(map(len, keys), default=0), 2) if len({key[place] for key in keys}) > 1]
    numbers = {place: np.array([key[place] for key in keys]) for place in columns}
    falling = [place for place, column in numbers.items() if np.any(np.diff(column) < 0)]
    if falling and not all(_of_date([name[place] for name in parts], parts[0]) for place in falling):
        shown = ", ".join(file.name for file in files[:3])
        text = f"{folder}: the numbers in the names of the files disagree on their order; it is {shown}, ..."
        warnings.warn(text, DataWarning, stacklevel=2)
    times = [column for column in numbers.values() if np.all(np.diff(column) > 0) and np.any(np.diff(column) != 1)]
    return files, times[0] if len(times) == 1 and not falling else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _of_date(texts: Sequence[str], name: Sequence[str]) -> bool:
    return len(name) // 2 >= _DATED and all(len(text) == 2 for text in texts)


def _signed(names: list[list[str]]) -> list[list[str]]:
    """Move a sign from the text before a number to the number, unless it is there to separate the two.

    It is a sign where other names have the same text without it, and after nothing or the letter or word for time.
    """
    signed = [list(name) for name in names]
    for name, signed_name in zip(names, signed, strict=True):
        for place in range(1, len(name), 2):
            before = name[place - 1]
            others = {other[place - 1] for other in names if len(other) > place}
            found = re.search(r"([a-z]*)([-+])$", before)
            if found and (before[:-1] in others or found[1] in ("t", "time") or before == name[0] == found[2]):
                signed_name[place - 1 : place + 1] = before[:-1], found[2] + name[place]
    return signed
