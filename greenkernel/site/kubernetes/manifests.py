"""The objects that one job has in a cluster, as plain dictionaries: a Job that begins suspended, and its Secret.

Nothing secret is in the Job's text. A name is derived from run and epoch, so that making an object twice is refused by
the API. What the site has done with a Job so far is an annotation of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from greenkernel.mounts import may_cover
from greenkernel.records import JobSpec
from greenkernel.runner.job import WORK

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = "greenkernel.dev/run"
EPOCH = "greenkernel.dev/epoch"
OWNER = "greenkernel.dev/owner"
STATE = "greenkernel.dev/state"
PRODUCT = "greenkernel"
# The annotation STATE: what has been done with a Job. It only ever moves on.
NEW = "new"
STARTED = "started"
DRAINED = "drained"

_USER_ID = 10001
# Home and working folder of the runner; what it makes there is below it.
_FOLDER = "/work"
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """What a site's pods have in common. The image needs a ``python3``, nothing else."""

    site: str
    namespace: str
    image: str


def owner_label(owner: str) -> str:
    """The owner as the value of a label: itself where that is allowed, else a hash of it."""
    return owner if _LABEL.fullmatch(owner) else hashlib.sha256(owner.encode()).hexdigest()[:32]


def selector(owner: str) -> str:
    """The label selector of everything that one owner has."""
    return f"{MANAGED_BY}={PRODUCT},{OWNER}={owner_label(owner)}"


def labels(job: JobSpec) -> dict[str, str]:
    """What every object of a job is found by."""
    return {MANAGED_BY: PRODUCT, RUN: job.run, EPOCH: str(job.epoch), OWNER: owner_label(job.owner)}


def job_manifest(job: JobSpec, settings: PodSettings) -> dict[str, Any]:
    """The Job, suspended: one pod, never a second one, every retry is a new epoch and so a new Job."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job.name,
            "namespace": settings.namespace,
            "labels": labels(job),
            "annotations": {STATE: NEW},
        },
        "spec": {
            "suspend": True,
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            # A pod that is being deleted is waited for, so that two are never alive at once.
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": labels(job)}, "spec": _pod(job, settings)},
        },
    }


def secret_manifest(job: JobSpec, settings: PodSettings, job_uid: str) -> dict[str, Any]:
    """The Secret that a job's pod reads its environment from; it goes with its Job."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": job.name,
            "namespace": settings.namespace,
            "labels": labels(job),
            "ownerReferences": [reference],
        },
        "stringData": dict(job.secrets),
    }


def start_patch(version: str) -> dict[str, Any]:
    """Let a Job run, unless it has changed since ``version``: a drained one must not start again."""
    return {"metadata": {"resourceVersion": version, "annotations": {STATE: STARTED}}, "spec": {"suspend": False}}


def drain_patch() -> dict[str, Any]:
    """Take a Job's pod away with its full grace: SIGTERM, then time to leave."""
    return {"metadata": {"annotations": {STATE: DRAINED}}, "spec": {"suspend": True}}


@cache
def bootstrap_text() -> str:
    """What a pod's Python is told to do: the text of a module that needs nothing but itself."""
    return (resources.files("greenkernel.runner") / "bootstrap.py").read_text(encoding="utf-8")


def _pod(job: JobSpec, settings: PodSettings) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": max(1, math.ceil(job.grace_s)),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Process 1 has no default reaction to signals and must reap orphans: the runner must not be it.
        "shareProcessNamespace": True,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "runAsGroup": _USER_ID,
            "fsGroup": _USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, settings)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "work", "emptyDir": {}}],
    }


def _container(job: JobSpec, settings: PodSettings) -> dict[str, Any]:
    amounts = {"cpu": str(job.cores), "memory": str(job.memory_bytes)}
    return {
        "name": "runner",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", bootstrap_text()],
        "workingDir": _FOLDER,
        "env": [{"name": name, "value": value} for name, value in _environment(job, settings).items()],
        "envFrom": [{"secretRef": {"name": job.name}}],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(job),
        # The reason of a start that failed is in the pod's status even when its log is gone.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _mounts(job: JobSpec) -> list[dict[str, str]]:
    """Temporary files, the runner's folder, and the cell's working folder in it where the notebook's is at home."""
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "work", "mountPath": _FOLDER}]
    place = PurePosixPath(job.folder)
    if place.is_absolute() and place != PurePosixPath(_FOLDER) and ":" not in job.folder and may_cover(place):
        mounts.append({"name": "work", "mountPath": job.folder, "subPath": WORK})
    return mounts


def _environment(job: JobSpec, settings: PodSettings) -> dict[str, str]:
    told = {
        "run": job.run,
        "epoch": job.epoch,
        "site": settings.site,
        "cores": job.cores,
        "memory_bytes": job.memory_bytes,
        "grace_s": job.grace_s,
        "lost_every_s": job.lost_every_s,
        "folder": job.folder,
    }
    return {
        "GREENKERNEL_JOB": json.dumps(told),
        "HOME": _FOLDER,
        "TMPDIR": "/tmp",
        "JOBLIB_TEMP_FOLDER": "/tmp",
        # The user id has no entry in the image's list of users.
        "USER": PRODUCT,
        "LOGNAME": PRODUCT,
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": job.hash_seed,
    }
