"""How much of what a cell holds are arrays: they are written as they lie in memory, all else is built up anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenkernel.store.attributes import attribute_of

_DEEPEST = 4
# So many parts of one container are looked at; the rest is taken to be like them.
_MOST = 500


def array_bytes(value: Any, depth: int = 0) -> int:
    """Bytes of arrays, tensors and frames in containers and instances, roughly."""
    size = attribute_of(value, "nbytes")
    if isinstance(size, int):
        return size
    if depth == _DEEPEST:
        return 0
    if isinstance(value, Mapping):
        return _of_parts(list(value.values()), depth)
    if isinstance(value, list | tuple | set):
        return _of_parts(list(value), depth)
    manager = attribute_of(value, "_mgr")  # of a frame of pandas
    if (arrays := attribute_of(manager, "arrays")) is not None:
        return _of_parts(list(arrays), depth)
    attributes = attribute_of(value, "__dict__")
    return _of_parts(list(attributes.values()), depth) if isinstance(attributes, dict) else 0


def _of_parts(parts: Iterable[Any], depth: int) -> int:
    found = list(parts)
    if len(found) <= _MOST:
        return sum(array_bytes(one, depth + 1) for one in found)
    step = len(found) / _MOST
    return int(step * sum(array_bytes(found[int(n * step)], depth + 1) for n in range(_MOST)))
