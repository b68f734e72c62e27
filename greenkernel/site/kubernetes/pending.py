"""Why a job does not run, or why it ended, in one line with what to do: from its pod's status and its Job's events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenkernel.site.kubernetes.quantity import quantity
from greenkernel.site.words import killed_by, out_of_memory, said_last

Object = Mapping[str, Any]

_IMAGE = {
    "ErrImagePull": "cannot be pulled",
    "ImagePullBackOff": "cannot be pulled",
    "ErrImageNeverPull": "is not on the node",
    "InvalidImageName": "has a name that is not valid",
    "RegistryUnavailable": "cannot be pulled, its registry does not answer",
}
_IMAGE_ADVICE = "check the site's image setting, or whether the cluster may pull it"
_CREATION = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_QUIET = ("ContainerCreating", "PodInitializing")
_REFUSED: tuple[tuple[str, str], ...] = (
    ("exceeded quota", "wait until other work has ended, or ask for less"),
    ("violates podsecurity", "the namespace's Pod Security level is stricter than expected; ask its administrator"),
    ("per container is", "the namespace's LimitRange bounds a job; ask for fewer cores or less memory"),
    ("serviceaccount", "the namespace lacks a service account; ask its administrator"),
    ("admission webhook", "a rule of the cluster refuses the pod; ask its administrator"),
)
_LOST = {
    "Evicted": "evicted by the node",
    "Preempted": "pre-empted by more important work",
    "Preempting": "pre-empted by more important work",
    "NodeLost": "its node is gone",
    "NodeShutdown": "its node was shut down",
    "Terminated": "its node was shut down",
    "DeadlineExceeded": "it ran into the cluster's deadline",
    "NodeAffinity": "its node no longer fits",
    "UnexpectedAdmissionError": "its node refused it",
    "OutOfcpu": "its node had no cores left",
    "OutOfmemory": "its node had no memory left",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a pod ended. ``exit_code`` None: its container never ran, or nobody saw it end."""

    exit_code: int | None
    out_of_memory: bool
    detail: str


def why_pending(pod: Object | None, events: Sequence[Object] = ()) -> str:
    """One line on a job that does not run yet.

    Args:
        pod: Its pod; None: the Job controller has made none.
        events: Events of the Job, oldest first.
    """
    if pod is None:
        return _why_no_pod(events)
    unscheduled = _condition(pod, "PodScheduled", "False")
    if unscheduled is not None:
        return _unscheduled(str(unscheduled.get("message") or ""))
    waiting = _container(pod).get("state", {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), _short(waiting.get("message"))
    if reason in _IMAGE:
        said = f" ({message})" if message else ""
        return f"the image {_image(pod)} {_IMAGE[reason]}{said}: {_IMAGE_ADVICE}"
    if reason in _CREATION:
        return f"the container cannot be made: {message or reason}"
    if reason and reason not in _QUIET:
        return f"{reason}{f': {message}' if message else ''}"
    return "starting"


def ending(pod: Object) -> Ending:
    """How a pod that has ended did so."""
    status = pod.get("status") or {}
    terminated = _container(pod).get("state", {}).get("terminated") or {}
    code = terminated.get("exitCode")
    reason = str(status.get("reason") or "")
    disrupted = _condition(pod, "DisruptionTarget", "True")
    if terminated.get("reason") == "OOMKilled":
        return Ending(exit_code=code, out_of_memory=True, detail=out_of_memory(_memory_limit(pod)))
    if disrupted is not None and disrupted.get("reason") == "PreemptionByScheduler":
        reason = "Preempted"
    if reason in _LOST:
        message = _short(status.get("message"))
        return Ending(
            exit_code=code, out_of_memory=False, detail=f"{_LOST[reason]}{f' ({message})' if message else ''}"
        )
    if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
        message = _short(terminated.get("message"))
        detail = f"the image {_image(pod)} cannot run the job ({message}): it needs a python3"
        return Ending(exit_code=code, out_of_memory=False, detail=detail)
    return Ending(exit_code=code, out_of_memory=False, detail=_exit_words(code, str(terminated.get("message") or "")))


def has_ended(pod: Object) -> bool:
    """True once no process of the pod is left."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def has_begun(pod: Object) -> bool:
    """True once the pod's container has run, also when it has ended since."""
    return not {"running", "terminated"}.isdisjoint(_container(pod).get("state", {}))


def _exit_words(code: int | None, message: str) -> str:
    if code is None:
        return "its pod is gone"
    if code == 0:
        return ""
    if code > 128 and not message.strip():
        return killed_by(code - 128)
    return f"exit code {code}{said_last(message)}"


def _why_no_pod(events: Sequence[Object]) -> str:
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    if not failed:
        return "the cluster has made no pod yet"
    message = str(failed[-1].get("message") or "").removeprefix("Error creating: ")
    for sign, advice in _REFUSED:
        if sign in message.lower():
            return f"the cluster refuses the pod ({_short(message)}): {advice}"
    return f"the cluster refuses the pod ({_short(message)})"


def _unscheduled(message: str) -> str:
    lacking = sorted(set(re.findall(r"Insufficient ([\w./-]+?)[.,]?(?=\s|$)", message)))
    if lacking:
        return f"no node has enough free {' and '.join(lacking)}: ask for less, or wait until other work has ended"
    taint = re.search(r"untolerated taint \{([^}]*)\}", message)
    if taint:
        return f"every node that could take it is reserved (taint {taint[1].strip(': ')}): the site needs a toleration"
    if "volume" in message.lower():
        return f"a volume is not ready ({_short(message)})"
    return f"no node can take it: {_short(message) or 'the scheduler has not said why'}"


def _container(pod: Object) -> dict[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict(statuses[0])


def _condition(pod: Object, kind: str, status: str) -> Object | None:
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == status:
            return dict(condition)
    return None


def _image(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _memory_limit(pod: Object) -> int:
    return int(quantity(pod["spec"]["containers"][0]["resources"]["limits"]["memory"]))


def _short(message: object) -> str:
    return " ".join(str(message or "").split())[:300]
