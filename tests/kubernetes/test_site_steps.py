"""Kubernetes sites, cut off anywhere: what was left half-way is completed by the next call, or removed by a stop."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.records import JobPhase, JobSpec
from greenkernel.site.kubernetes.client import Address, Cluster
from tests.clusters import faults
from tests.clusters.api import Clusters, state_of
from tests.kubernetes.sitekit import ON_CLUSTERS, CutCluster, address_of, bench_of, left_on, site_of
from tests.sites.contract import MIB, OWNER, SLEEP, Bench, ended, eventually, phase, status, watched

pytestmark = ON_CLUSTERS

# Requests of a submission: Job, Secret, start.
CUTS = [(at, answered) for at in range(3) for answered in (False, True)]


@pytest.fixture
def bench(clusters: Clusters, bundle: dict[str, str]) -> Iterator[Bench]:
    """The first site with a plain Python image."""
    made = bench_of(clusters, clusters.contexts[0], bundle)
    yield made
    made.clean()


@pytest.fixture
def own_namespace(clusters: Clusters) -> Iterator[Cluster]:
    """A restricted namespace of the test's own on the first site, with an administrator's rights."""
    context = f"{clusters.contexts[0]}-admin"
    if clusters.foreign:
        pytest.skip("foreign clusters give no administrator's rights")
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster = Cluster(Address(kubeconfig=clusters.kubeconfig, context=context, namespace=name))
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforced}}
    cluster.call("POST", "/api/v1/namespaces", body=namespace)
    yield cluster
    cluster.call("DELETE", f"/api/v1/namespaces/{name}", accept=(404,))


def cut_submission(clusters: Clusters, job: JobSpec, at: int, *, answered: bool) -> None:
    """Submit and be cut off at a request."""
    cut = CutCluster(address_of(clusters, clusters.contexts[0]), at=at, answered=answered)
    with pytest.raises(TemporaryError, match="cut off"):
        site_of(cut, OWNER).submit(job)


@pytest.mark.parametrize(("at", "answered"), CUTS)
def test_a_submission_that_was_cut_off_leaks_nothing(bench: Bench, clusters: Clusters, at: int, answered: bool) -> None:
    """After a cut at any request, what there is is listed, and a stop removes all of it."""
    site, job = bench.controller(OWNER), bench.job(SLEEP)
    cut_submission(clusters, job, at, answered=answered)
    listed = phase(site, job)
    steps_done = at + answered
    # The start is refused by the API, and so tried again, where the Job controller has just changed the Job.
    expected = {0: {None}, 3: {JobPhase.PARTIAL, JobPhase.PENDING}}.get(steps_done, {JobPhase.PARTIAL})
    assert listed in expected
    site.stop(job.run, 1)
    eventually("nothing to be left", lambda: [] == bench.left(job.run, 1) and status(site, job) is None)


@pytest.mark.parametrize(("at", "answered"), [(0, True), (1, True), (2, False)])
def test_a_submission_that_was_cut_off_is_completed_by_the_next(
    bench: Bench, clusters: Clusters, at: int, answered: bool
) -> None:
    """Another controller submits the same job again, with newer secrets: it runs with those, once."""
    site, job = bench.controller(OWNER), bench.job("x = 1\n")
    old = JobSpec(
        run=job.run,
        epoch=1,
        cores=1,
        memory_bytes=job.memory_bytes,
        owner=OWNER,
        secrets={**job.secrets, "GREENKERNEL_KEY": "00"},
    )
    cut_submission(clusters, old, at, answered=answered)
    assert JobPhase.PARTIAL is phase(site, job)
    site.submit(job)
    assert 0 == ended(site, job, within_s=60).exit_code
    assert bench.run_store(job).finished(1) is not None


def test_a_drained_job_is_not_started_by_a_late_submission(bench: Bench, clusters: Clusters) -> None:
    """Drained before it was wholly handed over, a job has ended; submitting again does not let it run."""
    site, job = bench.controller(OWNER), bench.job("x = 1\n")
    cut_submission(clusters, job, 1, answered=True)
    site.drain(job.run, 1)
    assert JobPhase.ENDED is phase(site, job)
    site.submit(job)
    assert JobPhase.ENDED is phase(site, job)
    assert ["the Secret"] == [x for x in bench.left(job.run, 1) if x != job.name]


def test_a_secret_of_an_earlier_job_is_replaced(bench: Bench, clusters: Clusters) -> None:
    """A Secret whose Job is gone would be taken away from under the pod: it is deleted and made again."""
    site, job = bench.controller(OWNER), bench.job("x = 1\n")
    cluster = Cluster(address_of(clusters, clusters.contexts[0]))
    metadata = {"name": job.name, "ownerReferences": [_reference(job, str(uuid.uuid4()))]}
    stale = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"GREENKERNEL_KEY": "old"}}
    cluster.call("POST", cluster.path("secrets"), body=stale)

    def submitted() -> bool:
        try:
            site.submit(job)
        except TemporaryError:
            return False
        return True

    eventually("the submission", submitted)
    assert 0 == ended(site, job, within_s=60).exit_code


def _reference(job: JobSpec, uid: str) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": uid}


def test_an_image_that_does_not_exist_is_named(clusters: Clusters, bundle: dict[str, str]) -> None:
    """The job stays pending, and the line names the image and the setting; a stop removes it."""
    bench = bench_of(clusters, clusters.contexts[0], bundle, image="localhost/nosuch:1")
    site, job = bench.controller(OWNER), bench.job("x = 1\n")
    site.submit(job)

    def explained() -> bool:
        now = status(site, job)
        return now is not None and "localhost/nosuch:1 cannot be pulled" in now.detail

    eventually("the explanation", explained, within_s=20)
    assert JobPhase.PENDING is phase(site, job)
    bench.clean()


def test_a_job_that_fits_nowhere_says_what_is_lacking(clusters: Clusters, bundle: dict[str, str]) -> None:
    """More memory than any node has: pending, with the resource and what to do."""
    bench = bench_of(clusters, clusters.contexts[0], bundle)
    site, job = bench.controller(OWNER), bench.job("x = 1\n", memory=1 << 50)
    site.submit(job)

    def explained() -> bool:
        now = status(site, job)
        return now is not None and now.detail.startswith("no node has enough free memory: ask for less")

    eventually("the explanation", explained, within_s=20)
    bench.clean()


def test_a_quota_is_explained_and_in_the_offer(
    own_namespace: Cluster, clusters: Clusters, bundle: dict[str, str]
) -> None:
    """What a ResourceQuota leaves and a LimitRange bounds is offered; a job beyond the quota says so while it waits."""
    quota = {"requests.cpu": "1500m", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "1Gi"}
    most = {"type": "Container", "max": {"cpu": "1", "memory": "4Gi"}}
    _create(own_namespace, "resourcequotas", "ResourceQuota", {"hard": quota})
    _create(own_namespace, "limitranges", "LimitRange", {"limits": [most]})
    bench = bench_of(clusters, clusters.contexts[0], bundle)
    site = site_of(own_namespace, OWNER)

    def offered() -> bool:
        offer = site_of(own_namespace, OWNER).offer()
        return (1, 1.5, 1 << 30) == (offer.cores_max, offer.cores_free, offer.memory_free_bytes)

    eventually("the offer", offered, within_s=15)
    job = bench.job("x = 1\n", memory=2048 * MIB)
    site.submit(job)

    def explained() -> bool:
        now = status(site, job)
        return now is not None and "exceeded quota" in now.detail and "wait until other work has ended" in now.detail

    eventually("the explanation", explained, within_s=20)
    site.stop(job.run, 1)
    eventually("nothing to be left", lambda: [] == left_on(own_namespace)(job.run, 1))
    bench.runs.clear()


def _create(cluster: Cluster, resource: str, kind: str, spec: dict[str, Any]) -> None:
    item = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "test"}, "spec": spec}
    cluster.call("POST", cluster.path(resource), body=item)


def test_a_missing_right_is_named(clusters: Clusters, bundle: dict[str, str]) -> None:
    """Where nothing is allowed, a submission is refused with the verb's name, and a listing may be tried again."""
    bench = bench_of(clusters, clusters.contexts[0], bundle)
    elsewhere = Address(kubeconfig=clusters.kubeconfig, context=clusters.contexts[0], namespace="default")
    site, job = site_of(Cluster(elsewhere), OWNER), bench.job("x = 1\n")
    with pytest.raises(PermanentError, match=r"may not create jobs \(API group batch\) in the namespace default"):
        site.submit(job)
    with pytest.raises(TemporaryError, match="may not list jobs"):
        site.jobs()
    bench.runs.clear()


