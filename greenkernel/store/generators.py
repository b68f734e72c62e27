"""Generators that have ended, and on the way back those that have not begun: of both it is known what they are.

One in the middle has a place in its code, which nothing but itself can be asked for.
"""

from __future__ import annotations

import inspect
import types
from typing import Any


def reduced(value: Any, kind: type, *, returns: bool) -> tuple[Any, ...] | None:
    """How to make one that is as this; None for everything else.

    Args:
        value: Anything.
        kind: Its type.
        returns: It comes from a cell. One that is sent would begin there, and not at home.
    """
    if kind is not types.GeneratorType:
        return None
    frame = value.gi_frame
    if frame is None:
        return _ended, (value.__name__, value.__qualname__)
    if not returns or inspect.getgeneratorstate(value) != inspect.GEN_CREATED:
        return None
    code, local = value.gi_code, dict(frame.f_locals)
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not {*named, *code.co_freevars} <= local.keys():
        return None
    function = _named(value) or types.FunctionType(
        code, frame.f_globals, value.__name__, None, tuple(types.CellType(local[name]) for name in code.co_freevars)
    )
    at = len(named)
    more = local[code.co_varnames[at]] if code.co_flags & inspect.CO_VARARGS else ()
    at += bool(code.co_flags & inspect.CO_VARARGS)
    others = local[code.co_varnames[at]] if code.co_flags & inspect.CO_VARKEYWORDS else {}
    positional = (*(local[name] for name in named[: code.co_argcount]), *more)
    by_name = {**{name: local[name] for name in named[code.co_argcount :]}, **others}
    return _new, (function, positional, by_name, value.__name__, value.__qualname__)


def _named(value: types.GeneratorType[Any, Any, Any]) -> Any:
    """The function that has made it, where that is found by its name."""
    first, *rest = value.__qualname__.split(".")
    found = value.gi_frame.f_globals.get(first) if value.gi_frame is not None else None
    for name in rest:
        found = getattr(found, name, None)
    return found if isinstance(found, types.FunctionType) and found.__code__ is value.gi_code else None


def _ended(name: str, qualname: str) -> Any:
    """It gives nothing any more, which is all that there is to know of it."""
    made: Any = (nothing for nothing in range(0))
    made.__name__, made.__qualname__ = name, qualname
    return next(made, made)


def _new(function: Any, args: tuple[Any, ...], named: dict[str, Any], name: str, qualname: str) -> Any:
    made = function(*args, **named)
    made.__name__, made.__qualname__ = name, qualname
    return made
