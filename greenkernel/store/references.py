"""Objects that are remembered without being kept alive, as far as their type allows it."""

from __future__ import annotations

import weakref
from collections.abc import Callable

GONE = object()
"""What stands for an object that nobody holds any more."""


def reference(value: object) -> Callable[[], object]:
    """Gives the object, or `GONE`; what cannot be referred to weakly is kept alive."""
    try:
        weak = weakref.ref(value)
    except TypeError:
        return lambda: value
    return lambda: GONE if (found := weak()) is None else found
