"""Figures that pyplot holds in the middle of a cell: their numbers, the present one last, and which are to be shown."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_PYLAB = "matplotlib._pylab_helpers"
_INLINE = "matplotlib_inline.backend_inline"


def take() -> dict[str, Any]:
    """What pyplot and the inline backend hold."""
    pylab, inline = sys.modules.get(_PYLAB), sys.modules.get(_INLINE)
    managers = list(pylab.Gcf.figs.values()) if pylab is not None else []
    return {
        "figures": [(manager.num, manager.canvas.figure) for manager in managers],
        "shown": list(inline.show._to_draw) if inline is not None else [],
        "drawn": bool(inline.show._draw_called) if inline is not None else False,
    }


def put(taken: dict[str, Any]) -> None:
    """Reading a figure of pyplot has given it back to pyplot, under a new number and behind the others."""
    if not taken["figures"] and not taken["drawn"]:
        return
    gcf = importlib.import_module(_PYLAB).Gcf
    managers = {id(manager.canvas.figure): manager for manager in gcf.figs.values()}
    gcf.figs.clear()
    for number, figure in taken["figures"]:
        manager = managers.get(id(figure))
        if manager is not None:
            manager.num = figure.number = number
            gcf.figs[number] = manager
    show = importlib.import_module(_INLINE).show
    show._to_draw, show._draw_called = list(taken["shown"]), taken["drawn"]
