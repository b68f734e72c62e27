"""Frames of pandas that copy on write: memory that several of them share must come out as memory of each one's own.

Pandas remembers in weak references, which cannot travel, who else looks at a block's memory. A reader's frames would
share it and not know: writing to one would change the others. Nothing here imports pandas by itself.
"""

from __future__ import annotations

import sys
from typing import Any


def is_block(value: object) -> bool:
    """True for the memory of a frame that copies on write, with its place in the frame."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not type(value).__module__.startswith("pandas.core.internals"):
        return False
    return hasattr(value, "mgr_locs") and _copies_on_write(pandas)


def parted(block: Any) -> tuple[Any, tuple[Any, ...]]:
    """How to rebuild a block, from values that are no other object's."""
    make, (values, *rest) = block.__reduce__()
    own = values.view() if isinstance(values, sys.modules["numpy"].ndarray) else values.copy()
    return make, (own, *rest)


def _copies_on_write(pandas: Any) -> bool:
    if int(pandas.__version__.split(".")[0]) >= 3:
        return True
    return getattr(getattr(pandas.options, "mode", None), "copy_on_write", False) is True
