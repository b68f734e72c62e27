"""Snapshots of a run: what a cell had computed at one point, as objects in the store.

    runs/<id>/epochs/0001/records/snapshot-0001-000003.snap   where it was, and what it is made of; sealed
    runs/<id>/parts/<keyed hash>                               large pieces, each content once

What the payload holds already is not written again: its blobs are referred to by their address.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from greenkernel.errors import IntegrityError
from greenkernel.records import FileChange, Payload, RecordRef
from greenkernel.store.codec import sealed, unsealed
from greenkernel.store.hashing import keyed_hash
from greenkernel.store.runs import RunStore

SUFFIX = ".snap"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlace:
    """One loop that is under way. ``counted`` loops get their data once more and go over the first ``done`` of them."""

    number: int
    counted: bool = False
    done: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a cell something is.

    Attributes:
        statement: Index of the top-level statement that comes next, or is under way.
        function: The function that it has called and that is under way; None: none.
        loops: Loops that are under way, the outermost first; the innermost is at the end of a round.
        rounds: Rounds of the outermost loop that are done, and how many it has where that is known.
    """

    statement: int
    function: str | None = None
    loops: tuple[LoopPlace, ...] = ()
    rounds: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a cell has printed and shown so far: characters by stream, and displays."""

    stdout: int = 0
    stderr: int = 0
    displays: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a cell had computed at one point.

    Attributes:
        version: Of GreenKernel and Python; others' snapshots are not believed.
        epoch: The epoch that made it.
        number: Counted in that epoch.
        at: When it was taken.
        cpu_s: CPU seconds that lead to it, over all epochs.
        place: Where the cell was.
        payload: Its objects.
        files: What it had made of the files of its folder.
        said: What it had printed and shown.
    """

    version: str
    epoch: int
    number: int
    at: datetime
    cpu_s: float
    place: Place
    payload: Payload
    files: tuple[FileChange, ...] = ()
    said: Said = field(default_factory=Said)

    @property
    def name(self) -> str:
        """Its name among the records of its epoch."""
        return f"snapshot-{self.epoch:04d}-{self.number:06d}{SUFFIX}"

    @property
    def parts(self) -> tuple[str, ...]:
        """Addresses of all that it is made of."""
        return (self.payload.head, *self.payload.buffers, *(file.blob for file in self.files if file.blob is not None))

    def to_bytes(self, key: bytes) -> bytes:
        """As it is written, sealed under its name."""
        return sealed(key, self.name, self)


class SnapshotStore:
    """The snapshots of one run.

    Args:
        run: The run's objects.
        key: The home's key, 32 bytes.
    """

    def __init__(self, run: RunStore, key: bytes) -> None:
        self._run = run
        self._key = key
        self._base = f"runs/{run.run}/parts"

    def read(self, ref: RecordRef) -> Snapshot:
        """A snapshot, without its parts.

        Raises:
            IntegrityError: It is gone, cut or changed.
        """
        data = self._run.record(ref)
        if data is None:
            raise IntegrityError(f"{ref.name} is gone")
        return unsealed(self._key, ref.name, data, Snapshot)

    def put_part(self, address: str, data: bytes | memoryview) -> None:
        """Keep one part."""
        self._run.objects.put(f"{self._base}/{address}", data)

    def parts(self) -> dict[str, int]:
        """Bytes of each part that is there, whichever epoch has left it, by its address."""
        return {info.name.rsplit("/", 1)[-1]: info.bytes for info in self._run.objects.listing(self._base)}

    def delete_parts(self, *addresses: str) -> None:
        """Remove parts that no snapshot names any more."""
        self._run.objects.delete(*(f"{self._base}/{address}" for address in addresses))

    def get(self, address: str) -> memoryview:
        """The bytes behind an address, verified; those of the payload too.

        Raises:
            IntegrityError: They are cut or changed.
            PermanentError: There are none.
        """
        data = self._run.objects.get(f"{self._base}/{address}")
        if data is None:
            return self._run.blobs.get(address)
        if not hmac.compare_digest(keyed_hash(self._key, data), address):
            raise IntegrityError(f"the part {address[:12]} of a snapshot is cut or was changed")
        return data

    def read_into(self, address: str, target: memoryview) -> None:
        """As `Blobs.read_into`.

        Raises:
            IntegrityError: The bytes are missing, cut or changed.
        """
        if self._run.objects.size(f"{self._base}/{address}") is None:
            self._run.blobs.read_into(address, target)
            return
        data = self.get(address)
        if data.nbytes != target.nbytes:
            raise IntegrityError(f"the part {address[:12]} of a snapshot has another size")
        target[:] = data


def newest_first(refs: tuple[RecordRef, ...]) -> list[RecordRef]:
    """The snapshots among records; the newest is the one of the last epoch with the highest number."""
    found = [ref for ref in refs if ref.name.endswith(SUFFIX)]
    return sorted(found, key=lambda ref: ref.name, reverse=True)


def number_of(name: str) -> int:
    """The number of a snapshot in its epoch, by its name."""
    return int(name.removesuffix(SUFFIX).rsplit("-", 1)[-1])
