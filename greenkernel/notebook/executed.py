"""What of a cell's text runs when the cell does: not the bodies of functions that it only binds to names."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def executed(tree: ast.AST, idle: frozenset[ast.AST] | None = None) -> Iterator[ast.AST]:
    """Nodes that run when the cell does, or may: bodies of functions that the cell uses do."""
    idle = _idle(tree) if idle is None else idle
    for child in ast.iter_child_nodes(tree):
        if child in idle and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.args.defaults, *[d for d in child.args.kw_defaults if d]):
                yield part
                yield from executed(part, idle)
        elif child not in idle:
            yield child
            yield from executed(child, idle)


def _idle(tree: ast.AST) -> frozenset[ast.AST]:
    """Functions and lambdas that the cell only binds to names: nobody in it uses these."""
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]

    def is_used(names: Collection[str], definition: ast.AST) -> bool:
        own = set(ast.walk(definition))
        return any(node.id in names and node not in own for node in loads)

    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    owners: dict[ast.AST, ast.ClassDef] = {one: cls for cls in classes for one in cls.body}
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS) and not node.decorator_list:
            named = owners.get(node, node)  # a method is used by whoever uses its class
            if not named.decorator_list and not is_used({named.name}, named):
                found.add(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if len(targets) == len(node.targets) and not is_used(targets, node):
                found.add(node.value)
    return frozenset(found)


def without_idle(tree: ast.Module) -> ast.Module:
    """The cell, the bodies of functions that do not run with it left out."""
    copied = copy.deepcopy(tree)
    for node in _idle(copied):
        if isinstance(node, ast.Lambda):
            node.body = ast.Constant(None)
        elif isinstance(node, _FUNCTIONS):
            node.body = [ast.Pass()]
    return copied
