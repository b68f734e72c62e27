"""A function that a cell calls: the same function with hooks in its loops, or entered in the middle."""

from __future__ import annotations
import __future__

import ast
import hashlib
import inspect
import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from greenkernel.runner.snapshots.hooks import Board
from greenkernel.runner.snapshots.weave import HOOK, Loop, entered, fitted, hooked, loops_in_block, woven_block

_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_STATEFUL = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Source:
    """A function and what its code was compiled from."""

    function: FunctionType
    definition: ast.FunctionDef
    # What stood beside it when it was compiled: imports there decide how calls are compiled.
    beside: tuple[ast.stmt, ...]
    # Names of the classes around it.
    classes: tuple[str, ...] = ()

    @property
    def loops(self) -> list[Loop]:
        """Its loops, in the order of their numbers."""
        return loops_in_block(self.definition.body)

    @property
    def fingerprint(self) -> str:
        """The same for the same text, but for its docstring, indentation and lines of comment."""
        first, last = _first_line(self.definition), self.definition.end_lineno or 0
        lines = dict(enumerate(linecache.getlines(self.function.__code__.co_filename)[first - 1 : last], first))
        if ast.get_docstring(self.definition) is not None:
            told = self.definition.body[0]
            lines = {n: line for n, line in lines.items() if not told.lineno <= n <= (told.end_lineno or 0)}
        stripped = (line.strip() for line in lines.values())
        text = "\n".join(line for line in stripped if line and not line.startswith("#"))
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    def woven(self, board: Board) -> FunctionType | None:
        """The function with the hooks of a board in its loops."""
        code = self.woven_code()
        return None if code is None else self.with_hooks(code, board)

    def woven_code(self) -> CodeType | None:
        """The code of that, with places for the hooks."""
        return self._code(woven_block(self.definition.body))

    def with_hooks(self, code: CodeType, board: Board) -> FunctionType:
        """The function with such code, and the hooks of a board in it."""
        return _like(self.function, fitted(code, board.named()))

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
        return arguments_of(self.function.__code__, values)

    def _made(self, body: list[ast.stmt], hooks: Mapping[str, object]) -> FunctionType | None:
        code = self._code(body)
        return None if code is None else _like(self.function, fitted(code, hooks))

    def _code(self, body: list[ast.stmt]) -> CodeType | None:
        return _compiled(self.function, self.definition, body, self.beside, self.classes)


