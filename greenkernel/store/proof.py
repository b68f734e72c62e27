"""Tries whether what was written can be read: one object that cannot would cost its reader all that come after it."""

from __future__ import annotations

import ctypes
import io
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from greenkernel.store.arrays import as_owner
from greenkernel.store.pickling import Reader

# What is read makes every object a second time; beyond this it could need more memory than there is.
MOST_BYTES = 64 << 20


def first_unreadable(
    pickles: bytes,
    names: Sequence[str],
    buffers: Iterable[Any],
    refer: Callable[[str], object],
    there: Mapping[str, object],
    *,
    anew: bool,
) -> tuple[str, Exception] | None:
    """The first object that cannot be read, and why; None where all can.

    Args:
        pickles: The stream of pickles, one of each name.
        names: The names, in the order of the pickles.
        buffers: The memory that was written beside; it is looked at and not copied.
        refer: Finds an object that was written as a reference.
        there: What the reader's namespace has already.
        anew: Make classes anew, as their reader will; libraries that keep lists of classes have them twice then.
    """
    kind = _Strict if anew else _Trial
    reader = kind(io.BytesIO(pickles), buffers, {**there, "__name__": "__main__"}, refer, track=False)
    try:
        for name in names:
            try:
                reader.load()
            # Unpickling calls the objects' own code, which may raise anything.
            except Exception as e:
                return name, e
    finally:
        _never_ended(reader.memo.copy().values())
        reader.close()
    return None


def _never_ended(copies: Iterable[object]) -> None:
    """A copy that is let go of would do what is the original's to do: remove its file, close its connection."""
    for copy in copies:
        if isinstance(getattr(type(copy), "__del__", None), types.FunctionType):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(copy))


class _Trial(Reader):
    """Leaves arrays in the memory that they were written from."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (as_owner.__module__, as_owner.__name__):
            return _looking
        return super().find_class(module, name)


class _Strict(_Trial):
    """Finds no class that this process has."""

    def _class(self, tracker: Any, make: Callable[[Any], type]) -> type:
        del tracker
        return make(None)


def _looking(memory: Any, dtype: Any, shape: tuple[int, ...], order: Any) -> Any:
    import numpy

    return numpy.ndarray(shape, dtype, buffer=memory, order=order)
