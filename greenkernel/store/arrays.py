"""Arrays that share memory stay views of one buffer when they travel; numpy's own pickling would part them.

Nothing here imports numpy by itself: who has no arrays does not pay for it.
"""

from __future__ import annotations

import array
import ctypes
import pickle
import sys
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_PLAIN_KINDS = "biufcmMSUV"
# An array with gaps may take so many times the memory of its elements.
_GAPS_MOST = 16
# Larger memory of other objects than arrays would be written into the payload's head.
_OVER_MOST_BYTES = 1 << 26


def is_plain_array(value: object) -> bool:
    """True for an ``ndarray`` itself (no subclass) whose elements are bytes without references."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not getattr(numpy, "ndarray", None):
        return False
    array: Any = value
    return bool(array.nbytes) and array.dtype.kind in _PLAIN_KINDS and not array.dtype.hasobject


def is_owner(array: Any) -> bool:
    """True for a writeable array that has memory of its own, without gaps."""
    flags = array.flags
    return bool(flags.owndata and flags.writeable and flags.forc)


def owner_of(array: Any) -> Any:
    """The array whose memory an array looks at: itself, where it has its own."""
    kind = type(array)
    while isinstance(array.base, kind):
        array = array.base
    return array


def over_buffer(value: Any) -> tuple[Any, ...] | None:
    """How to rebuild an array, or a memoryview, over memory that an object of the language has; None for others.

    ``np.frombuffer(b)`` and ``memoryview(b)`` see what is written into the bytearray ``b``, and the other way round.
    """
    base = value if type(value) is memoryview else owner_of(value).base
    root = base.obj if type(base) is memoryview else base
    if type(root) not in (bytearray, array.array) or not 0 < memoryview(root).nbytes <= _OVER_MOST_BYTES:
        return None
    whole = memoryview(root).cast("B")
    if type(value) is not memoryview:
        numpy: Any = sys.modules["numpy"]
        offset = address_of(value) - address_of(numpy.frombuffer(root, "u1"))
        own = bool(value.flags.writeable)
        return as_over, (root, value.dtype, value.shape, value.strides, offset, own)
    if not value.c_contiguous or value.readonly or not value.nbytes:
        return None
    offset = _first_byte(value) - _first_byte(whole)
    return as_memory, (root, offset, value.nbytes, value.format, value.shape)


def address_of(of: Any) -> int:
    """The address of an array's first element."""
    return int(of.__array_interface__["data"][0])


def _first_byte(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view.cast("B") if view.format != "B" or view.ndim > 1 else view))


class Whole:
    """What an array has become: written with all its bytes, also where others look at them.

    Args:
        array: A view of it: who knows the array itself must not take this for a reference to it.
    """

    def __init__(self, array: Any) -> None:
        self.array = array


# An array that the reader has, and what it has become and will be there in a moment; None: what it is there already.
Known = tuple[Any, Any]


def part_of(array: Any, known: Known) -> tuple[Any, ...]:
    """How to rebuild a view of an array that the reader has."""
    base, content = known
    offset = address_of(array) - address_of(base)
    layout = (base.dtype, base.shape, base.strides)
    own = bool(array.flags.writeable)
    return as_part, (base, layout, array.dtype, array.shape, array.strides, offset, own, content)


def whole(array: Any) -> tuple[pickle.PickleBuffer, tuple[Any, ...]]:
    """The memory of an array that owns it, and how to rebuild one that owns its own again."""
    buffer = pickle.PickleBuffer(bytes_of(array))
    order = "C" if array.flags.c_contiguous else "F"
    return buffer, (as_owner, (buffer, array.dtype, array.shape, order))


def bytes_of(array: Any) -> Any:
    """The memory of an array without gaps, in its order. The buffer protocol knows no dates, nor records of them."""
    return array.ravel(order="K").view("u1")


def spread(array: Any) -> tuple[Any, ...] | None:
    """How to rebuild an array with gaps between its elements; None where these are too large, or there are none.

    Sums depend on how elements lie. What is in the gaps belongs to others and does not travel.
    """
    if array.flags.forc:
        return None
    # Along an axis without a stride all elements are one.
    compact = array[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in array.strides)]
    low, high = extent(compact)
    if high - low > _GAPS_MOST * compact.nbytes:
        return None
    offset = address_of(compact) - low
    return as_spread, (compact.copy(), array.shape, array.strides, high - low, offset, bool(array.flags.writeable))


