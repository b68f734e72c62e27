"""Keeps a slice from doing harm: it computes on a part of the data, so what it would write or send is not meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of the interpreter whose first argument, or first two, name a path that changes.
_CHANGING = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "shutil.rmtree": 1,
}
_ALWAYS = ("/dev/", "/proc/")
_LOCAL = ("127.", "::1", "localhost")


def guard(folder: Path) -> None:
    """From now on this process may write below ``folder`` only and connect to this machine only.

    A hook of the interpreter, so it binds Python code and not C libraries that open files by themselves, nor child
    processes. The cell sees a `PermissionError`.

    Args:
        folder: The slice's own folder.
    """
    root = str(folder.resolve()) + os.sep

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            if (isinstance(flags, int) and flags & _WRITING) or (isinstance(mode, str) and set(mode) & set("wax+")):
                _check(path, root)
        elif event in _CHANGING:
            for path in args[: _CHANGING[event]]:
                _check(path, root)
        elif event == "socket.connect":
            address = args[1]
            if isinstance(address, tuple) and not str(address[0]).startswith(_LOCAL):
                raise PermissionError("a slice of a cell may not use the network")

    sys.addaudithook(hook)


def _check(path: Any, root: str) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return  # a descriptor that was opened before
    full = os.path.realpath(os.fsdecode(path))
    if not (full + os.sep).startswith(root) and not full.startswith(_ALWAYS):
        raise PermissionError(f"a slice of a cell may not write outside of its own folder: {full}")
