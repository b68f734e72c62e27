"""Run small pods for tests, as the restricted Pod Security Standard wants them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kubernetes import client, config

from tests.clusters.api import Clusters
from tests.clusters.layout import NAMESPACE

_DEADLINE_S = 60


def core(clusters: Clusters, context: str) -> client.CoreV1Api:
    """The core API in one context."""
    return client.CoreV1Api(config.new_client_from_config(str(clusters.kubeconfig), context=context))


def restricted_pod(image: str, command: Sequence[str]) -> client.V1Pod:
    """A pod that may run: no root, no privileges, a root file system that cannot be written."""
    security = client.V1SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=client.V1Capabilities(drop=["ALL"]),
        seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
    )
    container = client.V1Container(
        name="main", image=image, command=list(command) or None, image_pull_policy="IfNotPresent"
    )
    container.security_context = security
    container.volume_mounts = [client.V1VolumeMount(name="tmp", mount_path="/tmp")]
    volume = client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource())
    spec = client.V1PodSpec(containers=[container], volumes=[volume], restart_policy="Never")
    return client.V1Pod(metadata=client.V1ObjectMeta(name=f"test-{uuid.uuid4().hex[:10]}"), spec=spec)


@contextmanager
def pod(api: client.CoreV1Api, image: str, command: Sequence[str]) -> Iterator[str]:
    """A pod by its name, deleted at the end."""
    name: str = api.create_namespaced_pod(NAMESPACE, restricted_pod(image, command)).metadata.name
    try:
        yield name
    finally:
        api.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0, propagation_policy="Background")


def poll(what: str, ask: Callable[[], bool], *, timeout_s: float = _DEADLINE_S) -> None:
    """Ask until something holds; the test fails where it does not hold in time."""
    deadline = time.monotonic() + timeout_s
    while not ask():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.2)


def wait_phase(api: client.CoreV1Api, name: str, *phases: str) -> None:
    """Wait until a pod is in one of these phases."""
    poll(f"pod {name}", lambda: api.read_namespaced_pod(name, NAMESPACE).status.phase in phases)


def output(api: client.CoreV1Api, image: str, *command: str) -> str:
    """All that a pod printed, after it succeeded."""
    with pod(api, image, command) as name:
        wait_phase(api, name, "Succeeded", "Failed")
        text: str = api.read_namespaced_pod_log(name, NAMESPACE)
        assert "Succeeded" == api.read_namespaced_pod(name, NAMESPACE).status.phase, text
        return text
