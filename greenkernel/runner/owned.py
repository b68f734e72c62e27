"""Objects that a name of the notebook and a module of its own share: one object here, and so one object there.

``from settings import CFG`` sends CFG's value, and the module is executed anew where the cell runs; without this its
functions would see another CFG than the cell.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenkernel.runner import patches
from greenkernel.runner.module_state import modules_below

# They are what they are, or travel by the name that they have in their module.
_NOT = (
    *(int, float, complex, str, bytes, bool, type(None), tuple, frozenset, range),
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType),
)


def owners(values: Mapping[str, object], root: Path) -> dict[str, tuple[str, ...]]:
    """Names -> ``module:name`` of the modules below ``root`` that have the same object."""
    found: dict[str, tuple[str, ...]] = {}
    names = {id(value): name for name, value in values.items() if not isinstance(value, _NOT)}
    for module in modules_below(root):
        for attribute, value in list(vars(module).items()):
            name = names.get(id(value))
            if name is not None and not attribute.startswith("__"):
                found[name] = (*found.get(name, ()), f"{module.__name__}:{attribute}")
    return found


def share(owned: Mapping[str, tuple[str, ...]], values: Mapping[str, Any]) -> None:
    """Give the modules what the names have, to those that are not loaded yet as soon as they are."""
    patches.put({place: values[name] for name, places in owned.items() if name in values for place in places})
