"""A finished task as a file: sealed under its name, written aside and renamed, listed without unpickling."""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle

from greenkernel.errors import IntegrityError
from greenkernel.store.hashing import seal_line, unseal

SUFFIX = ".rec"
ASIDE = ".aside"
_SEAL_BYTES = 65
_HEADER_UP_TO = 2048
_IMMUTABLE = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, type, FunctionType)
# Pickled without asking what stands for them.
_CONTAINERS = (list, dict, set, bytearray)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInfo:
    """One record in a folder. ``cpu_s`` is read from its header, whose seal is only checked when the record is used."""

    name: str
    bytes: int
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a task left behind.

    Args:
        result: What it returned.
        changed: Position of an argument to the attributes that it has after the task.
        dice: State of the global random generators after the task, or None where it did not draw from them.
        dice_before: Fingerprint of that state before the task, or None.
        cpu_s: CPU seconds of the task.
    """

    result: Any
    changed: Mapping[int, Mapping[str, Any]]
    dice: Any
    dice_before: str | None
    cpu_s: float


def encode(record: Record, held: Sequence[Any], function: str) -> tuple[bytes, memoryview]:
    """A record as header and body; references to the task's own arguments (``held``) stay references.

    Raises:
        Exception: Whatever the result's own pickling raises.
    """
    header = {"function": function[:200], "cpu_s": round(record.cpu_s, 6), "dice_before": record.dice_before}
    buffer = io.BytesIO()
    places = {id(value): place for place, value in enumerate(held) if not isinstance(value, _IMMUTABLE)}
    pickler = _ContainersToo if any(type(value) in _CONTAINERS for value in held) else _ResultPickler
    pickler(buffer, places).dump((record.result, dict(record.changed), record.dice))
    return json.dumps(header).encode() + b"\n", buffer.getbuffer()


def decode(body: memoryview, held: Sequence[Any]) -> Record:
    """The record behind an unsealed body; arguments it refers to are taken from ``held``.

    Raises:
        Exception: Whatever unpickling raises.
    """
    first_line = bytes(body[:_HEADER_UP_TO]).partition(b"\n")[0]
    header = json.loads(first_line)
    result, changed, dice = _ResultUnpickler(io.BytesIO(body[len(first_line) + 1 :]), held).load()
    return Record(result=result, changed=changed, dice=dice, dice_before=header["dice_before"], cpu_s=header["cpu_s"])


def read_body(folder: str, name: str, key: bytes) -> memoryview | None:
    """The body of a record, its seal verified; None where there is none.

    Raises:
        IntegrityError: It is cut, was changed, or belongs to another name or key.
    """
    try:
        data = Path(folder, name).read_bytes()
    except FileNotFoundError:
        return None
    return unseal(key, name, data)


def sealed_record(name: str, key: bytes, header: bytes, body: memoryview) -> bytes:
    """A record as `write_record` writes it."""
    return b"".join((seal_line(key, name, header, body), header, body))


def write_record(spool: str, name: str, key: bytes, header: bytes, body: memoryview) -> None:
    """Seal a record and make it appear in ``spool`` as a whole.

    Raises:
        OSError: It could not be written, or the spool does not take records any more.
    """
    aside = f"{spool}/{ASIDE}/{name}.{os.getpid()}.{threading.get_ident()}"
    # Unbuffered and without a joined copy: for thousands of small tasks that is half of the cost.
    with open(aside, "wb", buffering=0) as file:  # noqa: PTH123
        for piece in (seal_line(key, name, header, body) + header, body):
            left = memoryview(piece)
            while left.nbytes:
                left = left[file.write(left) :]
    os.replace(aside, f"{spool}/{name}")  # noqa: PTH105


def records(folder: Path) -> list[RecordInfo]:
    """The records in a folder, by name; nothing is unpickled and no seal is checked.

    Raises:
        IntegrityError: A file with a record's name has no readable header.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            start = file.read(_SEAL_BYTES + _HEADER_UP_TO)
        try:
            cpu_s = float(json.loads(start[_SEAL_BYTES:].partition(b"\n")[0])["cpu_s"])
        except (ValueError, KeyError, TypeError) as e:
            raise IntegrityError(f"{path.name} is not a record") from e
        found.append(RecordInfo(name=path.name, bytes=path.stat().st_size, cpu_s=cpu_s))
    return found


class _ResultPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Functions made on the fly by value, classes by name only: by value they would come back as other classes."""

    def __init__(self, file: io.BytesIO, held: Mapping[int, int]) -> None:
        super().__init__(file, protocol=5)
        self._held = held

    def reducer_override(self, obj: Any) -> Any:
        """The position of an argument that the result refers to; else as cloudpickle does, except for classes."""
        place = self._held.get(id(obj))
        if place is not None:
            return argument, (place,)
        if isinstance(obj, type) and obj.__module__ != "builtins":  # builtins holds some that have no name there
            return NotImplemented
        return super().reducer_override(obj)


class _ContainersToo(_ResultPickler):
    """The same where an argument is a list, a dict or the like: asks for each number and string, too, which is slow."""

    def persistent_id(self, obj: Any) -> int | None:
        """The position of an argument."""
        return self._held.get(id(obj))


def argument(place: int) -> Any:
    """Stands in records for the argument at a position; `_ResultUnpickler` puts it there."""
    raise pickle.UnpicklingError(f"argument {place} of a task is known only to its record")


class _ResultUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, held: Sequence[Any]) -> None:
        super().__init__(file)
        self._held = held

    def find_class(self, module: str, name: str) -> Any:
        """As ever, but for arguments."""
        found = super().find_class(module, name)
        return self._held.__getitem__ if found is argument else found

    def persistent_load(self, pid: Any) -> Any:
        """The argument at a position."""
        return self._held[pid]
