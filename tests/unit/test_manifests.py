"""The objects of a job in a cluster: safe under the restricted standard, secret only where they must be."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace

import pytest

from greenkernel.records import JobSpec
from greenkernel.site.kubernetes.manifests import (
    PodSettings,
    bootstrap_text,
    drain_patch,
    job_manifest,
    owner_label,
    secret_manifest,
    selector,
    start_patch,
)

SETTINGS = PodSettings(site="lab", namespace="team", image="python:3.11-slim")
JOB = JobSpec(
    run="abc123",
    epoch=4,
    cores=2,
    memory_bytes=3 << 30,
    grace_s=20.5,
    owner="ada-1",
    folder="/home/ada/study",
    secrets={"GREENKERNEL_KEY": "very secret", "GREENKERNEL_STORE": "{}"},
)


def test_a_job_has_one_pod_and_begins_suspended() -> None:
    """One try, one pod, nothing before it is handed over, and a name that follows from run and epoch."""
    manifest = job_manifest(JOB, SETTINGS)
    spec = manifest["spec"]
    assert "gk-abc123-4" == manifest["metadata"]["name"]
    assert (True, 0, 1, 1) == (spec["suspend"], spec["backoffLimit"], spec["completions"], spec["parallelism"])
    assert "Never" == spec["template"]["spec"]["restartPolicy"]
    assert "new" == manifest["metadata"]["annotations"]["greenkernel.dev/state"]


def test_the_pod_keeps_the_restricted_standard() -> None:
    """No root, no privileges, no token, a root file system that cannot be written."""
    pod = job_manifest(JOB, SETTINGS)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    assert {"drop": ["ALL"]} == container["securityContext"]["capabilities"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not pod["automountServiceAccountToken"]


def test_amounts_and_grace_are_those_of_the_job() -> None:
    """Requests equal limits, and the grace period is never shorter than asked."""
    pod = job_manifest(JOB, SETTINGS)["spec"]["template"]["spec"]
    amounts = {"cpu": "2", "memory": str(3 << 30)}
    assert {"requests": amounts, "limits": amounts} == pod["containers"][0]["resources"]
    assert 21 == pod["terminationGracePeriodSeconds"]


def test_the_runner_is_told_its_job() -> None:
    """The environment describes the epoch as the runner reads it, and every folder in it can be written."""
    container = job_manifest(JOB, SETTINGS)["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert {
        "run": "abc123",
        "epoch": 4,
        "site": "lab",
        "cores": 2,
        "memory_bytes": 3 << 30,
        "grace_s": 20.5,
        "lost_every_s": 7200.0,
        "folder": "/home/ada/study",
    } == json.loads(environment["GREENKERNEL_JOB"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {environment["HOME"], environment["TMPDIR"], container["workingDir"]} <= mounts


@pytest.mark.parametrize(
    ("folder", "is_shown"),
    [
        ("/home/ada/study", True),
        ("/work/of/ada", True),
        ("/work", False),
        ("/usr/share/study", False),
        ("/study", False),
        ("/", False),
        ("", False),
        ("C:/study", False),
        ("/home/ada/a:b", False),
    ],
)
def test_the_notebooks_folder_is_where_it_is_at_home(folder: str, is_shown: bool) -> None:
    """The cell's working folder is mounted there a second time, where that hides nothing of the image's system."""
    container = job_manifest(replace(JOB, folder=folder), SETTINGS)["spec"]["template"]["spec"]["containers"][0]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert ["/tmp", "/work", *([folder] if is_shown else [])] == places


def test_secrets_are_in_the_secret_only() -> None:
    """Their values are not in the Job's text, nor in the job's repr; the Secret goes with its Job."""
    assert "very secret" not in json.dumps(job_manifest(JOB, SETTINGS))
    assert "very secret" not in repr(JOB)
    secret = secret_manifest(JOB, SETTINGS, "uid-1")
    assert dict(JOB.secrets) == secret["stringData"]
    (owner,) = secret["metadata"]["ownerReferences"]
    assert ("Job", JOB.name, "uid-1") == (owner["kind"], owner["name"], owner["uid"])
    reference = job_manifest(JOB, SETTINGS)["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert [{"secretRef": {"name": secret["metadata"]["name"]}}] == reference


def test_every_object_is_found_by_its_owner() -> None:
    """The selector of an owner matches the labels of Job, pod and Secret."""
    manifest = job_manifest(JOB, SETTINGS)
    secret = secret_manifest(JOB, SETTINGS, "u")
    wanted = dict(part.split("=") for part in selector("ada-1").split(","))
    for item in (manifest, manifest["spec"]["template"], secret):
        assert wanted.items() <= item["metadata"]["labels"].items()
        assert ("abc123", "4") == (
            item["metadata"]["labels"]["greenkernel.dev/run"],
            item["metadata"]["labels"]["greenkernel.dev/epoch"],
        )


@pytest.mark.parametrize("owner", ["ada-1", "ADA Lovelace", "x" * 80, "", "-ada", "ädä@home"])
def test_an_owner_is_always_a_valid_label(owner: str) -> None:
    """Whatever the name, the label is one that the API takes, and different owners have different ones."""
    label = owner_label(owner)
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", label)
    assert label != owner_label(f"{owner}2")


def test_patches() -> None:
    """A start holds for one version of the Job only; a drain holds for any."""
    start, drain = start_patch("77"), drain_patch()
    assert "77" == start["metadata"]["resourceVersion"]
    assert (False, True) == (start["spec"]["suspend"], drain["spec"]["suspend"])
    assert "resourceVersion" not in drain["metadata"]


def test_the_bootstrap_stands_alone() -> None:
    """It imports the standard library only, an older Python can read it, and it fits an argument of a process."""
    text = bootstrap_text()
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    import sys

    assert imported <= sys.stdlib_module_names
    assert len(text.encode()) < 128 * 1024
