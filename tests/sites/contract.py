"""What every kind of site must do: one set of tests, run on real jobs, with the real runner and cells in a store."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from greenkernel.clock import RealClock, wait_until
from greenkernel.errors import PermanentError
from greenkernel.records import Capture, EpochOpen, JobPhase, JobSpec, JobStatus, Request
from greenkernel.runner.job import secrets_of
from greenkernel.site.base import Site
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import dump
from greenkernel.store.runs import RunStore, Submission

OWNER = "tester-1"
BEGUN = "the cell has begun"
SLEEP = f"import time\nprint({BEGUN!r}, flush=True)\ntime.sleep(600)\n"
MIB = 1 << 20


@dataclass
class Bench:
    """A kind of site to be tested.

    Attributes:
        controller: A new `Site` object, as another controller would make it, for an owner.
        store: Where runs live.
        extra: Secrets that this kind's jobs need besides the store's.
        left: What is still there of a job: processes, objects. Empty: nothing.
        start_s: How long a job may take until its runner has introduced itself.
        runs: Jobs that tests have made, to be removed.
    """

    controller: Callable[[str], Site]
    store: StoreAddress
    left: Callable[[str, int], list[str]]
    extra: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 20.0
    runs: list[JobSpec] = field(default_factory=list)
    key: bytes = b"k" * 32

    def run_store(self, job: JobSpec) -> RunStore:
        """The run's objects, seen from home."""
        return RunStore(ObjectStore(self.store), self.key, job.run)

    def job(self, source: str, *, memory: int = 512 * MIB, grace_s: float = 10.0, owner: str = OWNER) -> JobSpec:
        """A run in the store whose first epoch is open, ready to be submitted."""
        job = JobSpec(
            run=secrets.token_hex(4),
            epoch=1,
            cores=1,
            memory_bytes=memory,
            grace_s=grace_s,
            owner=owner,
            secrets={**secrets_of(self.store, self.key), **self.extra},
        )
        store, now = self.run_store(job), datetime.now(UTC)
        capture = Capture(
            transformed=source,
            reads=(),
            binds=("x",),
            items=(),
            payload=dump({}, store.blobs).payload,
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        )
        store.submit(Submission(request=Request(source=source, name="contract", created_at=now), capture=capture))
        store.open_epoch(
            EpochOpen(
                run=job.run,
                epoch=1,
                site="any",
                cores=1,
                memory_bytes=memory,
                opened_at=now,
                trigger="start",
                reason="test",
            )
        )
        self.runs.append(job)
        return job

    def clean(self) -> None:
        """Remove every job that tests have made."""
        for job in self.runs:
            site = self.controller(job.owner)
            site.stop(job.run, job.epoch)
            eventually("a clean site", lambda site=site, job=job: status(site, job) is None)  # type: ignore[misc]
            self.run_store(job).delete()


