"""Which installed distributions a cell needs, pinned: those of its imports and values, and what these require."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from greenkernel.records import Package

_OURS = "greenkernel"


def packages_needed(modules: Iterable[str]) -> tuple[Package, ...]:
    """Distributions behind modules, with what these require, sorted by name.

    Extras are left out; environment markers are evaluated here.

    Args:
        modules: Names of modules; those of the standard library and local ones are passed over.
    """
    owners = _distributions(_stamp())
    tops = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {_OURS, "__main__"}
    return _closed(owner for top in sorted(tops) for owner in _owners(top, modules, owners))


def _stamp() -> tuple[tuple[str, int], ...]:
    """Changes when something is installed or removed."""
    folders = [Path(place) for place in sys.path if place]
    return tuple((str(folder), folder.stat().st_mtime_ns) for folder in folders if folder.exists())


@lru_cache(maxsize=1)
def _distributions(_stamp: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """Top-level module -> distributions; reading all of them takes a tenth of a second."""
    return metadata.packages_distributions()


def _owners(top: str, modules: Iterable[str], owners: Mapping[str, list[str]]) -> list[str]:
    """The distributions behind a top-level module; of a namespace package only those that really have the modules."""
    found = sorted(set(owners.get(top, ())))
    if len(found) < 2:
        return found
    paths = [name.replace(".", "/") for name in modules if name.partition(".")[0] == top]
    having = [one for one in found if any(_has(one, path) for path in paths)]
    return having or found


def _has(distribution: str, path: str) -> bool:
    files = metadata.distribution(distribution).files or ()
    wanted = (f"{path}.py", f"{path}/__init__.py")
    return any(str(file) in wanted for file in files)


def _closed(names: Iterable[str]) -> tuple[Package, ...]:
    found: dict[str, Package] = {}
    queue = deque(names)
    while queue:
        name = canonical(queue.popleft())
        if name in found or name == _OURS:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # an optional requirement that is not installed here either
            continue
        found[name] = Package(name=name, version=distribution.version)
        queue.extend(_required(distribution))
    return tuple(found[name] for name in sorted(found))


def _required(distribution: metadata.Distribution) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    names = []
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # old metadata; what is not understood is not pinned
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names.append(requirement.name)
    return names


def canonical(name: str) -> str:
    """A distribution's name as package indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()
