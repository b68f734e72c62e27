"""What matplotlib's objects lose when they are pickled, or cannot be pickled for.

Figures, axes and lines lose whom they tell that they have changed; triangulations have laid out something in C++, which
they make again. Nothing here imports matplotlib by itself.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_INLINE = "matplotlib_inline.backend_inline"
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
    tells = isinstance(told, types.FunctionType) and told.__module__.startswith("matplotlib.")
    if not tells and not (told is None and isinstance(value, sys.modules["matplotlib.figure"].Figure)):
        return None
    make, args, state, *rest = value.__reduce_ex__(5)
    return (make, args, (state, told), *(*rest, None, None)[:2], _put)


def _put(artist: Any, state: tuple[Mapping[str, Any], Callable[..., None] | None]) -> None:
    with _not_drawn():
        if hasattr(artist, "__setstate__"):
            artist.__setstate__(state[0])
        else:
            vars(artist).update(state[0])
    artist.stale_callback = state[1]  # last: whom it tells may not be whole yet


@contextlib.contextmanager
def _not_drawn() -> Iterator[None]:
    """Pyplot takes a figure that is read for a new one, to be shown at the end of the cell."""
    show = getattr(sys.modules.get(_INLINE), "show", None)
    before = (list(show._to_draw), show._draw_called) if show is not None else ([], False)
    try:
        yield
    finally:
        show = getattr(sys.modules.get(_INLINE), "show", None)  # reading may have loaded it
        if show is not None:
            show._to_draw, show._draw_called = before
