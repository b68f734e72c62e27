"""Imports for the sake of what a payload holds: silent, since the module has said its words where it came in first."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from types import ModuleType
from typing import Any


def imported(name: str) -> ModuleType:
    """The module of this name; nothing is printed where it is executed for it.

    Raises:
        ImportError: There is none here.
    """
    if (known := sys.modules.get(name)) is not None:
        return known
    with silence():
        return importlib.import_module(name)


def import_each(names: Iterable[str]) -> None:
    """Import modules; one that is missing here, or raises when it is executed, is missed when it is used."""
    for name in names:
        with suppress(Exception):
            imported(name)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that this thread prints is seen; what others print is."""
    out, err = _Others(sys.stdout), _Others(sys.stderr)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:  # somebody may have kept them
        out.muted = err.muted = 0


class _Others:
    """A stream for everybody but the thread ``muted``, the one that made it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.muted = threading.get_ident()

    def write(self, text: str) -> int:
        """Write, or not."""
        return len(text) if threading.get_ident() == self.muted else int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
