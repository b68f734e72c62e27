"""Kubernetes sites: the same contract as processes of this machine, on a real cluster through a real S3 store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters.api import Clusters
from tests.kubernetes.sitekit import ON_CLUSTERS, bench_of
from tests.sites.contract import Bench, SiteContract

pytestmark = ON_CLUSTERS


@pytest.fixture
def bench(clusters: Clusters, bundle: dict[str, str]) -> Iterator[Bench]:
    """The first site with a plain Python image."""
    made = bench_of(clusters, clusters.contexts[0], bundle)
    yield made
    made.clean()


class TestContract(SiteContract):
    """The contract on Jobs."""
