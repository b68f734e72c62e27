"""What a function or class is made of, as values to hash: byte code, constants, and what it reads elsewhere."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from importlib import metadata
from types import CodeType, FunctionType, MethodType
from typing import Any

_LIBRARY_FOLDERS = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_NO_PART_OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__doc__", "_abc_impl", "__firstlineno__"})


@cache
def is_user_code(module: str | None) -> bool:
    """True for the notebook itself and for modules outside the installed libraries: their helpers are hashed too."""
    if module is None or module == "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or str(file).startswith(_LIBRARY_FOLDERS) or "dist-packages" in str(file):
        return False
    return module.partition(".")[0] not in _installed()


@cache
def _installed() -> frozenset[str]:
    # Libraries that were unpacked beside the runner are in no library folder.
    return frozenset(metadata.packages_distributions())


def code_parts(code: CodeType) -> tuple[object, ...]:
    """What decides the behaviour of compiled code, without file names and line numbers."""
    constants = tuple(code_parts(part) if isinstance(part, CodeType) else part for part in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names, code.co_flags, code.co_argcount, code.co_kwonlyargcount


def class_parts(kind: type) -> tuple[object, ...]:
    """The members of a notebook's class that pickle or are functions."""
    members: list[tuple[str, str, object]] = []
    for name, member in sorted(vars(kind).items()):
        if name in _NO_PART_OF_A_CLASS or type(member).__name__ in ("getset_descriptor", "member_descriptor"):
            continue
        if isinstance(member, staticmethod | classmethod):
            members.append((name, type(member).__name__, member.__func__))
        elif isinstance(member, property):
            members.append((name, "property", (member.fget, member.fset, member.fdel)))
        else:
            members.append((name, "", member))
    return tuple(members)


def read_globals(function: FunctionType) -> dict[str, Any]:
    """The globals that a notebook's function and the functions inside it name; empty for a library's function."""
    if not is_user_code(function.__module__):
        return {}
    names = sorted(_names(function.__code__))
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def version_of(function: Any) -> str:
    """Version of the library that a callable comes from, or an empty text."""
    plain = function.__func__ if isinstance(function, MethodType) else function
    module = getattr(plain, "__module__", None) or ""
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))


def _names(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            found |= _names(part)
    return found
