"""Frames of pandas that copy on write: memory that several of them share must come out as memory of each one's own.

Pandas remembers in weak references, which cannot travel, who else looks at a block's memory. A reader's frames would
share it and not know: writing to one would change the others. Nothing here imports pandas by itself.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

# Arrays that are the memory of one block here, by ``id``.
_of_blocks: dict[int, weakref.ref[Any]] = {}


def is_block(value: object) -> bool:
    """True for the memory of a frame that copies on write, with its place in the frame."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not type(value).__module__.startswith("pandas.core.internals"):
        return False
    return hasattr(value, "mgr_locs") and _copies_on_write(pandas)


def parted(block: Any) -> tuple[Any, tuple[Any, ...]]:
    """How to rebuild a block, from values that are no other object's."""
    make, (values, *rest) = block.__reduce__()
    own = _marked(values.view()) if isinstance(values, sys.modules["numpy"].ndarray) else values.copy()
    return make, (own, *rest)


def is_manager(value: object) -> bool:
    """True for what holds the blocks of a frame that copies on write."""
    pandas = sys.modules.get("pandas")
    if pandas is None or type(value).__module__ != "pandas.core.internals.managers":
        return False
    return hasattr(value, "blocks") and _copies_on_write(pandas)


def managed(manager: Any) -> tuple[Any, tuple[Any, ...]] | None:
    """How to rebuild what holds the one block of a series, which would write that block's memory without the block."""
    return (type(manager), (manager.blocks[0], manager.axes[0])) if len(manager.axes) == 1 else None


def is_of_block(array: Any) -> bool:
    """True for memory that was written or read as one block's own: who writes to it may write to other frames, too.

    A change of such a frame comes back as new memory, as pandas itself makes it.
    """
    mark = _of_blocks.get(id(array))
    return mark is not None and mark() is array


def of_block(make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A block's array where it is read."""
    return _marked(make(*args))


def _marked(array: Any) -> Any:
    ident = id(array)

    def gone(mark: object) -> None:
        if _of_blocks.get(ident) is mark:
            del _of_blocks[ident]

    _of_blocks[ident] = weakref.ref(array, gone)
    return array


def _copies_on_write(pandas: Any) -> bool:
    if int(pandas.__version__.split(".")[0]) >= 3:
        return True
    return getattr(getattr(pandas.options, "mode", None), "copy_on_write", False) is True