@pytest.mark.slow
def test_following_survives_an_api_server_that_is_gone_for_a_while(clusters: Clusters, bundle: dict[str, str]) -> None:
    """While the API server is down nothing is claimed; the job goes on; its end is seen once the server is back."""
    if clusters.foreign:
        pytest.skip("faults need clusters of our own")
    context, state = clusters.contexts[1], state_of(None)
    bench = bench_of(clusters, context, bundle)
    site, job = bench.controller(OWNER), bench.job("import time\ntime.sleep(8)\nx = 1\n")
    with watched(site) as count:
        site.submit(job)
        eventually("the start", lambda: bench.run_store(job).claimed(1) is not None, within_s=40)
        faults.kill(state, f"{context}/kube-apiserver")
        try:
            eventually("silence", lambda: _is_silent(bench.controller(OWNER)) and _is_silent(site), within_s=20)
            assert not site.offer().reachable
            eventually("the result all the same", lambda: bench.run_store(job).finished(1) is not None)
        finally:
            faults.revive(state)
        eventually("the end", lambda: not _is_silent(site) and phase(site, job) is JobPhase.ENDED, within_s=60)
        before = count()
        site.stop(job.run, 1)
        eventually("word of the end by the watch", lambda: count() > before and not _is_silent(site), within_s=40)
    eventually("a clean site", lambda: [] == bench.left(job.run, 1))


def _is_silent(site: Any) -> bool:
    try:
        site.jobs()
    except TemporaryError:
        return True
    return False
