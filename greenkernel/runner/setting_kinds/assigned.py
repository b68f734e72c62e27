"""What cells have assigned to attributes of libraries: ``Image.MAX_IMAGE_PIXELS = None``, ``nltk.data.path.append(p)``.

A library is loaded anew where the cell runs, as it is on the disk. Which of its attributes the notebook has set is read
off the text of its cells; what they are worth is looked at when settings are taken.
"""

from __future__ import annotations

import ast
import copy
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from greenkernel.runner import module_state
from greenkernel.runner.setting_kinds.kind import Kind, Values

# Followed by kinds of their own, or a matter of this process.
_FOLLOWED = frozenset({"sys.path", "sys.argv", "sys.modules", "sys.meta_path", "sys.path_hooks", "warnings.filters"})
_CHANGERS = frozenset(
    "append extend insert remove pop clear sort reverse update setdefault popitem add discard".split()  # noqa: SIM905
)
# Dotted names, in the order in which they were met.
_places: dict[str, None] = {}


def note(python: str, namespace: Mapping[str, object]) -> None:
    """Remember what a cell may assign to.

    Args:
        python: Its text; nothing where it is no Python.
        namespace: Its names; modules and classes among them are what attributes are set on.
    """
    try:
        tree = ast.parse(python)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    imported = dict(_imports(tree))
    for chain in _assigned(tree):
        root = imported.get(chain[0]) or _dotted(namespace.get(chain[0]))
        if root is not None:
            _places[".".join((root, *chain[1:]))] = None


def take(root: Path) -> dict[str, Any]:
    """Values of all places that are known, by ``module:Class.name``, each in a tuple of its own."""
    local = {module.__name__ for module in module_state.modules_below(root)} if _places else set()
    found: dict[str, Any] = {}
    for place in list(_places):
        module, path = _split(place)
        if not path or module in local or place in _FOLLOWED or module.partition(".")[0] in ("__main__", "greenkernel"):
            continue
        owner = _reach(sys.modules[module], path[:-1])
        value = getattr(owner, "__dict__", {}).get(path[-1], found) if _holds(owner) else found
        if value is not found and _travels(value):
            found[f"{module}:{'.'.join(path)}"] = (copy.deepcopy(value),)
    return found


def put(values: Values, root: Path) -> None:
    """Set them, of modules that are not loaded yet as soon as they are; and follow them from now on."""
    for key in values:
        _places[key.replace(":", ".")] = None
    module_state.put(values, root)


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that the text imports: what they are, with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield (one.asname, one.name) if one.asname else (one.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Chains of names that are assigned to, deleted, or changed by an item or by a method."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                chain = _chain(node)
            case ast.Subscript(value=target, ctx=ast.Store() | ast.Del()):
                chain = _chain(target)
            case ast.Call(func=ast.Attribute(value=target, attr=name)) if name in _CHANGERS:
                chain = _chain(target)
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[owner, ast.Constant(value=str(name)), *_]):
                chain = (*_chain(owner), name)
            case _:
                continue
        if len(chain) > 1:
            yield chain


def _chain(node: ast.AST | None) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _dotted(value: object) -> str | None:
    if isinstance(value, types.ModuleType):
        return value.__name__
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else None


def _split(place: str) -> tuple[str, list[str]]:
    """The loaded module that a dotted name begins with, and the rest; no rest where there is none."""
    parts = place.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if isinstance(sys.modules.get(".".join(parts[:length])), types.ModuleType):
            return ".".join(parts[:length]), parts[length:]
    return place, []


def _reach(owner: Any, path: list[str]) -> Any:
    for name in path:
        owner = getattr(owner, "__dict__", {}).get(name)
    return owner


def _holds(owner: Any) -> bool:
    return isinstance(owner, types.ModuleType | type) and getattr(owner, "__module__", None) != "__main__"


def _travels(value: Any) -> bool:
    """Plain data, and what a library has under the name that it carries."""
    if module_state.is_plain(value):
        return True
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(value, types.FunctionType | types.BuiltinFunctionType | type) or module == "__main__":
        return False
    return isinstance(name, str) and _reach(sys.modules.get(str(module)), name.split(".")) is value


KINDS: tuple[Kind, ...] = (Kind(name="assigned", title="attributes of libraries", module=None, take=take, put=put),)
