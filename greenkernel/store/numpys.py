"""Objects of numpy that have no pickle of their own, or one that loses a part of what they are.

Nothing here imports numpy by itself.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import sys
from typing import Any

from greenkernel.store.arrays import bytes_of

# More is not worth a copy in memory: what is inside may be read in the cell.
_ARCHIVE_MOST_BYTES = 1 << 30


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild one of these; None for everything else."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.ndarray) and _loses_attributes(kind, numpy.ndarray, value):
        return _of_kind, (kind, value.view(numpy.ndarray)), _attributes_of(value), None, None, _put_attributes
    if numpy is None or kind.__module__.partition(".")[0] != "numpy":
        return None
    if kind is numpy.recarray:  # pickled as it is it shares no memory, and cannot be shown afterwards
        return _of_kind, (kind, value.view(numpy.ndarray))
    if kind.__name__ == "flatiter":
        return _flat, (value.base, value.index)
    if kind.__name__ == "MaskedArray" and kind.__module__.startswith("numpy.ma"):
        return _masked_parts(value)
    if kind.__name__ == "NpzFile" and value.zip is not None:
        return _archive_of(value)
    return None


def mapped(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to map an array from its file again, where that lies beside the notebook then; None for all others."""
    numpy = sys.modules.get("numpy")
    if numpy is None or kind is not numpy.memmap or not isinstance(value.base, mmap.mmap) or value.filename is None:
        return None
    order = "C" if value.flags.c_contiguous else "F"
    return _mapped, (value.view(numpy.ndarray), str(value.filename), value.mode, value.offset, order)


def _mapped(content: Any, path: str, mode: Any, offset: int, order: Any) -> Any:
    """A file that is not there, or holds something else by now, is left alone."""
    import numpy

    with contextlib.suppress(OSError, ValueError):
        found: Any = numpy.memmap(path, content.dtype, "r+" if mode == "w+" else mode, offset, content.shape, order)
        if numpy.array_equal(bytes_of(found), bytes_of(content)):
            found.mode = mode
            return found
    return content.view(numpy.memmap)


def _attributes_of(value: Any) -> dict[str, Any]:
    """What an array of a class of its own carries; a mapped one goes without its file, and holds what is in it."""
    return {name: held for name, held in vars(value).items() if not isinstance(held, mmap.mmap)}


def _loses_attributes(kind: type, ndarray: Any, value: Any) -> bool:
    """True for a class of its own with attributes, which pickles as an array does, without them."""
    usual = all(
        getattr(kind, name) is getattr(ndarray, name) for name in ("__reduce_ex__", "__reduce__", "__setstate__")
    )
    return kind is not ndarray and usual and bool(getattr(value, "__dict__", None))


def _of_kind(kind: type, array: Any) -> Any:
    return array.view(kind)


def _put_attributes(value: Any, attributes: dict[str, Any]) -> None:
    vars(value).update(attributes)


def _archive_of(value: Any) -> tuple[Any, ...] | None:
    file = value.zip.fp
    at = file.tell()
    size = file.seek(0, io.SEEK_END)
    try:
        if size > _ARCHIVE_MOST_BYTES:
            return None
        file.seek(0)
        data = file.read()
    finally:
        file.seek(at)
    return _archive, (data, str(getattr(value.fid, "name", "object")), value.allow_pickle, value.max_header_size)


def _masked_parts(value: Any) -> tuple[Any, ...] | None:
    """Its own pickle makes a mask where there was none, which is shown, and is copied in memory once more."""
    import numpy

    if value._baseclass is not numpy.ndarray:
        return None
    return _masked, (value.view(numpy.ndarray), dict(vars(value)))


def _masked(data: Any, parts: dict[str, Any]) -> Any:
    import numpy

    found = data.view(numpy.ma.MaskedArray)
    vars(found).update(parts)
    return found


class _Named(io.BytesIO):
    """Bytes that know the name of the file that they come from, which numpy shows."""

    name = ""


def _archive(data: bytes, name: str, allow_pickle: bool, max_header_size: int) -> Any:
    import numpy

    file = _Named(data)
    file.name = name
    found = numpy.load(file, allow_pickle=allow_pickle, max_header_size=max_header_size)
    found.fid = file
    return found


def _flat(base: Any, index: int) -> Any:
    found = base.flat
    for _ in range(index):
        next(found)
    return found
