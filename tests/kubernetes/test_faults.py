"""Running cells on two real clusters under faults: pods lost, controllers killed, sites cut off; as if undisturbed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import UserError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.run.reconcile import LOST_AFTER_S
from greenkernel.settings import Settings
from greenkernel.site.kubernetes.manifests import RUN
from tests.clusters import faults
from tests.clusters.api import Clusters
from tests.clusters.layout import NAMESPACE, SCIENCE_IMAGE, SITES
from tests.flows.conftest import controllers, eventually
from tests.flows.test_moved_cells import EPOCHS, IN_A_FUNCTION, SAID_BY_HAND, check, defined, notebook, plainly
from tests.flows.test_product import quick, started
from tests.kubernetes import pods
from tests.kubernetes.sitekit import ON_CLUSTERS, ended, sites_file

pytestmark = ON_CLUSTERS
# In make test; make soak has the others.
RUNS, ALL_RUNS = 4, 30
CELLS = (EPOCHS, IN_A_FUNCTION, SAID_BY_HAND)
# Two runs share two sites of two cores each; a site that is cut off is cut off for both.
_AT_ONCE = 2
_CUT_OFF = threading.Lock()


@pytest.fixture
def home(
    clusters: Clusters, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """Its sites lose processes often, so snapshots are taken as often as their cost allows."""
    if clusters.foreign:
        pytest.skip("faults are made in clusters of our own only")
    folder = tmp_path_factory.mktemp("faults")
    (folder / "home").mkdir()
    monkeypatch.setenv("GREENKERNEL_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    path = sites_file(clusters, folder, SCIENCE_IMAGE, "lost_every_h = 0.0001")
    made = Home(Settings(folder / "home", path), RealClock())
    yield made
    ended(made)


def lose_pods(clusters: Clusters, run: Run) -> None:
    """Its pods are gone without a word, as when their node is."""
    for site in SITES:
        api = pods.core(clusters, site.admin_context)
        for pod in api.list_namespaced_pod(NAMESPACE, label_selector=f"{RUN}={run.id}").items:
            api.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)


def cut_off(site: str, seconds: float) -> None:
    """From home, from the store and from the other site."""
    with _CUT_OFF:
        faults.partition(site)
        try:
            RealClock().sleep(seconds)
        finally:
            faults.heal(site)


def disturbed(seed: int, run: Run, home: Home, clusters: Clusters) -> bool:
    """Disturb a run at two moments, and wait for its end; returns whether it did not begin anew."""
    dice, clock = Random(seed), RealClock()
    eventually(lambda: started(run) or run.state.ended, timeout_s=200)
    for _ in range(2):
        clock.sleep(dice.uniform(1, 6))
        with contextlib.suppress(ProcessLookupError, IndexError, UserError):  # it is not there yet, or any more
            match dice.choice(("pod", "pod", "controller", "move", "cut off")):
                case "pod":
                    lose_pods(clusters, run)
                case "controller":
                    os.kill(controllers(home.settings.home)[0], signal.SIGKILL)
                case "move":
                    run.relocate(dice.choice(SITES).name)
                case _:
                    cut_off(run.epochs[-1].site, dice.uniform(2, 10))
    run.wait(400)
    assert RunState.DONE == run.state, run.detail
    progress = run.progress
    assert progress is not None
    return progress.reused_cpu_s > 0 or len(run.epochs) == 1


def all_as_if_undisturbed(seeds: range, home: Home, clusters: Clusters, folder: Path) -> None:
    """Names, files and text of each run are those of a plain one."""
    cells = {seed: CELLS[seed % len(CELLS)] for seed in seeds}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        runs = {seed: quick(home, cell, defined(notebook())) for seed, cell in cells.items()}
        kept = list(pool.map(lambda seed: disturbed(seed, runs[seed], home, clusters), seeds))
    for seed, cell in cells.items():
        place = folder / str(seed)
        place.mkdir()
        check(runs[seed], *plainly(cell, place))
    assert sum(kept) >= 0.3 * len(kept)
    eventually(lambda: all(not site.jobs() for site in home.sites.values()), timeout_s=90)


def test_disturbed_on_clusters(home: Home, clusters: Clusters, tmp_path: Path) -> None:
    """Whatever is lost at whatever moment, the cells end as if undisturbed, and nothing is left on either cluster."""
    all_as_if_undisturbed(range(RUNS), home, clusters, tmp_path)


@pytest.mark.soak
def test_disturbed_on_clusters_more_often(home: Home, clusters: Clusters, tmp_path: Path) -> None:
    """The same with many more seeds."""
    for first in range(RUNS, ALL_RUNS, RUNS):
        place = tmp_path / str(first)
        place.mkdir()
        all_as_if_undisturbed(range(first, min(first + RUNS, ALL_RUNS)), home, clusters, place)


@pytest.mark.soak
def test_a_zombie_comes_back(home: Home, clusters: Clusters, tmp_path: Path) -> None:
    """A site is cut off until it is taken for lost: the run ends elsewhere; what comes back of it changes nothing."""
    run = quick(home, EPOCHS.replace("range(40)", "range(1500)"), defined(notebook()))
    eventually(lambda: started(run) and "epoch 20" in run.logs(), timeout_s=200)
    lost = run.epochs[-1].site
    with _CUT_OFF:
        faults.partition(lost)
        try:
            eventually(lambda: run.epochs[-1].site != lost, timeout_s=LOST_AFTER_S + 60)
            eventually(lambda: started(run), timeout_s=200)
        finally:
            faults.heal(lost)
    eventually(lambda: not home.sites[lost].jobs(), timeout_s=120)
    run.wait(900)
    assert RunState.DONE == run.state, run.detail
    assert 2 == len(run.epochs)
    check(run, *plainly(EPOCHS.replace("range(40)", "range(1500)"), tmp_path))