def eventually(what: str, done: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for something that must come true in time."""
    assert wait_until(RealClock(), done, timeout_s=within_s), f"waited {within_s:.0f} s for {what}"


def status(site: Site, job: JobSpec) -> JobStatus | None:
    """What the site says of a job."""
    found = [s for s in site.jobs() if (s.run, s.epoch) == (job.run, job.epoch)]
    assert len(found) < 2
    return found[0] if found else None


def phase(site: Site, job: JobSpec) -> JobPhase | None:
    """The phase that the site says a job is in."""
    found = status(site, job)
    return None if found is None else found.phase


def ended(site: Site, job: JobSpec, *, within_s: float = 40.0) -> JobStatus:
    """Wait for the end of a job and give the site's last word on it."""
    eventually("the end of the job", lambda: phase(site, job) is JobPhase.ENDED, within_s=within_s)
    found = status(site, job)
    assert found is not None
    return found


@contextmanager
def watched(site: Site) -> Iterator[Callable[[], int]]:
    """Count how often a site says that something may have changed."""
    lock, counts = threading.Lock(), [0]

    def count() -> None:
        with lock:
            counts[0] += 1

    end = site.watch(count)
    try:
        yield lambda: counts[0]
    finally:
        end()


class SiteContract:
    """Subclasses bring a ``bench`` fixture."""

    def _begun(self, bench: Bench, site: Site, job: JobSpec) -> None:
        """Submit and wait until the cell has printed that it runs."""
        site.submit(job)
        store = bench.run_store(job)

        def runs() -> bool:
            return any(BEGUN in event.text for _, events in store.logs(1) for event in events)

        eventually("the cell to run", runs, within_s=bench.start_s)

    def test_a_job_goes_from_pending_over_running_to_its_result(self, bench: Bench) -> None:
        """Phases come in order, the result is in the store, exit code 0, and a second submission changes nothing."""
        site, job = bench.controller(OWNER), bench.job("import time\ntime.sleep(3)\nx = 6 * 7\n")
        site.submit(job)
        seen: list[JobPhase] = []

        def over() -> bool:
            now = phase(site, job)
            if now is not None and seen[-1:] != [now]:
                seen.append(now)
            return now is JobPhase.ENDED

        eventually("its end", over, within_s=bench.start_s + 20)
        assert [JobPhase.PENDING, JobPhase.RUNNING, JobPhase.ENDED] == seen
        result = bench.run_store(job).finished(1)
        assert result is not None
        assert "x" in result.names
        last = status(site, job)
        assert last is not None
        assert (0, False, "") == (last.exit_code, last.out_of_memory, last.detail)
        assert last.started_at is not None
        assert last.ended_at is not None
        assert last.started_at <= last.ended_at
        site.submit(job)
        assert JobPhase.ENDED is phase(site, job)

    def test_submitted_twice_at_once_runs_once(self, bench: Bench) -> None:
        """Two controllers submit one job at the same moment: one runner claims the epoch and no other one tries."""
        job = bench.job("import time\ntime.sleep(2)\nx = 1\n")
        controllers = [bench.controller(OWNER) for _ in range(2)]
        ready = threading.Barrier(2)
        problems: list[Exception] = []

        def submit(site: Site) -> None:
            ready.wait()
            try:
                site.submit(job)
            except Exception as e:  # shown by the assertion below
                problems.append(e)

        threads = [threading.Thread(target=submit, args=(site,)) for site in controllers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == problems
        ended(controllers[0], job, within_s=bench.start_s + 20)
        assert bench.run_store(job).finished(1) is not None
        assert "has a runner already" not in controllers[1].logs(job.run, 1)
        assert status(controllers[0], job) == status(controllers[1], job)

    def test_drain_lets_the_job_leave(self, bench: Bench) -> None:
        """The runner gets SIGTERM and time for its last word; the job is then ended, known, and not started again."""
        site, job = bench.controller(OWNER), bench.job(SLEEP, grace_s=15)
        self._begun(bench, site, job)
        site.drain(job.run, 1)
        site.drain(job.run, 1)
        last = ended(site, job, within_s=15)
        assert "drained" == last.detail
        assert bench.run_store(job).drained(1) is not None
        site.submit(job)
        site.drain(job.run, 1)
        assert JobPhase.ENDED is phase(site, job)

    def test_a_job_that_does_not_leave_is_killed_after_its_grace(self, bench: Bench) -> None:
        """Not before: a cell that ignores SIGTERM has the whole grace period, and is gone soon after."""
        source = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
        site, job = bench.controller(OWNER), bench.job(source, grace_s=6)
        self._begun(bench, site, job)
        clock = RealClock()
        asked = clock.now()
        site.drain(job.run, 1)
        ended(site, job, within_s=25)
        took_s = (clock.now() - asked).total_seconds()
        assert 5.5 < took_s < 15
        assert bench.run_store(job).drained(1) is None

    def test_stop_leaves_nothing(self, bench: Bench) -> None:
        """A running job with a child of its own is gone with all that it had; stopping again is harmless."""
        source = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n" + SLEEP
        site, job = bench.controller(OWNER), bench.job(source)
        self._begun(bench, site, job)
        assert [] != bench.left(job.run, 1)
        site.stop(job.run, 1)
        eventually("the job to be unlisted", lambda: status(site, job) is None, within_s=15)
        eventually("nothing to be left", lambda: [] == bench.left(job.run, 1), within_s=10)
        site.stop(job.run, 1)

    def test_unknown_jobs_are_left_alone(self, bench: Bench) -> None:
        """Stop, drain and logs of a job that never was do nothing and raise nothing."""
        site = bench.controller(OWNER)
        site.stop("nosuchrun", 1)
        site.drain("nosuchrun", 1)
        assert "" == site.logs("nosuchrun", 1)
        assert [] == [job for job in site.jobs() if job.run == "nosuchrun"]

    def test_a_start_that_fails_is_explained(self, bench: Bench) -> None:
        """A runner that cannot read its job says so in its log, and the status has its exit code and last line."""
        site, job = bench.controller(OWNER), bench.job(SLEEP)
        broken = JobSpec(
            run=job.run,
            epoch=1,
            cores=1,
            memory_bytes=job.memory_bytes,
            owner=OWNER,
            secrets={**job.secrets, "GREENKERNEL_KEY": "no key"},
        )
        site.submit(broken)
        last = ended(site, job, within_s=bench.start_s + 20)
        assert 1 == last.exit_code
        assert "GREENKERNEL_KEY" in last.detail
        assert "GREENKERNEL_KEY" in site.logs(job.run, 1)

    @pytest.mark.parametrize(
        ("end", "code"), [("os._exit(7)", 7), (f"os.kill(os.getpid(), {int(signal.SIGKILL)})", 128 + signal.SIGKILL)]
    )
    def test_exit_codes_are_reported(self, bench: Bench, end: str, code: int) -> None:
        """A process that leaves by itself or by a signal has the exit code that a shell would show."""
        site, job = bench.controller(OWNER), bench.job(f"import os, time\ntime.sleep(0.5)\n{end}\n")
        site.submit(job)
        last = ended(site, job, within_s=bench.start_s + 20)
        assert (code, False) == (last.exit_code, last.out_of_memory)
        assert last.detail

    def test_out_of_memory_is_said(self, bench: Bench) -> None:
        """A cell that wants more than its limit is killed, and the status says it in words."""
        source = "held = []\nwhile True:\n    held.append(b'x' * (16 << 20))\n"
        site, job = bench.controller(OWNER), bench.job(source, memory=256 * MIB)
        site.submit(job)
        last = ended(site, job, within_s=bench.start_s + 20)
        assert last.out_of_memory
        assert last.detail.startswith("out of memory: ")
        assert "256 MiB" in last.detail

    def test_owners_do_not_see_each_other(self, bench: Bench) -> None:
        """Another owner's job is neither listed nor drained nor stopped."""
        site, other, job = bench.controller(OWNER), bench.controller("tester-2"), bench.job(SLEEP)
        self._begun(bench, site, job)
        assert status(other, job) is None
        other.drain(job.run, 1)
        other.stop(job.run, 1)
        assert "" == other.logs(job.run, 1)
        assert JobPhase.RUNNING is phase(site, job)
        assert bench.run_store(job).drained(1) is None

    def test_a_watch_wakes_on_a_change(self, bench: Bench) -> None:
        """Submission by another controller, and the end of the job, are told within two seconds; the end is final."""
        site, other = bench.controller(OWNER), bench.controller(OWNER)
        job = bench.job(SLEEP)
        with watched(site) as count:
            eventually("a watch that is connected", lambda: bool(count()) or site.jobs() is not None, within_s=5)
            before = count()
            self._begun(bench, other, job)
            eventually("word of the start", lambda: count() > before, within_s=2)
            eventually("the site to agree", lambda: phase(site, job) is JobPhase.RUNNING, within_s=5)
            before = count()
            other.stop(job.run, 1)
            eventually("word of the end", lambda: count() > before, within_s=2)
            eventually("the site to agree", lambda: status(site, job) is None, within_s=15)

    def test_an_offer_says_what_there_is(self, bench: Bench) -> None:
        """The site is reachable, names itself and offers cores; a job that wants more of them is refused for good."""
        site = bench.controller(OWNER)
        offer = site.offer()
        assert offer.reachable
        assert offer.why_not is None
        assert site.name == offer.site
        assert offer.cores_max >= 1
        job = bench.job("x = 1\n")
        too_big = JobSpec(run=job.run, epoch=1, cores=offer.cores_max + 1, memory_bytes=MIB, owner=OWNER)
        with pytest.raises(PermanentError, match="cores"):
            site.submit(too_big)
        assert status(site, job) is None
