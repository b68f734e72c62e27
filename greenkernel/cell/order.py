"""Names that a cell binds before it can read them: what they are bound to now does not matter to it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence


def bound_first(python: str) -> frozenset[str]:
    """Names that statements at the cell's top level bind for certain before anything in it reads them."""
    found: set[str] = set()
    read: set[str] = set()
    _walk(ast.parse(python).body, found, read)
    return frozenset(found)


def _walk(statements: Sequence[ast.stmt], bound: set[str], read: set[str]) -> None:
    for statement in statements:
        if isinstance(statement, ast.With | ast.AsyncWith):
            for item in statement.items:
                _see([item.context_expr], bound, read)
                _bind([item.optional_vars] if item.optional_vars is not None else [], bound, read)
            _walk(statement.body, bound, read)  # what it binds counts: who leaves it early leaves the cell
        elif isinstance(statement, ast.Assign):
            _see([statement.value], bound, read)
            _bind(statement.targets, bound, read)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            _see([statement.annotation, statement.value], bound, read)
            _bind([statement.target], bound, read)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names = {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
            bound |= names - read
        elif isinstance(statement, ast.For | ast.AsyncFor):
            _see([statement.iter], bound, read)
            inside = set(bound)  # there may be no turn
            _bind([statement.target], inside, read)
            _walk([*statement.body, *statement.orelse], inside, read)
        else:
            _see([statement], bound, read)
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound |= {statement.name} - read


def _see(nodes: Iterable[ast.AST], bound: set[str], read: set[str]) -> None:
    """Every name in there counts as read, also those of inner scopes and those that are only bound."""
    for node in nodes:
        for part in ast.walk(node):
            names = {part.id} if isinstance(part, ast.Name) else set()
            if isinstance(part, ast.Global | ast.Nonlocal):
                names = set(part.names)
            read |= names - bound


def _bind(targets: Iterable[ast.expr], bound: set[str], read: set[str]) -> None:
    for target in targets:
        if isinstance(target, ast.Name):
            bound |= {target.id} - read
        elif isinstance(target, ast.Tuple | ast.List):
            _bind(target.elts, bound, read)
        elif isinstance(target, ast.Starred):
            _bind([target.value], bound, read)
        else:
            _see([target], bound, read)
