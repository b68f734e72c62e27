"""A site without processes, for tests and simulations: jobs advance when told and act on the store as runners do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from greenkernel.clock import Clock
from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.records import JobPhase, JobSpec, JobStatus, Offer, Payload, Progress, Result
from greenkernel.site.words import killed_by, out_of_memory
from greenkernel.store.runs import Claim, Drained, LogEvent, RunStore

_CORES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a job's cell does.

    Attributes:
        work: Records until its result; None: it never ends by itself.
        says: Printed when it begins.
        heeds: Leaves when it is asked to; else it has to be killed after its grace period.
        exits: The exit code with which it dies in place of a result; above 128 by a signal.
        wants_bytes: Memory that it takes.
        complains: What the runner says when it cannot even begin.
    """

    work: int | None = 4
    says: str = ""
    heeds: bool = True
    exits: int | None = None
    wants_bytes: int = 0
    complains: str = ""


@dataclass(slots=True)
class _Job:
    spec: JobSpec
    script: Script
    status: JobStatus
    work_done: int = 0
    killed_at: datetime | None = None


@dataclass(slots=True)
class Ground:
    """What is really there, whoever looks at it: jobs, and who wants to be told of changes."""

    jobs: dict[tuple[str, int], _Job] = field(default_factory=dict)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(slots=True)
