"""Functions and classes that a library keeps under another name than they carry: wrappers, made-up classes.

A copy by value would be a second one: ``isinstance`` and ``is`` would say no, and its parts might not be picklable.
"""

from __future__ import annotations

import site
import sys
import sysconfig
import threading
import types
from collections.abc import Callable
from typing import Any

from greenkernel.store.imports import imported

_PLACES = tuple(f"{path}/" for path in {*sysconfig.get_paths().values(), *site.getsitepackages()})
_HAVE_NAMES = (type, types.FunctionType, types.ModuleType)
# Whether a copy can be made of what a library has one of, by ``id``; it is held, so that nothing else gets its number.
_copied: dict[int, tuple[bool, object]] = {}
_trying = threading.local()
# Where the values of a library's modules are: by top package, with the count of modules that it was made of.
_places: dict[str, tuple[int, dict[int, tuple[str, str]]]] = {}


def reduced(value: Any) -> tuple[Any, ...] | None:
    """How to find one of these; None for everything else, and for what is found by the name that it carries."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module == "__main__" or module not in sys.modules:
        return None
    own = value.__qualname__
    if value is _at(module, own):
        return None
    place = _places_of(module.partition(".")[0]).get(id(value))
    return (_found, (*place, module, own)) if place is not None and _at(*place) is value else None


class OneOfAKind:
    """Objects that an installed library has one of, in the module of their class or above: ``mpmath.mp``.

    Those that no copy can be made of are found there. What is in them stays where it is: they are settings of the
    process rather than values of a notebook.

    Args:
        can_be_copied: Tells whether writing and reading makes another one; asked once for each.
        modules: Gets the modules of those that were written.
    """

    def __init__(self, can_be_copied: Callable[[object], bool], modules: set[str]) -> None:
        self._can_be_copied = can_be_copied
        self._modules = modules
        self._places: dict[type, dict[int, tuple[str, str]]] = {}

    def place_of(self, value: object) -> tuple[str, str] | None:
        """Module and name of such an object; None for everything else."""
        kind = type(value)
        if not kind.__dictoffset__ or issubclass(kind, _HAVE_NAMES) or getattr(_trying, "now", False):
            return None
        if kind not in self._places:
            self._places[kind] = _instances(kind)
        place = self._places[kind].get(id(value))
        return place if place is not None and not self._has_copies(value) else None

    def reduced(self, value: object, _kind: type) -> tuple[Any, ...] | None:
        """How to find one of these; None for everything else."""
        place = self.place_of(value)
        if place is None:
            return None
        self._modules.add(place[0])
        return _found, (*place, *place)

    def _has_copies(self, value: object) -> bool:
        if id(value) not in _copied:
            _trying.now = True  # what it holds must have copies, too
            try:
                _copied[id(value)] = self._can_be_copied(value), value
            finally:
                _trying.now = False
        return _copied[id(value)][0]


def _instances(kind: type) -> dict[int, tuple[str, str]]:
    """Where the modules around a class's own have instances of it."""
    found: dict[int, tuple[str, str]] = {}
    parts = str(kind.__module__).split(".")
    for name in (".".join(parts[: n + 1]) for n in range(len(parts))):
        module = sys.modules.get(name)
        if module is not None and _is_installed(module):
            values = list(vars(module).items())
            found |= {id(value): (name, attribute) for attribute, value in values if type(value) is kind}
    return found


def _is_installed(module: types.ModuleType) -> bool:
    """False for the notebook and for modules of its own, which travel as source."""
    file = getattr(module, "__file__", None)
    if file is None:
        return module.__name__ in sys.builtin_module_names
    return any(file.startswith(place) for place in _PLACES)


def _found(module: str, name: str, own_module: str, own_name: str) -> Any:
    """Under the name that it carries where the other one is nothing of the library's: a patch that put it aside."""
    imported(module)
    value = _at(module, name)
    if value is None:
        imported(own_module)
        value = _at(own_module, own_name)
    if value is None:
        raise AttributeError(f"{module} has no {name}")
    return value


def _places_of(top: str) -> dict[int, tuple[str, str]]:
    count = len(sys.modules)
    known = _places.get(top)
    if known is not None and known[0] == count:
        return known[1]
    places: dict[int, tuple[str, str]] = {}
    for name, module in sorted(sys.modules.items()):
        if name == top or name.startswith(f"{top}."):
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                places.setdefault(id(value), (name, attribute))
    _places[top] = count, places
    return places


def _at(module: str, name: str) -> object:
    value: object = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value
