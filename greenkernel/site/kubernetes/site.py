"""A namespace of a Kubernetes cluster as a site: one Job per epoch, one pod per Job.

Every method may be cut off anywhere and repeated. A Job is made suspended, then its Secret, then it is let run: a Job
that is still marked new has not been handed over wholly. Draining suspends it, so the Job controller takes the pod away
with its full grace. Removal is in the foreground: the Job stays listed until its pod is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from greenkernel.clock import Clock
from greenkernel.errors import GreenKernelError, PermanentError, TemporaryError
from greenkernel.records import JobSpec, JobStatus, Offer
from greenkernel.site.kubernetes import manifests
from greenkernel.site.kubernetes.cache import Follower, JobCache, JobSource
from greenkernel.site.kubernetes.client import Cluster, NotAllowedError
from greenkernel.site.kubernetes.room import Room, room
from greenkernel.site.kubernetes.status import finished, state, status_of, wants_details
from greenkernel.units import format_bytes

Object = Mapping[str, Any]

_BATCH = "apis/batch/v1"
# Nothing is asked again within this time unless something has changed.
_FRESH = timedelta(seconds=5)
_START_TRIES = 6
_LOG_BYTES = 1 << 20
# A pod that is removed gets a moment for the signal to arrive, and no grace: its work is not wanted any more.
_REMOVAL_GRACE_S = 1
DEFAULT_MAX_CORES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Details:
    """What was read beside a Job, and at which of its versions."""

    version: str
    read_at: datetime
    pods: tuple[Object, ...]
    events: tuple[Object, ...]


class KubernetesSite:
    """A `Site` whose jobs are Kubernetes Jobs in one namespace.

    Args:
        name: The site's name.
        cluster: The namespace.
        image: Image of the pods; it needs a ``python3`` of the home's minor version, nothing else.
        max_cores: Most cores of one job; None: `DEFAULT_MAX_CORES`, which the offer says.
        memory_bytes: Most memory of one job; None: whatever the cluster takes.
        owner: Whose jobs are listed.
        clock: Time.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster: Cluster,
        image: str,
        max_cores: int | None,
        memory_bytes: int | None,
        owner: str,
        clock: Clock,
    ) -> None:
        self._name = name
        self._cluster = cluster
        self._settings = manifests.PodSettings(site=name, namespace=cluster.address.namespace, image=image)
        self._max_cores = max_cores
        self._memory_bytes = memory_bytes
        self._owner = owner
        self._clock = clock
        self._source = JobSource(cluster, manifests.selector(owner))
        self._cache = JobCache()
        self._follower = Follower(self._source, self._cache)
        self._details: dict[str, _Details] = {}
        self._offer: tuple[datetime, Offer] | None = None

    @property
    def name(self) -> str:
        """The site's name in the settings."""
        return self._name

    def offer(self) -> Offer:
        """What the namespace has left, at most 5 s old; nodes are not asked, so free cores are often not known."""
        now = self._clock.now()
        if self._offer is None or not timedelta(0) <= now - self._offer[0] < _FRESH or not self._offer[1].reachable:
            self._offer = now, self._look()
        return self._offer[1]

    def submit(self, job: JobSpec) -> None:
        """Job suspended, Secret, Job let run: each step finds what an earlier call has done."""
        self._refuse(job)
        made = self._make_job(job)
        if state(made) == manifests.NEW and not finished(made):
            self._make_secret(job, str(made["metadata"]["uid"]))
            self._start(made)

    def jobs(self) -> Sequence[JobStatus]:
        """Every job of this owner: from the watch while it is connected and the API answers, else from a list."""
        with _refusals_may_end():
            known = None if self._cluster.suspect else self._cache.jobs()
            jobs = known if known is not None else list(self._source.list().items)
            self._read_details([job for job in jobs if wants_details(job)])
        self._details = {name: kept for name, kept in self._details.items() if any(_name(j) == name for j in jobs)}
        return [self._status(job) for job in jobs]

    def logs(self, run: str, epoch: int, *, tail_lines: int = 200) -> str:
        """The last output of the job's pod, at most 1 MiB."""
        with _refusals_may_end():
            pods = self._pods(f"{manifests.RUN}={run},{manifests.EPOCH}={epoch}")
            if not pods:
                return ""
            query = {"tailLines": str(tail_lines), "limitBytes": str(_LOG_BYTES)}
            return self._cluster.text(self._cluster.path("pods", _name(pods[-1]), "log"), query=query)

    def drain(self, run: str, epoch: int) -> None:
        """Suspend the Job: its pod gets SIGTERM and its grace."""
        with _refusals_may_end():
            job = self._read(_job_name(run, epoch))
            if job is None or finished(job) or state(job) == manifests.DRAINED:
                return
            answer = self._cluster.call("PATCH", self._path(_name(job)), body=manifests.drain_patch(), accept=(404,))
            if answer.status == 200:
                self._cache.learn(answer.body)

    def stop(self, run: str, epoch: int) -> None:
        """Delete the Job with all that belongs to it; it stays listed until its pod is gone."""
        with _refusals_may_end():
            job = self._read(_job_name(run, epoch))
            if job is None:
                return
            if not job["metadata"].get("deletionTimestamp"):
                uid = {"uid": job["metadata"]["uid"]}
                body = {"propagationPolicy": "Foreground", "preconditions": uid}
                self._cluster.call("DELETE", self._path(_name(job)), body=body, accept=(404, 409))
            self._hurry(f"{manifests.RUN}={run},{manifests.EPOCH}={epoch}")

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` when a Job changes; all listeners share one connection."""
        return self._follower.add(on_change)

    # --- submitting ---

    def _refuse(self, job: JobSpec) -> None:
        if job.cores > self._cores_max():
            raise PermanentError(f"{self._name} gives a job at most {self._cores_max()} cores, this wants {job.cores}")
        if self._memory_bytes is not None and job.memory_bytes > self._memory_bytes:
            most, wanted = format_bytes(self._memory_bytes), format_bytes(job.memory_bytes)
            raise PermanentError(f"{self._name} gives a job at most {most} of memory, this one wants {wanted}")

    def _make_job(self, job: JobSpec) -> dict[str, Any]:
        manifest = manifests.job_manifest(job, self._settings)
        answer = self._cluster.call("POST", self._cluster.path("jobs", group=_BATCH), body=manifest, accept=(409,))
        if answer.status != 409:
            self._cache.learn(answer.body)
            return answer.body
        found = self._cluster.call("GET", self._path(job.name), accept=(404,))
        if found.status == 404 or found.body["metadata"].get("deletionTimestamp"):
            raise TemporaryError(f"the job {job.name} is being removed from {self._name}")
        if not self._is_mine(found.body):
            raise PermanentError(f"somebody else has a Job {job.name} on {self._name}")
        return found.body

    def _make_secret(self, job: JobSpec, uid: str) -> None:
        manifest = manifests.secret_manifest(job, self._settings, uid)
        place, own = self._cluster.path("secrets"), self._cluster.path("secrets", job.name)
        if self._cluster.call("POST", place, body=manifest, accept=(409,)).status != 409:
            return
        found = self._cluster.call("GET", own, accept=(404,))
        owners = (found.body.get("metadata") or {}).get("ownerReferences") or [{}]
        if found.status != 404 and owners[0].get("uid") == uid:
            # Of an earlier try: addresses in it may have run out since.
            self._cluster.call("PATCH", own, body={"stringData": manifest["stringData"]})
            return
        # It goes with an earlier Job of this name, so it would be taken away from under the pod.
        self._cluster.call("DELETE", own, accept=(404,))
        raise TemporaryError(f"an old Secret {job.name} is being removed from {self._name}", delay_s=0.5)

    def _start(self, job: dict[str, Any]) -> None:
        """Let the Job run unless somebody has done more with it meanwhile."""
        for _ in range(_START_TRIES):
            patch = manifests.start_patch(job["metadata"]["resourceVersion"])
            answer = self._cluster.call("PATCH", self._path(_name(job)), body=patch, accept=(404, 409))
            if answer.status == 200:
                self._cache.learn(answer.body)
            if answer.status != 409:
                return
            # Mostly the Job controller, which notes that the Job is suspended.
            found = self._cluster.call("GET", self._path(_name(job)), accept=(404,))
            if found.status == 404 or state(found.body) != manifests.NEW:
                return
            job = found.body
        raise TemporaryError(f"the Job {_name(job)} changes all the time on {self._name}")

    # --- looking ---

    def _status(self, job: dict[str, Any]) -> JobStatus:
        details = self._details.get(_name(job)) if wants_details(job) else None
        return status_of(job, details.pods, details.events) if details is not None else status_of(job, ())

    def _read_details(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Pods, and events where there is no pod, of jobs that have changed or were last looked at a while ago."""
        now = self._clock.now()
        stale = [job for job in jobs if not self._is_fresh(job, now)]
        if not stale:
            return
        pods = self._pods(manifests.selector(self._owner))
        for job in stale:
            own = tuple(pod for pod in pods if _owner_uid(pod) == job["metadata"]["uid"])
            old = not own and _age(job, now) > _FRESH
            events = self._events(job) if old and not finished(job) else ()
            version = job["metadata"]["resourceVersion"]
            self._details[_name(job)] = _Details(version=version, read_at=now, pods=own, events=events)

    def _is_fresh(self, job: dict[str, Any], now: datetime) -> bool:
        kept = self._details.get(_name(job))
        if kept is None or kept.version != job["metadata"]["resourceVersion"]:
            return False
        return finished(job) or timedelta(0) <= now - kept.read_at < _FRESH

    def _pods(self, selector: str) -> list[dict[str, Any]]:
        found = self._cluster.listing(self._cluster.path("pods"), query={"labelSelector": selector}).items
        mine = [pod for pod in found if self._is_mine(pod)]
        return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _events(self, job: dict[str, Any]) -> tuple[Object, ...]:
        query = {"fieldSelector": f"involvedObject.uid={job['metadata']['uid']}"}
        try:
            found = self._cluster.listing(self._cluster.path("events"), query=query).items
        except NotAllowedError:  # a right that only makes the explanation better
            return ()
        return tuple(sorted(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or "")))

    def _look(self) -> Offer:
        try:
            version = self._cluster.call("GET", "/version").body.get("gitVersion", "of unknown version")
            left, note = self._room()
        except GreenKernelError as e:
            why = str(e)
            return Offer(site=self._name, reachable=False, cores_max=self._cores_max(), why_not=why, detail=why)
        most = self._cores_max() if left.cores_most is None else min(self._cores_max(), int(left.cores_most))
        default = "" if self._max_cores is not None else f", max_cores not set: {most} assumed"
        memory = [m for m in (left.memory_free_bytes, left.memory_most_bytes, self._memory_bytes) if m is not None]
        return Offer(
            site=self._name,
            reachable=True,
            cores_max=most,
            cores_free=left.cores_free,
            memory_free_bytes=min(memory, default=None),
            why_not="its LimitRange allows less than one core" if most < 1 else None,
            detail=f"Kubernetes {version}, namespace {self._settings.namespace}{default}{note}",
        )

    def _room(self) -> tuple[Room, str]:
        try:
            quotas = self._cluster.listing(self._cluster.path("resourcequotas")).items
            ranges = self._cluster.listing(self._cluster.path("limitranges")).items
        except NotAllowedError as e:
            return Room(), f", quota not known ({e})"
        return room(quotas, ranges), ""

    def _cores_max(self) -> int:
        return self._max_cores if self._max_cores is not None else DEFAULT_MAX_CORES

    # --- objects ---

    def _path(self, name: str) -> str:
        return self._cluster.path("jobs", name, group=_BATCH)

    def _read(self, name: str) -> dict[str, Any] | None:
        """A Job of this owner; None: there is none."""
        answer = self._cluster.call("GET", self._path(name), accept=(404,))
        return answer.body if answer.status == 200 and self._is_mine(answer.body) else None

    def _is_mine(self, item: Object) -> bool:
        labels = item["metadata"].get("labels") or {}
        return bool(labels.get(manifests.OWNER) == manifests.owner_label(self._owner))

    def _hurry(self, selector: str) -> None:
        """Do not let the pods of a removed Job use up their grace."""
        body = {"gracePeriodSeconds": _REMOVAL_GRACE_S}
        try:
            for pod in self._pods(selector):
                deleted, grace_s = (pod["metadata"].get(f"deletion{x}") for x in ("Timestamp", "GracePeriodSeconds"))
                if not deleted or (grace_s or 0) > _REMOVAL_GRACE_S:
                    self._cluster.call("DELETE", self._cluster.path("pods", _name(pod)), body=body, accept=(404,))
        except NotAllowedError:
            return  # the cluster removes them all the same, a little later


def _job_name(run: str, epoch: int) -> str:
    return JobSpec(run=run, epoch=epoch, cores=1, memory_bytes=0).name


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _owner_uid(pod: Object) -> str | None:
    owners = pod["metadata"].get("ownerReferences") or [{}]
    uid = owners[0].get("uid")
    return None if uid is None else str(uid)


def _age(job: Object, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(str(job["metadata"]["creationTimestamp"]))


@contextmanager
def _refusals_may_end() -> Iterator[None]:
    """A right that is taken away or a login that is gone stops nothing that runs: it is asked for again."""
    try:
        yield
    except PermanentError as e:
        raise TemporaryError(str(e), delay_s=30.0) from e
