"""What only looks at others and knows no pickling: matches of regular expressions, and weak references."""

from __future__ import annotations

import re
import weakref
from typing import Any


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild one of these; None for everything else."""
    if kind is re.Match:
        return _matched, (value.re, value.string, value.pos, value.endpos, value.regs)
    if kind is weakref.ref:
        return _referring, (value(), value.__callback__)
    if kind in (weakref.WeakValueDictionary, weakref.WeakKeyDictionary):
        return kind, (), None, None, iter(list(value.items()))
    if kind is weakref.WeakSet:
        return kind, (list(value),)
    return None


def _matched(pattern: Any, text: Any, start: int, end: int, regs: tuple[tuple[int, int], ...]) -> Any:
    """The match that has the same groups at the same places, whichever method has found it."""
    for found in (pattern.match(text, start, end), pattern.fullmatch(text, start, end)):
        if found is not None and found.regs == regs:
            return found
    return next((found for found in pattern.finditer(text, start, end) if found.regs == regs), None)


class _Gone:
    """What a weak reference refers to that refers to nothing any more."""


def _referring(value: Any, callback: Any) -> Any:
    return weakref.ref(_Gone() if value is None else value, callback)
