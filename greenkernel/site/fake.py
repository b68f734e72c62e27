"""A site without processes, for tests and simulations: jobs advance when told and act on the store as runners do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from greenkernel.clock import Clock
from greenkernel.errors import TemporaryError
from greenkernel.records import JobPhase, JobSpec, JobStatus, Offer, Payload, Progress, Result
from greenkernel.store.runs import Claim, Drained, RunStore


@dataclass(slots=True)
class _Job:
    spec: JobSpec
    status: JobStatus
    work_done: int = 0


@dataclass(slots=True)
class FakeSite:
    """Implements `Site` in memory. A job is ``work`` records long; each `advance` does one.

    Args:
        name: The site's name.
        store_of: The objects of a run, through which its jobs act.
        clock: Stamps what jobs write.
        work: Records that a whole run needs.
        reachable: While False every call raises `TemporaryError`, and jobs go on all the same.
    """

    name: str
    store_of: Callable[[str], RunStore]
    clock: Clock
    work: int = 4
    reachable: bool = True
    submitted: list[tuple[str, int]] = field(default_factory=list)
    _jobs: dict[tuple[str, int], _Job] = field(default_factory=dict)

    def offer(self) -> Offer:
        """Two cores, while it can be reached."""
        why_not = None if self.reachable else "away"
        return Offer(site=self.name, reachable=self.reachable, cores_max=2, why_not=why_not)

    def submit(self, job: JobSpec) -> None:
        """Accept a job once."""
        self._reach()
        key = (job.run, job.epoch)
        if key not in self._jobs:
            self.submitted.append(key)
            status = JobStatus(run=job.run, epoch=job.epoch, phase=JobPhase.PENDING)
            self._jobs[key] = _Job(spec=job, status=status)

    def jobs(self) -> Sequence[JobStatus]:
        """Every job that was not stopped."""
        self._reach()
        return [job.status for job in self._jobs.values()]

    def logs(self, run: str, epoch: int, *, tail_lines: int = 200) -> str:
        """Nothing: there is no process."""
        return ""

    def drain(self, run: str, epoch: int) -> None:
        """The job leaves at once with what it has."""
        self._reach()
        job = self._jobs.get((run, epoch))
        if job is not None and job.status.phase is JobPhase.RUNNING:
            store = self.store_of(run)
            word = Drained(at=self.clock.now(), records=job.work_done, progress=self._progress(job))
            store.say_drained(epoch, word)
            self._end(job, 0, "")

    def stop(self, run: str, epoch: int) -> None:
        """Forget the job."""
        self._reach()
        self._jobs.pop((run, epoch), None)

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Nothing changes unless it is told to."""
        return lambda: None

    def advance(self) -> None:
        """Every job does its next piece of work; a fenced one writes too, but to no avail."""
        for job in list(self._jobs.values()):
            if job.status.phase is JobPhase.PENDING:
                self._start(job)
            elif job.status.phase is JobPhase.RUNNING:
                self._work(job)

    def kill(self, run: str, epoch: int) -> None:
        """The job's process dies without a word."""
        job = self._jobs.get((run, epoch))
        if job is not None and job.status.phase is not JobPhase.ENDED:
            self._end(job, 137, "killed")

    def _start(self, job: _Job) -> None:
        store = self.store_of(job.spec.run)
        last = store.last_epoch()
        if last is None or last.epoch != job.spec.epoch:
            self._end(job, 0, "fenced")
            return
        if not store.claim(job.spec.epoch, Claim(at=self.clock.now(), host=self.name, pid=1)):
            self._end(job, 0, "has a runner already")
            return
        job.status = replace(job.status, phase=JobPhase.RUNNING)
        job.work_done = len(last.believed)
        store.put_progress(job.spec.epoch, self._progress(job))

    def _work(self, job: _Job) -> None:
        store, epoch = self.store_of(job.spec.run), job.spec.epoch
        if job.work_done < self.work:
            store.put_record(epoch, f"{job.work_done}.rec", b"work")
            job.work_done += 1
            store.put_progress(epoch, self._progress(job))
            return
        payload = Payload(head=store.blobs.put(b"result"))
        result = Result(
            run=job.spec.run,
            epoch=epoch,
            finished_at=self.clock.now(),
            names=("x",),
            deleted=(),
            payload=payload,
            has_value=False,
        )
        store.finish(result)
        self._end(job, 0, "")

    def _progress(self, job: _Job) -> Progress:
        return Progress(epoch=job.spec.epoch, at=self.clock.now(), tasks_done=job.work_done, cpu_s=float(job.work_done))

    def _end(self, job: _Job, code: int, detail: str) -> None:
        ended = self.clock.now()
        job.status = replace(job.status, phase=JobPhase.ENDED, exit_code=code, detail=detail, ended_at=ended)

    def _reach(self) -> None:
        if not self.reachable:
            raise TemporaryError(f"{self.name} is away")
