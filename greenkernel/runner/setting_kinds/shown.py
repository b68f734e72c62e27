"""Warnings of libraries that have been shown: most are shown once for each line that they come from."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from greenkernel.runner.import_watch import when_imported
from greenkernel.runner.setting_kinds.kind import Kind, Values
from greenkernel.runner.snapshots.warned import NAME, filters_now

_VERSION = "version"


def _take(_: Path) -> dict[str, Any]:
    now = filters_now()[_VERSION]
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        registry = vars(module).get(NAME) if isinstance(module, ModuleType) and name != "__main__" else None
        # Python has forgotten those that were shown under other filters.
        if isinstance(registry, dict) and registry.get(_VERSION) == now:
            shown = {key: value for key, value in registry.items() if key != _VERSION}
            if shown:
                found[name] = shown
    return found


def _put(values: Values, _: Path) -> None:
    for name, shown in values.items():
        if shown and name in sys.modules:
            _add(name, shown)
        elif shown:
            when_imported(name, partial(_add, name, shown))


def _add(name: str, shown: dict[Any, Any]) -> None:
    registry = vars(sys.modules[name]).setdefault(NAME, {})
    now = filters_now()
    if registry.get(_VERSION) != now[_VERSION]:
        registry.clear()
    registry.update({**shown, **now})


KINDS = (Kind(name="shown", title="warnings that have been shown", module=None, take=_take, put=_put, rises=True),)
