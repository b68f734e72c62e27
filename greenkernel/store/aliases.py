"""Functions and classes that a library keeps under another name than they carry: wrappers, made-up classes.

A copy by value would be a second one: ``isinstance`` and ``is`` would say no, and its parts might not be picklable.
"""

from __future__ import annotations

import sys
from typing import Any

from greenkernel.store.imports import imported

# Where the values of a library's modules are: by top package, with the count of modules that it was made of.
_places: dict[str, tuple[int, dict[int, tuple[str, str]]]] = {}


def reduced(value: Any) -> tuple[Any, ...] | None:
    """How to find one of these; None for everything else, and for what is found by the name that it carries."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module == "__main__" or module not in sys.modules:
        return None
    own = value.__qualname__
    if value is _at(module, own):
        return None
    place = _places_of(module.partition(".")[0]).get(id(value))
    return (_found, (*place, module, own)) if place is not None and _at(*place) is value else None


def _found(module: str, name: str, own_module: str, own_name: str) -> Any:
    """Under the name that it carries where the other one is nothing of the library's: a patch that put it aside."""
    imported(module)
    value = _at(module, name)
    if value is None:
        imported(own_module)
        value = _at(own_module, own_name)
    if value is None:
        raise AttributeError(f"{module} has no {name}")
    return value


def _places_of(top: str) -> dict[int, tuple[str, str]]:
    count = len(sys.modules)
    known = _places.get(top)
    if known is not None and known[0] == count:
        return known[1]
    places: dict[int, tuple[str, str]] = {}
    for name, module in sorted(sys.modules.items()):
        if name == top or name.startswith(f"{top}."):
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                places.setdefault(id(value), (name, attribute))
    _places[top] = count, places
    return places


def _at(module: str, name: str) -> object:
    value: object = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value
