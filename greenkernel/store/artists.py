"""What matplotlib's objects lose when they are pickled, or cannot be pickled for.

Figures, axes and lines lose whom they tell that they have changed; triangulations have laid out something in C++, which
they make again. Nothing here imports matplotlib by itself.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

# Made anew from the triangles when they are needed; nothing can be laid out from the neighbours that were found before.
_LAID_OUT = ("_cpp_triangulation", "_trifinder", "_neighbors")


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild a triangulation, or an artist that tells another one of its changes; None for everything else."""
    if kind.__module__ == "matplotlib.tri._triangulation" and hasattr(value, "_cpp_triangulation"):
        return object.__new__, (kind,), {**vars(value), **dict.fromkeys(_LAID_OUT)}
    if kind.__module__ == "matplotlib.tri._trifinder" and hasattr(value, "_cpp_trifinder"):
        return kind, (value._triangulation,)
    module = sys.modules.get("matplotlib.artist")
    if module is None or not isinstance(value, module.Artist):
        return None
    told = value.stale_callback
    if not isinstance(told, types.FunctionType) or not told.__module__.startswith("matplotlib."):
        return None
    make, args, state, *rest = value.__reduce_ex__(5)
    return (make, args, (state, told), *(*rest, None, None)[:2], _put)


def _put(artist: Any, state: tuple[Mapping[str, Any], Callable[..., None]]) -> None:
    if hasattr(artist, "__setstate__"):
        artist.__setstate__(state[0])
    else:
        vars(artist).update(state[0])
    artist.stale_callback = state[1]  # last: whom it tells may not be whole yet
