"""Fixtures of the tests that need real clusters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import NoReturn

import pytest

from tests.clusters.api import FOREIGN, Clusters, Unavailable, provider, state_of
from tests.clusters.api import clusters as obtain
from tests.clusters.sessions import session
from tests.kubernetes.sitekit import bundle_of


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Real clusters; those that were up before stay up, those started here are taken down at the end.

    Without them the tests are skipped, or fail where the variable CI is true.
    """
    way = provider()
    if isinstance(way, Unavailable):
        _give_up(way)
    with nullcontext() if os.environ.get(FOREIGN) else session(state_of(None)):
        found = obtain()
        if isinstance(found, Unavailable):
            _give_up(found)
        yield found


@pytest.fixture(scope="session")
def bundle(clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The secret that brings the runner into a plain image."""
    return bundle_of(clusters, tmp_path_factory.mktemp("wheels"))


def _give_up(without: Unavailable) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(without.reason)
    pytest.skip(without.reason)
