"""Keeps a slice from doing harm: it computes on a part of the data, so what it would write or send is not meant."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import Any

from greenkernel.runner.slice_folder import SliceFolder

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of the interpreter whose first argument, or first two, name a path that changes.
_CHANGING = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "shutil.rmtree": 1,
}
# Those that change what a link leads to.
_THROUGH = frozenset({"os.truncate", "os.chmod", "os.chown", "os.utime"})
# Those that start a program.
_STARTING = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"})
_ALWAYS = ("/dev/", "/proc/")
_OF_PYTHON = (sysconfig.get_path("stdlib"), "<frozen ")
_INSTALLED = ("site-packages", "dist-packages")
_LOCAL = ("127.", "::1", "localhost")


def guard(folder: Path, work: SliceFolder) -> None:
    """From now on this process may write below ``folder`` only, connect to this machine only, and start no program.

    A hook of the interpreter, so it binds Python code and not C libraries that open files by themselves, nor child
    processes. The cell sees a `PermissionError`. Where the system permits it the process can write nowhere else and
    has left the network before (`namespaces`), which binds those too; this then only says why. Libraries may start
    programs: they ask them what machine this is.

    Args:
        folder: The slice's own folder.
        work: The working folder inside it, where links to the notebook's files are.
    """
    root = str(folder.resolve()) + os.sep
    busy = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:  # our own copying
            return
        if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
            path, mode, flags = args
            writes = bool(isinstance(flags, int) and flags & _WRITING)
            writes = writes or (isinstance(mode, str) and bool(set(mode) & set("wax+")))
            truncates = (isinstance(flags, int) and bool(flags & os.O_TRUNC)) or (isinstance(mode, str) and "w" in mode)
            busy = True
            try:
                work.opened(os.fsdecode(path), writes=writes, truncates=truncates)
            finally:
                busy = False
            if writes:
                _check(os.path.realpath(os.fsdecode(path)), root)
        else:
            _refuse(event, args, root)

    sys.addaudithook(hook)


def _refuse(event: str, args: tuple[Any, ...], root: str) -> None:
    if event in _CHANGING:
        for path in args[: _CHANGING[event]]:
            if isinstance(path, str | bytes | os.PathLike):
                above, name = os.path.split(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
                _check(os.path.join(os.path.realpath(above), name), root)  # noqa: PTH118
    elif event in _THROUGH and isinstance(args[0], str | bytes | os.PathLike):
        _check(os.path.realpath(os.fsdecode(args[0])), root)
    elif event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOCAL):
            raise PermissionError("a slice of a cell may not use the network")
        if isinstance(address, str | bytes) and (place := os.fsdecode(address)) and not place.startswith("\0"):
            _check(os.path.realpath(place), root, "connect to a program")
    elif event in _STARTING and _is_of_the_notebook(sys._getframe(2)):
        raise PermissionError(f"a slice of a cell may not start a program: {str(args[0])[:100]}")


def _check(full: str, root: str, what: str = "write") -> None:
    if not (full + os.sep).startswith(root) and not full.startswith(_ALWAYS):
        raise PermissionError(f"a slice of a cell may not {what} outside of its own folder: {full}")


def _is_of_the_notebook(frame: FrameType | None) -> bool:
    """True where code of the notebook's, or of its own modules, is what calls, if by way of Python's or IPython's."""
    while frame is not None:
        place = frame.f_code.co_filename
        if any(part in place for part in _INSTALLED):
            if f"{os.sep}IPython{os.sep}" not in place:
                return False
        elif not place.startswith(_OF_PYTHON):
            return True
        frame = frame.f_back
    return False
