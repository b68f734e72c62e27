"""Keeps what a running cell has computed: takes snapshots where it can be gone on with, and goes on from one.

The cell's own thread takes them, between two statements or two rounds of a loop, when a second thread has found that
one is due. Whatever goes wrong with it is no matter of the cell's: there is then no snapshot, and a reason.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from greenkernel.errors import GreenKernelError
from greenkernel.osfacts import tree_usage
from greenkernel.runner.collect import Before
from greenkernel.runner.snapshots.dangers import danger
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.points import Points
from greenkernel.runner.snapshots.sizes import array_bytes
from greenkernel.runner.snapshots.state import Moment, Restored
from greenkernel.runner.snapshots.warned import remembered
from greenkernel.runner.surroundings import Surroundings
from greenkernel.store.returned import OF_THE_INTERPRETER
from greenkernel.store.snapshots import Place, Said
from greenkernel.units import format_bytes

# What a statement of which nothing is known may still take when its process is asked to leave.
_STATEMENT_S = 2.0
# What an interpreter with libraries takes, of which little is written.
_SMALL_BYTES = 400 << 20


class Write(Protocol):
    """`spool.SnapshotSpool.write`."""

    def __call__(
        self,
        moment: Moment,
        place: Place,
        said: Said,
        namespace: dict[str, Any],
        *,
        copies_bytes: int,
        wrote: Callable[[float, str | None], None],
    ) -> None:
        """Write a moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a keeper needs of the process around the cell.

    Attributes:
        before: The namespace as the cell found it.
        namespace: The notebook's.
        modules: Those that every process has that a cell begins in.
        surroundings: Its settings.
        write: Writes a moment.
        is_busy: True while the last one is still on its way.
        said: What has been printed and shown.
        go_on: Says that what follows comes after that much.
        calls: Calls of joblib and of `checkpoints` that were made.
        owned: Names that share their objects with modules.
        memory_left: Bytes that this process may still use.
    """

    before: Before
    namespace: dict[str, Any]
    modules: frozenset[str]
    surroundings: Surroundings
    write: Write
    is_busy: Callable[[], bool]
    said: Callable[[], Said]
    go_on: Callable[[Said], None]
    calls: Callable[[], Mapping[str, Any]]
    owned: Callable[[], Mapping[str, tuple[str, ...]]]
    memory_left: Callable[[], int]


class Keeper(Points):
    """Of one cell.

    Args:
        process: What is around it.
        pace: When snapshots are due.
        place: Where the cell goes on; None: it begins.
        restored: What was put back for that.
        differs: Is called where it turns out that it cannot go on there; it does not return.

    Attributes:
        why_not: Why the last snapshot could not be taken; None where it could.
        is_late: One was due, and the last one was still on its way to the store.
    """

    def __init__(
        self,
        process: Process,
        pace: Pace,
        *,
        place: Place | None = None,
        restored: Restored | None = None,
        differs: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._process = process
        self._pace = pace
        self._began = self._last_at = time.monotonic()
        due_at = self._last_at + pace.wait_s(first=True)
        super().__init__(
            process.namespace, process.surroundings, due_at, place=place, restored=restored, differs=differs
        )
        self._parked = self._has_written = False
        self._paused_s = 0.0
        self.why_not: str | None = None
        self.is_late = False

    # --- the cell's thread ---

    def passed(self, index: int) -> None:
        """A statement has been done."""
        self._board, self._hooks = None, {}
        due = time.monotonic() - self._last_at >= self._pace.least_s()
        if self._leaving or (due and index + 1 < self._statements):
            self._at(Place(statement=index + 1), {}, {})

    def _at(self, place: Place, local: Mapping[str, Any], loops: Mapping[int, Any]) -> None:
        if not self._leaving and not self._pays():
            self._rest(self._began + self._pace.least_s())
            return
        self.is_late = not self._leaving and self._process.is_busy()
        if self.is_late:
            self._rest(time.monotonic() + self._pace.least_s())
            return
        began, rests = time.monotonic(), threading.Event()
        try:
            reason = danger(self._thread) or self._too_big()
            if reason is None:
                with remembered():
                    self._write(place, local, loops, partial(self._wrote, rests))
        except GreenKernelError as e:
            reason = str(e)
        # A class's own pickling may raise anything, and the disk may be full: the cell goes on all the same.
        except Exception as e:
            reason = f"{type(e).__name__}: {e}"
        self._has_written = True
        self._paused_s = time.monotonic() - began
        self._pace.wrote(self._paused_s)
        self._last_at = time.monotonic()
        rests.set()
        self._failed(reason)

    def _wrote(self, rests: threading.Event, took_s: float, reason: str | None) -> None:
        """Called by the thread that has written copies, perhaps before the cell goes on."""
        rests.wait()
        with self._change:
            self._pace.wrote(self._paused_s + took_s)
            if reason is not None:
                self.why_not = reason
            if not self._leaving:
                super()._rest(time.monotonic() + self._pace.wait_s(first=False))

    def _too_big(self) -> str | None:
        """Objects are written to memory first, and each is remembered: as much as they take themselves, or so."""
        rss_bytes, left = tree_usage(os.getpid()).rss_bytes, self._process.memory_left()
        objects = rss_bytes - array_bytes(self._process.namespace)
        if objects <= max(left, _SMALL_BYTES):
            return None
        return f"it would take up to {format_bytes(objects)} of memory, and {format_bytes(max(0, left))} are left"

    def _pays(self) -> bool:
        """False where the first one would cost too much of what has been done so far."""
        if self._has_written:
            return True
        self._pace.guess(array_bytes(self._process.namespace))
        return time.monotonic() - self._began >= self._pace.least_s()

    def _failed(self, reason: str | None) -> None:
        self.why_not = reason
        self._rest(time.monotonic() + self._pace.wait_s(first=False))

    def _write(
        self,
        place: Place,
        local: Mapping[str, Any],
        loops: Mapping[int, Any],
        wrote: Callable[[float, str | None], None],
    ) -> None:
        process, shell = self._process, self._shell
        assert shell is not None
        said = self.said()
        own = {
            name: value
            for name, value in process.namespace.items()
            if not (name in shell.brought and shell.brought[name] is value) and name not in OF_THE_INTERPRETER
        }
        moment = Moment(
            before=process.before,
            names=own,
            local=local,
            loops=loops,
            settings=process.surroundings.changed(),
            contexts=self._board.contexts.outside if self._board is not None else {},
            calls=process.calls(),
            value=shell.value,
            modules=tuple(name for name in sys.modules if name not in process.modules and name != "__main__"),
            owned=process.owned(),
        )
        spare_bytes = 0 if self._leaving else max(0, process.memory_left()) // 2
        process.write(moment, place, said, process.namespace, copies_bytes=spare_bytes, wrote=wrote)

    def _rest(self, until: float) -> None:
        """Where this process is to leave the rest is for ever."""
        if self._leaving:
            self.park()
        super()._rest(until)

    # --- other threads ---

    def leave(self) -> None:
        """Stop the cell at the next point, with a snapshot."""
        with self._change:
            self._leaving = True
            for board in (self._board, self._inner):
                if board is not None:
                    board.arm(on=True)

    @property
    def is_leaving(self) -> bool:
        """True once the cell is to stop."""
        return self._leaving

    def park(self) -> None:
        """Called by the cell's thread where all that it can keep has been kept: stop here for good."""
        with self._change:
            self._parked = True
            self._change.notify_all()
        threading.Event().wait()

    def said(self) -> Said:
        """What has been printed and shown."""
        sys.stdout.flush()
        sys.stderr.flush()
        return self._process.said()

    def go_on(self, said: Said) -> None:
        """What follows comes after that much."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._process.go_on(said)

    def wait(self, deadline_s: float, *, may_stop: bool = False) -> bool:
        """Wait until the cell has come to a point, as long as it may come to one; returns True where it has."""
        may_stop = may_stop or self._board is not None or self._inner is not None
        until = time.monotonic() + (deadline_s if may_stop else min(deadline_s, _STATEMENT_S))
        with self._change:
            while not (self._parked or self._ended) and (left := until - time.monotonic()) > 0:
                self._change.wait(left)
            return self._parked

    @property
    def stops_soon(self) -> bool:
        """True in a loop at whose rounds a snapshot can be taken, as far as is known."""
        return self._inner is not None or (self._board is not None and self.why_not is None)
