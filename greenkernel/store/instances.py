"""Instances of Python classes that pickle alone cannot rebuild: it would call what they are not ready for yet.

``__getattr__`` that hands everything on (a proxy) is asked for ``__setstate__`` before it has its object;
``__new__(cls, size)`` is called without what it needs.
"""

from __future__ import annotations

import contextlib
import inspect
import struct
import sys
import types
from typing import Any

from greenkernel.store.tensors import is_optimizer, scripted

_POINTER_BYTES = struct.calcsize("P")


class _Plain:
    """What an instance without anything from C looks like."""


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild an instance from its attributes alone; None where pickle can do it, or it has its own way."""
    if issubclass(kind, tuple):
        return _of_tuple(value, kind)
    if (kind.__module__, kind.__name__) == ("sklearn.utils._bunch", "Bunch"):
        # Its own __setstate__ takes nothing, for the sake of files that are ten years old.
        make, args, state, items, pairs = value.__reduce_ex__(5)
        return make, args, state, items, pairs, _put
    if kind.__module__ == "pint" and (registry := vars(kind).get("_REGISTRY")) is not None:
        return _of_registry(value, kind, registry)
    if (script := scripted(value, kind)) is not None:
        return script
    if is_optimizer(value):
        return _bare, (kind,), _attributes(value), None, None, _put
    if not _is_of_python_alone(kind) or hasattr(kind, "__setstate__"):
        return None
    if _has_its_own_way(kind) or kind.__flags__ & _HAS_OWN_LAYOUT:
        return None
    if _needs_more(kind):
        return _bare, (kind,), _attributes(value), None, None, _put
    if isinstance(getattr(kind, "__getattr__", None), types.FunctionType):
        return kind.__new__, (kind,), _attributes(value), None, None, _put
    return None


def _of_registry(value: Any, kind: type, registry: Any) -> tuple[Any, ...] | None:
    """A quantity or unit of a registry of the notebook's own: pint itself would make it one of the process's."""
    if not _has_its_own_way(kind) or registry is sys.modules["pint"].get_application_registry().get():
        return None
    _, (_, *args) = value.__reduce__()
    return kind, tuple(args)


def _of_tuple(value: Any, kind: type) -> tuple[Any, ...] | None:
    """``__getattr__`` may not be ready for a question before the attributes are there."""
    asks = isinstance(getattr(kind, "__getattr__", None), types.FunctionType)
    if not asks or not kind.__dictoffset__ or _has_its_own_way(kind):
        return None
    return tuple.__new__, (kind, tuple(value)), _attributes(value), None, None, _put


def _has_its_own_way(kind: type) -> bool:
    usual = ("__reduce_ex__", "__reduce__", "__getstate__")
    return any(getattr(kind, name) is not getattr(object, name) for name in usual)


def _is_of_python_alone(kind: type) -> bool:
    """True where an instance has nothing but a ``__dict__``, or but slots."""
    if kind.__itemsize__:
        return False
    if kind.__dictoffset__:
        return kind.__basicsize__ == _Plain.__basicsize__
    slots = [one for cls in kind.__mro__ for one in vars(cls).values() if isinstance(one, types.MemberDescriptorType)]
    return kind.__basicsize__ == object.__basicsize__ + len(slots) * _POINTER_BYTES


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
    kind = type(value)
    if kind.__dictoffset__:
        return dict(object.__getattribute__(value, "__dict__"))
    names = {name: slot for cls in kind.__mro__ for name, slot in vars(cls).items()}
    slots = {name: slot for name, slot in names.items() if isinstance(slot, types.MemberDescriptorType)}
    found = {}
    for name, slot in slots.items():
        with contextlib.suppress(AttributeError):  # empty
            found[name] = slot.__get__(value, kind)
    return found


def _bare(kind: type) -> Any:
    return object.__new__(kind)


def _put(value: Any, attributes: dict[str, Any]) -> None:
    if type(value).__dictoffset__:
        object.__getattribute__(value, "__dict__").update(attributes)
        return
    for name, one in attributes.items():
        object.__setattr__(value, name, one)
