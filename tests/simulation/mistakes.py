"""Seven mistakes that the schedules must find, each as a change of one class or function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from greenkernel.records import EpochOpen, JobSpec, Result
from greenkernel.run import conduct, reconcile
from greenkernel.run.reconcile import Action, Seen, Stop
from greenkernel.store.runs import RunStore, Wish
from tests.simulation.world import SimSite


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is done wrong, and where."""

    name: str
    kinds: dict[str, Any] = field(default_factory=dict)
    planted: Callable[[], AbstractContextManager[None]] = nullcontext


class NoFence(RunStore):
    """An epoch is opened by whoever comes last."""

    def open_epoch(self, opened: EpochOpen) -> bool:
        self._put(f"epochs/{opened.epoch:04d}/open", opened)
        return True


class BoundTwice(RunStore):
    """A result is accepted whether or not there is one."""

    def accept(self, result: Result) -> bool:
        self._put("result", result)
        return True


class LostCancel(RunStore):
    """A cancel is forgotten as soon as the run has moved."""

    def wishes(self) -> dict[str, Wish]:
        found = super().wishes()
        return {name: wish for name, wish in found.items() if wish.kind != "cancel" or self.epoch(2) is None}


class TwoJobs(SimSite):
    """A job that is submitted once more is a second job."""

    def _submit(self, job: JobSpec) -> None:
        if (job.run, job.epoch) in self.ground.jobs:
            self.ground.jobs[job.run + "'", job.epoch] = self.ground.jobs.pop((job.run, job.epoch))
        super()._submit(job)


class BelievesAll(SimSite):
    """A job takes every record that it finds, whatever its epoch says."""

    def _start(self, job: Any) -> None:
        super()._start(job)
        store = self.store_of(job.spec.run)
        job.work_done = len({name for n in range(1, job.spec.epoch) for name, _ in store.records(n)})


@contextmanager
def _patched(module: Any, name: str, made: Callable[[Any], Any]) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, made(before))
    try:
        yield
    finally:
        setattr(module, name, before)


def _deletes_early() -> AbstractContextManager[None]:
    """Old copies go as soon as a new epoch is open."""

    def made(_: Any) -> Any:
        def stop_stale(seen: Seen) -> list[Action]:
            stale = [job for job in seen.jobs if seen.epoch is not None and job.status.epoch < seen.epoch.epoch]
            return [Stop(epoch=job.status.epoch, site=job.site) for job in stale]

        return stop_stale

    return _patched(reconcile, "_stop_stale", made)


def _restarts() -> AbstractContextManager[None]:
    """What has finished is not looked for while the job's end is not known."""

    def made(before: Any) -> Any:
        def forgetful(seen: Seen) -> list[Action]:
            lost = seen.job is not None and seen.job.exit_code == 137
            return before(replace(seen, finished=None, result=None, end=None) if lost else seen)  # type: ignore[no-any-return]

        return forgetful

    return _patched(conduct, "reconcile", made)


MISTAKES = (
    Mistake("no fence", {"store_kind": NoFence}),
    Mistake("delete before report", planted=_deletes_early),
    Mistake("restart of a finished run", planted=_restarts),
    Mistake("lost cancel", {"store_kind": LostCancel}),
    Mistake("result bound twice", {"store_kind": BoundTwice}),
    Mistake("record believed after its epoch", {"site_kind": BelievesAll}),
    Mistake("retry without idempotence", {"site_kind": TwoJobs}),
)
