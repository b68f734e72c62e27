"""What modules of the notebook's own keep in their global names, as far as it is plain data: a setting like others.

A module travels by its source and is executed anew where the cell runs; what earlier cells have put into it, such as
``config.seed = 3``, would be lost. Containers are changed in place: others may have imported them by name.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from greenkernel.runner.import_watch import reloaded, when_imported
from greenkernel.store.imports import silence

_ATOMS = (int, float, complex, str, bytes, bool, type(None))
_MOST_ELEMENTS = 10_000
_taken: set[str] = set()
_INSTALLED = ("site-packages", "dist-packages")


def take(root: Path) -> dict[str, Any]:
    """Values by ``module:name``, each in a tuple of its own, since None stands for what is gone.

    An empty tuple is what was plain data when this was called before, and now is something else.
    """
    found: dict[str, Any] = {}
    for module in modules_below(root):
        for name, value in _names_in(module):
            key = f"{module.__name__}:{name}"
            if is_plain(value):
                found[key] = (copy.deepcopy(value),)
                _taken.add(key)
            elif key in _taken:
                found[key] = ()
    return found


def _names_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Global names of a module, and ``Class.name`` of its classes; what Python itself has put there is left out."""
    for name, value in list(vars(module).items()):
        if not name.startswith("__"):
            yield name, value
        if isinstance(value, type) and value.__module__ == module.__name__ and value.__qualname__ == name:
            inside = list(vars(value).items())
            yield from ((f"{name}.{one}", held) for one, held in inside if not one.startswith("__"))


def put(values: Mapping[str, Any], _: Path) -> None:
    """Put values into modules, into those that are not loaded yet as soon as they are.

    Raises:
        ValueError: Some were no plain data any more, and stay as they are.
    """
    by_module: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        module, _colon, name = key.partition(":")
        by_module.setdefault(module, {})[name] = value
    for module, wanted in by_module.items():
        if module in sys.modules:
            _put(module, wanted)
        else:
            when_imported(module, partial(_put, module, wanted))
    if any(value == () for value in values.values()):
        raise ValueError("what is no plain data does not travel")


def _put(module: str, wanted: Mapping[str, Any]) -> None:
    for path, value in wanted.items():
        owner: Any = sys.modules[module]
        above, _, name = path.rpartition(".")
        owner = getattr(owner, above, None) if above else owner
        if value == () or owner is None:
            continue
        names = vars(owner)
        if value is None:
            if name in names:
                delattr(owner, name)
        elif name not in names or not _changed_in_place(names[name], value[0]):
            setattr(owner, name, value[0])


def _changed_in_place(mine: Any, value: Any) -> bool:
    """False where ``mine`` cannot become equal to ``value``."""
    if type(mine) is not type(value):
        return False
    if isinstance(mine, list):
        mine[:] = value
    elif isinstance(mine, dict | set):
        mine.clear()
        mine.update(value)
    else:
        return bool(mine == value)
    return True


def take_reloads(root: Path) -> dict[str, Any]:
    """Modules that were reloaded where this process watches for it."""
    names = reloaded()
    return {module.__name__: True for module in modules_below(root) if module.__name__ in names} if names else {}


def put_reloads(values: Mapping[str, Any], _: Path) -> None:
    """Reload modules that are loaded here; they print nothing, as they have done so where they were reloaded first."""
    for name in values:
        if name in sys.modules:
            with silence():
                importlib.reload(sys.modules[name])


def modules_below(root: Path) -> Iterator[ModuleType]:
    """Loaded modules whose sources lie below a folder, but not in an environment."""
    below, prefix = f"{root}/", f"{sys.prefix}/"
    mine = sys.modules.get("__main__")  # under another name, too, once multiprocessing is imported
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if module is mine or not isinstance(module, ModuleType) or not isinstance(file, str):
            continue
        if module.__name__.partition(".")[0] == "greenkernel":
            continue  # in a checkout of it; what it holds is what it does
        if file.startswith(below) and not file.startswith(prefix) and not any(part in file for part in _INSTALLED):
            yield module


def is_installed(module: ModuleType) -> bool:
    """True for a module of a library that was installed."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and any(part in file for part in _INSTALLED)


def is_plain(value: object) -> bool:
    """True for numbers, texts, and not too many of them in containers."""
    return _elements(value) <= _MOST_ELEMENTS


def _elements(value: object, left: int = _MOST_ELEMENTS) -> int:
    """How many values there are in plain data; more than the limit for everything else."""
    if type(value) in _ATOMS:
        return 1
    if left <= 0 or type(value) not in (list, tuple, set, frozenset, dict):
        return _MOST_ELEMENTS + 1
    count = 1
    inside = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    for one in inside:
        count += _elements(one, left - count)
        if count > _MOST_ELEMENTS:
            break
    return count
