"""Attributes of other people's objects, whose own ``__getattr__`` may raise anything."""

from __future__ import annotations

from typing import Any


def attribute_of(value: object, name: str, default: Any = None) -> Any:
    """An attribute, or the default where the object has none or does not know how to say so."""
    try:
        return getattr(value, name, default)
    # Their own code: ``__getattr__ = dict.__getitem__`` raises KeyError.
    except Exception:
        return default
