"""What a ``with`` leaves behind: closed files and connections, readers of them, archives, pools that are shut down.

They travel.
"""

from __future__ import annotations

import csv
import gc
import io
import os
import threading
import zipfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

_BUFFERS: dict[str, type[Any]] = {
    "BufferedReader": io.BufferedReader,
    "BufferedWriter": io.BufferedWriter,
    "BufferedRandom": io.BufferedRandom,
}


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild one of these; None for everything else, and for what is still open."""
    if kind is io.TextIOWrapper:
        return _text_parts(value) if value.closed else None
    if kind.__module__ == "_io" and kind_of(value) is not None:
        return (_binary, (kind_of(value), value.name)) if value.closed else None
    if kind.__module__ == "_csv" and kind.__name__ in ("reader", "writer"):
        file = next((file for part in gc.get_referents(value) if (file := _file_of(part)) is not None), None)
        again = reduced(file, io.TextIOWrapper) if type(file) is io.TextIOWrapper else None
        return (_table, (kind.__name__, again[1], _dialect(value))) if again is not None else None
    if _is_compressed(kind) and value.closed:
        return _compressed, (kind, getattr(value, "name", None))
    if kind is zipfile.ZipFile and value.fp is None:
        return _zip, ({name: part for name, part in vars(value).items() if name != "_lock"},)
    if kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        down = getattr(value, "_shutdown", False) or getattr(value, "_shutdown_thread", False)
        return (_executor, (kind, value._max_workers)) if down else None
    if kind.__module__.startswith("h5py._hl."):
        return _hdf5_parts(value, kind)
    if kind.__module__.startswith("tables."):
        return _tables_parts(value, kind)
    if kind.__module__ == "sqlite3":
        return _sqlite_parts(value, kind)
    if kind.__module__ == "multiprocessing.pool" and hasattr(value, "_pool") and value._state in ("CLOSE", "TERMINATE"):
        return _pool, (kind, value._state, len(value._pool))
    return None


def _text_parts(value: Any) -> tuple[Any, ...] | None:
    if _is_compressed(type(value.buffer)):
        return _text_over, (type(value.buffer), value.encoding, value.errors)
    if kind_of(value.buffer) is None:
        return None
    return _text, (kind_of(value.buffer), value.name, value.encoding, value.errors, getattr(value, "mode", "r"))


def kind_of(file: Any) -> str | None:
    """The name of a buffer's kind; None where its file is none of the system's."""
    name = type(file).__name__
    if name == "FileIO":
        return name
    return name if name in _BUFFERS and type(file.raw) is io.FileIO else None


def _binary(kind: str, name: Any) -> Any:
    found = _opened(kind, name)
    found.close()
    return found


def _text(kind: str, name: Any, encoding: str, errors: str, mode: str, *, closed: bool = True) -> io.TextIOWrapper:
    found = io.TextIOWrapper(_opened(kind, name), encoding=encoding, errors=errors)
    vars(found)["mode"] = mode  # as open() sets it
    if closed:
        found.close()
    return found


def _is_compressed(kind: type) -> bool:
    return (kind.__module__, kind.__name__) in (("gzip", "GzipFile"), ("bz2", "BZ2File"), ("lzma", "LZMAFile"))


def _over_nothing(kind: Any) -> Any:
    return kind(fileobj=io.BytesIO(), mode="rb") if kind.__name__ == "GzipFile" else kind(io.BytesIO())


def _compressed(kind: Any, name: str | None) -> Any:
    found = _over_nothing(kind)
    found.close()
    if kind.__name__ == "GzipFile":
        found.name = name
    return found


def _text_over(kind: Any, encoding: str, errors: str) -> io.TextIOWrapper:
    found = io.TextIOWrapper(_over_nothing(kind), encoding=encoding, errors=errors)
    found.close()
    return found


def _table(kind: str, file: tuple[Any, ...], dialect: dict[str, Any]) -> Any:
    """A reader or writer of the csv module; they take no file that is closed already."""
    found = _text(*file, closed=False)
    table = (csv.reader if kind == "reader" else csv.writer)(found, **dialect)
    found.close()
    return table


def _file_of(part: Any) -> Any:
    return part if isinstance(part, io.IOBase) else getattr(part, "__self__", None) if callable(part) else None


def _dialect(table: Any) -> dict[str, Any]:
    names = ("delimiter", "quotechar", "escapechar", "doublequote", "skipinitialspace", "lineterminator", "quoting")
    return {name: getattr(table.dialect, name) for name in (*names, "strict")}


def _opened(kind: str, name: Any) -> Any:
    modes = {"BufferedReader": "rb", "BufferedWriter": "wb", "BufferedRandom": "r+b"}
    raw = io.FileIO(os.devnull, modes.get(kind, "rb"))
    raw.name = name  # its repr shows it
    return raw if kind == "FileIO" else _BUFFERS[kind](raw)


def _zip(state: dict[str, Any]) -> zipfile.ZipFile:
    found = zipfile.ZipFile.__new__(zipfile.ZipFile)
    vars(found).update(state, _lock=threading.RLock())
    return found


def _executor(kind: type[Executor], workers: int) -> Executor:
    found = kind(workers)  # type: ignore[call-arg]  # neither begins a thread or process before it has work
    found.shutdown()
    return found


def _pool(kind: Any, state: str, workers: int) -> Any:
    found = kind.__new__(kind)
    vars(found).update(_state=state, _pool=[None] * workers)
    return found


def _hdf5_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    """Of a file, data set or group whose file is closed, and of their attributes: the identifier of nothing."""
    number = vars(value).get("_id")
    if number is None or number.valid:
        return None
    plain = {name: part for name, part in vars(value).items() if part is None or isinstance(part, bool | str | dict)}
    return _hdf5, (kind, type(number)), plain


def _hdf5(kind: Any, number: Any) -> Any:
    found = kind.__new__(kind)
    vars(found)["_id"] = number(0)
    return found


def _tables_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    """Of the nodes of a file of PyTables that is closed: what they are called, and that they are closed."""
    if kind.__module__ == "tables.file":
        return None  # a closed one can be pickled
    has = getattr(value, "__dict__", {})
    if has.get("_v_isopen", has.get("isopen", True)):
        return None
    plain = {name: part for name, part in has.items() if part is None or isinstance(part, bool | int | str)}
    return _tables, (kind, plain)


def _tables(kind: Any, plain: dict[str, Any]) -> Any:
    found = kind.__new__(kind)
    vars(found).update(plain)  # its __setstate__ wants what only an open one has
    return found


def _sqlite_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    import sqlite3

    connection = value.connection if kind is sqlite3.Cursor else value
    if type(connection) is not sqlite3.Connection:
        return None
    try:
        _ = connection.total_changes
    except sqlite3.ProgrammingError:  # it is closed
        return (kind, (connection,)) if kind is sqlite3.Cursor else (_sqlite, ())
    return None


def _sqlite() -> Any:
    import sqlite3

    made = sqlite3.connect(":memory:")
    made.close()
    return made
