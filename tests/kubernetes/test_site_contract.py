"""Kubernetes sites: the same contract as processes of this machine, on a real cluster through a real S3 store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenkernel.clock import RealClock
from greenkernel.run.bundle import build_bundle, runner_packages
from greenkernel.sites.base import Site
from greenkernel.sites.kubernetes.client import Address, Cluster
from greenkernel.sites.kubernetes.manifests import EPOCH, RUN
from greenkernel.sites.kubernetes.site import KubernetesSite
from greenkernel.store.objects import ObjectStore, StoreAddress
from tests.clusters.api import Clusters
from tests.clusters.layout import BUCKET, NAMESPACE, PYTHON_IMAGE
from tests.sites.contract import Bench, SiteContract

pytestmark = pytest.mark.kubernetes


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of wheels for the whole session."""
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="session")
def bundle(clusters: Clusters, wheels: Path) -> dict[str, str]:
    """The secret that brings the runner into a plain image."""
    objects = ObjectStore(store_of(clusters))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    reference = build_bundle(objects, [], runner_packages(), wheels, python=python, valid_s=3600)
    return {"GREENKERNEL_BUNDLE": reference.to_json()}


def store_of(clusters: Clusters) -> StoreAddress:
    """The test clusters' S3 store."""
    return StoreAddress(url=f"s3://{BUCKET}", options=clusters.s3_options)


def cluster_of(clusters: Clusters, context: str) -> Cluster:
    """A connection to one site as the restricted user."""
    return Cluster(Address(kubeconfig=clusters.kubeconfig, context=context, namespace=NAMESPACE))


@pytest.fixture
def bench(clusters: Clusters, bundle: dict[str, str]) -> Iterator[Bench]:
    """The first site with a plain Python image."""
    context = clusters.contexts[0]
    cluster = cluster_of(clusters, context)

    def controller(owner: str) -> Site:
        return KubernetesSite(
            context,
            cluster=cluster_of(clusters, context),
            image=PYTHON_IMAGE,
            max_cores=2,
            memory_bytes=None,
            owner=owner,
            clock=RealClock(),
        )

    def left(run: str, epoch: int) -> list[str]:
        query = {"labelSelector": f"{RUN}={run},{EPOCH}={epoch}"}
        jobs = cluster.listing(cluster.path("jobs", group="apis/batch/v1"), query=query).items
        pods = cluster.listing(cluster.path("pods"), query=query).items
        secret = cluster.call("GET", cluster.path("secrets", f"gk-{run}-{epoch}"), accept=(404,))
        found = [item["metadata"]["name"] for item in (*jobs, *pods)]
        return found if secret.status == 404 else [*found, "the Secret"]

    made = Bench(controller=controller, store=store_of(clusters), left=left, extra=bundle, start_s=40)
    yield made
    made.clean()


class TestContract(SiteContract):
    """The contract on Jobs."""
