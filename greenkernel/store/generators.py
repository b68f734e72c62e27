"""The global random generators, which travel as what they are: their state comes and goes by itself.

``from random import randint`` and ``numpy.random.rand`` are their methods; a copy would draw beside the original.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_PLACES = (("random", "_inst"), ("numpy.random.mtrand", "_rand"))
_KINDS = frozenset({"Random", "RandomState"})


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to find a global generator; None for everything else."""
    if kind.__name__ not in _KINDS:
        return None
    place = next((one for one in _PLACES if getattr(sys.modules.get(one[0]), one[1], None) is value), None)
    return (_found, place) if place is not None else None


def _found(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)
