"""Calls back once a module has been imported, for what must be done before anybody uses it; knows what is reloaded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_waiting: dict[str, list[Callable[[], None]]] = {}
_reloaded: set[str] = set()


def when_imported(module: str, call: Callable[[], None]) -> None:
    """Call once, right after ``module`` has been executed for the first time; it must not be loaded yet."""
    watch()
    _waiting.setdefault(module, []).append(call)


def watch() -> None:
    """From now on be asked for every module."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def reloaded() -> frozenset[str]:
    """Modules that were reloaded since `watch` was called."""
    return frozenset(_reloaded)


class _Finder(MetaPathFinder):
    """Stands before the real finders and lets them do the work."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if target is not None:
            _reloaded.add(fullname)
        calls = _waiting.pop(fullname, None)
        if calls is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        spec.loader = _Telling(spec.loader, calls)  # type: ignore[assignment]  # delegates all that it is asked for
        return spec


class _Telling:
    """A loader that says when it has loaded; it then leaves its place to the real one."""

    def __init__(self, loader: Loader, calls: Sequence[Callable[[], None]]) -> None:
        self._loader = loader
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for call in self._calls:
            call()