def extent(array: Any) -> tuple[int, int]:
    """First address of an array's memory and the one after its last byte."""
    low = high = address_of(array)
    for length, stride in zip(array.shape, array.strides, strict=True):
        reach = (length - 1) * stride
        low, high = (low + reach, high) if reach < 0 else (low, high + reach)
    return low, high + array.itemsize


class Region:
    """Memory that several arrays share; pickled once, as one buffer."""

    def __init__(self, low: int, high: int, *, writeable: bool) -> None:
        self.low = low
        self.high = high
        self.writeable = writeable

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        memory = memoryview((ctypes.c_char * (self.high - self.low)).from_address(self.low)).cast("B")
        return as_region, (pickle.PickleBuffer(memory if self.writeable else memory.toreadonly()),)


@dataclass(frozen=True, slots=True)
class Shared:
    """The regions found, in the order of their addresses."""

    regions: tuple[Region, ...]

    @classmethod
    def among(cls, arrays: list[Any]) -> Shared:
        """Regions that at least two of these arrays have a part in; arrays that share nothing are in none."""
        bounds = sorted((*extent(a), bool(a.flags.writeable)) for a in arrays)
        regions: list[Region] = []
        members = 0
        for low, high, writeable in bounds:
            if regions and low < regions[-1].high:
                last = regions[-1]
                last.high = max(last.high, high)
                last.writeable = last.writeable or writeable
                members += 1
                continue
            if regions and members < 2:
                regions.pop()
            regions.append(Region(low, high, writeable=writeable))
            members = 1
        if regions and members < 2:
            regions.pop()
        return cls(tuple(regions))

    def reduced(self, array: Any) -> tuple[Any, ...] | None:
        """How to rebuild an array as a view of its region; None where it shares nothing."""
        low, high = extent(array)
        index = bisect_right(self.regions, low, key=lambda region: region.low) - 1
        if index < 0 or high > self.regions[index].high:
            return None
        region = self.regions[index]
        offset = address_of(array) - region.low
        return as_view, (region, array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable))


def as_region(memory: Any) -> Any:
    """The buffer itself: all views of a region are made from one object."""
    return memory


class Stored:
    """A buffer that is still in the store, for an array that has its memory already.

    Args:
        read_into: Reads it into memory, and raises where it is not what it should be.
    """

    def __init__(self, read_into: Callable[[memoryview], None]) -> None:
        self.read_into = read_into


def as_over(root: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """An array over memory of an object of the language."""
    import numpy

    found = numpy.ndarray(shape, dtype, buffer=root, offset=offset, strides=strides)
    found.flags.writeable = writeable
    return found


def as_memory(root: Any, offset: int, length: int, form: str, shape: Any) -> memoryview:
    """A memoryview of a part of an object of the language."""
    part = memoryview(root).cast("B")[offset : offset + length]
    return part.cast(form, shape) if shape else part.cast(form)  # type: ignore[call-overload, no-any-return]


def as_owner(memory: Any, dtype: Any, shape: tuple[int, ...], order: Any) -> Any:
    """A new array with a copy of ``memory``."""
    import numpy

    array = numpy.ndarray(shape, dtype, order=order)
    if isinstance(memory, Stored):
        flat: Any = array.ravel(order="K").view("u1")
        memory.read_into(memoryview(flat))
        return array
    array[...] = numpy.ndarray(shape, dtype, buffer=memory, order=order)
    return array


def as_part(
    base: Any,
    layout: tuple[Any, ...],
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    own: bool,
    content: Any,
) -> Any:
    """A view of ``base``; of a copy of it where its elements lie in another order than they did for the writer."""
    import numpy

    if (base.dtype, base.shape, base.strides) != layout:
        there = numpy.ndarray(layout[1], layout[0], strides=layout[2])
        there[...] = base if content is None else content
        base = there
    return as_view(bytes_of(base), dtype, shape, strides, offset, own and bool(base.flags.writeable))


def as_spread(compact: Any, shape: tuple[int, ...], strides: tuple[int, ...], size: int, offset: int, own: bool) -> Any:
    """An array of its own memory, of ``size`` bytes, in which elements lie as in the one that was written."""
    import numpy

    memory = numpy.zeros(size, "u1")
    as_view(memory, compact.dtype, compact.shape, strides, offset, True)[...] = compact
    return as_view(memory, compact.dtype, shape, strides, offset, own)


def as_view(memory: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, own: bool) -> Any:
    """An array over ``memory``; ``own`` says whether it may be written through."""
    import numpy

    array = numpy.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
    if not own:
        array.flags.writeable = False
    return array
