"""Which installed distributions a cell needs, pinned: those of its imports and values, and what these require."""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from greenkernel.cell.origin import package_of
from greenkernel.records import Package

_OURS = "greenkernel"


def packages_needed(modules: Iterable[str]) -> tuple[Package, ...]:
    """Distributions behind modules, with what these require, sorted by name; then modules that no distribution has.

    Extras are left out; environment markers are evaluated here.

    Args:
        modules: Names of modules; those of the standard library and local ones are passed over.
    """
    owners = dict(_distributions(_stamp()))
    tops = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {_OURS, "__main__"}
    unowned = [top for top in sorted(tops - set(owners)) if _is_installed(top)]
    owners |= {top: _owners_by_file(top) for top in unowned}
    owners |= {top: [top] for top in tops - set(owners) if _is_editable(top)}
    nobodys = [Package(name=top, version="", origin="unknown", indexed=False) for top in unowned if not owners[top]]
    return (*_closed(owner for top in sorted(tops) for owner in _owners(top, modules, owners)), *nobodys)


def modules_of(packages: Iterable[Package]) -> set[str]:
    """Top-level modules of editable installs: they travel as source, also where only another package imports them."""
    found: set[str] = set()
    for package in packages:
        if package.origin == "editable":
            named = metadata.distribution(package.name).read_text("top_level.txt")
            # Backends other than setuptools do not say; most name the module like the distribution.
            found |= set(named.split()) if named else {package.name.replace("-", "_")}
    return found


def _is_editable(name: str) -> bool:
    """True for an editable install: the list of its files need not tell its modules."""
    try:
        return package_of(metadata.distribution(name)).origin == "editable"
    except (metadata.PackageNotFoundError, ValueError):  # it has no distribution, or no name for one
        return False


def _owners_by_file(top: str) -> list[str]:
    """The distributions of a module whose metadata name it only as a file (compiled ones), or share its name."""
    found = []
    for distribution in metadata.distributions():
        heads = {file.parts[0] for file in distribution.files or ()}
        if canonicalize_name(distribution.name) == canonicalize_name(top) or any(
            head.split(".")[0] == top for head in heads
        ):
            found.append(distribution.name)
    return found


def _is_installed(top: str) -> bool:
    """True for a module that lies where packages are installed."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # it is made by another module, or the main one
        return False
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec is not None else []
    return any(Path(place).parent.name in ("site-packages", "dist-packages") for place in places if place)


def _stamp() -> tuple[tuple[str, frozenset[str]], ...]:
    """Changes when something is installed or removed, and not when the notebook's folder gets a file."""
    return tuple((place, _installed_in(Path(place))) for place in sys.path if place)


def _installed_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(one.name for one in folder.iterdir() if one.suffix in (".dist-info", ".egg-info"))
    except OSError:  # archives and what is not there
        return frozenset()


@lru_cache(maxsize=1)
def _distributions(_stamp: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, list[str]]:
    """Top-level module -> distributions; reading all of them takes tenths of a second."""
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
        name = canonicalize_name(queue.popleft())
        if name in found or name == _OURS:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # an optional requirement that is not installed here either
            continue
        found[name] = package_of(distribution)
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
