"""Which local names a function may still read from the beginning of a round on: the others need not travel."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from greenkernel.runner.snapshots.weave import Loop

_SEES_ALL = {"locals", "vars", "eval", "exec", "dir"}
_BODIES = ("body", "orelse", "finalbody")


def needed(loop: Loop, block: Sequence[ast.stmt]) -> set[str] | None:
    """Names that may be read before they are bound anew; None: all may.

    Args:
        loop: The loop that is at the beginning of a round.
        block: The body of the function.
    """
    if any(isinstance(one, ast.Name) and one.id in _SEES_ALL for part in block for one in ast.walk(part)):
        return None
    reader = _Reader()
    bound = _stored(loop.target) if isinstance(loop, ast.For) else set()
    if isinstance(loop, ast.While):
        reader.read(loop.test, set())
    reader.walk(loop.body, bound)
    for after in _afterwards(loop, block):
        reader.walk(after, set())
    return reader.found


def _afterwards(loop: Loop, block: Sequence[ast.stmt]) -> Iterator[Sequence[ast.stmt]]:
    """What may follow: the loop's ``else``, what stands after it, and all of what is around it and comes again."""
    for index, statement in enumerate(block):
        if statement is loop:
            yield loop.orelse
            yield block[index + 1 :]
            return
        if any(one is loop for one in ast.walk(statement)):
            if isinstance(statement, ast.For | ast.While | ast.Try):
                yield [statement]
            for name in _BODIES:
                inner = getattr(statement, name, [])
                if any(one is loop for part in inner for one in ast.walk(part)):
                    yield from _afterwards(loop, inner)
            yield block[index + 1 :]
            return


class _Reader:
    """Goes through statements in the order in which they are executed; ``bound`` are names that are bound for sure."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def read(self, node: ast.AST | None, bound: set[str]) -> None:
        """Everything below a node is read, and nothing is bound for sure."""
        for one in ast.walk(node) if node is not None else ():
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Store) and one.id not in bound:
                self.found.add(one.id)

    def walk(self, block: Sequence[ast.stmt], bound: set[str]) -> set[str]:
        """Returns what is bound for sure afterwards."""
        bound = set(bound)
        for statement in block:
            bound = self._statement(statement, bound)
        return bound

    def _statement(self, one: ast.stmt, bound: set[str]) -> set[str]:
        if isinstance(one, ast.Assign | ast.AnnAssign | ast.AugAssign):
            return self._binding(one, bound)
        if isinstance(one, ast.If):
            self.read(one.test, bound)
            return self.walk(one.body, bound) & self.walk(one.orelse, bound)
        if isinstance(one, ast.For | ast.While):
            return self._loop(one, bound)
        if isinstance(one, ast.With):
            for item in one.items:
                self.read(item.context_expr, bound)
                self.read(item.optional_vars, bound)
                bound = bound | (_stored(item.optional_vars) if item.optional_vars is not None else set())
            self.walk(one.body, bound)  # it may swallow an exception
            return bound
        if isinstance(one, ast.Try):
            for block in (one.body, *(handler.body for handler in one.handlers), one.orelse, one.finalbody):
                self.walk(block, bound)
            for handler in one.handlers:
                self.read(handler.type, bound)
            return bound
        self.read(one, bound)
        return bound

    def _binding(self, one: ast.Assign | ast.AnnAssign | ast.AugAssign, bound: set[str]) -> set[str]:
        self.read(one.value, bound)
        targets = one.targets if isinstance(one, ast.Assign) else [one.target]
        for target in targets:
            self.read(target, bound)
        if isinstance(one, ast.AugAssign):
            self.found.update(_stored(one.target) - bound)
            return bound
        return bound if one.value is None else bound.union(*map(_stored, targets))

    def _loop(self, one: ast.For | ast.While, bound: set[str]) -> set[str]:
        inside = bound
        if isinstance(one, ast.For):
            self.read(one.iter, bound)
            self.read(one.target, bound)
            inside = bound | _stored(one.target)
        else:
            self.read(one.test, bound)
        self.walk(one.body, inside)
        self.walk(one.orelse, bound)
        return bound  # it may have no round


def _stored(target: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
