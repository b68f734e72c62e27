"""Linux namespaces of a process and its children: a network with nothing in it, and mounts that nobody else sees.

Mounts let it see a folder elsewhere, or write nowhere but in one.

Root needs no user namespace for either, and would lose its rights over other users' files in one. A plain user needs
one, which only a process of one thread can enter. There is no way back out of half of it: a child tries first.
Elsewhere than on Linux, and where the system forbids it, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_ON_LINUX = sys.platform.startswith("linux")
_PROC = Path("/proc")
_SHARED_MEMORY = Path("/dev/shm")
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_CAP_SYS_ADMIN = 21
# mount_setattr(2), Linux 5.12 and later.
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _RDONLY = 442, -100, 0x8000, 0x1
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1


def prepare_to_leave_network() -> None:
    """Get the right to `leave_network` where that takes a user namespace; only while there is one thread."""

    def both() -> None:
        _own_user()
        if not leave_network():
            raise OSError

    if _ON_LINUX and not _has_capability(_CAP_SYS_ADMIN) and os.geteuid() != 0 and _works(both):
        _own_user()


def leave_network() -> bool:
    """Give this thread, and what it starts from now on, a network of its own with nothing but a loopback.

    Returns:
        False where the system does not permit it; everything is then as before.
    """
    if not _ON_LINUX or not _has_capability(_CAP_SYS_ADMIN):
        return False
    try:
        _unshare(_CLONE_NEWNET)
        _loopback_up()
    except OSError:
        return False
    if os.geteuid() != 0:
        _drop_capabilities()
    return True


def bind(pairs: Sequence[tuple[Path, Path]]) -> bool:
    """Let this process see the first path of each pair where the second is; only while there is one thread.

    Returns:
        False where the system does not permit it; everything is then as before.
    """

    def act() -> None:
        _own_mounts()
        for path, point in pairs:
            _mount(path, point, _MS_BIND | _MS_REC)

    return _done(act)


def keep_to(folder: Path) -> bool:
    """Let this process, and what it starts, write below ``folder`` only; only while there is one thread.

    Programs of this machine that wait for others at a file are not reached, and shared memory is its own.

    Returns:
        False where the system does not permit it; everything is then as before.
    """

    def act() -> None:
        _own_mounts()
        _set_read_only(Path("/"), True)
        _mount(folder, folder, _MS_BIND)
        _set_read_only(folder, False)
        _set_read_only(_PROC, False)
        for place in _sockets():
            with contextlib.suppress(OSError):  # where this user may not look it reaches nothing either
                _mount(Path(os.devnull), place, _MS_BIND)
        if _SHARED_MEMORY.is_dir():
            _mount(Path("tmpfs"), _SHARED_MEMORY, 0, kind="tmpfs")

    return _done(act)


def _own_mounts() -> None:
    if not _has_capability(_CAP_SYS_ADMIN):
        _own_user()
    _unshare(_CLONE_NEWNS)
    _mount(None, Path("/"), _MS_REC | _MS_PRIVATE)


def _done(act: Callable[[], None]) -> bool:
    """Act, where a child has shown that it works."""
    may = _ON_LINUX and (os.geteuid() != 0 or _has_capability(_CAP_SYS_ADMIN))
    if not may or not _works(act):
        return False
    act()
    return True


def _sockets() -> set[Path]:
    """Files at which programs wait for others, as far as this process sees them."""
    lines = (_PROC / "net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    found = (Path(line.split(maxsplit=7)[7]) for line in lines if " /" in line)
    return {path for path in found if path.is_socket()}


def _set_read_only(point: Path, yes: bool) -> None:
    import ctypes

    there = (ctypes.c_uint64 * 4)(_RDONLY if yes else 0, 0 if yes else _RDONLY, 0, 0)
    flags = _AT_RECURSIVE if yes else 0
    _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(point), flags, there, ctypes.c_size_t(32))


def _works(act: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _own_user() -> None:
    """A user namespace in which this user is who it is outside, so that files belong to whom they belonged."""
    user, group = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWUSER)
    for name, text in (("uid_map", f"{user} {user} 1"), ("setgroups", "deny"), ("gid_map", f"{group} {group} 1")):
        (_PROC / "self" / name).write_text(text)


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def _has_capability(number: int) -> bool:
    lines = (_PROC / "thread-self/status").read_text().splitlines()
    found = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return bool(found) and bool(int(found[0], 16) >> number & 1)


def _unshare(what: int) -> None:
    _call("unshare", what)  # os.unshare is there from Python 3.12 on


def _mount(path: Path | None, point: Path, flags: int, kind: str | None = None) -> None:
    import ctypes

    what = os.fsencode(path) if path is not None else None
    _call("mount", what, os.fsencode(point), os.fsencode(kind) if kind else None, ctypes.c_ulong(flags), None)


def _drop_capabilities() -> None:
    """Rights of the user namespace that a plain user has not."""
    import ctypes

    _call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


def _call(name: str, *arguments: object) -> None:
    import ctypes

    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name} was refused")
