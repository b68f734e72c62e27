"""What is known of a scope's tasks: how many are done, reused or in flight, and whether new ones may start."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from greenkernel.runner.record_outbox import Outbox


class Drained(BaseException):
    """The cell is leaving this machine. No ``Exception``, so that ``except Exception`` in a cell cannot swallow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """Tasks of the Parallel calls begun so far; nested calls do not count.

    Args:
        done: Finished tasks, reused ones included.
        total: Tasks of these calls, or None while it is unknown.
        reused: Tasks whose record was believed instead of running them.
        recomputed: Tasks that ran although they had a record, because it was refused.
        reused_cpu_s: CPU seconds that the reused tasks had cost when they ran.
        task_cpu_s: CPU seconds of the tasks that ran here.
        left_cpu_s: CPU seconds of the tasks of these calls that are still to come, at the means of their own calls;
            of a call of which nothing has finished or whose length is not known, none.
        not_recorded: Reason to the number of tasks that left no record.
        refused: Reason to the number of records that were not believed.
    """

    done: int
    total: int | None
    reused: int
    recomputed: int
    reused_cpu_s: float
    task_cpu_s: float
    left_cpu_s: float
    not_recorded: dict[str, int]
    refused: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNote:
    """How one task of a call went. ``cpu_s`` is what it costs to run, also where it was reused."""

    call: int
    cpu_s: float
    reused: bool = False
    refused: str | None = None
    not_recorded: str | None = None


@dataclass(slots=True)
class _Call:
    """A Parallel call: its tasks, None while their number is not known, and those that have finished."""

    total: int | None
    done: int = 0
    cpu_s: float = 0.0

    @property
    def left_cpu_s(self) -> float:
        if self.total is None or not self.done:
            return 0.0
        return max(0, self.total - self.done) * self.cpu_s / self.done


class Ledger:
    """Thread-safe counts of one scope, and the gate through which its tasks start.

    Args:
        outbox: Takes records of this process's tasks; None: they become files.
        recorded: Called with the CPU seconds of each task that was recorded.
    """

    def __init__(self, outbox: Outbox | None = None, recorded: Callable[[float], None] = lambda cpu_s: None) -> None:
        self.outbox = outbox
        self._recorded = recorded
        self._change = threading.Condition()
        self._calls: list[_Call] = []
        self._reused = self._in_flight = 0
        self._reused_cpu_s = self._task_cpu_s = 0.0
        self._not_recorded: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._leave_at: float | None = None

    def begin_call(self, total: int | None) -> int:
        """A Parallel call begins; returns its number."""
        with self._change:
            self._calls.append(_Call(total))
            return len(self._calls) - 1

    def know_total(self, call: int, total: int) -> None:
        """All tasks of a call have been handed out, so their number is known."""
        with self._change:
            self._calls[call].total = total

    def skip(self, reason: str) -> None:
        """A task runs in a way that this scope does not record."""
        with self._change:
            self._not_recorded[reason] += 1

    def add(self, note: TaskNote) -> None:
        """A task has finished."""
        with self._change:
            call = self._calls[note.call]
            call.done += 1
            call.cpu_s += note.cpu_s
            if note.reused:
                self._reused += 1
                self._reused_cpu_s += note.cpu_s
            else:
                self._task_cpu_s += note.cpu_s
            if note.refused is not None:
                self._refused[note.refused] += 1
            if note.not_recorded is not None:
                self._not_recorded[note.not_recorded] += 1
            elif not note.reused:
                self._recorded(note.cpu_s)

    def progress(self) -> TaskProgress:
        """The counts now."""
        with self._change:
            totals = [call.total for call in self._calls]
            known = [total for total in totals if total is not None]
            return TaskProgress(
                done=sum(call.done for call in self._calls),
                total=sum(known) if known and len(known) == len(totals) else None,
                left_cpu_s=sum(call.left_cpu_s for call in self._calls),
                reused=self._reused,
                recomputed=sum(self._refused.values()),
                reused_cpu_s=self._reused_cpu_s,
                task_cpu_s=self._task_cpu_s,
                not_recorded=dict(self._not_recorded),
                refused=dict(self._refused),
            )

    @contextmanager
    def running(self) -> Iterator[None]:
        """A task that runs in this process, from start to finish.

        Raises:
            Drained: No new task may start.
        """
        with self._change:
            if self._leave_at is not None:
                raise Drained
            self._in_flight += 1
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """One more handed to a worker process, which looks at the gate by itself."""
        with self._change:
            self._in_flight += 1

    def leave(self) -> None:
        """One less in flight."""
        with self._change:
            self._in_flight -= 1
            self._change.notify_all()

    def close(self, deadline_s: float) -> None:
        """From now on no task starts; those in flight have ``deadline_s`` seconds. The first call counts."""
        with self._change:
            if self._leave_at is None:
                self._leave_at = time.monotonic() + deadline_s

    @property
    def closed(self) -> bool:
        """True once no task may start any more."""
        return self._leave_at is not None

    def let_finish(self) -> bool:
        """Where the ledger is closed, wait until nothing is in flight or the deadline has passed; True: nothing is."""
        with self._change:
            if self._leave_at is None:
                return self._in_flight == 0
            left_s = max(0.0, self._leave_at - time.monotonic())
            return self._change.wait_for(lambda: self._in_flight == 0, left_s)


# Results of worker processes find their scope's ledger by its id when they are unpickled.
LEDGERS: dict[str, Ledger] = {}
