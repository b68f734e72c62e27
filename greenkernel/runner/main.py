"""One epoch from its claim to its last word: restore, execute, record, report, and leave when asked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from greenkernel.errors import GreenKernelError, IntegrityError, TemporaryError
from greenkernel.osfacts import end_descendants, tree_usage
from greenkernel.records import Capture, Progress, RecordRef, Result
from greenkernel.runner.checkpoints import SUFFIX as CHECKPOINT
from greenkernel.runner.checkpoints import Checkpoints, use
from greenkernel.runner.job import WORK, RunnerJob, take_job
from greenkernel.runner.record import Drained as DrainedOut
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.report import LEFT_OUT, Reporter, now
from greenkernel.runner.snapshots.dangers import danger
from greenkernel.runner.snapshots.fits import Fits
from greenkernel.runner.snapshots.keeper import Keeper, Process
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.spool import FORMAT, SnapshotSpool
from greenkernel.runner.usage import Usage
from greenkernel.store.inner import Inner
from greenkernel.store.runs import Claim, Drained, Failure, RunStore
from greenkernel.store.snapshots import SUFFIX, Place, Said, Snapshot, SnapshotStore, newest_first

if TYPE_CHECKING:
    from greenkernel.runner.collect import Before
    from greenkernel.runner.files import FilesBefore
    from greenkernel.runner.snapshots.state import Restored
    from greenkernel.runner.surroundings import Surroundings

# Snapshots that this very process could not go on from, when it begins once more.
_REFUSED = "GREENKERNEL_REFUSED"
# Left free of the grace period for writing the last records and the last word.
_LAST_WORD_S = 2.0


def main() -> int:
    """Run the epoch that the environment describes.

    Returns:
        0 where the store holds this epoch's last word (result, drained or failure), else 1.
    """
    environment = dict(os.environ)
    try:
        job = take_job(os.environ)
        store = job.open_store()
        return Runner(job, store, environment).run()
    except GreenKernelError as e:
        print(f"greenkernel runner: {e}", file=sys.stderr)
        return 1


# The system's own, in whose place the cell finds another one.
_exit = os._exit


class Runner:
    """The one process that an epoch has."""

    def __init__(self, job: RunnerJob, store: RunStore, environment: Mapping[str, str]) -> None:
        self._job = job
        self._store = store
        self._environment = environment
        self._refused = tuple(os.environ.pop(_REFUSED, "").split())
        self._process = os.getpid()
        self._folder = Path.cwd()
        self._usage = Usage()
        self._leaving = threading.Lock()
        self._scope: RecordingScope | None = None
        self._keeper: Keeper | None = None
        self._checkpoints: Checkpoints | None = None
        self._fits: Fits | None = None
        self._snapshots: SnapshotSpool | None = None
        self._resumed: Snapshot | None = None
        self._rounds_from: tuple[int, int, float] | None = None
        self._rounds_from_s = self._round_s = 0.0
        self._refused_records = 0
        self._believed_bytes = 0
        self._reporter = Reporter(
            store,
            job.epoch,
            self._sub("spool"),
            self._progress,
            self._fenced,
            logged=len(store.logs(job.epoch)) if self._refused else 0,
        )

    def run(self) -> int:
        """From the claim to the last word."""
        # Before the claim: from then on a signal must find somebody who leaves a last word.
        on_signal(signal.SIGTERM, self._drain)
        if not self._claim():
            return 0
        os._exit = self._exit
        self._reporter.start()
        try:
            result = self._compute()
        except DrainedOut:
            # The thread that asked for it ends the process as soon as everything is shipped.
            if self._keeper is not None:
                self._keeper.end()
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

    def _exit(self, status: int) -> NoReturn:
        """``os._exit`` of the cell: it would come to the same end again, and what it has printed is told first."""
        try:
            if os.getpid() == self._process:
                sys.stdout.flush()
                sys.stderr.flush()
                why = f"the cell ended its process with os._exit({status})"
                with self._leaving:
                    self._reporter.finish()
                    self._store.say_failure(self._job.epoch, Failure(at=now(), message=why, temporary=False))
        finally:  # also where the store is away
            _exit(status)

    def _claim(self) -> bool:
        """False where this process must not run: fenced, finished, or a second one under the same epoch."""
        last = self._store.last_epoch()
        if last is None or last.epoch != self._job.epoch or self._store.result() is not None:
            print(f"greenkernel runner: epoch {self._job.epoch} is not the run's last one", file=sys.stderr)
            return False
        claim = Claim(at=now(), host=socket.gethostname(), pid=os.getpid())
        mine = self._store.claimed(self._job.epoch) if self._refused else None
        if mine is not None and (mine.host, mine.pid) == (claim.host, claim.pid):
            return True  # this very process, which has begun once more
        if not self._store.claim(self._job.epoch, claim):
            print(f"greenkernel runner: epoch {self._job.epoch} has a runner already", file=sys.stderr)
            return False
        return True

    def _compute(self) -> Result:
        from greenkernel.runner.collect import collect
        from greenkernel.runner.execute import execute
        from greenkernel.runner.files import FilesBefore, flush
        from greenkernel.runner.owned import owners
        from greenkernel.runner.restore import prepare, surroundings_of

        modules = frozenset(sys.modules)
        submission = self._store.submission()
        request, capture = submission.request, submission.capture
        advice = self._store.advice()
        if advice is not None:
            capture = advice.complete(capture)
        opened = self._store.epoch(self._job.epoch)
        believed = opened.believed if opened is not None else ()
        self._fetch(believed)
        self._reporter.most_bytes = None if request.size_bytes is None else request.size_bytes - self._believed_bytes
        work = self._work()
        shell = prepare(capture, self._store.blobs, work, script=request.script)
        namespace: dict[str, Any] = shell.user_ns
        surroundings = surroundings_of(capture, self._store.blobs, work)
        files = FilesBefore(work, capture.files)
        scope = RecordingScope(
            spool=self._sub("spool"),
            believed=self._sub("believed"),
            key=self._job.key,
            cores=self._job.cores,
            logical_cores=request.logical_cores,
            outbox=self._reporter.outbox,
        )
        before, restored = self._fill(shell, capture, believed, work)
        snapshots = self._spool_of(capture, files, believed)
        self._keeper = self._keeper_of(capture, namespace, modules, before, surroundings, snapshots, scope, restored)
        with scope, self._fits_of(scope) as self._fits:
            self._scope = scope
            outcome = execute(
                capture.transformed,
                shell,
                self._reporter.emit,
                file_name=request.file_name,
                passes=DrainedOut,
                surroundings=surroundings,
                points=self._keeper,
            )
        if request.script is not None:
            outcome = outcome.as_script()
        if outcome.error is not None and (self._resumed is not None or self._fits.where):
            self._begin_again("*", f"it failed after it was gone on with ({outcome.error.type_name}), which may be why")
        flush(namespace)
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
        if (unfinished := danger(threading.get_ident())) is not None:
            left_out["what comes after the end of the cell"] = unfinished
        return replace(result, files=changes, not_returned={**result.not_returned, **left_out})

    def _fill(
        self,
        shell: Any,
        capture: Capture,
        believed: tuple[RecordRef, ...],
        work: Path,
    ) -> tuple[Before, Restored | None]:
        """The notebook's values as they were sent, or as a snapshot has them."""
        from greenkernel.runner.collect import Before
        from greenkernel.runner.files import apply_changes
        from greenkernel.runner.restore import fill, in_shell
        from greenkernel.runner.snapshots.state import put_back

        namespace: dict[str, Any] = shell.user_ns
        snapshots = SnapshotStore(self._store, self._job.key)
        found = self._newest(snapshots, believed)
        if found is None:
            inner = Inner()
            fill(shell, capture, self._store.blobs, inner=inner)
            return Before.of(namespace, capture, inner), None
        try:
            apply_changes(found.files, snapshots.get, work)
            with in_shell(shell):
                restored = put_back(found.payload, namespace, snapshots, partial(Before.from_state, capture=capture))
        except TemporaryError:
            raise
        # Whatever is wrong with it, there is another way.
        except Exception as e:
            self._begin_again(found.name, f"{type(e).__name__}: {e}")
            raise
        self._resumed = found
        self._reporter.go_on(found.said)
        return restored.before, restored

    def _newest(self, snapshots: SnapshotStore, believed: tuple[RecordRef, ...]) -> Snapshot | None:
        """The newest snapshot that can be gone on from; the cell begins anew where there is none."""
        for ref in newest_first(believed):
            if ref.name in self._refused or "*" in self._refused:
                continue
            try:
                found = snapshots.read(ref)
            except IntegrityError:
                continue
            if found.version == FORMAT:
                return found
        if self._refused:
            self._reporter.go_on(Said())
        return None

    def _keeper_of(
        self,
        capture: Capture,
        namespace: dict[str, Any],
        modules: frozenset[str],
        before: Before,
        surroundings: Surroundings,
        snapshots: SnapshotSpool,
        scope: RecordingScope,
        restored: Restored | None,
    ) -> Keeper:
        from greenkernel.runner.owned import owners

        keeper: Keeper
        found = self._resumed
        work = self._work().resolve()
        spool, believed = self._sub("spool"), self._sub("believed")
        checkpoints = Checkpoints(spool, believed, self._job.key, self._job.epoch, lambda: keeper)
        self._checkpoints = checkpoints
        if restored is not None:
            scope.go_on(restored.calls["tasks"])
            checkpoints.go_on(restored.calls["checkpoints"])
        use(checkpoints)
        process = Process(
            before=before,
            namespace=namespace,
            modules=modules,
            surroundings=surroundings,
            write=snapshots.write,
            is_busy=lambda: snapshots.is_busy,
            said=self._reporter.said,
            go_on=self._reporter.go_on,
            calls=lambda: {"tasks": scope.calls(), "checkpoints": checkpoints.calls},
            owned=lambda: owners(namespace, work),
            memory_left=self._memory_left,
        )
        pace = Pace(self._job.lost_every_s, capture.payload.bytes)
        place = found.place if found is not None else None
        keeper = Keeper(process, pace, place=place, restored=restored, differs=self._differs)
        return keeper

    def _spool_of(self, capture: Capture, files: FilesBefore, believed: tuple[RecordRef, ...]) -> SnapshotSpool:
        found, reporter = self._resumed, self._reporter
        self._snapshots = reporter.snapshots = SnapshotSpool(
            self._store,
            self._job.key,
            self._job.epoch,
            self._sub("parts"),
            files,
            {*capture.payload.buffers, *(found.parts if found is not None else ())},
            self._total_cpu_s,
            believed=believed,
            room=lambda: None if reporter.most_bytes is None else reporter.most_bytes - reporter.record_bytes,
        )
        return self._snapshots

    def _fits_of(self, scope: RecordingScope) -> Fits:
        assert self._checkpoints is not None
        assert self._keeper is not None
        return Fits(
            self._checkpoints,
            self._keeper,
            self._keeper.contexts,
            scope.calls,
            scope.go_on,
            self._total_cpu_s,
            self._memory_left,
            differs=partial(self._begin_again, "*"),
            believes="*" not in self._refused,
        )

    def _differs(self, reason: str) -> None:
        assert self._resumed is not None
        self._begin_again(self._resumed.name, reason)

    def _begin_again(self, refused: str, reason: str) -> None:
        """Begin this epoch once more without a snapshot (``*``: without any) that turned out to be worth nothing."""
        print(f"greenkernel runner: the cell is not gone on with from {refused}: {reason}", file=sys.stderr)
        with self._leaving:
            with contextlib.suppress(TemporaryError):  # what was printed is printed again
                self._reporter.finish()
            sys.stdout.flush()
            sys.stderr.flush()
            end_descendants(os.getpid())
            os.chdir(self._folder)
            environment = {**self._environment, _REFUSED: " ".join((*self._refused, refused))}
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)

    def _total_cpu_s(self) -> float:
        return self._usage.now().cpu_s + self._kept_cpu_s()

    def _memory_left(self) -> int:
        return self._job.memory_bytes - tree_usage(os.getpid()).rss_bytes

    def _kept_cpu_s(self) -> float:
        """CPU seconds of earlier epochs that need not be spent again."""
        resumed_s = self._resumed.cpu_s if self._resumed is not None else 0.0
        return resumed_s + (self._fits.gained_s if self._fits is not None else 0.0)

    def _fetch(self, believed: tuple[RecordRef, ...]) -> None:
        folder = self._sub("believed")
        self._believed_bytes = sum(ref.bytes for ref in believed)
        for ref in believed:
            if ref.name.endswith(SUFFIX):
                continue
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
        tasks, keeper = self._scope.progress(), self._keeper
        rounds = keeper.rounds() if keeper is not None else None
        left_cpu_s = max(tasks.left_cpu_s, self._left_of_rounds(rounds, used.cpu_s))
        task_cpu_s = tasks.task_cpu_s * self._reporter.kept_share + tasks.reused_cpu_s
        last = (self._snapshots.last if self._snapshots is not None else None) or self._resumed
        return replace(
            began,
            fraction=rounds[0] / rounds[1] if rounds and rounds[1] else _share(tasks.done, tasks.total),
            rounds_done=rounds[0] if rounds else None,
            rounds_total=rounds[1] if rounds else None,
            stops_soon=keeper is not None and keeper.stops_soon and self._round_s < self._job.grace_s - _LAST_WORD_S,
            resumed_at=self._resumed_at(),
            why_not_kept=self._why_not_kept(),
            tasks_done=tasks.done,
            tasks_total=tasks.total,
            reused_tasks=tasks.reused,
            reused_cpu_s=tasks.reused_cpu_s + self._kept_cpu_s(),
            recomputed_tasks=tasks.recomputed + self._refused_records,
            recorded_cpu_s=max(task_cpu_s, last.cpu_s if last is not None else 0.0),
            record_bytes=self._believed_bytes + self._reporter.record_bytes,
            left_cpu_s=left_cpu_s,
            not_recorded=tasks.not_recorded,
            detail="running",
        )

    def _why_not_kept(self) -> str:
        if self._keeper is not None and self._keeper.why_not is not None:
            return self._keeper.why_not
        if self._keeper is not None and self._keeper.is_late:
            return "the last snapshot is still on its way to the store, so that they are rarer"
        return LEFT_OUT if self._reporter.left_out else ""

    def _resumed_at(self) -> str:
        place = _in_words(self._resumed.place) if self._resumed is not None else ""
        fit = self._fits.where if self._fits is not None else ""
        return ", ".join(part for part in (place, f"in {fit}" if fit else "") if part)

    def _left_of_rounds(self, rounds: tuple[int, int | None] | None, cpu_s: float) -> float:
        """CPU seconds of the rounds to come, at the mean of those that were done here."""
        if rounds is None or rounds[1] is None or self._keeper is None:
            self._rounds_from = None
            self._round_s = 0.0
            return 0.0
        if self._rounds_from is None or self._rounds_from[0] != self._keeper.statement:
            self._rounds_from = (self._keeper.statement, rounds[0], cpu_s)
            self._rounds_from_s = time.monotonic()
        done = rounds[0] - self._rounds_from[1]
        self._round_s = (time.monotonic() - self._rounds_from_s) / max(1, done)
        return (cpu_s - self._rounds_from[2]) / done * (rounds[1] - rounds[0]) if done > 0 else 0.0

    def _drain(self) -> None:
        """Asked to leave: finish or drop what is in flight, ship, say so, and end the process from this thread."""
        deadline = time.monotonic() + max(0.0, self._job.grace_s - _LAST_WORD_S)
        if self._keeper is not None:
            self._keeper.leave()
        if self._scope is not None:
            self._scope.drain(max(0.0, deadline - time.monotonic()))
        if self._keeper is not None:
            comes_soon = self._checkpoints is not None and self._checkpoints.comes_soon
            self._keeper.wait(max(0.0, deadline - time.monotonic()), may_stop=comes_soon)
        if self._snapshots is not None:
            self._snapshots.settle(max(0.0, deadline - time.monotonic()))
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
        _exit(0)

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


def _share(done: int, total: int | None) -> float | None:
    return done / total if total else None


def _in_words(place: Place) -> str:
    """Where a cell went on."""
    where = f"statement {place.statement + 1}"
    if place.function is not None:
        where += f", in {place.function}()"
    if place.rounds is not None and place.rounds[1] is not None:
        return f"{where}, round {place.rounds[0] + 1} of {place.rounds[1]}"
    return f"{where}, in a loop" if place.loops else where


def safe_name(name: str) -> str:
    """A record's name as a file's name.

    Raises:
        IntegrityError: It would leave its folder.
    """
    if not name.endswith((".rec", CHECKPOINT)) or name != Path(name).name or name.startswith("."):
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
