"""Functions that numba compiles: their Python is the notebook's, and reads the notebook's names.

numba pickles it by itself, with names of its own. Nothing here imports numba.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to compile one of these anew; None for everything else."""
    if not kind.__module__.startswith("numba.") or not isinstance(getattr(value, "py_func", None), types.FunctionType):
        return None
    if value.py_func.__module__ != "__main__" or not hasattr(value, "_reduce_states"):
        return None
    states = value._reduce_states()
    # It is compiled again for the types that it meets, unless it takes none but those that were said beforehand.
    signatures = [] if states.get("can_compile", True) else states.get("sigs", [])
    return _compiled, (kind, {**states, "sigs": signatures} if "sigs" in states else states)


def _compiled(kind: Any, states: Mapping[str, Any]) -> Any:
    return kind._rebuild(**states)
