"""``import a.b`` binds ``a`` alone, and yet ``a.b`` is there afterwards: parts of packages that a cell relies on."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Mapping
from types import ModuleType


def used(python: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Modules inside of packages that the cell names with a dot and that earlier cells have loaded.

    Args:
        python: The transformed cell.
        values: What the cell reads, by name.
    """
    packages = [value.__name__ for value in values.values() if isinstance(value, ModuleType)]
    if not packages:
        return ()
    dotted = {node.attr for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Attribute)}
    return tuple(
        name
        for name in list(sys.modules)
        if any(
            name.startswith(f"{package}.") and dotted.issuperset(name[len(package) + 1 :].split("."))
            for package in packages
        )
    )


def bound_by(python: str, names: Collection[str], namespace: Mapping[str, object]) -> list[str]:
    """Modules that the cell has loaded with a package whose name it has bound here.

    Args:
        python: The transformed cell.
        names: What the cell has bound.
        namespace: The notebook's names.
    """
    found = []
    for node in ast.walk(ast.parse(python)):
        dotted = [alias.name for alias in node.names if alias.asname is None] if isinstance(node, ast.Import) else []
        for name in dotted:
            top, _, rest = name.partition(".")
            if rest and top in names and isinstance(namespace.get(top), ModuleType):
                found.append(name)
    return found
