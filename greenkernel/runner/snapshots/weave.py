"""Statements with loops -> the same statements with a hook in each loop, or as they are entered in the middle.

A hook is an object among the constants of the compiled code: no name of the notebook's is added, lines and columns stay
as they are. ``for x in data`` becomes ``for x in HOOK.over(data)``, ``while test`` becomes
``while not HOOK.point() and test``. Entering in the middle leaves out what is done, down to the innermost loop.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, TypeVar

# Stands before the names of hooks, where these are put in later.
HOOK = "greenkernel hook "
_GUARD = "guard"
_CALL = "call"
_WITH = "with"
_OTHER_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

Loop = ast.For | ast.While
Node = TypeVar("Node", bound=ast.AST)


def loops_in(statement: ast.stmt) -> list[Loop]:
    """The loops of a statement that can be entered in the middle, in the order of their numbers.

    They stand in each other's bodies, in ``if``, in ``with``, and in what a ``try`` tries.
    """
    if _awaits(statement):
        return []
    return list(_loops([statement]))


def targets_of(loop: Loop) -> list[str] | None:
    """The names that a loop binds; None where it binds anything else than names."""
    if isinstance(loop, ast.While):
        return []
    parts = list(ast.walk(loop.target))
    if not all(isinstance(part, ast.Name | ast.Tuple | ast.List | ast.Starred | ast.expr_context) for part in parts):
        return None
    return [part.id for part in parts if isinstance(part, ast.Name)]


def value_of_target(loop: ast.For, names: Mapping[str, Any]) -> Any:
    """What has been assigned to a loop's target, as the names have it now.

    Raises:
        KeyError: One of the names is gone.
    """

    def value(target: ast.expr) -> Any:
        if isinstance(target, ast.Name):
            return names[target.id]
        found: list[Any] = []
        for part in target.elts:  # type: ignore[attr-defined]  # `targets_of` has looked
            if isinstance(part, ast.Starred):
                found += value(part.value)
            else:
                found.append(value(part))
        return found

    return value(loop.target)


def with_key(item: ast.withitem) -> str:
    """What a ``with`` is known by."""
    return f"{item.context_expr.lineno}:{item.context_expr.col_offset}"


def withs_around(loop: Loop, block: Sequence[ast.stmt]) -> list[ast.With]:
    """The ``with`` blocks that a loop of a block stands in, outermost first."""
    return [one for one in _withs(block) if any(inner is loop for inner in _loops(one.body))]


def woven(statement: ast.stmt) -> ast.stmt:
    """A statement with a hook in each of its loops."""
    found = copy.deepcopy(statement)
    numbers = {id(loop): number for number, loop in enumerate(loops_in(found))}
    _Weaver(numbers).hook([found])
    return found


def entered(block: Sequence[ast.stmt], chain: Sequence[int], made_again: Collection[int]) -> list[ast.stmt]:
    """Statements from the beginning of a round on: what stands before is left out.

    Args:
        block: One statement, or the body of a function.
        chain: Numbers of the loops that are under way, the outermost first.
        made_again: Those whose data are made once more; the others' data are known.
    """
    found = copy.deepcopy(list(block))
    numbers = {id(loop): number for number, loop in enumerate(_loops(found))}
    return _Weaver(numbers, chain=tuple(chain), made_again=frozenset(made_again)).enter(found, inside=False)


def woven_block(block: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The body of a function with a hook in each of its loops."""
    found = copy.deepcopy(list(block))
    _Weaver({id(loop): number for number, loop in enumerate(_loops(found))}).hook(found)
    return found


def loops_in_block(block: Sequence[ast.stmt]) -> list[Loop]:
    """As `loops_in`, of the body of a function."""
    return [] if any(_awaits(statement) or _yields(statement) for statement in block) else list(_loops(block))


def call_in(statement: ast.stmt) -> ast.Call | None:
    """The call of a statement that is nothing but ``f(...)`` or ``names = f(...)``, of a function or a method."""
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) else None
    return value if isinstance(value, ast.Call) and isinstance(value.func, ast.Name | ast.Attribute) else None


def with_call_woven(statement: Node) -> Node:
    """``f(...)`` -> ``HOOK.of(f)(...)``."""
    found = copy.deepcopy(statement)
    call = call_in(found)  # type: ignore[arg-type]  # a statement
    if call is not None:
        call.func = hooked(call.func, _CALL, "of", call.func)
    return found


def with_call_entered(statement: Node) -> Node:
    """``f(...)`` -> ``HOOK.resumed()``: its arguments are known."""
    found: Any = copy.deepcopy(statement)
    found.value = hooked(found.value, _CALL, "resumed")
    return found  # type: ignore[no-any-return]


def fitted(code: CodeType, hooks: Mapping[str, object]) -> CodeType:
    """Compiled code with the hooks themselves where their names stand.

    Args:
        code: Compiled from what the functions above gave.
        hooks: ``"0"``, ``"1"``, ... for the loops, ``"guard"``, ``"with"`` and ``"call"``.
    """
    names = {HOOK + name: hook for name, hook in hooks.items()}
    constants = tuple(names.get(one, one) if isinstance(one, str) else one for one in code.co_consts)
    return code.replace(co_consts=constants)


