"""The object store in memory, as one actor sees it: faults at each call, and a watch over what may be written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from greenkernel.store.objects import ObjectInfo
from tests.simulation.faults import Faults

_AT = datetime(2026, 1, 5, tzinfo=UTC)
ONCE = ("open", "claim", "drained", "failure", "result", "end", "request", "advice")


@dataclass(slots=True)
class Shelf:
    """What is in the store.

    Attributes:
        written: Called after each object that was written, with its name.
        broken: Objects that may be written once and were written again.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    written: Callable[[str], None] = lambda name: None
    broken: list[str] = field(default_factory=list)


class MemoryStore:
    """Has the methods of `ObjectStore`.

    Args:
        shelf: What all actors share.
        faults: Of this schedule.
        actor: Whose calls these are.
    """

    def __init__(self, shelf: Shelf, faults: Faults, actor: str) -> None:
        self._shelf = shelf
        self._faults = faults
        self._actor = actor

    def get(self, name: str) -> memoryview | None:
        def do() -> memoryview | None:
            data = self._shelf.objects.get(name)
            return None if data is None else memoryview(data)

        return self._faults.call("read", self._actor, do)

    def put(self, name: str, data: bytes | memoryview) -> None:
        def do() -> None:
            self._write(name, bytes(data))

        self._faults.call(_effect(name), self._actor, do)

    def put_new(self, name: str, data: bytes | memoryview) -> bool:
        def do() -> bool:
            if name in self._shelf.objects:
                return False
            self._write(name, bytes(data))
            return True

        return self._faults.call(_effect(name), self._actor, do)

    def info(self, name: str) -> ObjectInfo | None:
        data = self._shelf.objects.get(name)
        return None if data is None else ObjectInfo(name=name, bytes=len(data), modified_at=datetime.now(UTC))

    def size(self, name: str) -> int | None:
        info = self.info(name)
        return None if info is None else info.bytes

    def listing(self, prefix: str, *, after: str | None = None) -> list[ObjectInfo]:
        def do() -> list[ObjectInfo]:
            names = sorted(name for name in self._shelf.objects if name.startswith(prefix + "/"))
            found = [name for name in names if after is None or name > after]
            return [ObjectInfo(name=name, bytes=len(self._shelf.objects[name]), modified_at=_AT) for name in found]

        return self._faults.call("list", self._actor, do)

    def folders(self, prefix: str) -> list[str]:
        start = len(prefix) + 1
        names = [name[start:] for name in self._shelf.objects if name.startswith(prefix + "/")]
        return sorted({name.partition("/")[0] for name in names if "/" in name})

    def delete(self, *names: str) -> None:
        for name in names:
            self._shelf.objects.pop(name, None)

    def _write(self, name: str, data: bytes) -> None:
        if name in self._shelf.objects and name.rsplit("/", 1)[-1].partition("-")[0] in ONCE:
            self._shelf.broken.append(f"{name} was written again")
        self._shelf.objects[name] = data
        self._shelf.written(name)


def _effect(name: str) -> str:
    """What writing an object is called in the table of effects."""
    parts = name.split("/")
    if parts[0] == "blobs":
        return "blob"
    if "records" in parts:
        return "record"
    last = parts[-1].partition("-")[0]
    if last == "result":
        return "finish" if "epochs" in parts else "accept"
    return {"open": "open epoch", "end": "end run", "drained": "say drained"}.get(last, last)
