"""What a process of ours sees of this machine's folders: a folder at another path, and data of libraries.

A folder is seen at another path by one process and its children alone, in a mount namespace of their own; Linux only.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePath

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
# What the system itself lives in; a folder in one of these is nobody's project.
_OF_THE_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr")

_DATA_OF_LIBRARIES = (".cache", ".keras", "nltk_data", "scikit_learn_data", "seaborn-data", "statsmodels_data")


def show_at(folder: Path, place: Path, keep: Iterable[Path]) -> bool:
    """Let this process, which must have one thread only, see ``folder`` where ``place`` is.

    Args:
        folder: What is seen there from now on.
        place: An existing folder; what is in it is not seen any more.
        keep: What stays to be seen where it lies below ``place``, at its own path.

    Returns:
        False where the system does not permit it, or the place may not be covered; everything is then seen as before.
    """
    kept = _outermost(path.resolve() for path in keep if path.exists())
    place = place.resolve()
    hides = place in kept or Path.home().is_relative_to(place)
    if not sys.platform.startswith("linux") or hides or not may_cover(place) or not place.is_dir():
        return False
    inside = [path for path in kept if path.is_relative_to(place)]
    points = [folder / path.relative_to(place) for path in inside]
    try:
        for point, path in zip(points, inside, strict=True):
            point.mkdir(parents=True, exist_ok=True) if path.is_dir() else _touched(point)
        _unshare()
        _mount(None, Path("/"), _MS_REC | _MS_PRIVATE)
        for point, path in zip(points, inside, strict=True):
            _mount(path, point, _MS_BIND | _MS_REC)
        _mount(folder, place, _MS_BIND | _MS_REC)
    except OSError:
        return False
    return True


def link_data_of_libraries(home: Path) -> None:
    """Let a process whose home is ``home`` find what libraries keep in the user's, such as data sets."""
    for name in _DATA_OF_LIBRARIES:
        kept = Path.home() / name
        if kept.is_dir() and not (home / name).exists():
            (home / name).symlink_to(kept, target_is_directory=True)


def may_cover(place: PurePath) -> bool:
    """False for a system's own folders, and for those that hold many others."""
    return len(place.parts) > 2 and not any(place.is_relative_to(part) for part in _OF_THE_SYSTEM)


def mounted_below(folder: Path) -> frozenset[Path]:
    """Where something else is mounted below a folder, as this process sees it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    points = (Path(line.split()[4].encode().decode("unicode_escape")) for line in lines)
    return frozenset(point for point in points if point != folder and point.is_relative_to(folder))


def _outermost(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(outer) for outer in found):
            found.append(path)
    return found


def _touched(point: Path) -> None:
    point.parent.mkdir(parents=True, exist_ok=True)
    point.touch()


def _unshare() -> None:
    """A mount namespace; who is not root needs a user namespace around it, in which he is himself."""
    user, group = os.getuid(), os.getgid()
    try:
        _call("unshare", _CLONE_NEWNS)
    except PermissionError:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(source: Path | None, target: Path, flags: int) -> None:
    what = os.fsencode(source) if source is not None else None
    _call("mount", what, os.fsencode(target), None, ctypes.c_ulong(flags), None)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
