"""Which objects hold which: whether a name's value holds something that a pending run may change."""

from __future__ import annotations

import gc
import sys
import types
from collections import deque
from collections.abc import Iterable

# A larger object graph is not searched: it then counts as holding everything.
_MOST = 50_000
_PLAIN = (int, float, complex, bool, str, bytes, type(None), type(...), range)
_NOT_FOLLOWED = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type, types.CodeType)


def reached(values: Iterable[object]) -> set[int] | None:
    """``id`` of every changeable object inside some values; None where there are too many to search."""
    seen: set[int] = set()
    queue = deque(values)
    numpy = sys.modules.get("numpy")
    while queue:
        value = queue.popleft()
        if isinstance(value, (*_PLAIN, *_NOT_FOLLOWED)) or id(value) in seen:
            continue
        seen.add(id(value))
        if len(seen) > _MOST:
            return None
        if numpy is not None and isinstance(value, numpy.ndarray) and value.base is not None:
            queue.append(value.base)  # views of one array share its memory
        queue.extend(gc.get_referents(value))
    return seen
