"""One epoch from its claim to its last word: restore, execute, record, report, and leave when asked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from greenkernel.errors import GreenKernelError, IntegrityError, TemporaryError
from greenkernel.osfacts import end_descendants
from greenkernel.records import Progress, RecordRef, Result
from greenkernel.runner.job import WORK, RunnerJob, take_job
from greenkernel.runner.record import Drained as DrainedOut
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.report import Reporter, now
from greenkernel.runner.usage import Usage
from greenkernel.store.inner import Inner
from greenkernel.store.runs import Claim, Drained, Failure, RunStore

# Left free of the grace period for writing the last records and the last word.
_LAST_WORD_S = 2.0


def main() -> int:
    """Run the epoch that the environment describes.

    Returns:
        0 where the store holds this epoch's last word (result, drained or failure), else 1.
    """
    try:
        job = take_job(os.environ)
        store = job.open_store()
        return Runner(job, store).run()
    except GreenKernelError as e:
        print(f"greenkernel runner: {e}", file=sys.stderr)
        return 1


class Runner:
    """The one process that an epoch has."""

    def __init__(self, job: RunnerJob, store: RunStore) -> None:
        self._job = job
        self._store = store
        self._folder = Path.cwd()
        self._usage = Usage()
        self._leaving = threading.Lock()
        self._scope: RecordingScope | None = None
        self._refused_records = 0
        self._believed_bytes = 0
        self._reporter = Reporter(store, job.epoch, self._sub("spool"), self._progress, self._fenced)

    def run(self) -> int:
        """From the claim to the last word."""
        # Before the claim: from then on a signal must find somebody who leaves a last word.
        on_signal(signal.SIGTERM, self._drain)
        if not self._claim():
            return 0
        self._reporter.start()
        try:
            result = self._compute()
        except DrainedOut:
            # The thread that asked for it ends the process as soon as everything is shipped.
            threading.Event().wait()
            return 0
        except GreenKernelError as e:
            with self._leaving:
                temporary = isinstance(e, TemporaryError)
                self._store.say_failure(self._job.epoch, Failure(at=now(), message=str(e), temporary=temporary))
            return 0
        with self._leaving:
            self._reporter.finish()
            self._store.finish(result)
        return 0

    def _claim(self) -> bool:
        """False where this process must not run: fenced, finished, or a second one under the same epoch."""
        last = self._store.last_epoch()
        if last is None or last.epoch != self._job.epoch or self._store.result() is not None:
            print(f"greenkernel runner: epoch {self._job.epoch} is not the run's last one", file=sys.stderr)
            return False
        claim = Claim(at=now(), host=socket.gethostname(), pid=os.getpid())
        if not self._store.claim(self._job.epoch, claim):
            print(f"greenkernel runner: epoch {self._job.epoch} has a runner already", file=sys.stderr)
            return False
        return True

    def _compute(self) -> Result:
        from greenkernel.runner.collect import Before, collect
        from greenkernel.runner.execute import execute
        from greenkernel.runner.files import FilesBefore
        from greenkernel.runner.owned import owners
        from greenkernel.runner.restore import restore, surroundings_of

        submission = self._store.submission()
        request, capture = submission.request, submission.capture
        advice = self._store.advice()
        if advice is not None:
            capture = advice.complete(capture)
        opened = self._store.epoch(self._job.epoch)
        believed = opened.believed if opened is not None else ()
        self._fetch(believed)
        work = self._work()
        inner = Inner()
        namespace = restore(capture, self._store.blobs, work, script=request.script, inner=inner)
        surroundings = surroundings_of(capture, self._store.blobs, work)
        files = FilesBefore(work, capture.files)
        before = Before.of(namespace, capture, inner)
        scope = RecordingScope(
            spool=self._sub("spool"),
            believed=self._sub("believed"),
            key=self._job.key,
            cores=self._job.cores,
            logical_cores=request.logical_cores,
        )
        with scope:
            self._scope = scope
            outcome = execute(
                capture.transformed,
                namespace,
                self._reporter.emit,
                file_name=request.file_name,
                passes=DrainedOut,
                surroundings=surroundings,
                front_end=capture.front_end,
            )
        if request.script is not None:
            outcome = outcome.as_script()
        result = collect(
            namespace,
            before,
            outcome,
            self._store.blobs,
            run=self._job.run,
            epoch=self._job.epoch,
            finished_at=now(),
            only=request.out,
            progress=self._progress(),
            settings=outcome.settings,
            owned=owners(namespace, work.resolve()),
        )
        changes, left_out = files.changes(self._store.blobs)
        return replace(result, files=changes, not_returned={**result.not_returned, **left_out})

    def _fetch(self, believed: tuple[RecordRef, ...]) -> None:
        folder = self._sub("believed")
        self._believed_bytes = sum(ref.bytes for ref in believed)
        for ref in believed:
            data = self._store.record(ref)
            if data is None:
                self._refused_records += 1  # recomputed, and counted in the receipt
                continue
            (folder / safe_name(ref.name)).write_bytes(data)

    def _progress(self) -> Progress:
        used = self._usage.now()
        began = Progress(
            epoch=self._job.epoch,
            at=now(),
            cpu_s=used.cpu_s,
            wall_s=used.wall_s,
            peak_rss_bytes=used.peak_rss_bytes,
            detail="restoring",
        )
        if self._scope is None:
            return began
        tasks = self._scope.progress()
        return replace(
            began,
            fraction=tasks.done / tasks.total if tasks.total else None,
            tasks_done=tasks.done,
            tasks_total=tasks.total,
            reused_tasks=tasks.reused,
            reused_cpu_s=tasks.reused_cpu_s,
            recomputed_tasks=tasks.recomputed + self._refused_records,
            recorded_cpu_s=tasks.task_cpu_s + tasks.reused_cpu_s,
            record_bytes=self._believed_bytes + self._reporter.record_bytes,
            left_cpu_s=tasks.left_cpu_s,
            not_recorded=tasks.not_recorded,
            detail="running",
        )

    def _drain(self) -> None:
        """Asked to leave: finish or drop what is in flight, ship, say so, and end the process from this thread."""
        deadline = time.monotonic() + max(0.0, self._job.grace_s - _LAST_WORD_S)
        if self._scope is not None:
            self._scope.drain(max(0.0, deadline - time.monotonic()))
        with self._leaving:  # a result that is being written goes first; then the process has ended by itself
            if self._store.result() is None:
                self._reporter.finish()
                records = len(self._store.records(self._job.epoch))
                word = Drained(at=now(), records=records, progress=self._progress())
                self._store.say_drained(self._job.epoch, word)
            self._end_process()

    def _fenced(self) -> None:
        print("greenkernel runner: a later epoch has been opened, this one ends", file=sys.stderr)
        self._end_process()

    def _end_process(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        end_descendants(os.getpid())
        os._exit(0)

    def _work(self) -> Path:
        """The cell's working folder, by the path that the notebook's folder has at home where it is seen there too."""
        work, at_home = self._sub(WORK), Path(self._job.folder)
        with contextlib.suppress(OSError):
            if at_home.is_absolute() and at_home.samefile(work):
                return at_home
        return work

    def _sub(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder


def safe_name(name: str) -> str:
    """A record's name as a file's name.

    Raises:
        IntegrityError: It would leave its folder.
    """
    if not name.endswith(".rec") or name != Path(name).name or name.startswith("."):
        raise IntegrityError(f"{name[:80]!r} is not a record's name")
    return name


def on_signal(number: signal.Signals, call: Callable[[], None]) -> None:
    """Call ``call`` in a thread of its own when the signal arrives, also while the main thread is inside C code.

    Python runs its signal handlers between bytecodes of the main thread only; the wake-up descriptor is written to
    at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def in_child() -> None:
        # Workers that the cell forks are ended by the same signal: it must end them, and not reach us by the pipe.
        signal.set_wakeup_fd(-1)
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            # A worker may be told to end before it has come to `in_child`.
            before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [number]),
            after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [number]),
            after_in_child=in_child,
        )

    def wait() -> None:
        while number not in os.read(reader, 64):
            continue
        call()

    threading.Thread(target=wait, name="greenkernel-drain", daemon=True).start()
