"""What an object that stays the same object has become: taken where it changed, put into its twin at home.

``clf.fit(X, y)`` binds no name. The fitted state travels as an update, and the notebook's own ``clf`` takes it in, so
that every name, list and object there that holds it sees the change.
"""

from __future__ import annotations

import array
import collections
import sys
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from greenkernel.store import handlers, sets, tensors
from greenkernel.store.arrays import Whole, is_plain_array
from greenkernel.store.pickling import is_atom, is_single_dispatch

_WITH_ATTRIBUTES = ("plain", "list", "dict", "set", "deque")
_OF_PYTHON = ("builtins", "collections", "weakref", "_weakrefset")
_WEAK = (weakref.WeakValueDictionary, weakref.WeakKeyDictionary)
_ABOUT_A_FUNCTION = ("__name__", "__qualname__", "__doc__", "__annotations__", "__module__")
_DUNDERS_KEPT = ("__annotations__", "__doc__", "__slots__")


class _Plain:
    """What an instance without anything from C looks like."""


@dataclass(frozen=True, slots=True)
class Update:
    """New content for one object; ``attributes`` are its ``__dict__``, None where that is not to be touched."""

    kind: str
    content: Any = None
    attributes: dict[str, Any] | None = None


def update_of(value: Any) -> Update | None:
    """The content of an object; None where its type cannot take in another one's content."""
    for kind, fits, take, _ in _KINDS:
        if fits(value):
            attributes = dict(vars(value)) if kind in _WITH_ATTRIBUTES and hasattr(value, "__dict__") else None
            return Update(kind, take(value), attributes)
    return None


def shape_of(value: Any) -> object:
    """What must be the same before and after for an update to fit."""
    return (type(value), value.shape, value.dtype) if _is_array(value) else type(value)


def apply(update: Update, target: Any) -> bool:
    """Put the content into ``target``; False where it does not fit, and nothing has changed then."""
    put = next(put for kind, _, _, put in _KINDS if kind == update.kind)
    if not put(target, update.content):
        return False
    if update.attributes is not None:
        _set_attributes(target, update.attributes)
    return True


def _set_attributes(target: Any, attributes: dict[str, Any]) -> None:
    mine = vars(target)
    for name in [name for name in mine if name not in attributes]:
        del mine[name]
    mine.update(attributes)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _put_array(target: Any, content: Any) -> bool:
    if isinstance(content, Whole):
        content = content.array
    if target.shape != content.shape or target.dtype != content.dtype:
        return False
    if not target.flags.writeable:
        return bool((target.view("u1") == content.view("u1")).all()) if target.flags.c_contiguous else False
    target[...] = content
    return True


def is_generator(value: Any) -> bool:
    """True for a random generator of numpy."""
    random = sys.modules.get("numpy.random")
    return random is not None and isinstance(value, random.Generator)


def _take_generator(value: Any) -> Any:
    return value.bit_generator.state, _children(getattr(value.bit_generator, "seed_seq", None))


def _put_generator(target: Any, content: Any) -> bool:
    state, children = content
    if target.bit_generator.state["bit_generator"] != state["bit_generator"]:
        return False
    target.bit_generator.state = state
    return _put_seeds(getattr(target.bit_generator, "seed_seq", None), children)


def _is_seeds(value: Any) -> bool:
    random = sys.modules.get("numpy.random")
    return random is not None and isinstance(value, random.SeedSequence)


def _children(value: Any) -> int:
    return int(getattr(value, "n_children_spawned", 0))


def _put_seeds(target: Any, children: int) -> bool:
    """How many children it has had decides what the next ones are."""
    more = children - _children(target)
    if more > 0:
        target.spawn(more)
    return more >= 0


def _take_class(value: type) -> dict[str, Any]:
    return {
        name: attribute
        for name, attribute in vars(value).items()
        if (not name.startswith("__") or callable(attribute) or name in _DUNDERS_KEPT)
        and not isinstance(attribute, types.GetSetDescriptorType | types.MemberDescriptorType)
        and name != "_abc_impl"
    }


def _put_class(target: type, content: dict[str, Any]) -> bool:
    for name in set(_take_class(target)) - set(content):
        delattr(target, name)
    for name, attribute in content.items():
        if vars(target).get(name) is not attribute:
            setattr(target, name, attribute)
    return True


def _take_function(value: types.FunctionType) -> dict[str, Any]:
    cells = {}
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # the cell is empty
            continue
    return {
        "dict": dict(vars(value)),
        "about": {name: getattr(value, name) for name in _ABOUT_A_FUNCTION},
        "defaults": value.__defaults__,
        "kwdefaults": value.__kwdefaults__,
        "cells": cells,
    }


def _put_function(target: types.FunctionType, content: dict[str, Any]) -> bool:
    _set_attributes(target, content["dict"])
    for name, said in content["about"].items():
        setattr(target, name, said)
    target.__defaults__ = content["defaults"]
    target.__kwdefaults__ = content["kwdefaults"]
    for name, cell in zip(target.__code__.co_freevars, target.__closure__ or (), strict=True):
        if name in content["cells"]:
            cell.cell_contents = content["cells"][name]
    return True


def _is_plain(value: Any) -> bool:
    """True where ``__dict__`` is all there is, and pickle is not told otherwise."""
    kind = type(value)
    if tensors.is_optimizer(value):
        return True
    small = kind.__basicsize__ == _Plain.__basicsize__ and kind.__itemsize__ == 0
    usual = all(
        getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__", "__getstate__")
    )
    return small and usual and hasattr(value, "__dict__") and not hasattr(kind, "__setstate__")


