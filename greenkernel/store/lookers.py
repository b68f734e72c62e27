"""What only looks at others and knows no pickling: matches of regular expressions, weak references, views of dicts."""

from __future__ import annotations

import gc
import re
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

# What others hold where it comes from; only where a cell runs, for at home it would never be let go of.
_held: list[Any] | None = None
_VIEWS: dict[type, str] = {
    type(getattr(kind(), name)()): name for kind in (dict, OrderedDict) for name in ("keys", "values", "items")
}


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild one of these; None for everything else."""
    if kind is re.Match:
        return _matched, (value.re, value.string, value.pos, value.endpos, value.regs)
    if kind in _VIEWS:
        owner = next((one for one in gc.get_referents(value) if isinstance(one, dict)), None)
        return (_view, (owner, _VIEWS[kind])) if owner is not None else None
    return None


def _matched(pattern: Any, text: Any, start: int, end: int, regs: tuple[tuple[int, int], ...]) -> Any:
    """The match that has the same groups at the same places, whichever method has found it."""
    for found in (pattern.match(text, start, end), pattern.fullmatch(text, start, end)):
        if found is not None and found.regs == regs:
            return found
    return next((found for found in pattern.finditer(text, start, end) if found.regs == regs), None)


def hold_here() -> None:
    """From now on hold what is read and was referred to weakly: a cell runs here."""
    global _held
    _held = []


def _hold(objects: Iterable[Any]) -> None:
    if _held is not None:
        _held.extend(objects)


def weakly(value: Any, kind: type, *, returns: bool) -> tuple[Any, ...] | None:
    """How to rebuild what refers to others weakly; None for everything else.

    Args:
        value: Any object.
        kind: Its type.
        returns: It goes home, where others hold what it refers to. Where a cell runs, nobody else may.
    """
    if kind is weakref.ref:
        return _referring, (value(), value.__callback__, not returns)
    if kind in (weakref.WeakValueDictionary, weakref.WeakKeyDictionary):
        return _mapping, (kind, list(value.items()), not returns)
    if kind is weakref.WeakSet:
        return _set, (list(value), not returns)
    return None


def _mapping(kind: Any, items: list[tuple[Any, Any]], holds: bool) -> Any:
    _hold(items if holds else ())
    return kind(items)


def _set(items: list[Any], holds: bool) -> Any:
    _hold(items if holds else ())
    return weakref.WeakSet(items)


def _view(owner: dict[Any, Any], name: str) -> Any:
    # A class of its own may have another keys() than the one that this is a view of.
    return getattr(OrderedDict if isinstance(owner, OrderedDict) else dict, name)(owner)


class _Gone:
    """What a weak reference refers to that refers to nothing any more."""


def _referring(value: Any, callback: Any, holds: bool) -> Any:
    _hold((value,) if holds else ())
    return weakref.ref(_Gone() if value is None else value, callback)
