"""Instances of Python classes that pickle alone cannot rebuild: it would call what they are not ready for yet.

``__getattr__`` that hands everything on (a proxy) is asked for ``__setstate__`` before it has its object;
``__new__(cls, size)`` is called without what it needs.
"""

from __future__ import annotations

import inspect
import types
from typing import Any


class _Plain:
    """What an instance without anything from C looks like."""


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild an instance from its attributes alone; None where pickle can do it, or it has its own way."""
    if kind.__basicsize__ != _Plain.__basicsize__ or kind.__itemsize__ or hasattr(kind, "__setstate__"):
        return None
    usual = ("__reduce_ex__", "__reduce__", "__getstate__")
    if any(getattr(kind, name) is not getattr(object, name) for name in usual) or kind.__flags__ & _HAS_OWN_LAYOUT:
        return None
    if _needs_more(kind):
        return _bare, (kind,), _attributes(value), None, None, _put
    if isinstance(getattr(kind, "__getattr__", None), types.FunctionType):
        return kind.__new__, (kind,), _attributes(value), None, None, _put
    return None


# list, tuple, dict, int... among its bases.
_HAS_OWN_LAYOUT = 0b11111111 << 24


def _needs_more(kind: type) -> bool:
    """True where ``__new__`` cannot be called with the class alone."""
    new = kind.__new__
    if not isinstance(new, types.FunctionType):
        return False
    named = (hasattr(kind, "__getnewargs__"), hasattr(kind, "__getnewargs_ex__"))
    try:
        inspect.signature(new).bind(kind)
    except TypeError:
        return not any(named)
    return False


def _attributes(value: Any) -> dict[str, Any]:
    return dict(object.__getattribute__(value, "__dict__"))


def _bare(kind: type) -> Any:
    return object.__new__(kind)


def _put(value: Any, attributes: dict[str, Any]) -> None:
    object.__getattribute__(value, "__dict__").update(attributes)
