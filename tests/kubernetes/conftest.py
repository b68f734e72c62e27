"""Fixtures of the tests that need real clusters."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.clusters import lifecycle
from tests.clusters.api import Clusters, Unavailable, state_of
from tests.clusters.api import clusters as obtain


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Real clusters; those that were up before stay up, those started here are taken down at the end.

    Without them the tests are skipped, or fail where the variable CI is true.
    """
    state = state_of(None)
    were_up = lifecycle.running(state)
    found = obtain()
    if isinstance(found, Unavailable):
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(found.reason)
        pytest.skip(found.reason)
    yield found
    if not found.foreign and not were_up:
        lifecycle.down(state)
