"""Objects that a process has one of travel as what they are there: what is in them comes and goes as a setting.

``from random import randint`` and ``numpy.random.rand`` are methods of the global generators: a copy would draw beside
the original. A copy of ``os.environ`` would take every secret along, and setting something in it would do nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_PLACES = (
    ("random", "_inst"),
    ("numpy.random.mtrand", "_rand"),
    ("os", "environ"),
    ("matplotlib", "rcParams"),
)
_KINDS = frozenset({"Random", "RandomState", "_Environ", "RcParams"})


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to find one of these; None for everything else."""
    if kind.__name__ not in _KINDS:
        return None
    place = next((one for one in _PLACES if getattr(sys.modules.get(one[0]), one[1], None) is value), None)
    return (_found, place) if place is not None else None


def _found(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)
