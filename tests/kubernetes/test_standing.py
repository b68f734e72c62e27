"""A controller that stays on another machine: it has the runs on clusters while its lease is alive, kernels' else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenkernel.clock import RealClock
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.run.lease import VALID_S
from greenkernel.settings import Settings
from tests.clusters.api import Clusters
from tests.clusters.layout import SCIENCE_IMAGE
from tests.flows.conftest import controllers, end_controllers, eventually
from tests.flows.test_product import quick
from tests.kubernetes.sitekit import ON_CLUSTERS, ended, sites_file

pytestmark = ON_CLUSTERS
CELL = "import time\ndone = []\nfor n in range({rounds}):\n    time.sleep(1)\n    done.append(n)\n"


@pytest.fixture
def sites(clusters: Clusters, tmp_path: Path) -> Path:
    """The clusters, and a site of the notebook's machine, which is home."""
    path = sites_file(clusters, tmp_path, SCIENCE_IMAGE)
    path.write_text(f'home = "here"\n{path.read_text()}[sites.here]\nkind = "embedded"\nintensity_g_per_kwh = 50\n')
    return path


@pytest.fixture
def home(sites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The notebook's machine."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("GREENKERNEL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made = Home(Settings(tmp_path / "home", sites), RealClock())
    assert made.owner
    yield made
    ended(made)


class Elsewhere:
    """A machine that has the keys and the clusters, and nothing else of the notebook's."""

    def __init__(self, home: Home, sites: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(home.settings.home / "keys", folder / "keys")
        self._log = folder / "said"
        command = [sys.executable, "-m", "greenkernel.cli", "controller", "--stay", "--sites", str(sites)]
        with self._log.open("ab") as log:
            environment = {**os.environ, "GREENKERNEL_HOME": str(folder), "LOGNAME": "somebody-else"}
            self.process = subprocess.Popen(command, env=environment, cwd=folder, stderr=log)
        eventually(lambda: "has the runs on" in self.said)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(60)


@pytest.fixture
def elsewhere(home: Home, sites: Path, tmp_path: Path) -> Iterator[Elsewhere]:
    made = Elsewhere(home, sites, tmp_path / "elsewhere")
    yield made
    if made.process.poll() is None:
        made.end(signal.SIGKILL)


def begun(run: Run) -> None:
    eventually(lambda: run.state is RunState.RUNNING and run.progress is not None, timeout_s=120)


def test_it_goes_on_while_the_notebooks_machine_is_off(home: Home, elsewhere: Elsewhere) -> None:
    """The run is profiled here, taken there, and ends with nobody here; its story is then in this journal too."""
    run = quick(home, CELL.format(rounds=20), site=["site-one"])
    eventually(lambda: run.epochs != (), timeout_s=60)
    begun(run)
    end_controllers(home.settings.home)
    eventually(lambda: run._store.ended() is not None, timeout_s=120)
    assert [] == controllers(home.settings.home)
    assert list(range(20)) == run.names["done"]
    run.wait_stopped()
    told = [text for _, text in run.journal()]
    assert [] == [text for text in ("done", "nothing is left on site-one") if text not in " / ".join(told)], told
    assert len(told) == len(set(told))
    receipt = run.receipt
    assert receipt is not None
    assert ("site-one", "now, at home") == (receipt.stays[0].site, receipt.baselines[0].name)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_where_it_is_gone_the_kernels_go_on(how: int, home: Home, elsewhere: Elsewhere) -> None:
    """Killed it keeps the lease for its time, ended it gives it back; the run has one epoch and one result."""
    run = quick(home, CELL.format(rounds=10), site=["site-one"])
    begun(run)
    elsewhere.end(how)
    run.wait(120 + VALID_S)
    assert RunState.DONE == run.state, run.detail
    assert list(range(10)) == run.names["done"]
    assert 1 == len(run.epochs)
    run.wait_stopped()


def test_what_goes_to_the_notebooks_machine_is_its_controllers(home: Home, elsewhere: Elsewhere) -> None:
    """The other one lets go of it, and has it no more when it goes back to a cluster."""
    run = quick(home, CELL.format(rounds=25), site=["site-one"])
    begun(run)
    for number, site in ((2, "here"), (3, "site-one")):
        run.relocate(site)
        eventually(lambda number=number: len(run.epochs) == number, timeout_s=90)  # type: ignore[misc]
    run.wait(180)
    assert RunState.DONE == run.state, run.detail
    assert list(range(25)) == run.names["done"]
    assert ["site-one", "here", "site-one"] == [epoch.site for epoch in run.epochs]
    run.wait_stopped()


def test_two_of_them_have_one_lease(home: Home, elsewhere: Elsewhere, sites: Path, tmp_path: Path) -> None:
    """The second waits, says for whom, and takes over when the first has ended."""
    second = subprocess.Popen(
        [sys.executable, "-m", "greenkernel.cli", "controller", "--stay", "--sites", str(sites)],
        env={**os.environ, "GREENKERNEL_HOME": str(_copied(home, tmp_path / "third"))},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert second.stderr is not None
        assert "waits: " in second.stderr.readline()
        elsewhere.end(signal.SIGTERM)
        assert "has the runs on site-one, site-two" in second.stderr.readline()
    finally:
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=60)


def _copied(home: Home, folder: Path) -> Path:
    shutil.copytree(home.settings.home / "keys", folder / "keys")
    return folder
