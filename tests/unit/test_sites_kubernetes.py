"""What the API says of Jobs, pods, quotas and errors, in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.records import JobPhase
from greenkernel.site.kubernetes.client import Address, Cluster, NotAllowedError, TooOldError, fault
from greenkernel.site.kubernetes.pending import ending, why_pending
from greenkernel.site.kubernetes.quantity import quantity
from greenkernel.site.kubernetes.room import Room, room
from greenkernel.site.kubernetes.status import status_of, wants_details

AT = "2026-05-01T12:00:00Z"


def a_job(
    state: str = "started", *, suspend: bool = False, conditions: Sequence[str] = (), **status: Any
) -> dict[str, Any]:
    held = [{"type": kind, "status": "True", "lastTransitionTime": AT} for kind in conditions]
    labels = {"greenkernel.dev/run": "abc", "greenkernel.dev/epoch": "2"}
    return {
        "metadata": {"name": "gk-abc-2", "labels": labels, "annotations": {"greenkernel.dev/state": state}},
        "spec": {"suspend": suspend},
        "status": {"conditions": held, **status},
    }


def a_pod(
    phase: str,
    container: dict[str, Any] | None = None,
    *,
    reason: str | None = None,
    message: str | None = None,
    conditions: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    status = {"phase": phase, "containerStatuses": [{"state": container or {}}], "conditions": list(conditions)}
    limits = {"memory": "256Mi"}
    return {
        "spec": {"containers": [{"image": "python:3.11-slim", "resources": {"limits": limits}}]},
        "status": {**status, "reason": reason, "message": message},
    }


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING = a_pod("Running", {"running": {}})
DONE = a_pod("Succeeded", terminated(0, "Completed"))
FAILED = a_pod("Failed", terminated(3, message="Traceback\nit broke\n"))


@pytest.mark.parametrize(
    ("job", "pods", "phase", "detail"),
    [
        (a_job("new", suspend=True), [], JobPhase.PARTIAL, "not wholly handed over yet"),
        (a_job(active=1), [], JobPhase.PENDING, "the cluster has made no pod yet"),
        (a_job(active=1), [a_pod("Pending", waiting("ContainerCreating"))], JobPhase.PENDING, "starting"),
        (a_job(active=1), [RUNNING], JobPhase.RUNNING, ""),
        (a_job(active=1, ready=1), [], JobPhase.RUNNING, ""),
        (a_job(active=1, ready=0), [a_pod("Running", terminated(0))], JobPhase.RUNNING, ""),
        (a_job(), [DONE], JobPhase.ENDED, ""),
        (a_job(conditions=["Complete"]), [DONE], JobPhase.ENDED, ""),
        (a_job(conditions=["Complete"]), [], JobPhase.ENDED, ""),
        (a_job(conditions=["Failed"]), [FAILED], JobPhase.ENDED, "exit code 3: it broke"),
        (a_job(conditions=["Failed"]), [], JobPhase.ENDED, "its pod is gone"),
        (a_job("drained", suspend=True, active=1, ready=1), [RUNNING], JobPhase.RUNNING, "leaving"),
        (a_job("drained", suspend=True), [RUNNING], JobPhase.RUNNING, "leaving"),
        (a_job("drained", suspend=True, terminating=1), [], JobPhase.PENDING, "leaving"),
        (a_job("drained", suspend=True), [], JobPhase.ENDED, "drained"),
        (a_job("drained", suspend=True, conditions=["Complete"]), [DONE], JobPhase.ENDED, "drained"),
        (a_job(suspend=True, active=1, ready=1), [RUNNING], JobPhase.RUNNING, ""),
        (a_job(suspend=True), [], JobPhase.ENDED, "drained: suspended by somebody else"),
    ],
)
def test_phases(job: dict[str, Any], pods: list[dict[str, Any]], phase: JobPhase, detail: str) -> None:
    """A Job and its pods in every stage; "ended" is said only when no process can be left."""
    found = status_of(job, pods)
    assert ("abc", 2, phase, detail) == (found.run, found.epoch, found.phase, found.detail)


def test_an_ended_job_has_its_times_and_exit_code() -> None:
    """Start and end are the Job's own, aware; a job that is killed for its memory says so with its limit."""
    killed = a_pod("Failed", terminated(137, "OOMKilled"))
    found = status_of(a_job(conditions=["Failed"], startTime="2026-05-01T11:00:00Z"), [killed])
    assert datetime(2026, 5, 1, 11, tzinfo=UTC) == found.started_at
    assert datetime(2026, 5, 1, 12, tzinfo=UTC) == found.ended_at
    assert (137, True) == (found.exit_code, found.out_of_memory)
    assert "out of memory: limit 256 MiB" == found.detail


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        (a_job("new", suspend=True), False),
        (a_job(active=1, ready=1), False),
        (a_job(active=1, ready=0), True),
        (a_job("drained", active=1, ready=1), True),
        (a_job(conditions=["Complete"]), True),
    ],
)
def test_pods_are_read_only_where_they_tell_more(job: dict[str, Any], wanted: bool) -> None:
    """A running job costs no request beside the watch."""
    assert wanted is wants_details(job)


PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (
            a_pod(
                "Pending",
                conditions=[
                    {
                        **UNSCHEDULED,
                        "message": "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. more: 0/3",
                    }
                ],
            ),
            "no node has enough free cpu and memory: ask for less, or wait until other work has ended",
        ),
        (
            a_pod(
                "Pending",
                conditions=[{**UNSCHEDULED, "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}],
            ),
            "no node has enough free nvidia.com/gpu: ask for less, or wait until other work has ended",
        ),
        (
            a_pod(
                "Pending",
                conditions=[
                    {**UNSCHEDULED, "message": "0/1 nodes are available: 1 node(s) had untolerated taint {team: ml}."}
                ],
            ),
            "every node that could take it is reserved (taint team: ml): the site needs a toleration",
        ),
        (
            a_pod("Pending", waiting("ImagePullBackOff", "Back-off pulling image")),
            "the image python:3.11-slim cannot be pulled (Back-off pulling image): "
            "check the site's image setting, or whether the cluster may pull it",
        ),
        (
            a_pod("Pending", waiting("CreateContainerConfigError", 'secret "gk-abc-2" not found')),
            'the container cannot be made: secret "gk-abc-2" not found',
        ),
        (a_pod("Pending", waiting("PodInitializing")), "starting"),
        (a_pod("Pending"), "starting"),
    ],
)
def test_why_a_pod_is_pending(pod: dict[str, Any], said: str) -> None:
    """One line, with the thing that is lacking and what to do."""
    assert said == why_pending(pod)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('pods "x" is forbidden: exceeded quota: q, requested: cpu=2', "wait until other work has ended"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Pod Security level"),
        ("maximum cpu usage per Container is 1, but limit is 2", "LimitRange"),
        ('error looking up service account ns/x: serviceaccount "x" not found', "lacks a service account"),
        ('admission webhook "policy" denied the request: no', "a rule of the cluster"),
        ("something new", "(something new)"),
    ],
)
def test_why_there_is_no_pod(message: str, said: str) -> None:
    """The Job controller's last event has the reason; each known kind has its advice."""
    older = {"reason": "FailedCreate", "message": "Error creating: something older"}
    event = {"reason": "FailedCreate", "message": f"Error creating: {message}"}
    explained = why_pending(None, [older, event, {"reason": "Other", "message": "later"}])
    assert said in explained
    assert message in explained


@pytest.mark.parametrize(
    ("pod", "code", "said"),
    [
        (DONE, 0, ""),
        (a_pod("Failed", terminated(137, "Error")), 137, "killed from outside (SIGKILL)"),
        (a_pod("Failed", terminated(1, message="greenkernel: installed x 1\n")), 1, "exit code 1"),
        (
            a_pod("Failed", terminated(78, message="greenkernel: this image has Python 3.9")),
            78,
            "exit code 78: greenkernel: this image has Python 3.9",
        ),
        (a_pod("Failed", reason="Evicted", message="low on disk"), None, "evicted by the node (low on disk)"),
        (
            a_pod("Failed", conditions=[PREEMPTED]),
            None,
            "pre-empted by more important work",
        ),
        (
            a_pod("Failed", terminated(128, "StartError", 'exec: "python3": executable file not found')),
            128,
            'the image python:3.11-slim cannot run the job (exec: "python3": executable file not found): '
            "it needs a python3",
        ),
        (a_pod("Failed"), None, "its pod is gone"),
    ],
)
def test_how_a_pod_ended(pod: dict[str, Any], code: int | None, said: str) -> None:
    """Exit code and reason in words."""
    found = ending(pod)
    assert (code, False, said) == (found.exit_code, found.out_of_memory, found.detail)


