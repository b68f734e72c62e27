"""What a process of ours sees of this machine's folders: a folder at another path, and data of libraries.

A folder is seen at another path by one process and its children alone, in a mount namespace of their own; Linux only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from greenkernel.namespaces import bind

# What the system itself lives in; a folder in one of these is nobody's project.
_OF_THE_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr")

# Blanks and the like in a line of mountinfo.
_ESCAPED = re.compile(r"\\([0-7]{3})")
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
    if hides or not may_cover(place) or not place.is_dir():
        return False
    inside = [(path, folder / path.relative_to(place)) for path in kept if path.is_relative_to(place)]
    for path, point in inside:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.mkdir(exist_ok=True) if path.is_dir() else point.touch()
    return bind([*inside, (folder, place)])


def link_data_of_libraries(home: Path) -> None:
    """Let a process whose home is ``home`` find what libraries keep in the user's, such as data sets."""
    for name in _DATA_OF_LIBRARIES:
        kept = Path.home() / name
        if kept.is_dir():
            (home / name).symlink_to(kept, target_is_directory=True)


def may_cover(place: PurePath) -> bool:
    """False for a system's own folders, and for those that hold many others."""
    return len(place.parts) > 2 and not any(place.is_relative_to(part) for part in _OF_THE_SYSTEM)


def mounted_below(folder: Path) -> frozenset[Path]:
    """Where something else is mounted below a folder, as this process sees it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    points = (Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), line.split()[4])) for line in lines)
    return frozenset(point for point in points if point != folder and point.is_relative_to(folder))


def _outermost(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(outer) for outer in found):
            found.append(path)
    return found
