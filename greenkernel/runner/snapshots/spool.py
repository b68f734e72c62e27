"""Snapshots on their way: written on the runner's own disk by the cell's thread, shipped by the reporter's.

What is large and new is copied in memory, and written by a third thread while the cell goes on.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from greenkernel.errors import PermanentError
from greenkernel.records import Payload, RecordRef
from greenkernel.runner.files import FilesBefore, mapped
from greenkernel.runner.snapshots.parts import Copies, Parts
from greenkernel.runner.snapshots.state import Moment, written
from greenkernel.store.runs import RunStore
from greenkernel.store.snapshots import Place, Said, Snapshot, SnapshotStore, newest_first, number_of
from greenkernel.units import format_bytes

# Of what is written; snapshots of another one, or of another Python, are not gone on from.
FORMAT = f"1, Python {'.'.join(map(str, sys.version_info[:3]))}"
# In the store; older ones are removed. One where there is no room for two.
_KEPT = 2


class SnapshotSpool:
    """Writes and ships the snapshots of one epoch.

    Args:
        store: The run's objects.
        key: The home's key.
        epoch: The epoch that this runner has claimed.
        folder: Where parts lie until they are shipped.
        files: The files of the cell's folder as it found them.
        known: Addresses of what the store has: of the payload, and of the snapshot that was gone on from.
        cpu_s: CPU seconds that lead to here, over all epochs.
        believed: What earlier epochs have left; their snapshots go when there are enough of this one.
        room: Bytes that snapshots may take in the store; None: no matter how many.
    """

    def __init__(
        self,
        store: RunStore,
        key: bytes,
        epoch: int,
        folder: Path,
        files: FilesBefore,
        known: Iterable[str],
        cpu_s: Callable[[], float],
        *,
        believed: Sequence[RecordRef] = (),
        room: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._run = store
        self._store = SnapshotStore(store, key)
        self._key = key
        self._epoch = epoch
        self._folder = folder
        self._files = files
        self._cpu_s = cpu_s
        self._payload = frozenset(known)
        self._parts = Parts(folder, key, self._payload)
        # Held while parts are written: who removes some must not take those that are just being relied on.
        self._writing = threading.Lock()
        self._goes_on = False
        self._waiting: Snapshot | None = None
        self._shipped: list[Snapshot] = []
        self._room = room
        self._kept = _KEPT
        # This process may have begun once more, and then has left some of its own.
        own = [RecordRef(name=name, epoch=epoch, bytes=size) for name, size in store.records(epoch)]
        self._earlier = newest_first((*believed, *own))
        self._number = max((number_of(ref.name) for ref in self._earlier if ref.epoch == epoch), default=0)
        # Only what was there before a later epoch could be opened is ever removed.
        self._stored = self._store.parts()

    @property
    def last(self) -> Snapshot | None:
        """The newest one that is in the store."""
        return self._shipped[-1] if self._shipped else None

    @property
    def is_busy(self) -> bool:
        """True while one is written beside the cell, or waits to be shipped."""
        return self._waiting is not None or self._goes_on

    @property
    def stored_bytes(self) -> int:
        """What snapshots of all epochs take in the store."""
        return sum(self._stored.values())

    def write(
        self,
        moment: Moment,
        place: Place,
        said: Said,
        namespace: dict[str, Any],
        *,
        copies_bytes: int = 0,
        wrote: Callable[[float, str | None], None] = lambda took_s, reason: None,
    ) -> None:
        """Write one; it takes the place of one that has not been shipped yet.

        Args:
            moment: What the cell has computed.
            place: Where it is.
            said: What it has printed by then.
            namespace: The notebook's.
            copies_bytes: Memory for copies of what is large, which are written after this has returned; 0: none.
            wrote: Then called, by another thread, with the seconds that it took and with why it could not be done.

        Raises:
            CannotTravelError: Something in the moment cannot be pickled.
            PermanentError: A file of the cell's folder cannot be kept, or it is larger than what may be kept.
            OSError: The disk is full.
        """
        self._writing.acquire()
        handed_on = False
        try:
            copies = Copies(self._parts, copies_bytes)
            payload: Payload = written(moment, namespace, copies)
            changes, left_out = self._files.changes(self._parts)
            if left_out:
                name, why = next(iter(left_out.items()))
                raise PermanentError(f"{name} cannot be kept: {why}")
            snapshot = Snapshot(
                version=FORMAT,
                epoch=self._epoch,
                number=self._number + 1,
                at=datetime.now(UTC),
                cpu_s=self._cpu_s(),
                place=place,
                payload=payload,
                files=changes,
                said=said,
            )
            if copies.close():
                work = threading.Thread(
                    target=self._write_copies, args=(snapshot, copies, wrote), name="greenkernel-copies", daemon=True
                )
                self._goes_on = True
                work.start()
                handed_on = True
            else:
                self._hand_over(snapshot)
        finally:
            if not handed_on:
                self._goes_on = False
                self._writing.release()

    def _write_copies(self, snapshot: Snapshot, copies: Copies, wrote: Callable[[float, str | None], None]) -> None:
        began, reason = time.monotonic(), None
        try:
            self._hand_over(replace(snapshot, payload=copies.keep(snapshot.payload)))
        except (PermanentError, OSError) as e:
            reason = str(e)
        finally:
            self._goes_on = False
            self._writing.release()
        wrote(time.monotonic() - began, reason)

    def _hand_over(self, snapshot: Snapshot) -> None:
        self._find_room(snapshot)
        self._number += 1
        self._waiting = snapshot

    def settle(self, deadline_s: float) -> None:
        """Wait for what is written beside the cell, which ends with it."""
        if self._writing.acquire(timeout=deadline_s):
            self._writing.release()

    def _find_room(self, snapshot: Snapshot) -> None:
        """Decide how many stay in the store; one that is too large by itself is given up."""
        room = self._room()
        if room is None:
            return
        written = {path.name: path.stat().st_size for path in self._folder.iterdir() if path.is_file()}
        sizes = {**self._stored, **written}

        def bytes_of(*snapshots: Snapshot) -> int:
            return sum(sizes.get(part, 0) for part in {part for one in snapshots for part in one.parts})

        self._kept = _KEPT if bytes_of(snapshot, *self._shipped[-1:]) <= room else 1
        if bytes_of(snapshot) <= room:
            return
        waiting = set(self._waiting.parts) if self._waiting is not None else set()
        for part in written.keys() & set(snapshot.parts) - waiting:
            (self._folder / part).unlink(missing_ok=True)
            self._parts.forget([part])
        raise PermanentError(
            f"a snapshot takes {format_bytes(bytes_of(snapshot))}, and {format_bytes(max(0, room))} are left of what "
            "a run may take (run_size)"
        )

    def waiting(self) -> Snapshot | None:
        """What is to be shipped next; what the cell had printed until then goes first."""
        return self._waiting

    def ship(self, snapshot: Snapshot) -> None:
        """Bring one into the store: its parts, then itself; and remove older ones.

        Raises:
            TemporaryError: The store is away.
        """
        put: dict[str, int] = {}
        try:
            for address in dict.fromkeys(snapshot.parts):
                path = self._folder / address
                if path.exists():
                    with mapped(path) as data:
                        self._store.put_part(address, data)
                        put[address] = data.nbytes
        finally:  # also of one that a newer one takes the place of
            self._stored = {**self._stored, **put}
        self._run.put_record(self._epoch, snapshot.name, snapshot.to_bytes(self._key))
        if self._waiting is snapshot:
            self._waiting = None
        self._shipped.append(snapshot)
        if self._run.epoch(self._epoch + 1) is None and self._writing.acquire(blocking=False):
            try:
                gone = self._worthless()
                self._stored = {part: size for part, size in self._stored.items() if part not in gone}
            finally:
                self._writing.release()
            self._store.delete_parts(*gone)

    def _worthless(self) -> set[str]:
        """Parts that no snapshot needs any more; nothing of them is written meanwhile.

        Where a later epoch has been opened nothing is removed: it relies on what there was then.
        """
        gone, self._shipped = self._shipped[: -self._kept], self._shipped[-self._kept :]
        kept = [*self._shipped, *([self._waiting] if self._waiting is not None else [])]
        needed = {part for one in kept for part in one.parts}
        parts = {part for one in gone for part in one.parts} - needed - self._payload
        if len(self._shipped) == self._kept:
            parts |= self._stored.keys() - needed
            for ref in self._earlier:
                self._run.delete_records(ref.epoch, ref.name)
            self._earlier = []
        self._parts.forget(parts)
        if self._waiting is None:
            for path in self._folder.iterdir():
                if path.is_file():
                    path.unlink()
                    if path.name not in needed:  # of one that could not be taken
                        self._parts.forget([path.name])
        self._run.delete_records(self._epoch, *(one.name for one in gone))
        return parts