class FakeSite:
    """Implements `Site` in memory; each `advance` is a step of every job, at most one record long.

    Args:
        name: The site's name.
        store_of: The objects of a run, through which its jobs act.
        clock: Stamps what jobs write.
        script_of: What a job does.
        owner: Whose jobs are seen.
        ground: Shared by those that are controllers of the same site.
        reachable: While False every call raises `TemporaryError`, and jobs go on all the same.
    """

    name: str
    store_of: Callable[[str], RunStore]
    clock: Clock
    script_of: Callable[[JobSpec], Script] = lambda _: Script()
    owner: str = ""
    ground: Ground = field(default_factory=Ground)
    reachable: bool = True
    submitted: list[tuple[str, int]] = field(default_factory=list)

    def offer(self) -> Offer:
        """Two cores, while it can be reached."""
        why_not = None if self.reachable else "away"
        return Offer(site=self.name, reachable=self.reachable, cores_max=_CORES, why_not=why_not)

    def submit(self, job: JobSpec) -> None:
        """Accept a job once."""
        self._reach()
        if job.cores > _CORES:
            raise PermanentError(f"{self.name} has {_CORES} cores, the job wants {job.cores}")
        key = (job.run, job.epoch)
        with self.ground.lock:
            if key in self.ground.jobs:
                return
            self.submitted.append(key)
            status = JobStatus(run=job.run, epoch=job.epoch, phase=JobPhase.PENDING)
            self.ground.jobs[key] = _Job(spec=job, script=self.script_of(job), status=status)
        self._tell()

    def jobs(self) -> Sequence[JobStatus]:
        """Every job of the owner's that was not stopped."""
        self._reach()
        with self.ground.lock:
            return [job.status for job in self.ground.jobs.values() if job.spec.owner == self.owner]

    def logs(self, run: str, epoch: int, *, tail_lines: int = 200) -> str:
        """What a runner has complained of; there is no process that could say more."""
        job = self._job(run, epoch)
        return job.script.complains if job is not None and job.status.phase is JobPhase.ENDED else ""

    def drain(self, run: str, epoch: int) -> None:
        """The job leaves at once with what it has, or is killed when its grace period is over."""
        self._reach()
        job = self._job(run, epoch)
        if job is None or job.status.phase is not JobPhase.RUNNING or job.killed_at is not None:
            return
        if not job.script.heeds:
            job.killed_at = self.clock.now() + timedelta(seconds=job.spec.grace_s)
            return
        word = Drained(at=self.clock.now(), records=job.work_done, progress=self._progress(job))
        self.store_of(run).say_drained(epoch, word)
        self._end(job, 0, "drained")

    def stop(self, run: str, epoch: int) -> None:
        """Forget the job."""
        self._reach()
        with self.ground.lock:
            if self._job(run, epoch) is not None:
                del self.ground.jobs[run, epoch]
        self._tell()

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Told at once, by whoever has changed something."""
        self.ground.watchers.append(on_change)
        return lambda: self.ground.watchers.remove(on_change)

    def advance(self) -> None:
        """Every job does its next piece of work; a fenced one writes too, but to no avail."""
        with self.ground.lock:
            for job in list(self.ground.jobs.values()):
                self.advance_one(job)

    def advance_one(self, job: _Job) -> None:
        """One job does its next piece of work."""
        if job.status.phase is JobPhase.PENDING:
            self._start(job)
        elif job.status.phase is JobPhase.RUNNING:
            self._work(job)

    def kill(self, run: str, epoch: int) -> None:
        """The job's process dies without a word."""
        job = self.ground.jobs.get((run, epoch))
        if job is not None and job.status.phase is not JobPhase.ENDED:
            self._end(job, 137, killed_by(9))

    def _job(self, run: str, epoch: int) -> _Job | None:
        job = self.ground.jobs.get((run, epoch))
        return job if job is not None and job.spec.owner == self.owner else None

    def _start(self, job: _Job) -> None:
        store, now = self.store_of(job.spec.run), self.clock.now()
        last = store.last_epoch()
        if job.script.complains:
            self._end(job, 1, job.script.complains)
            return
        if last is None or last.epoch != job.spec.epoch:
            self._end(job, 0, "fenced")
            return
        if not store.claim(job.spec.epoch, Claim(at=now, host=self.name, pid=1)):
            self._end(job, 0, "has a runner already")
            return
        job.status = replace(job.status, phase=JobPhase.RUNNING, started_at=now)
        job.work_done = len(last.believed)
        store.put_progress(job.spec.epoch, self._progress(job))
        if job.script.says:
            store.put_log(job.spec.epoch, 1, [LogEvent(at=now, kind="stdout", text=job.script.says)])
        self._tell()

    def _work(self, job: _Job) -> None:
        store, epoch, script = self.store_of(job.spec.run), job.spec.epoch, job.script
        if script.wants_bytes > job.spec.memory_bytes:
            self._end(job, 137, out_of_memory(job.spec.memory_bytes), out_of_memory=True)
            return
        if job.killed_at is not None and self.clock.now() >= job.killed_at:
            self._end(job, 137, "killed, for it did not leave in its grace period")
            return
        if script.work is None:
            return
        if job.work_done < script.work:
            store.put_record(epoch, f"{job.work_done}.rec", b"work")
            job.work_done += 1
            store.put_progress(epoch, self._progress(job))
            return
        if script.exits is not None:
            code = script.exits
            self._end(job, code, killed_by(code - 128) if code > 128 else f"ended with exit code {code}")
            return
        self._finish(job, store)
        self._end(job, 0, "")

    def _finish(self, job: _Job, store: RunStore) -> None:
        result = Result(
            run=job.spec.run,
            epoch=job.spec.epoch,
            finished_at=self.clock.now(),
            names=("x",),
            deleted=(),
            payload=Payload(head=store.blobs.put(b"result")),
            has_value=False,
        )
        store.finish(result)

    def _progress(self, job: _Job) -> Progress:
        return Progress(epoch=job.spec.epoch, at=self.clock.now(), tasks_done=job.work_done, cpu_s=float(job.work_done))

    def _end(self, job: _Job, code: int, detail: str, *, out_of_memory: bool = False) -> None:
        job.status = replace(
            job.status,
            phase=JobPhase.ENDED,
            exit_code=code,
            detail=detail,
            out_of_memory=out_of_memory,
            ended_at=self.clock.now(),
        )
        self._tell()

    def _tell(self) -> None:
        for watcher in list(self.ground.watchers):
            watcher()

    def _reach(self) -> None:
        if not self.reachable:
            raise TemporaryError(f"{self.name} is away")
