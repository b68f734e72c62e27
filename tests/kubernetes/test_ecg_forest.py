"""The demo's cell as Jobs on two real clusters: moved once in mid-run through the S3 store, bit-equal at home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenkernel.clock import RealClock
from greenkernel.demo import CELL, load_records, setup_namespace
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.session import train
from greenkernel.settings import Settings
from tests.clusters.api import Clusters
from tests.flows.conftest import eventually
from tests.kubernetes.sitekit import ON_CLUSTERS, ended, sites_file

pytestmark = ON_CLUSTERS


@pytest.fixture(params=["localhost/greenkernel-sklearn:3.11", "localhost/greenkernel-python:3.11"])
def home(
    request: pytest.FixtureRequest, clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("GREENKERNEL_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    path = sites_file(clusters, tmp_path, request.param)
    made = Home(Settings(folder, path), RealClock())
    yield made
    ended(made)


def nodes_of(forest: Any) -> list[bytes]:
    states = [tree.tree_.__getstate__() for tree in forest.estimators_]
    return [b"".join(s["nodes"][f].tobytes() for f in s["nodes"].dtype.names) + s["values"].tobytes() for s in states]


def namespace() -> dict[str, Any]:
    names = setup_namespace(load_records(archive=None, limit=60))
    return {**names, "trees": 120, "fold_trees": 10}


def test_the_forest_moves_between_clusters(home: Home) -> None:
    """One Job on each cluster, trees reused, every tree and score as at home, and nothing left on either cluster.

    The working folder of both has the path that it has at home.
    """
    cell = f"{CELL}\nimport os\nfolder = os.getcwd()\n"
    run = train(cell, namespace=namespace(), home=home, no_profile=True, name="ecg on clusters")
    eventually(lambda: run.progress is not None and run.progress.tasks_done >= 15, timeout_s=300)
    run.relocate("site-two")
    run.wait(300)
    assert RunState.DONE == run.state, run.detail
    receipt = run.receipt
    assert receipt is not None
    assert ["site-one", "site-two"] == [stay.site for stay in receipt.stays]
    assert receipt.moves[0].reused.tasks >= 10
    plain = namespace()
    exec(compile(CELL, "<cell>", "exec"), plain)
    names = run.names
    assert nodes_of(plain["clf"]) == nodes_of(names["clf"])
    assert np.array_equal(plain["scores"], names["scores"])
    assert np.array_equal(plain["predictions"], names["predictions"])
    assert str(Path.cwd()) == names["folder"]
    eventually(lambda: all(not site.jobs() for site in home.sites.values()), timeout_s=60)