def arguments_of(code: CodeType, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What a function with such code is called with, of its local names.

    Raises:
        KeyError: One is gone.
    """
    plain, keywords, rest, more = _parameters(code)
    positional = [*(values[name] for name in plain), *(values[rest] if rest else ())]
    return positional, {**{name: values[name] for name in keywords}, **(values[more] if more else {})}


def twin(function: FunctionType) -> FunctionType:
    """The same function, which stays what it is when the first is given other code."""
    return _like(function, function.__code__)


def in_place(function: FunctionType, hook: object) -> CodeType:
    """Code to stand in a function's place: it hands what the function is called with to ``hook.called``."""
    code = function.__code__
    plain, keywords, rest, more = _parameters(code)
    given = [*plain[: code.co_posonlyargcount], *(["/"] if code.co_posonlyargcount else [])]
    given += plain[code.co_posonlyargcount :]
    given += [f"*{rest}"] if rest else ["*"] if keywords else []
    given += [*keywords, *([f"**{more}"] if more else [])]
    names = [*plain, *keywords, *(name for name in (rest, more) if name)]
    values = ", ".join(f"{name!r}: {name}" for name in names)
    text = f"def {code.co_name}({', '.join(given)}): return {HOOK + 'call'!r}.called({{{values}}})"
    # It is none of the frames that a traceback shows.
    whole = compile(text, __file__, "exec", dont_inherit=True)
    made = next(one for one in whole.co_consts if isinstance(one, CodeType))
    return fitted(made, {"call": hook}).replace(co_qualname=code.co_qualname)


def _parameters(code: CodeType) -> tuple[list[str], list[str], str, str]:
    """Names of positional arguments, of those by keyword only, of the rest of both."""
    names = list(code.co_varnames)
    plain, names = names[: code.co_argcount], names[code.co_argcount :]
    keywords, names = names[: code.co_kwonlyargcount], names[code.co_kwonlyargcount :]
    rest = names.pop(0) if code.co_flags & inspect.CO_VARARGS else ""
    return plain, keywords, rest, names[0] if code.co_flags & inspect.CO_VARKEYWORDS else ""


class Values:
    """Local names of a function that is entered in the middle."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.names = tuple(values)
        self.take = values.__getitem__


def source_of(function: object, namespace: Mapping[str, Any]) -> Source | None:
    """What a function was compiled from; None where it is not the notebook's, or has a state that no name shows."""
    if not isinstance(function, FunctionType) or function.__globals__ is not namespace:
        return None
    found = _found(function)
    return found if found is not None and not found.definition.decorator_list else None


def name_of(function: object, namespace: Mapping[str, Any]) -> str | None:
    """By which a function of the notebook, or of one of its classes, is found again: ``f`` or ``C.f``; else None."""
    name = getattr(function, "__qualname__", "")
    return name if name and function_named(name, namespace) is function else None


def function_named(name: str, namespace: Mapping[str, Any]) -> object:
    """The function of that name, as it stands in its class; None where there is none."""
    owner, _, method = name.rpartition(".")
    if not owner:
        return namespace.get(name)
    found = namespace.get(owner)
    return vars(found).get(method) if isinstance(found, type) else None


def library_source(function: FunctionType) -> Source | None:
    """The same of a function of a library, which may be decorated: what stands below the decorators is meant."""
    return _found(function)


def _found(function: FunctionType) -> Source | None:
    code = function.__code__
    if code.co_freevars or code.co_cellvars or code.co_flags & _STATEFUL or hasattr(function, "__wrapped__"):
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return None
    classes = tuple(function.__qualname__.split(".")[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and _first_line(node) == code.co_firstlineno and node.name == code.co_name:
            imports = tuple(one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom))
            for beside in ((), imports):
                again = _compiled(function, node, node.body, beside, classes)
                if again == code:  # constants, names and lines are the same, too
                    return Source(function, node, beside, classes)
    return None


def _first_line(definition: ast.FunctionDef) -> int:
    return min([definition.lineno, *(one.lineno for one in definition.decorator_list)])


def _compiled(
    function: FunctionType,
    definition: ast.FunctionDef,
    body: list[ast.stmt],
    beside: tuple[ast.stmt, ...],
    classes: tuple[str, ...],
) -> CodeType | None:
    code = function.__code__
    parts = {name: getattr(definition, name) for name in definition._fields if hasattr(definition, name)}
    node: ast.stmt = ast.copy_location(ast.FunctionDef(**{**parts, "body": body}), definition)
    for name in reversed(classes):
        node = ast.fix_missing_locations(ast.copy_location(_class(name, node), definition))
    module = ast.Module([*beside, node], [])
    flags = code.co_flags & _FUTURE
    inner: CodeType | None = compile(module, code.co_filename, "exec", flags=flags, dont_inherit=True)
    for name in (*classes, code.co_name):
        constants = inner.co_consts if inner is not None else ()
        inner = next((one for one in constants if isinstance(one, CodeType) and one.co_name == name), None)
    return inner


def _class(name: str, inside: ast.stmt) -> ast.ClassDef:
    more: dict[str, Any] = {"type_params": []} if "type_params" in ast.ClassDef._fields else {}
    return ast.ClassDef(name=name, bases=[], keywords=[], body=[inside], decorator_list=[], **more)


def _like(function: FunctionType, code: CodeType) -> FunctionType:
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__dict__.update(function.__dict__)
    return made


def _assigned(name: str, place: ast.stmt) -> ast.stmt:
    value = hooked(place, "values", "take", ast.copy_location(ast.Constant(name), place))
    return ast.fix_missing_locations(ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), place))
