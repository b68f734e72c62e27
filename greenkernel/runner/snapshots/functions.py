"""A function of the notebook that a cell calls: the same function with hooks in its loops, or entered in the middle."""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from greenkernel.runner.snapshots.hooks import Board
from greenkernel.runner.snapshots.weave import Loop, entered, fitted, hooked, loops_in_block, woven_block

_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_STATEFUL = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Source:
    """A function and what its code was compiled from."""

    function: FunctionType
    definition: ast.FunctionDef
    # What stood beside it when it was compiled: imports there decide how calls are compiled.
    beside: tuple[ast.stmt, ...]

    @property
    def loops(self) -> list[Loop]:
        """Its loops, in the order of their numbers."""
        return loops_in_block(self.definition.body)

    def woven(self, board: Board) -> FunctionType | None:
        """The function with the hooks of a board in its loops."""
        return self._made(woven_block(self.definition.body), board.named())

    def entered(self, board: Board, chain: Sequence[int], counted: Sequence[int], values: Any) -> FunctionType | None:
        """The function from the beginning of a round on; ``values.take(name)`` gives its local names."""
        first = self.definition.body[0]
        parameters = {one.arg for one in ast.walk(self.definition.args) if isinstance(one, ast.arg)}
        bound = [_assigned(name, first) for name in values.names if name not in parameters]
        body = [*bound, *entered(self.definition.body, chain, counted)]
        return self._made(body, {**board.named(), "values": values})

    def arguments(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What it is called with, of its local names.

        Raises:
            KeyError: One is gone.
        """
        given = self.definition.args
        positional = [values[one.arg] for one in (*given.posonlyargs, *given.args)]
        positional += values[given.vararg.arg] if given.vararg else ()
        named = {one.arg: values[one.arg] for one in given.kwonlyargs}
        return positional, {**named, **(values[given.kwarg.arg] if given.kwarg else {})}

    def _made(self, body: list[ast.stmt], hooks: Mapping[str, object]) -> FunctionType | None:
        code = _compiled(self.function, self.definition, body, self.beside)
        return None if code is None else _like(self.function, fitted(code, hooks))


def source_of(function: object, namespace: Mapping[str, Any]) -> Source | None:
    """What a function was compiled from; None where it is not the notebook's, or has a state that no name shows."""
    if not isinstance(function, FunctionType) or function.__globals__ is not namespace:
        return None
    code = function.__code__
    if code.co_freevars or code.co_cellvars or code.co_flags & _STATEFUL or hasattr(function, "__wrapped__"):
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno == code.co_firstlineno and node.name == code.co_name:
            imports = tuple(one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom))
            for beside in ((), imports):
                again = _compiled(function, node, node.body, beside)
                if again == code:  # constants, names and lines are the same, too
                    return Source(function, node, beside) if not node.decorator_list else None
    return None


def _compiled(
    function: FunctionType, definition: ast.FunctionDef, body: list[ast.stmt], beside: tuple[ast.stmt, ...]
) -> CodeType | None:
    code = function.__code__
    node = ast.FunctionDef(
        **{
            **{name: getattr(definition, name) for name in definition._fields if hasattr(definition, name)},
            "body": body,
            "decorator_list": [],
        }
    )
    module = ast.Module([*beside, ast.copy_location(node, definition)], [])
    flags = code.co_flags & _FUTURE
    whole = compile(module, code.co_filename, "exec", flags=flags, dont_inherit=True)
    return next((one for one in whole.co_consts if isinstance(one, CodeType) and one.co_name == code.co_name), None)


def _like(function: FunctionType, code: CodeType) -> FunctionType:
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__dict__.update(function.__dict__)
    return made


def _assigned(name: str, place: ast.stmt) -> ast.stmt:
    value = hooked(place, "values", "take", ast.copy_location(ast.Constant(name), place))
    return ast.fix_missing_locations(ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), place))
