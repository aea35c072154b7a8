"""Values by name, as the methods of a model are given them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Named:
    """Values that are attributes, and come in their order where they are unpacked.

    Parameters
    ----------
    kind : str
        What they are, for errors.
    values : mapping of object
        By name.
    """

    def __init__(self, kind: str, values: Mapping[str, Any]):
        self._kind, self._values = kind, dict(values)

    def __getattr__(self, name: str) -> Any:
        """Return the value of a name."""
        if name.startswith("_") or name not in self._values:
            accepted = ", ".join(self._values) or "none"
            raise AttributeError(f"{self._kind}: found {name!r}; accepted: {accepted}")
        return self._values[name]

    def __iter__(self) -> Iterator[Any]:
        """Give the values."""
        return iter(self._values.values())

    def __getitem__(self, place: int) -> Any:
        """Return the value at a place."""
        return list(self._values.values())[place]

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)