def _state(value: Any) -> Any:
    """The state that pickle takes, for an object whose class is all that it is first made from; else None."""
    try:
        reduced = value.__reduce_ex__(5)
    except (TypeError, AttributeError):  # an object of C without any pickling
        return None
    if not isinstance(reduced, tuple) or len(reduced) < 3 or any(part is not None for part in reduced[3:]):
        return None
    return reduced[2] if all(part is type(value) for part in reduced[1]) else None


def _has_state(value: Any) -> bool:
    return _state(value) is not None


def _refill(add: str) -> Callable[[Any, Any], bool]:
    def put(target: Any, content: Any) -> bool:
        # The methods of the language's own type: those of a class that inherits from it may check or count.
        own = next(kind for kind in type(target).__mro__ if kind.__module__ in _OF_PYTHON)
        getattr(own, "clear")(target)  # noqa: B009
        getattr(own, add)(target, content)
        return True

    return put


def _put_set(target: set[Any], content: sets.Recipe) -> bool:
    sets.refill(target, content)
    return True


def _put_bytes(target: bytearray, content: bytes) -> bool:
    try:
        target[:] = content
    except BufferError:  # an array has its memory there: it cannot get another length
        return False
    return True


def _is_memory(value: Any) -> bool:
    try:
        return type(value) is memoryview and value.c_contiguous and not value.readonly
    except ValueError:  # it was released
        return False


def _put_memory(target: Any, content: bytes) -> bool:
    """What it is over has the same content, or will: whoever is put first brings it."""
    if target.nbytes != len(content):
        return False
    if content:
        target.cast("B")[:] = content
    return True


def _put_typed(target: array.array[Any], content: array.array[Any]) -> bool:
    if target.typecode != content.typecode:
        return False
    try:
        target[:] = content
    except BufferError:  # as with a bytearray
        return False
    return True


def _put_tuple(target: tuple[Any, ...], content: tuple[Any, ...]) -> bool:
    """A tuple never changes, what it holds may: that has been put into it already, where it could."""
    return len(target) == len(content) and all(map(_is_there, target, content))


def _is_there(mine: Any, new: Any) -> bool:
    if type(mine) is tuple and type(new) is tuple:
        return _put_tuple(mine, new)
    return mine is new or (is_atom(mine) and type(mine) is type(new) and bool(mine == new or mine != mine))


def _put_state(target: Any, content: Any) -> bool:
    """As pickle does it; what the object keeps out of its state stays."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(content)
        return True
    new = _attributes_in(content)
    for name in _attributes_in(_state(target)).keys() - new.keys():
        object.__delattr__(target, name)
    for name, value in new.items():
        object.__setattr__(target, name, value)
    return True


def _attributes_in(state: Any) -> dict[str, Any]:
    """Of a state that pickle sets by itself: attributes in ``__dict__`` and those in slots."""
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    return {**(attributes or {}), **(slots or {})}


def _is_random_state(value: Any) -> bool:
    random = sys.modules.get("numpy.random")
    return random is not None and isinstance(value, random.RandomState)


def _put_random_state(target: Any, content: Any) -> bool:
    target.set_state(content)
    return True


def _dispatches(value: Any) -> bool:
    return type(value) is types.FunctionType and is_single_dispatch(value)


def _put_dispatch(target: Any, content: Any) -> bool:
    """Take in what was registered; what a function does of itself stays as it is."""
    for kind, function in content:
        if kind is not object and target.registry.get(kind) is not function:
            target.register(kind, function)
    return True


# kind, whether it fits, its content, and how another one's content is put in; the first that fits is taken.
_Kind = tuple[str, Callable[[Any], bool], Callable[[Any], Any], Callable[[Any, Any], bool]]
_KINDS: tuple[_Kind, ...] = (
    ("array", _is_array, lambda a: Whole(a.view()) if is_plain_array(a) else a.view(), _put_array),
    ("tensor", tensors.is_plain, tensors.content, tensors.put),
    ("tensors' generator", tensors.is_generator, lambda v: v.get_state(), tensors.put_generator),
    ("list", lambda v: isinstance(v, list), list, _refill("extend")),
    ("dict", lambda v: isinstance(v, dict), dict, _refill("update")),
    ("set", lambda v: isinstance(v, set), sets.recipe, _put_set),
    ("deque", lambda v: isinstance(v, collections.deque), list, _refill("extend")),
    # A tuple of its own: one that is referred to would be written as a reference to itself.
    ("tuple", lambda v: type(v) is tuple, lambda v: tuple(list(v)), _put_tuple),
    ("weak mapping", lambda v: type(v) in _WEAK, lambda v: dict(v.items()), _refill("update")),
    ("weak set", lambda v: type(v) is weakref.WeakSet, list, _refill("update")),
    ("bytearray", lambda v: isinstance(v, bytearray), bytes, _put_bytes),
    ("memory", _is_memory, bytes, _put_memory),
    ("typed", lambda v: type(v) is array.array, lambda v: v[:], _put_typed),
    ("generator", is_generator, _take_generator, _put_generator),
    ("seeds", _is_seeds, _children, _put_seeds),
    ("random state", _is_random_state, lambda r: r.get_state(legacy=False), _put_random_state),
    ("class", lambda v: isinstance(v, type), _take_class, _put_class),
    ("dispatch", _dispatches, lambda v: list(v.registry.items()), _put_dispatch),
    ("function", lambda v: type(v) is types.FunctionType, _take_function, _put_function),
    ("handler", handlers.is_loggers, handlers.settings, handlers.put_settings),
    ("plain", _is_plain, lambda _: None, lambda _target, _content: True),
    ("state", _has_state, _state, _put_state),
)
