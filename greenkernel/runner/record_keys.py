"""Digests of a joblib task by value: equal in any process for equal arguments and code, and cheap for big arrays."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from greenkernel.runner.record_code import class_parts, code_parts, is_user_code, read_globals, version_of
from greenkernel.store.hashing import keyed_hash

# Nothing of a result depends on them, and they hold uuid4 and the time of day (scikit-learn 1.9).
_LEFT_OUT = {"sklearn.model_selection._validation._fit_and_score": frozenset({"callback_ctx", "caller"})}
_PROGRESS_ONLY = "sklearn.callback."
# Stacking gives them a generator seeded by the operating system, which they do not use without shuffling.
_SPLITTERS = "sklearn.model_selection._split"
_PLAIN = frozenset({str, int, float, bool, bytes, complex, type(None), tuple, list, dict})
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, range, FunctionType)
_SMALL_BYTES = 1 << 16
_SAMPLES = 256


class UnhashableError(Exception):
    """A value has no digest, so its task is not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDigest:
    """Digest of a task, and of each thing it is given that could change."""

    digest: str
    given: Sequence[tuple[Any, str]]


class CallHasher:
    """Digests for the tasks of one Parallel call; big arrays and functions are hashed once.

    Args:
        key: 32 bytes; digests made with another key are different.

    Attributes:
        writes_arrays: True once a task of this call was seen to write into a big array that it was given.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.RLock()
        self._arrays: dict[int, tuple[weakref.ref[Any], object, str]] = {}
        self._functions: dict[int, tuple[FunctionType, str]] = {}
        self._depth: list[int] = []
        self._read: dict[int, Any] = {}
        self.writes_arrays = False

    def digest(self, *values: Any) -> str:
        """64 hexadecimal digits of the values.

        Raises:
            UnhashableError: A part of them can be neither pickled nor told apart otherwise.
        """
        buffer = io.BytesIO()
        with self._lock:
            try:
                _ValuePickler(buffer, self._stand_in).dump(values)
            except UnhashableError:
                raise
            except Exception as e:  # a class's own pickling may raise anything; the task then runs unrecorded
                raise UnhashableError(f"{type(e).__name__}: {e}") from e
        return keyed_hash(self._key, buffer.getbuffer())

    def task(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TaskDigest:
        """Digest of a call of ``function``.

        Raises:
            UnhashableError: Something in it has no digest.
        """
        plain, context = unwrapped(function)
        code = plain
        while isinstance(code, partial | MethodType):
            code = code.func if isinstance(code, partial) else code.__func__
        held = held_by(function, args, kwargs)
        parts: list[Any] = [value if isinstance(value, _ATOMS) else self.digest(value) for value in held]
        given = [(value, part) for value, part in zip(held, parts, strict=True) if not isinstance(value, _ATOMS)]
        about = (type(plain).__name__, name_of(plain), version_of(plain), len(args), list(_that_count(plain, kwargs)))
        digest = self.digest(*about, code if isinstance(code, FunctionType | type) else None, context, parts)
        return TaskDigest(digest=digest, given=given)

    def array_written(self, value: Any, digest: str) -> bool:
        """True where a big array is not what it was, every byte compared; from then on the call is one that writes."""
        with self._lock:
            if self._arrays.pop(id(value), None) is not None and self.digest(value) != digest:
                self.writes_arrays = True
        return self.writes_arrays

    def same_array(self, value: Any) -> bool:
        """True for a big array that has been hashed before and looks as it did then; far cheaper than its digest."""
        known = self._arrays.get(id(value))
        return known is not None and known[0]() is value and known[1] == _sample(value)

    def data_read(self) -> list[tuple[Any, str]]:
        """What the notebook's functions met so far read elsewhere (globals, closures), with its digest now."""
        with self._lock:
            return [(value, self.digest(value)) for value in self._read.values()]

    def _stand_in(self, obj: Any) -> tuple[object, ...] | None:
        """What is hashed in place of ``obj``; None: its own pickle."""
        kind = type(obj)
        if kind in _PLAIN:
            return None
        if kind is FunctionType:
            return "function", self._function(obj)
        if isinstance(obj, type):
            return self._class(obj)
        if kind is set or kind is frozenset:
            return kind.__name__, sorted(self.digest(item) for item in obj)
        if kind is ModuleType:
            return "module", obj.__name__
        if kind is CodeType:
            return "code", *code_parts(obj)
        if kind.__module__.startswith(_PROGRESS_ONLY):
            return ("progress",)
        if kind.__module__ == _SPLITTERS and getattr(obj, "shuffle", None) is False:
            return "splitter", kind.__qualname__, self.digest({**vars(obj), "random_state": None})
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and isinstance(obj, numpy.ndarray):
            return self._array(numpy, obj)
        return None

    def _class(self, obj: type) -> tuple[object, ...] | None:
        if not is_user_code(obj.__module__):
            return None
        if id(obj) in self._depth:
            return "class within itself", obj.__qualname__
        self._depth.append(id(obj))
        try:
            return "class", self.digest(obj.__qualname__, obj.__bases__, *class_parts(obj))
        finally:
            self._depth.pop()

    def _function(self, function: FunctionType) -> str:
        known = self._functions.get(id(function))
        if known is not None:
            return known[1]
        name = f"{function.__module__}.{function.__qualname__}"
        if id(function) in self._depth:
            return f"{name} within itself"
        self._depth.append(id(function))
        try:
            cells = [_content(cell) for cell in function.__closure__ or ()]
            shared = read_globals(function)
            for value in (*cells, *shared.values()):
                if not isinstance(value, (*_ATOMS, ModuleType)):
                    self._read[id(value)] = value
            parts = (function.__defaults__, function.__kwdefaults__, cells, shared)
            digest = self.digest(name, *code_parts(function.__code__), *parts)
        finally:
            self._depth.pop()
        self._functions[id(function)] = (function, digest)
        return digest

    def _array(self, numpy: Any, array: Any) -> tuple[object, ...]:
        kind = numpy.ndarray if type(array) is numpy.memmap else type(array)
        about = ("array", kind.__module__, kind.__qualname__, str(array.dtype.descr), array.shape)
        if self.same_array(array):
            return *about, self._arrays[id(array)][2]
        digest = self._array_content(numpy, array)
        if array.nbytes >= _SMALL_BYTES:
            forget = partial(_forget, weakref.ref(self), id(array))
            self._arrays[id(array)] = (weakref.ref(array, forget), _sample(array), digest)
        return *about, digest

    def _array_content(self, numpy: Any, array: Any) -> str:
        if array.dtype.hasobject:
            return self.digest(array.tolist())
        # In memory order, so that a Fortran-ordered array is hashed without a copy.
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        if array.size == 0:
            return "empty"
        flat = numpy.asarray(array).ravel(order="K" if order == "F" else "C")
        return keyed_hash(self._key, order.encode(), memoryview(flat.view(numpy.uint8)))

    def forget(self, identity: int) -> None:
        """An array is gone, and its identity may be another's soon."""
        self._arrays.pop(identity, None)


