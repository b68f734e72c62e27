"""What leaves a running cell, shipped beside the computation: log events in order, progress, records."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from greenkernel.errors import TemporaryError
from greenkernel.records import Progress
from greenkernel.runner.checkpoints import SUFFIX as CHECKPOINT
from greenkernel.runner.checkpoints import older
from greenkernel.runner.record_outbox import Outbox
from greenkernel.runner.snapshots.spool import SnapshotSpool
from greenkernel.store.runs import LogEvent, RunStore
from greenkernel.store.snapshots import Said

_FLUSH_EVERY_S = 0.2
_PROGRESS_EVERY_S = 0.5
_MERGE_UP_TO = 64_000
_SHIPPED = ("*.rec", f"*{CHECKPOINT}")
LEFT_OUT = "records and snapshots take as much as they may of a run (run_size)"


class Reporter:
    """Ships from a thread of its own, so that the cell never waits for the store.

    Args:
        store: The run's objects.
        epoch: The epoch that this runner has claimed.
        spool: Folder in which finished tasks appear as ``*.rec`` (written aside and renamed).
        progress: Asked for the present progress each half second.
        logged: Chunks of the epoch's log that are in the store already.
        fenced: Called once when a later epoch has been opened: nothing of this one is believed any more.
    """

    def __init__(
        self,
        store: RunStore,
        epoch: int,
        spool: Path,
        progress: Callable[[], Progress],
        fenced: Callable[[], None],
        *,
        logged: int = 0,
    ) -> None:
        self._store = store
        self._epoch = epoch
        self._spool = spool
        self._progress = progress
        self._fenced = fenced
        self._events: list[LogEvent] = []
        self._sequence = logged
        self._shipped: dict[str, int] = {}
        self._counts = dict.fromkeys(("stdout", "stderr", "displays"), 0)
        self.outbox = Outbox()
        self.snapshots: SnapshotSpool | None = None
        self.most_bytes: int | None = None
        self._left_out: set[str] = set()
        self._lock = threading.Lock()
        self._ship_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="greenkernel-report", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def emit(self, event: LogEvent) -> None:
        """Take a log event; neighbouring text of one stream is merged."""
        with self._lock:
            if event.kind in ("stdout", "stderr"):
                self._counts[event.kind] += len(event.text)
            else:
                self._counts["displays"] += 1
            last = self._events[-1] if self._events else None
            text_follows = last is not None and last.kind == event.kind and event.kind in ("stdout", "stderr")
            if last is not None and text_follows and len(last.text) < _MERGE_UP_TO:
                self._events[-1] = LogEvent(at=last.at, kind=last.kind, text=last.text + event.text)
            else:
                self._events.append(event)

    def said(self) -> Said:
        """What has been printed and shown until now, over all epochs."""
        with self._lock:
            return Said(**self._counts)

    def go_on(self, said: Said) -> None:
        """What follows comes after that much: said to who reads the log, too."""
        with self._lock:
            self._counts = {"stdout": said.stdout, "stderr": said.stderr, "displays": said.displays}
            self._events.append(LogEvent(at=now(), kind="go_on", data=dict(self._counts)))

    @property
    def record_bytes(self) -> int:
        """Bytes of the records shipped so far."""
        return sum(list(self._shipped.values()))

    @property
    def left_out(self) -> int:
        """Records that were not shipped because there is no room for them."""
        return len(self._left_out)

    @property
    def kept_share(self) -> float:
        """Share of the records made here that were shipped, in [0, 1]."""
        made = len(self._shipped) + len(self._left_out)
        return len(self._shipped) / made if made else 1.0

    def finish(self) -> None:
        """Stop the thread and ship all that is left; faults of the store are raised here, not hidden."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.ship()

    def ship(self) -> None:
        """Ship everything that is there now."""
        with self._ship_lock:
            self._ship_all()
            self._store.put_progress(self._epoch, self._progress())

    def _ship_all(self) -> None:
        # Asked for first: what was printed until a snapshot is in the store before it.
        snapshot = self.snapshots.waiting() if self.snapshots is not None else None
        self._ship_events()
        self._ship_records()
        if self.snapshots is not None and snapshot is not None:
            self.snapshots.ship(snapshot)

    def _loop(self) -> None:
        ticks = 0
        per_progress = round(_PROGRESS_EVERY_S / _FLUSH_EVERY_S)
        while not self._stop.wait(_FLUSH_EVERY_S):
            ticks += 1
            try:
                with self._ship_lock:
                    self._ship_all()
                    if ticks % per_progress == 1:
                        self._store.put_progress(self._epoch, self._progress())
                        if self._store.epoch(self._epoch + 1) is not None:
                            self._fenced()
                            return
            except TemporaryError as e:  # the store is away: the computation goes on, the next tick tries again
                self._stop.wait(e.delay_s)

    def _ship_events(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        if not events:
            return
        try:
            self._store.put_log(self._epoch, self._sequence + 1, events)
            self._sequence += 1
        except TemporaryError:
            with self._lock:
                self._events = events + self._events
            raise

    def _tidy(self, worthless: list[str]) -> None:
        """Checkpoints that newer ones have replaced; where a later epoch is open it relies on what there was then."""
        if worthless and self._store.epoch(self._epoch + 1) is None:
            self._store.delete_records(self._epoch, *worthless)
            for name in worthless:
                del self._shipped[name]

    def _ship_records(self) -> None:
        for name, record in self.outbox.waiting():
            if self._has_room(name, len(record)):
                self._store.put_record(self._epoch, name, record)
                self._shipped[name] = len(record)
            self.outbox.shipped(name)
        for path in sorted(path for pattern in _SHIPPED for path in self._spool.glob(pattern)):
            if path.name not in self._shipped and path.name not in self._left_out:
                try:
                    data = path.read_bytes()
                except FileNotFoundError:  # a newer checkpoint has taken its place
                    continue
                if not self._has_room(path.name, len(data)):
                    continue
                self._store.put_record(self._epoch, path.name, data)
                self._shipped[path.name] = len(data)
                self._tidy(older(path.name, self._shipped))

    def _has_room(self, name: str, size: int) -> bool:
        """False where a record is left out: the run goes on all the same, and a move does that part of it again."""
        replaced = sum(self._shipped[one] for one in older(name, self._shipped))
        taken = self.record_bytes - replaced + (self.snapshots.stored_bytes if self.snapshots is not None else 0)
        if self.most_bytes is None or taken + size <= self.most_bytes:
            return True
        self._left_out.add(name)
        return False


def now() -> datetime:
    """The runner's own clock: it only stamps, nothing is decided by it."""
    return datetime.now(UTC)
