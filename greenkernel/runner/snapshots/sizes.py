"""How much of what a cell holds are arrays: they are written as they lie in memory, all else is built up anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

from greenkernel.store.attributes import attribute_of

_DEEPEST = 4
# So many parts of one container are looked at; the rest is taken to be like them.
_MOST = 500
_NOT_LOOKED_INTO = (ModuleType, FunctionType, type, str, int, float)


def array_bytes(value: Any) -> int:
    """Bytes of arrays, tensors and frames in containers and instances, roughly; what is there twice counts once."""
    return _bytes(value, 0, set())


def _bytes(value: Any, depth: int, seen: set[int]) -> int:
    if id(value) in seen or isinstance(value, _NOT_LOOKED_INTO):
        return 0
    seen.add(id(value))
    size = attribute_of(value, "nbytes")
    if isinstance(size, int):
        return size
    if depth == _DEEPEST:
        return 0
    if isinstance(value, Mapping):
        return _of_parts(list(value.values()), depth, seen)
    if isinstance(value, list | tuple | set):
        return _of_parts(list(value), depth, seen)
    manager = attribute_of(value, "_mgr")  # of a frame of pandas
    if (arrays := attribute_of(manager, "arrays")) is not None:
        return _of_parts(list(arrays), depth, seen)
    attributes = attribute_of(value, "__dict__")
    return _of_parts(list(attributes.values()), depth, seen) if isinstance(attributes, dict) else 0


def _of_parts(parts: Iterable[Any], depth: int, seen: set[int]) -> int:
    found = list(parts)
    if len(found) <= _MOST:
        return sum(_bytes(one, depth + 1, seen) for one in found)
    step = len(found) / _MOST
    return int(step * sum(_bytes(found[int(n * step)], depth + 1, seen) for n in range(_MOST)))
