"""Imports for the sake of what a payload holds: silent, since the module has said its words where it came in first."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any


def imported(name: str) -> ModuleType:
    """The module of this name; nothing is printed where it is executed for it.

    Raises:
        ImportError: There is none here.
    """
    if (known := sys.modules.get(name)) is not None:
        return known
    with _silence():
        return importlib.import_module(name)


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing that this thread prints is seen; what others print is."""
    with redirect_stdout(_Others(sys.stdout)), redirect_stderr(_Others(sys.stderr)):
        yield


class _Others:
    """A stream for everybody but the thread that made it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._muted = threading.get_ident()

    def write(self, text: str) -> int:
        """Write, or not."""
        return len(text) if threading.get_ident() == self._muted else int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
