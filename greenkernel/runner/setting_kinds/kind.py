"""What a kind of process-wide setting is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of setting.

    Attributes:
        name: Its key in payloads.
        title: What to call it in a message.
        module: Only looked at where this module is loaded; None: always.
        take: The present values; gets the root of the notebook's files in this process.
        put: Sets some values; gets the same root.
        early: Put before values are read, since libraries look at it when they are loaded.
        rises: Its values only grow, so that no end can overwrite what the other has done.
    """

    name: str
    title: str
    module: str | None
    take: Callable[[Path], dict[str, Any]]
    put: Callable[[Values, Path], None]
    early: bool = False
    rises: bool = False