class _ValuePickler(pickle.Pickler):
    """Pickles by value alone: no memo, so that equal strings are equal whether or not they are one object."""

    def __init__(self, file: io.BytesIO, stand_in: Callable[[Any], tuple[object, ...] | None]) -> None:
        super().__init__(file, protocol=5)
        self.fast = True
        self._stand_in = stand_in

    def persistent_id(self, obj: Any) -> tuple[object, ...] | None:
        """What stands for ``obj``, or None for its own pickle."""
        return self._stand_in(obj)


def unwrapped(function: Any) -> tuple[Any, Any]:
    """The callable inside scikit-learn's ``delayed``, and the configuration that it runs under.

    Its warning filters are dropped: they differ between processes and change no result.
    """
    if type(function).__name__ == "_FuncWrapper" and type(function).__module__.startswith("sklearn."):
        return function.function, getattr(function, "config", None)
    return function, None


def name_of(function: Any) -> str:
    """Module and qualified name of a callable, or of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', None)}.{named.__qualname__}"


def held_by(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Everything that a task is given and could change: what its function is bound to, and its arguments."""
    plain, _ = unwrapped(function)
    counting = _that_count(plain, kwargs)
    bound: list[Any] = []
    while isinstance(plain, partial):
        bound += [*plain.args, *plain.keywords.values()]
        plain = plain.func
    if isinstance(plain, MethodType):
        bound.append(plain.__self__)
    elif not isinstance(plain, FunctionType | type):
        bound.append(plain)
    return (*bound, *args, *counting.values())


def _that_count(plain: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    left_out = _LEFT_OUT.get(name_of(plain), frozenset())
    return {name: kwargs[name] for name in sorted(kwargs) if name not in left_out}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return "empty cell"


def _sample(array: Any) -> object:
    """A few elements of a big array: an array that is filled anew between two tasks is not taken for the old one."""
    if array.nbytes < _SMALL_BYTES:
        return None
    one_piece = array.flags.c_contiguous or array.flags.f_contiguous
    picked = (array.ravel(order="K") if one_piece else array.flat)[:: max(1, array.size // _SAMPLES)]
    return tuple(id(item) for item in picked) if array.dtype.hasobject else picked.tobytes()


def _forget(hasher: weakref.ref[CallHasher], identity: int, _gone: object) -> None:
    alive = hasher()
    if alive is not None:
        alive.forget(identity)