class _Weaver:
    def __init__(
        self, numbers: Mapping[int, int], *, chain: tuple[int, ...] = (), made_again: frozenset[int] = frozenset()
    ) -> None:
        self._numbers = numbers
        self._chain = chain
        self._made_again = made_again

    def hook(self, block: Sequence[ast.stmt]) -> None:
        """Every loop of a block."""
        for block_with in _withs(block):
            self._hook_with(block_with)
        for loop in _loops(block):
            number = str(self._numbers[id(loop)])
            if isinstance(loop, ast.For):
                loop.iter = hooked(loop.iter, number, "over", loop.iter)
            else:
                point = ast.UnaryOp(ast.Not(), hooked(loop.test, number, "point"))
                loop.test = _fixed(ast.BoolOp(ast.And(), [_fixed(point, loop.test), loop.test]), loop.test)

    def enter(self, block: list[ast.stmt], *, inside: bool) -> list[ast.stmt]:
        """What is left of a block that holds the innermost loop; ``inside``: of a loop that is under way."""
        at = next(i for i, one in enumerate(block) if self._leads(one))
        before, here, after = block[:at], block[at], block[at + 1 :]
        self.hook(before)
        self.hook(after)
        self._enter(here, inside=inside)
        if not (inside and before):
            return [here, *after]
        # Later rounds begin at the beginning.
        guarded = ast.If(hooked(before[0], _GUARD, "later"), before, [])
        return [_fixed(guarded, before[0]), here, *after]

    def _leads(self, statement: ast.stmt) -> bool:
        return any(self._numbers[id(loop)] == self._chain[-1] for loop in _loops([statement]))

    def _enter(self, here: ast.stmt, *, inside: bool) -> None:
        if isinstance(here, ast.For | ast.While):
            self._enter_loop(here, inside=inside)
        elif isinstance(here, ast.If):
            in_body = any(self._leads(one) for one in here.body)
            guard = hooked(here.test, _GUARD, "first" if in_body else "later")
            known: ast.expr = _fixed(ast.Constant(in_body), here.test)
            if inside:
                known = _fixed(ast.BoolOp(ast.Or() if in_body else ast.And(), [guard, here.test]), here.test)
            here.test = known
            self.hook(here.orelse if in_body else here.body)
            kept = self.enter(here.body if in_body else here.orelse, inside=inside)
            here.body, here.orelse = (kept, here.orelse) if in_body else (here.body, kept)
        elif isinstance(here, ast.With):
            self._hook_with(here)
            here.body = self.enter(here.body, inside=inside)
        elif isinstance(here, ast.Try):
            here.body = self.enter(here.body, inside=inside)

    def _hook_with(self, here: ast.With) -> None:
        for item in here.items:
            key = _fixed(ast.Constant(with_key(item)), item.context_expr)
            item.context_expr = hooked(item.context_expr, _WITH, "inside", key, item.context_expr)

    def _enter_loop(self, loop: Loop, *, inside: bool) -> None:
        number = self._numbers[id(loop)]
        if isinstance(loop, ast.For):
            data = loop.iter
            if number in self._made_again:
                quiet = hooked(loop.iter, _GUARD, "quiet")
                data = _fixed(ast.BoolOp(ast.Or(), [quiet, loop.iter]), loop.iter)
            else:
                data = _fixed(ast.Constant(None), loop.iter)
                if inside:  # in later rounds it begins anew
                    guard = hooked(loop.iter, _GUARD, "first")
                    data = _fixed(ast.IfExp(guard, data, loop.iter), loop.iter)
            loop.iter = hooked(loop.iter, str(number), "over", data)
        else:
            going_on = hooked(loop.test, str(number), "goes_on")
            loop.test = _fixed(ast.BoolOp(ast.Or(), [going_on, loop.test]), loop.test)
        if number == self._chain[-1]:
            self.hook(loop.body)
        else:
            loop.body = self.enter(loop.body, inside=True)


def _loops(block: Sequence[ast.stmt]) -> Iterator[Loop]:
    for statement in block:
        if isinstance(statement, ast.For | ast.While):
            if targets_of(statement) is not None:
                yield statement
                yield from _loops(statement.body)
        elif isinstance(statement, ast.If):
            yield from _loops(statement.body)
            yield from _loops(statement.orelse)
        elif isinstance(statement, ast.With | ast.Try):
            yield from _loops(statement.body)


def _withs(block: Sequence[ast.stmt]) -> Iterator[ast.With]:
    """The ``with`` blocks around the loops of a block."""
    for statement in block:
        if isinstance(statement, ast.With):
            if any(_loops(statement.body)):
                yield statement
                yield from _withs(statement.body)
        elif isinstance(statement, ast.For | ast.While | ast.Try):
            yield from _withs(statement.body)
        elif isinstance(statement, ast.If):
            yield from _withs([*statement.body, *statement.orelse])


def _awaits(statement: ast.AST) -> bool:
    return any(isinstance(one, ast.Await | ast.AsyncFor | ast.AsyncWith) for one in _own_nodes(statement))


def _yields(statement: ast.AST) -> bool:
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own_nodes(statement))


def _own_nodes(statement: ast.AST) -> Iterator[ast.AST]:
    """All that is compiled into the same code."""
    pending = [statement]
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _OTHER_CODE):
            pending.extend(ast.iter_child_nodes(node))


def hooked(place: ast.AST, hook: str, method: str, *arguments: ast.expr) -> ast.expr:
    """A call of a hook's method, at the place of another node."""
    # An attribute of a constant, since Python warns of constants that are called.
    function = ast.Attribute(ast.Constant(HOOK + hook), method, ast.Load())
    return _fixed(ast.Call(function, list(arguments), []), place)


def _fixed(node: Node, place: ast.AST) -> Node:
    """A new node at the place of another one; what it holds of the old tree keeps its own."""
    return ast.fix_missing_locations(ast.copy_location(node, place))
