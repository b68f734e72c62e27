"""What tests of Kubernetes sites share: a store, a bundle, a bench, and connections that break when told."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import TemporaryError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.run.bundle import build_bundle, runner_packages
from greenkernel.run.wheels import collect_wheels
from greenkernel.site.kubernetes.client import Address, Answer, Cluster
from greenkernel.site.kubernetes.manifests import EPOCH, RUN
from greenkernel.site.kubernetes.site import KubernetesSite
from greenkernel.store.objects import ObjectStore, StoreAddress
from tests.clusters.api import Clusters
from tests.clusters.layout import BUCKET, NAMESPACE, PYTHON_IMAGE
from tests.flows.conftest import end_controllers
from tests.sites.contract import Bench

# One worker runs them all, and whoever comes first may have to build the clusters, however long that takes.
ON_CLUSTERS = [
    pytest.mark.kubernetes,
    pytest.mark.xdist_group("clusters"),
    pytest.mark.timeout(900, func_only=True),
]


def store_of(clusters: Clusters) -> StoreAddress:
    """The test clusters' S3 store."""
    return StoreAddress(url=f"s3://{BUCKET}", options=clusters.s3_options)


def bundle_of(clusters: Clusters, wheels: Path) -> dict[str, str]:
    """The secret that brings the runner into a plain image."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    collected = collect_wheels(runner_packages(), wheels, python=python)
    reference = build_bundle(ObjectStore(store_of(clusters)), collected, python=python, valid_s=3600)
    return {"GREENKERNEL_BUNDLE": reference.to_json()}


def address_of(clusters: Clusters, context: str) -> Address:
    """The namespace of one site, as the restricted user."""
    return Address(kubeconfig=clusters.kubeconfig, context=context, namespace=NAMESPACE)


def site_of(cluster: Cluster, owner: str, *, image: str = PYTHON_IMAGE, max_cores: int = 2) -> KubernetesSite:
    """A site of a connection, as one more controller would make it."""
    return KubernetesSite(
        str(cluster.address),
        cluster=cluster,
        image=image,
        max_cores=max_cores,
        memory_bytes=None,
        owner=owner,
        clock=RealClock(),
    )


def bench_of(clusters: Clusters, context: str, extra: Mapping[str, str], **options: Any) -> Bench:
    """A bench on one site of the clusters."""
    cluster = Cluster(address_of(clusters, context))
    return Bench(
        controller=lambda owner: site_of(Cluster(address_of(clusters, context)), owner, **options),
        store=store_of(clusters),
        left=left_on(cluster),
        extra=extra,
        start_s=40,
    )


def sites_file(clusters: Clusters, folder: Path, image: str, *more: str) -> Path:
    """The clusters' own sites file with constant signals, one image for both, and more lines for each."""
    given = tomllib.loads(clusters.sites_toml.read_text())
    lines = [f'store = "{given["store"]}"', "[store_options]"]
    lines += [f'{name} = "{value}"' for name, value in given["store_options"].items()]
    for (name, site), intensity in zip(given["sites"].items(), (100, 300), strict=True):
        lines += [
            f"[sites.{name}]",
            'kind = "kubernetes"',
            f'kubeconfig = "{site["kubeconfig"]}"',
            f'context = "{site["context"]}"',
            f'namespace = "{site["namespace"]}"',
            f'image = "{image}"',
            f"intensity_g_per_kwh = {intensity}",
            "max_cores = 1",
            *more,
        ]
    path = folder / "sites.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def ended(home: Home) -> None:
    """End what a test has left in its home."""
    for entry in home.journal.entries(only_open=True):
        run = Run(home, entry.id)
        if not run.state.ended:
            run.cancel()
            run.wait(120)
    end_controllers(home.settings.home)


def left_on(cluster: Cluster) -> Callable[[str, int], list[str]]:
    """Finds what a job still has on a site."""

    def left(run: str, epoch: int) -> list[str]:
        query = {"labelSelector": f"{RUN}={run},{EPOCH}={epoch}"}
        jobs = cluster.listing(cluster.path("jobs", group="apis/batch/v1"), query=query).items
        pods = cluster.listing(cluster.path("pods"), query=query).items
        secret = cluster.call("GET", cluster.path("secrets", f"gk-{run}-{epoch}"), accept=(404,))
        found = [item["metadata"]["name"] for item in (*jobs, *pods)]
        return found if secret.status == 404 else [*found, "the Secret"]

    return left


class CutCluster(Cluster):
    """A connection whose holder is cut off at one of its requests: that one and all later ones fail.

    Args:
        address: Where to.
        at: Number of the request, from 0.
        answered: Whether that request still reaches the API; its answer is lost.
    """

    def __init__(self, address: Address, *, at: int, answered: bool) -> None:
        super().__init__(address)
        self._left = at
        self._answered = answered

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """The request, or the cut."""
        if self._left > 0 or (self._left == 0 and self._answered):
            answer = super().call(method, path, body=body, query=query, accept=accept)
        self._left -= 1
        if self._left < 0:
            raise TemporaryError("cut off")
        return answer
