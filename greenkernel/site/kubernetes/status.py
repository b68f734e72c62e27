"""A Job, its pod and its events -> how the job is. Pure: what the API said goes in, a `JobStatus` comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from greenkernel.records import JobPhase, JobStatus
from greenkernel.site.kubernetes import manifests
from greenkernel.site.kubernetes.pending import Ending, ending, has_begun, has_ended, why_pending

Object = Mapping[str, Any]


def state(job: Object) -> str:
    """What the site has done with a Job so far: ``new``, ``started`` or ``drained``."""
    return str((job["metadata"].get("annotations") or {}).get(manifests.STATE, manifests.NEW))


def finished(job: Object) -> bool:
    """True once the Job controller has closed the Job: its pod has ended and no other will come."""
    return condition(job, "Complete") is not None or condition(job, "Failed") is not None


def condition(job: Object, kind: str) -> Object | None:
    """A condition of a Job that holds."""
    for found in (job.get("status") or {}).get("conditions") or []:
        if found.get("type") == kind and found.get("status") == "True":
            return dict(found)
    return None


def wants_details(job: Object) -> bool:
    """True where the Job alone does not say how the job is: its pod, and perhaps events, are needed too."""
    if state(job) == manifests.NEW and not finished(job):
        return False
    return not (_ready(job) and state(job) == manifests.STARTED and not finished(job))


def status_of(job: Object, pods: Sequence[Object], events: Sequence[Object] = ()) -> JobStatus:
    """How a job is.

    Args:
        job: The Job.
        pods: Its pods, those that have ended included; needed only where `wants_details`.
        events: The Job's events, oldest first; needed only while it has no pod.
    """
    alive = [pod for pod in pods if not has_ended(pod)]
    if not alive and (finished(job) or (pods and state(job) == manifests.STARTED)):
        return _ended(job, pods)
    if state(job) == manifests.DRAINED:
        return _leaving(job, pods, alive)
    if (job.get("spec") or {}).get("suspend"):
        if state(job) == manifests.NEW:
            return _status(job, JobPhase.PARTIAL, detail="not wholly handed over yet")
        if not alive and not _active(job):  # somebody else suspended it: that is a drain as well
            return _status(job, JobPhase.ENDED, detail="drained: suspended by somebody else")
    if _ready(job) or any(has_begun(pod) for pod in alive):
        return _status(job, JobPhase.RUNNING)
    return _status(job, JobPhase.PENDING, detail=why_pending(alive[0] if alive else None, events))


def _leaving(job: Object, pods: Sequence[Object], alive: Sequence[Object]) -> JobStatus:
    if alive or _active(job):
        return _status(job, JobPhase.RUNNING if _ready(job) or alive else JobPhase.PENDING, detail="leaving")
    left = ending(pods[-1]) if pods else Ending(exit_code=None, out_of_memory=False, detail="")
    return _status(job, JobPhase.ENDED, exit_code=left.exit_code, detail=left.detail or "drained")


def _ended(job: Object, pods: Sequence[Object]) -> JobStatus:
    how = ending(pods[-1]) if pods else None
    if how is None and condition(job, "Complete") is not None:
        how = Ending(exit_code=0, out_of_memory=False, detail="")
    if how is None:
        failed = condition(job, "Failed") or {}
        how = Ending(exit_code=None, out_of_memory=False, detail=str(failed.get("message") or "its pod is gone"))
    drained = state(job) == manifests.DRAINED and how.exit_code == 0
    detail = "drained" if drained else how.detail
    return _status(job, JobPhase.ENDED, exit_code=how.exit_code, out_of_memory=how.out_of_memory, detail=detail)


def _status(
    job: Object,
    phase: JobPhase,
    *,
    exit_code: int | None = None,
    out_of_memory: bool = False,
    detail: str = "",
) -> JobStatus:
    if job["metadata"].get("deletionTimestamp") and phase is not JobPhase.PARTIAL:
        detail = detail or "being removed"
    found = (job.get("status") or {}).get("conditions") or []
    last = max((str(c["lastTransitionTime"]) for c in found if c.get("lastTransitionTime")), default=None)
    return JobStatus(
        run=job["metadata"]["labels"][manifests.RUN],
        epoch=int(job["metadata"]["labels"][manifests.EPOCH]),
        phase=phase,
        exit_code=exit_code,
        out_of_memory=out_of_memory,
        detail=detail,
        started_at=_time((job.get("status") or {}).get("startTime")),
        ended_at=_time(last) if phase is JobPhase.ENDED else None,
    )


def _ready(job: Object) -> bool:
    return bool((job.get("status") or {}).get("ready"))


def _active(job: Object) -> bool:
    status = job.get("status") or {}
    return bool(status.get("active") or status.get("terminating"))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
