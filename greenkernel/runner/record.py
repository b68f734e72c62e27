"""Records finished joblib tasks while a cell runs, and believes records of earlier stays instead of running them again.

Inside a `RecordingScope` every top-level ``joblib.Parallel`` call hands out its tasks behind a `RecordedTask` each,
whatever backend it uses by itself, so that nothing of joblib's own batching, order or error handling changes. A
record's name is a keyed hash of the call, the task's place in it, its function, code and arguments. A call is known by
its first task and by how many calls with the same one came before, which holds for two threads calling at once too.

Leaving: `RecordingScope.drain` closes the gate. Tasks in flight finish and are recorded until the deadline; the next
task to start raises `Drained` out of the cell's ``Parallel`` call. A cell outside of joblib does not notice, so whoever
drains ends the process when ``drain`` has returned.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from types import TracebackType
from typing import Any

import joblib
import joblib.parallel

from greenkernel.runner.record_backend import RecordingLoky, RecordingThreads, Width
from greenkernel.runner.record_files import ASIDE, SUFFIX, RecordInfo, records
from greenkernel.runner.record_keys import CallHasher, TaskDigest, UnhashableError, name_of, unwrapped
from greenkernel.runner.record_ledger import LEDGERS, Drained, Ledger, TaskProgress
from greenkernel.runner.record_length import known_length
from greenkernel.runner.record_outbox import Outbox
from greenkernel.runner.record_task import Folders, Place, RecordedTask, Watch, attribute_names, inside_task
from greenkernel.store.hashing import keyed_hash

__all__ = ["Drained", "RecordInfo", "RecordingScope", "TaskProgress", "records"]

_THREADS = "greenkernel-threads"


class RecordingScope:
    """Records and replays the joblib tasks of everything that runs inside it; one at a time in a process.

    Args:
        spool: Existing folder in which finished tasks appear as ``*.rec``, each as a whole.
        believed: Folder with the records of earlier stays when the scope is entered; only those sealed with ``key``
            are used.
        key: 32 bytes that seal records and name them.
        cores: Tasks that really run at a time.
        logical_cores: What ``n_jobs=-1`` means to the cell, the same on each site of a run.
        outbox: Takes the records of tasks that run in this process, instead of the spool.
        recorded: Called with the CPU seconds of each task that was recorded.
    """

    def __init__(
        self,
        *,
        spool: Path,
        believed: Path,
        key: bytes,
        cores: int,
        logical_cores: int,
        outbox: Outbox | None = None,
        recorded: Callable[[float], None] = lambda cpu_s: None,
    ) -> None:
        self._spool = spool
        # In a folder that goes with its job: a process that is killed leaves it behind.
        self._control = spool / f".control-{uuid.uuid4().hex}"
        self._folders = Folders(
            scope=self._control.name,
            spool=str(spool),
            believed=str(believed),
            drain_flag=str(self._control / "drain"),
            key=key,
        )
        self._width = Width(cores=cores, logical_cores=logical_cores)
        self._ledger = Ledger(outbox, recorded)
        self._believed: frozenset[str] = frozenset()
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> RecordingScope:
        if LEDGERS:
            raise RuntimeError("only one RecordingScope can be open in a process")
        self._control.mkdir(mode=0o700)
        (self._spool / ASIDE).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._believed = frozenset(path.name for path in Path(self._folders.believed).iterdir())
        LEDGERS[self._folders.scope] = self._ledger
        self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        LEDGERS.pop(self._folders.scope, None)
        shutil.rmtree(self._spool / ASIDE, ignore_errors=True)
        shutil.rmtree(self._control, ignore_errors=True)

    def progress(self) -> TaskProgress:
        """Tasks done, reused and recorded so far; may be asked from any thread."""
        return self._ledger.progress()

    def calls(self) -> dict[str, int]:
        """How often each call was made so far."""
        with self._lock:
            return dict(self._calls)

    def go_on(self, calls: Mapping[str, int]) -> None:
        """Count on from there: the calls before were made in another process."""
        with self._lock:
            self._calls = Counter(calls)

    def drain(self, deadline_s: float) -> bool:
        """Let no new task start and wait for those in flight; may be called from any thread, also where nothing runs.

        Afterwards the spool takes no more records: all in it are whole.

        Args:
            deadline_s: Seconds that tasks in flight have.

        Returns:
            True where nothing is in flight any more.
        """
        self._ledger.close(deadline_s)
        if self._control.is_dir():
            Path(self._folders.drain_flag).touch()
        finished = self._ledger.let_finish()
        shutil.rmtree(self._spool / ASIDE, ignore_errors=True)
        return finished

    def _install(self) -> None:
        backends = joblib.parallel.BACKENDS
        kept = dict(backends), joblib.parallel.DEFAULT_THREAD_BACKEND, joblib.Parallel.__call__

        def undo() -> None:
            backends.clear()
            backends.update(kept[0])
            joblib.parallel.DEFAULT_THREAD_BACKEND = kept[1]
            joblib.Parallel.__call__ = kept[2]

        self._undo.append(undo)
        backends[_THREADS] = partial(RecordingThreads, width=self._width, ledger=self._ledger)
        backends["loky"] = partial(RecordingLoky, width=self._width, ledger=self._ledger)
        # Not under the name "threading": who names a backend gets that one, unrecorded.
        joblib.parallel.DEFAULT_THREAD_BACKEND = _THREADS
        original = kept[2]

        @wraps(original)
        def call(parallel: Any, iterable: Iterable[Any]) -> Any:
            if inside_task():
                return original(parallel, iterable)
            if self._ledger.closed:
                raise Drained
            return original(parallel, _Tasks.of(self, parallel, iterable))

        joblib.Parallel.__call__ = call
        for module, name in ((os, "cpu_count"), (os, "process_cpu_count"), (joblib, "cpu_count")):
            if hasattr(module, name):
                self._undo.append(partial(setattr, module, name, getattr(module, name)))
                setattr(module, name, self._width.told(name))

    def new_call(self, parallel: Any, iterable: Iterable[Any]) -> Iterator[Any]:
        """The tasks of one Parallel call, each behind its record."""
        place = _place_of(parallel)
        if not isinstance(place, Place):
            yield from self._unrecorded(iterable, place)
            return
        call = self._ledger.begin_call(known_length(iterable))
        hasher = CallHasher(self._folders.key)
        names: Callable[[int, str], str] | None = None
        count = 0
        for index, item in enumerate(iterable):
            count = index + 1
            if not (isinstance(item, tuple) and len(item) == 3):
                yield item  # joblib says what is wrong with it
                continue
            function, args, kwargs = item
            try:
                task_digest = hasher.task(function, args, kwargs)
                digest: str | None = task_digest.digest
                watched = _watch(hasher, task_digest) if place is not Place.PROCESS else []
            except UnhashableError:
                digest, watched = None, []
            if names is None:
                names = self._names(place, digest or name_of(unwrapped(function)[0]))
            name = None if digest is None else names(index, digest)
            task = RecordedTask(
                function=function,
                call=call,
                name=name,
                believed=name in self._believed,
                place=place,
                folders=self._folders,
                hasher=hasher if place is not Place.PROCESS else None,
                thorough=count & index == 0,
                watched=watched,
            )
            yield task, args, kwargs
        self._ledger.know_total(call, count)

    def _names(self, place: Place, first: str) -> Callable[[int, str], str]:
        """Names of the records of a call whose first task has the digest ``first``."""
        with self._lock:
            before = self._calls[first]
            self._calls[first] += 1
        # A task that ran in a process of its own has left no changes to its arguments in its record.
        isolated = place is Place.PROCESS

        def name(index: int, digest: str) -> str:
            parts = ("task 2", first, before, index, isolated, digest)
            return keyed_hash(self._folders.key, repr(parts).encode()) + SUFFIX

        return name

    def _unrecorded(self, iterable: Iterable[Any], reason: str) -> Iterator[Any]:
        for item in iterable:
            self._ledger.skip(reason)
            yield item


class _Tasks:
    """An iterable over a call's tasks; generates nothing before joblib has chosen its backend."""

    def __init__(self, scope: RecordingScope, parallel: Any, iterable: Iterable[Any]) -> None:
        self._parts = (scope, parallel, iterable)

    @staticmethod
    def of(scope: RecordingScope, parallel: Any, iterable: Iterable[Any]) -> _Tasks:
        """With a length where ``iterable`` has one, since joblib's own messages use it."""
        return (_SizedTasks if hasattr(iterable, "__len__") else _Tasks)(scope, parallel, iterable)

    def __iter__(self) -> Iterator[Any]:
        scope, parallel, iterable = self._parts
        return scope.new_call(parallel, iterable)


class _SizedTasks(_Tasks):
    def __len__(self) -> int:
        length: int = len(self._parts[2])  # type: ignore[arg-type]  # only made of what has a length
        return length


def _place_of(parallel: Any) -> Place | str:
    """Where the call's tasks run, or why they are not recorded."""
    options = getattr(parallel, "_backend_kwargs", None) or getattr(parallel, "_backend_args", None)
    if options is None:
        return "this version of joblib is not known"
    if options.get("require") == "sharedmem":
        return "it works in shared memory"
    backend = parallel._backend
    if isinstance(backend, RecordingLoky):
        return Place.PROCESS
    if isinstance(backend, RecordingThreads):
        return Place.THREAD
    if isinstance(backend, joblib.parallel.SequentialBackend):
        return Place.CELL
    return f"its backend is {type(backend).__name__}"


def _watch(hasher: CallHasher, task: TaskDigest) -> list[Watch]:
    given = {
        id(value): Watch(value=value, digest=digest, attributes=attribute_names(value), is_argument=True)
        for value, digest in task.given
    }
    for value, digest in hasher.data_read():
        if id(value) not in given:
            given[id(value)] = Watch(value=value, digest=digest, attributes=attribute_names(value), is_argument=False)
    return list(given.values())