NO_RIGHT = 'secrets is forbidden: User "eve" cannot create resource "secrets" in API group "" in the namespace "lab"'


@pytest.mark.parametrize(
    ("status", "message", "kind", "said"),
    [
        (403, NO_RIGHT, NotAllowedError, "eve may not create secrets in the namespace lab: ask the cluster's"),
        (
            403,
            'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope',
            NotAllowedError,
            "eve may not list nodes in the whole cluster",
        ),
        (403, 'jobs "x" is forbidden: exceeded quota', PermanentError, 'the cluster refuses: jobs "x" is forbidden'),
        (422, "Job is invalid: spec", PermanentError, "the cluster refuses: Job is invalid: spec"),
        (404, "jobs not found", PermanentError, "jobs not found"),
        (409, "object has been modified", TemporaryError, "somebody else has just changed this"),
        (410, "too old resource version", TooOldError, "forgotten"),
        (429, "slow down", TemporaryError, "busy"),
        (503, "etcd is away", TemporaryError, "etcd is away"),
    ],
)
def test_faults_of_the_api(status: int, message: str, kind: type[Exception], said: str) -> None:
    """Each status is worth another try or not, with the server's sentence, and a missing right by name."""
    found = fault(status, {"message": message}, {})
    assert kind is type(found)
    assert said in str(found)


@pytest.mark.parametrize(("header", "delay_s"), [("7", 7.0), (None, 2.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 2.0)])
def test_retry_after(header: str | None, delay_s: float) -> None:
    """Seconds that the server asks for are waited."""
    found = fault(429, {}, {"Retry-After": header} if header else {})
    assert isinstance(found, TemporaryError)
    assert delay_s == found.delay_s


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no login for lab in the kubeconfig of"),
        ("not: [yaml", "no login for lab"),
        ('{"apiVersion": "v1", "kind": "Config", "contexts": []}', "no login for lab"),
    ],
)
def test_a_kubeconfig_that_will_not_do(tmp_path: Path, text: str | None, problem: str) -> None:
    """A file that is missing, broken or without the context: one sentence that names both and says what to do."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    cluster = Cluster(Address(kubeconfig=path, context="lab", namespace="default"))
    with pytest.raises(PermanentError, match=problem) as found:
        cluster.call("GET", "/version")
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_cluster_that_does_not_answer_is_away(tmp_path: Path) -> None:
    """A refused connection is a temporary fault, and what is known of the cluster is suspect from then on."""
    path = tmp_path / "config"
    path.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "x",'
        '"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}],'
        '"users": [{"name": "x", "user": {}}],'
        '"contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}'
    )
    cluster = Cluster(Address(kubeconfig=path, context=None, namespace="default"))
    with pytest.raises(TemporaryError, match="no answer from the current context"):
        cluster.call("GET", "/version")
    assert cluster.suspect


@pytest.mark.parametrize(
    ("text", "number"),
    [("2", 2), ("500m", 0.5), ("1.5", 1.5), ("2Gi", 2 << 30), ("128974848", 128974848), ("129e6", 129e6), ("1G", 1e9)],
)
def test_quantities(text: str, number: float) -> None:
    """Amounts in each of the forms that the API writes."""
    assert number == quantity(text)


@pytest.mark.parametrize("text", ["", "two", "1 Gi", "1Qi"])
def test_what_is_no_quantity(text: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        quantity(text)


def test_room_is_the_tightest_of_all_bounds() -> None:
    """Several quotas and ranges: what is left is the least that any of them leaves, never below zero."""
    quotas = [
        {"status": {"hard": {"limits.cpu": "4", "requests.memory": "8Gi"}, "used": {"limits.cpu": "1500m"}}},
        {"status": {"hard": {"requests.cpu": "10", "pods": "3"}, "used": {"requests.cpu": "2"}}},
        {"status": {"hard": {"memory": "4Gi"}, "used": {"memory": "5Gi"}}},
    ]
    ranges = [{"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}, {"type": "Pod", "max": {"cpu": "3"}}]}}]
    assert Room(cores_free=2.5, memory_free_bytes=0, cores_most=2.0, memory_most_bytes=None) == room(quotas, ranges)
    assert Room() == room([], [])
