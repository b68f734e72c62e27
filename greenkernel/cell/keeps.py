"""What a move of a cell will do again, as far as its text tells; said before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from greenkernel.runner.snapshots.functions import name_of, source_of
from greenkernel.runner.snapshots.weave import call_in, loops_in, withs_around

_TASKS = "finished joblib tasks are never done again"


def keeps(python: str, namespace: Mapping[str, Any]) -> str:
    """A sentence.

    Args:
        python: The transformed cell.
        namespace: The notebook's names.
    """
    body = ast.parse(python).body
    loops = [line for statement in body for line in _lines(statement, namespace)]
    if loops:
        lines = ", ".join(dict.fromkeys(loops))
        return f"a move repeats at most one round of the loop in {lines}, elsewhere at most one statement; {_TASKS}"
    if len(body) > 1:
        return f"a move repeats at most the statement that it comes in, of {len(body)}; {_TASKS}"
    return f"a move begins the cell's one statement again; {_TASKS}"


def _lines(statement: ast.stmt, namespace: Mapping[str, Any]) -> list[str]:
    found = []
    for loop in loops_in(statement):
        around = withs_around(loop, [statement])
        if not any(item.optional_vars is not None for block in around for item in block.items):
            found.append(f"line {loop.lineno}")
    call = call_in(statement)
    if call is not None:
        function = _called(call.func, namespace)
        source, name = source_of(function, namespace), name_of(function, namespace)
        if source is not None and source.loops and name is not None:
            found.append(f"{name}()")
    return found


def _called(function: ast.expr, namespace: Mapping[str, Any]) -> object:
    """The function behind ``f(...)``, ``name.f(...)`` and ``C(...).f(...)``, as far as it is known."""
    if isinstance(function, ast.Name):
        return namespace.get(function.id)
    if not isinstance(function, ast.Attribute):
        return None
    value = function.value
    kind: object = None
    if isinstance(value, ast.Name):
        kind = type(namespace.get(value.id))
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        kind = namespace.get(value.func.id)
    classes = kind.__mro__ if isinstance(kind, type) else ()
    return next((vars(one)[function.attr] for one in classes if function.attr in vars(one)), None)
